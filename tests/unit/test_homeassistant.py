"""What Home Assistant is told of a bin. Its own schema is asked in tests/homeassistant."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trashbin import homeassistant, requests, resources
from trashbin.app import safe_config
from trashbin.config import load
from trashbin.devices.mqtt_retained import Retained
from trashbin.events import Topics
from trashbin.outbox import Outbox
from trashbin.settings import ID_PATTERN, Config, MqttPublisher

LABELS = resources.labels()


def a_config(device_id: str = "bin-1", **changes: Any) -> Config:
    return Config.model_validate(
        {
            "version": 1,
            "device": {"id": device_id},
            "bins": {"only": {"labels": list(LABELS)}},
            "camera": {"kind": "simulated"},
            "triggers": [{"kind": "mqtt"}],
            "actuators": [{"kind": "none"}],
            "publisher": {"kind": "mqtt"},
        }
        | changes
    )


def found(config: Config) -> dict[str, Any]:
    return homeassistant.discovery(config, LABELS, "1.2.3")


def entities(config: Config) -> dict[str, dict[str, Any]]:
    return {key: c for key, c in found(config)["components"].items() if "unique_id" in c}


def test_a_bin_has_what_people_expect_of_one() -> None:
    platforms = Counter(component["platform"] for component in entities(a_config()).values())
    assert platforms == {
        "event": 1,
        "sensor": 7 + len(LABELS),
        "binary_sensor": 2,
        "button": 3,
        "select": 2,
        "number": 1,
        "update": 1,
    }
    assert found(a_config())["components"]["on_uncertain"]["platform"] == "device_automation"


def test_the_name_for_people_is_the_devices_name_and_else_its_id() -> None:
    named = a_config(device={"id": "bin-1", "name": "Bin in the hall"})
    assert found(named)["device"]["name"] == "Bin in the hall"
    assert found(a_config())["device"]["name"] == "bin-1"


SENSOR = {"trigger": 9, "echo": 10, "empty_cm": 50, "full_cm": 10}


@pytest.mark.parametrize("known_by", [{"capacity": 40}, {"level": SENSOR}])
def test_how_full_a_bin_is_shows_where_somebody_knows(known_by: dict[str, Any]) -> None:
    some = [label for label in LABELS if label != "glass"]
    bins = {"glass": {"labels": ["glass"], **known_by}, "rest": {"labels": some}}
    known = set(entities(a_config(bins=bins))) - set(entities(a_config()))
    assert known == {"full_1", "level_1", "emptied_1"}


@pytest.mark.parametrize("name", ["PET bottles", "\U0001f600", 'a"b\\', "{{ 7 }}"])
def test_a_bin_may_have_any_name(name: str) -> None:
    rest = [label for label in LABELS if label != "glass"]
    bins = {"rest": {"labels": rest}, name: {"labels": ["glass"], "capacity": 40}}
    found = entities(a_config(bins=bins))
    for key in ("full_2", "level_2"):
        # templates read a text in quotes as Python does
        (quoted,) = set(re.findall(r"get\((\".*?\"), \{\}\)", found[key]["value_template"]))
        assert ast.literal_eval(quoted) == name
    assert found["level_2"]["name"] == f"{name[0].upper()}{name[1:]} level"
    assert json.loads(found["emptied_2"]["payload_press"]) == {"bin": name}


@pytest.mark.parametrize(
    ("before", "bins", "after"),
    [
        ([], "abc", "abc"),  # as every bin that was there before this was remembered
        ("abc", "cab", "abc"),
        ("abc", "cAb", "Abc"),  # renamed: the number that it leaves
        ("abc", "ca", "a-c"),
        ("a-c", "dca", "adc"),
        ("abcdefghij", "jd", "j--d--"),
        (["a", "a", None, {}, "b"], "ab", "a---b-"),  # what the card has altered
    ],
)
def test_a_bin_keeps_its_number_wherever_the_yaml_names_it(
    before: Sequence[str], bins: str, after: str
) -> None:
    numbers = homeassistant.numbered([*bins], before, len(LABELS))
    assert "".join(name or "-" for name in numbers) == after.ljust(len(LABELS), "-")


def test_bins_named_in_another_order_keep_their_entities(tmp_path: Any) -> None:
    some = [label for label in LABELS if label != "glass"]
    bins = {"glass": {"labels": ["glass"], "capacity": 40}, "rest": {"labels": some}}
    with closing(Outbox(tmp_path / "events.sqlite")) as outbox:
        for order in (bins, dict(reversed(bins.items()))):
            retained = Retained(a_config(bins=order), MqttPublisher(kind="mqtt"), outbox)
            [message] = retained.all()
            told = json.loads(message.payload)["components"]
            assert told["level_1"]["name"] == "Glass level"
            assert told["level_2"] == {"platform": "sensor"}


@pytest.mark.parametrize("discovery", [True, False])
def test_how_large_its_message_is_is_known_unless_it_is_left_out(
    tmp_path: Any, discovery: bool
) -> None:
    with closing(Outbox(tmp_path / "events.sqlite")) as outbox:
        section = MqttPublisher(kind="mqtt", discovery=discovery)
        retained = Retained(a_config(), section, outbox)
        sizes = [len(message.payload) for message in retained.all()]
        assert (len(sizes), retained.discovery_bytes) == (discovery, sum(sizes))


def test_what_a_bin_does_not_have_is_taken_away() -> None:
    deaf = a_config(triggers=[{"kind": "timer", "every_s": 1}])
    assert found(deaf)["components"]["look"] == {"platform": "button"}
    assert found(deaf)["components"]["image"] == {"platform": "image"}
    for number in range(1, len(LABELS) + 1):  # an earlier configuration may have had a level there
        assert found(deaf)["components"][f"level_{number}"] == {"platform": "sensor"}
        assert found(deaf)["components"][f"full_{number}"] == {"platform": "binary_sensor"}
        assert found(deaf)["components"][f"emptied_{number}"] == {"platform": "button"}
    shown = a_config(pictures={"publish": True})
    assert found(shown)["components"]["image"]["image_topic"] == "trashbin/bin-1/image/last"


@given(st.from_regex(ID_PATTERN, fullmatch=True))
def test_every_entity_is_this_bins_alone(device_id: str) -> None:
    topics = Topics(device_id)
    other = {c["unique_id"] for c in entities(a_config("another")).values()}
    ids = [c["unique_id"] for c in entities(a_config(device_id)).values()]
    assert len(set(ids)) == len(ids)
    assert device_id == "another" or not other & set(ids)
    for component in found(a_config(device_id))["components"].values():
        for key, topic in component.items():
            if key.endswith("topic"):
                assert topic.startswith(f"{topics.root}/")
    for key in found(a_config(device_id))["components"]:
        assert re.fullmatch("[a-zA-Z0-9_-]+", key)  # what Home Assistant allows


def test_what_home_assistant_must_know_of_its_kinds_of_entities() -> None:
    for component in entities(a_config()).values():
        assert component["qos"] == 1
        if component["platform"] == "sensor":  # a list of states is refused of any other class
            assert ("options" in component) == (component.get("device_class") == "enum")
        assert "icon" in component or "device_class" in component
    slider = entities(a_config())["gap_threshold"]
    for value in (slider["min"], slider["step"], slider["max"]):
        asked = slider["command_template"].replace("{{ value }}", str(value))
        requests.VERBS["threshold"].model_validate_json(asked)
    assert (slider["min"], slider["max"]) == (0, 1)


def test_a_bin_that_is_asked_to_look_and_looks_by_itself_has_the_button() -> None:
    both = a_config(triggers=[{"kind": "timer", "every_s": 5}, {"kind": "mqtt"}])
    assert "look" in entities(both)


def test_only_requests_that_there_are_are_sent() -> None:
    sent = {
        component["command_topic"].removeprefix("trashbin/bin-1/request/")
        for component in entities(a_config()).values()
        if "command_topic" in component
    }
    assert {"look", "mode", "resolve", "threshold"} <= sent <= requests.VERBS.keys()


def test_a_bin_in_safe_mode_is_found_as_well(tmp_path: Any) -> None:
    path = tmp_path / "trashbin.yaml"
    path.write_text("version: 1\ndevice: {id: bin-1}\npublisher: {kind: mqtt}\ncamera: {}\n")
    config = safe_config(load(path))
    assert config is not None
    there = found(config)["components"]
    assert {"decision", "status", "mode"} <= set(there)
    # what its owner named and placed in Home Assistant is not lost for a mistake in the file
    assert all(len(component) > 1 for component in there.values())


@pytest.mark.parametrize("prefix", ["homeassistant", "ha/discovery"])
def test_it_is_sent_where_home_assistant_looks(prefix: str) -> None:
    assert homeassistant.topic(prefix, "bin-1") == f"{prefix}/device/bin-1/config"
