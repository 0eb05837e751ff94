"""Pure: what Home Assistant needs to know of a bin, as one message of its MQTT device discovery.

Home Assistant makes a device with all its entities from it; nobody writes YAML there. Every
entity reads a topic that the bin publishes anyway, and every button and select is a request.
The message is kept by the broker, so that a bin which is off shows as unavailable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trashbin.events import EventType, Topics
from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Mode

BIRTH = "homeassistant/status"  # where Home Assistant says ``online`` after its start
BORN = b"online"
DIAGNOSTIC, CONFIG = "diagnostic", "config"  # Home Assistant's words for what is not the main thing

Component = dict[str, Any]


def topic(prefix: str, device_id: str) -> str:
    """Where the discovery message of a bin belongs."""
    return f"{prefix}/device/{device_id}/config"


def numbered(bins: Sequence[str], before: Sequence[str], most: int) -> list[str]:
    """The bins in the order of their entities' numbers, with "" where a number is free.

    One that had a number ``before`` keeps it, wherever the YAML names it now: Home Assistant knows
    its history by that. ``most`` is how many there may be.
    """
    kept: list[str] = []
    for name in before[:most]:
        kept.append(name if name in bins and name not in kept else "")
    new = iter([name for name in bins if name not in kept])
    return [name or next(new, "") for name in [*kept, *[""] * most][:most]]


def discovery(
    config: Config, labels: Sequence[str], version: str, bins: Sequence[str] = ()
) -> dict[str, Any]:
    """The discovery message of a bin that sorts by ``labels`` and runs ``version`` of trashbin.

    A configuration in safe mode will do. ``bins`` are as ``numbered`` has them, else as the YAML.
    """
    bins = bins or numbered([*config.bins], (), len(labels))
    components = _components(config, Topics(config.device.id), labels, bins)
    return {
        "device": {
            "identifiers": [f"trashbin-{config.device.id}"],
            "name": config.device.name or config.device.id,
            "manufacturer": "trashbin",
            "model": "Smart waste bin",
            "serial_number": config.device.id,
            "sw_version": version,
        },
        "origin": {"name": "trashbin", "sw_version": version},
        "availability": [
            {
                "topic": Topics(config.device.id).availability,
                # Home Assistant's own defaults. Without them 2025.4, connected again in the midst
                # of a start, now and then failed with KeyError and lacked an entity
                "payload_available": "online",
                "payload_not_available": "offline",
            }
        ],
        "components": {
            key: _named(config.device.id, key, component) for key, component in components.items()
        },
    }


def _components(
    config: Config, topics: Topics, labels: Sequence[str], bins: Sequence[str]
) -> dict[str, Component]:
    """Key -> entity. One that this bin does not have is only its platform: that removes it.

    In safe mode nobody knows what the bin has: what Home Assistant has of it stays.
    """
    asked_to_look = any(trigger.kind == "mqtt" for trigger in config.triggers)
    look = _button(topics, "look", "Look", "mdi:eye")
    image = {
        "platform": "image",
        "name": "Last picture",
        "image_topic": topics.image_last,
        "content_type": "image/jpeg",
        "icon": "mdi:image",
    }
    return {
        "decision": {
            "platform": "event",
            "name": "Decision",
            "state_topic": topics.event,
            "event_types": list(EventType),
            "icon": "mdi:delete-variant",
        },
        **_sensors(topics, labels),
        **_counts(topics, labels),
        **_binary_sensors(topics),
        **_levels(config, topics, bins),
        **_where(asked_to_look, config, {"look": look}),
        "identify": _button(topics, "identify", "Identify", device_class="identify"),
        "selftest": _button(topics, "selftest", "Self-test", "mdi:clipboard-check-outline"),
        **_where(config.pictures.publish, config, {"image": image}),
        **_settings(topics, labels),
        "model": {
            "platform": "update",
            "name": "Network",
            "state_topic": topics.info,
            "value_template": MODEL,
            "entity_category": DIAGNOSTIC,
            "icon": "mdi:brain",
        },
        "on_uncertain": {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": EventType.UNCERTAIN,
            "subtype": "item",
            "topic": topics.event,
            "value_template": "{{ value_json.event_type }}",
            "payload": EventType.UNCERTAIN,
        },
    }


def _sensors(topics: Topics, labels: Sequence[str]) -> dict[str, Component]:
    return {
        "status": _sensor(
            topics.state,
            "Status",
            "value_json.status",
            options=list(Status),
            icon="mdi:state-machine",
        ),
        "class": _sensor(
            topics.state,
            "Class",
            "value_json.last.label if value_json.last else none",
            options=list(labels),
            icon="mdi:shape",
            json_attributes_topic=topics.state,
            json_attributes_template="{{ (value_json.last or {}) | tojson }}",
        ),
        "gap": _sensor(
            topics.state,
            "Gap",
            "value_json.last.gap if value_json.last else none",
            state_class="measurement",
            suggested_display_precision=2,
            icon="mdi:arrow-expand-horizontal",
        ),
        "latency": _sensor(
            topics.state,
            "Decision time",
            "value_json.last.timing_ms.total if value_json.last and value_json.last.timing_ms "
            "else none",
            device_class="duration",
            unit_of_measurement="ms",
            state_class="measurement",
            suggested_display_precision=0,
            entity_category=DIAGNOSTIC,
        ),
        "outbox": _sensor(
            topics.health,
            "Undelivered events",
            "value_json.outbox_depth",
            unit_of_measurement="events",
            state_class="measurement",
            icon="mdi:tray-full",
            entity_category=DIAGNOSTIC,
        ),
        "temperature": _sensor(
            topics.health,
            "Processor temperature",
            "value_json.temperature_c",
            device_class="temperature",
            unit_of_measurement="°C",
            state_class="measurement",
            suggested_display_precision=0,
            entity_category=DIAGNOSTIC,
        ),
        # how the last button, select or number was answered, and why it was refused
        "request": _sensor(
            f"{topics.root}/response/+",
            "Last request",
            "value_json.status",
            options=["ok", "refused", "error"],
            icon="mdi:message-reply-text",
            entity_category=DIAGNOSTIC,
            json_attributes_topic=f"{topics.root}/response/+",
            json_attributes_template=REQUEST,
        ),
    }


def _counts(topics: Topics, labels: Sequence[str]) -> dict[str, Component]:
    """How many were sorted as each label, since the store began."""
    return {
        f"count_{label}": _sensor(
            topics.state,
            f"{label.capitalize()} sorted",
            f"value_json.counts.total.get({json.dumps(label)}, 0) if value_json.counts else none",
            state_class="total_increasing",
            unit_of_measurement="items",
            icon="mdi:counter",
        )
        for label in labels
    }


def _binary_sensors(topics: Topics) -> dict[str, Component]:
    return {
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "state_topic": topics.state,
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ value_json.problems | tojson }}",
        },
        "uncertain": {
            "platform": "binary_sensor",
            "name": "Uncertain",
            "state_topic": topics.state,
            "value_template": "{{ 'ON' if value_json.status == 'holding' else 'OFF' }}",
            "icon": "mdi:help-circle",
        },
    }


def _levels(config: Config, topics: Topics, bins: Sequence[str]) -> dict[str, Component]:
    """How full the bins are, where a sensor or the count tells, and that one was emptied.

    A number that no bin has is taken away: an earlier configuration may have had more.
    """
    found: dict[str, Component] = {}
    for number, name in enumerate(bins, 1):
        entry = config.bins.get(name)
        tells = entry is not None and (entry.level is not None or entry.capacity is not None)
        found |= _where(tells, config, _level(number, name, topics))
    return found


def _level(number: int, name: str, topics: Topics) -> dict[str, Component]:
    # as it is, and not as \ud83d\ude00, which templates take for two characters
    quoted = json.dumps(name, ensure_ascii=False)
    known = f"(value_json.levels or {{}}).get({quoted}, {{}})"
    shown = name[:1].upper() + name[1:]
    return {
        f"full_{number}": {
            "platform": "binary_sensor",
            "name": f"{shown} full",
            "state_topic": topics.state,
            "value_template": f"{{{{ {{true: 'ON', false: 'OFF'}}.get({known}.get('full')) }}}}",
            "icon": "mdi:delete-alert",
        },
        f"level_{number}": _sensor(
            topics.state,
            f"{shown} level",
            f"({known}.level * 100) if {known}.get('level') is not none else none",
            unit_of_measurement="%",
            state_class="measurement",
            suggested_display_precision=0,
            icon="mdi:gauge",
        ),
        f"emptied_{number}": _button(
            topics,
            "emptied",
            f"{shown} emptied",
            "mdi:delete-empty",
            payload_press=json.dumps({"bin": name}),
        ),
    }


def _settings(topics: Topics, labels: Sequence[str]) -> dict[str, Component]:
    """What can be set, and shows what is set."""
    return {
        "mode": {
            "platform": "select",
            "name": "Mode",
            "state_topic": topics.state,
            "value_template": "{{ value_json.mode }}",
            "command_topic": topics.request("mode"),
            "command_template": '{"mode": {{ value | tojson }}}',
            "options": list(Mode),
            "icon": "mdi:cog-play",
        },
        "resolve_as": {
            "platform": "select",
            "name": "Resolve as",
            "state_topic": topics.state,
            "value_template": ANSWERED,
            "command_topic": topics.request("resolve"),
            "command_template": RESOLVE,
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ {'event_id': value_json.last.event_id} | tojson "
            "if value_json.last else '{}' }}",
            "options": list(labels),
            "icon": "mdi:account-question",
        },
        "gap_threshold": {
            "platform": "number",
            "name": "Gap threshold",
            "state_topic": topics.state,
            "value_template": "{{ value_json.thresholds.gap }}",
            "command_topic": topics.request("threshold"),
            "command_template": '{"gap": {{ value }}}',
            "min": 0,
            "max": 1,
            "step": 0.01,
            "mode": "slider",
            "icon": "mdi:arrow-collapse-horizontal",
            "entity_category": CONFIG,
        },
    }


# The answer to the last item, where there is one. Which item the person saw is in the select's
# attributes, and goes with the answer: another may have fallen in since.
ANSWERED = (
    "{{ value_json.last_answer.answer.label if value_json.last and value_json.last_answer "
    "and value_json.last_answer.resolves == value_json.last.event_id else none }}"
)
RESOLVE = (
    '{"event_id": {{ this.attributes.event_id | default("") | tojson }}, '
    '"label": {{ value | tojson }}, "way": "homeassistant"}'
)
# All of an answer but a picture that somebody asked for: it is more than the recorder takes.
REQUEST = (
    "{{ (dict(value_json, data={'image_id': value_json.data.image_id}) "
    "if (value_json.data or {}).get('jpeg') else value_json) | tojson }}"
)
# No update is looked for anywhere: the latest is what runs, or what was installed and is on trial.
MODEL = (
    "{% macro version(model) %}{{ model.variant }} {{ model.sha256[:8] }}{% endmacro %}"
    "{% if value_json.model %}{{ {'title': value_json.model.name, "
    "'installed_version': version(value_json.model), "
    "'latest_version': version(value_json.model_trial or value_json.model)} | tojson }}{% endif %}"
)


def _where(has: bool, config: Config, components: dict[str, Component]) -> dict[str, Component]:
    """These where the bin has them; else what removes them, but not in safe mode."""
    if has:
        return components
    if not config.triggers:  # which only a configuration in safe mode lacks
        return {}
    return {key: {"platform": component["platform"]} for key, component in components.items()}


def _sensor(state_topic: str, name: str, value: str, **others: Any) -> Component:
    if "options" in others:
        others["device_class"] = "enum"
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": state_topic,
        "value_template": f"{{{{ {value} }}}}",
        **others,
    }


def _button(
    topics: Topics, verb: str, name: str, icon: str | None = None, **others: Any
) -> Component:
    icons = {} if icon is None else {"icon": icon}
    return {
        "platform": "button",
        "name": name,
        "command_topic": topics.request(verb),
        "payload_press": "{}",
        **icons,
        **others,
    }


def _named(device_id: str, key: str, component: Component) -> Component:
    """Add what makes it one of this bin's: its id, and the name it has in dashboards."""
    if len(component) == 1:
        return component
    component = component | {"qos": 1}
    if component["platform"] == "device_automation":
        return component
    name = f"trashbin_{device_id}_{key}"
    return component | {
        "unique_id": f"trashbin-{device_id}-{key}",
        "default_entity_id": f"{component['platform']}.{name}",
        "object_id": name,  # its name before Home Assistant 2025.10
    }
