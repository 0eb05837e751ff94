"""A bin in a real Home Assistant: found, shown, asked, restarted in every order, and removed."""

from __future__ import annotations

import itertools
import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.homeassistant.conftest import IN_TIME_S, Site, within
from tests.homeassistant.home import HASS, SHIPPED
from tests.support_processes import WAIT_S, Listener
from trashbin import config as configuration
from trashbin import homeassistant, resources

pytestmark = pytest.mark.homeassistant

LABELS = resources.labels()
CONFIG = configuration.read(resources.root() / "config" / "demo.yaml")
EVERY_ITEM_WAITS = {
    # nothing falls before Home Assistant listens: an event is sent once, and kept for nobody
    "device": {"id": "demo", "name": "Demo bin", "mode": "paused"},
    "rules": {"gap": 0.999},
    "look": {"settle_s": 0.8, "refractory_s": 0.2, "hold_s": 600},
    "actuators": [{"kind": "simulated", "person_s": 600}, {"kind": "servo", "pin": 18}],
    "triggers": [{"kind": "simulated", "every_s": 8.0, "items": 1}, {"kind": "mqtt"}],
}
ORDERS = list(itertools.permutations(("broker", "home", "bin")))


def expected() -> set[str]:
    """The entities of the demo's bin, by the ids that its dashboard uses."""
    found = homeassistant.discovery(CONFIG, LABELS, "1")["components"]
    return {one["default_entity_id"] for one in found.values() if "default_entity_id" in one}


def test_the_message_is_what_home_assistants_own_schemas_allow() -> None:
    check = Path(__file__).with_name("schema.py")
    message = homeassistant.discovery(CONFIG, LABELS, "1")
    done = subprocess.run(
        [HASS.with_name("python"), check], input=json.dumps(message), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_a_bin_is_found_shows_its_items_and_does_what_it_is_told(
    site: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    here = site(**EVERY_ITEM_WAITS)
    home = here.home
    home.start()
    home.wait_running()
    here.bin.start()
    assert here.bin.process is not None
    here.bin.process.wait_ready()

    took = within(IN_TIME_S, lambda: set(home.states()) >= expected())
    assert set(home.states()) == expected()
    tell(capsys, f"{len(expected())} entities from discovery alone after {took:.1f} s")

    device = home.render("{{ device_id('event.trashbin_demo_decision') }}")
    trigger = {"trigger": "device", "domain": "mqtt", "device_id": device}
    home.automate(
        "seen",
        {
            "alias": "seen",
            "triggers": [trigger | {"type": "uncertain", "subtype": "item"}],
            "actions": [],
        },
    )
    within(WAIT_S, lambda: home.render("{{ states('automation.seen') }}") == "on")

    # the bin is let go, an item falls, and it is not sure
    mode = "select.trashbin_demo_mode"
    within(IN_TIME_S, lambda: home.state(mode) == "paused")
    home.call("select.select_option", mode, option="auto")
    uncertain = "binary_sensor.trashbin_demo_uncertain"
    within(WAIT_S, lambda: home.state(uncertain) == "on")
    # what comes on other topics, and what else of this one it shows, comes by itself
    within(IN_TIME_S, lambda: decided(home)["event_type"] == "uncertain")
    event = decided(home)
    assert event["reason"] == "low_gap"
    within(IN_TIME_S, lambda: home.state("sensor.trashbin_demo_class") == event["label"])
    triggered = "{{ state_attr('automation.seen', 'last_triggered') }}"
    within(IN_TIME_S, lambda: home.render(triggered) != "None")
    within(IN_TIME_S, lambda: home.state("image.trashbin_demo_image") != "unknown")
    assert picture(home.url, home.states()["image.trashbin_demo_image"])[:2] == b"\xff\xd8"

    # the shipped automations ask on the phone, and take the answer to the bin
    asked = "{{ state_attr('automation.trash_bin_ask_what_it_is', 'last_triggered') }}"
    within(IN_TIME_S, lambda: home.render(asked) != "None")
    choices = home.render(choices_template(event))
    assert choices.count("trashbin/demo/") == len(LABELS)
    answer = {"action": f"trashbin/demo/{event['event_id']}/glass"}
    home.ask("/api/events/mobile_app_notification_action", answer)
    within(IN_TIME_S, lambda: home.state("select.trashbin_demo_resolve_as") == "glass")
    within(IN_TIME_S, lambda: home.state("sensor.trashbin_demo_count_glass") == "1")
    within(IN_TIME_S, lambda: home.state(uncertain) == "off")

    # somebody corrects it
    home.call("select.select_option", "select.trashbin_demo_resolve_as", option="metal")
    within(IN_TIME_S, lambda: home.state("select.trashbin_demo_resolve_as") == "metal")
    within(IN_TIME_S, lambda: home.state("sensor.trashbin_demo_status") == "idle")
    corrected = {"label": "metal", "way": "homeassistant"}
    within(IN_TIME_S, lambda: decided(home).get("answer") == corrected, lambda: decided(home))
    assert decided(home)["event_type"] == "resolved"

    # select and number act, and come back as state
    threshold = "number.trashbin_demo_gap_threshold"
    for option in ("advisory", "paused", "auto"):
        home.call("select.select_option", mode, option=option)
        within(IN_TIME_S, lambda option=option: home.state(mode) == option)  # type: ignore[misc]
        assert here.told()["state"]["mode"] == option
    home.call("number.set_value", threshold, value=0.25)
    within(IN_TIME_S, lambda: home.state(threshold) == "0.25")
    assert here.told()["state"]["thresholds"]["gap"] == 0.25

    # so do the buttons: the bin answers each, and a look is an event
    answers = Listener(here.broker, "trashbin/demo/response/+")
    for verb in ("identify", "selftest", "look"):
        home.call("button.press", f"button.trashbin_demo_{verb}")
        topic = f"trashbin/demo/response/{verb}"
        within(IN_TIME_S + 5, lambda topic=topic: bool(answers.on(topic)))  # type: ignore[misc]
        assert json.loads(answers.on(topic)[0].payload)["status"] == "ok"
    answers.close()
    last = "sensor.trashbin_demo_request"
    within(
        IN_TIME_S, lambda: home.states()[last]["attributes"]["data"].get("event_type") == "empty"
    )
    within(IN_TIME_S, lambda: decided(home)["event_type"] == "empty")

    # and it is forgotten when asked
    asker = Listener(here.broker, "trashbin/demo/response/remove")
    asker.send("trashbin/demo/request/remove", b"{}")
    took = within(IN_TIME_S, lambda: not home.states())
    tell(capsys, f"removed after {took:.1f} s")
    within(IN_TIME_S, lambda: bool(asker.seen))
    asker.close()
    assert home.render("{{ integration_entities('mqtt') | list }}") == "[]"
    within(IN_TIME_S, lambda: here.told() == {})
    here.bin.kill()
    assert everything_kept(here) == set()
    within(WAIT_S, lambda: registered(home) == [], lambda: registered(home))
    home.kill()
    home.start()
    home.wait_running()
    assert not home.states()
    assert complaints(here) == []


@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order) for order in ORDERS])
def test_every_entity_is_right_after_restarts_in_every_order(
    order: tuple[str, ...], site: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    here = site(triggers=[{"kind": "simulated", "every_s": 1.0, "items": 2}, {"kind": "mqtt"}])
    here.home.start()
    here.bin.start()
    here.home.wait_running()
    within(WAIT_S, lambda: not wrong(here))
    home = here.home
    home.call("select.select_option", "select.trashbin_demo_mode", option="advisory")
    home.call("number.set_value", "number.trashbin_demo_gap_threshold", value=0.33)
    within(IN_TIME_S, lambda: home.state("number.trashbin_demo_gap_threshold") == "0.33")

    for how in ("all at once", "one after another"):
        if how == "all at once":
            for name in order:
                here.kill(name)
            for name in order:
                here.start(name)
        else:
            for name in order:
                here.kill(name)
                here.start(name)
                here.home.wait_running()
                here.wait_connected()
        here.home.wait_running()
        here.wait_connected()
        took = within(IN_TIME_S, lambda: not wrong(here), lambda: wrong(here))
        tell(capsys, f"{' '.join(order)}, {how}: right after {took:.1f} s")
    assert home.state("select.trashbin_demo_mode") == "advisory"
    assert home.state("number.trashbin_demo_gap_threshold") == "0.33"


def wrong(here: Site) -> dict[str, Any]:
    """Entities that do not show what the bin says: id -> both."""
    shown, told = here.home.states(), here.told()
    if not {"state", "health", "info"} <= set(told):
        return {"told": sorted(told)}
    state, health = told["state"], told["health"]
    last, model = state["last"] or {}, told["info"]["model"]
    right: dict[str, Any] = {
        "sensor.trashbin_demo_status": state["status"],
        "sensor.trashbin_demo_class": last.get("label"),
        "sensor.trashbin_demo_gap": last.get("gap"),
        "sensor.trashbin_demo_latency": (last.get("timing_ms") or {}).get("total"),
        "sensor.trashbin_demo_outbox": health["outbox_depth"],
        "sensor.trashbin_demo_temperature": health["temperature_c"],
        "binary_sensor.trashbin_demo_problem": "on" if state["problem"] else "off",
        "binary_sensor.trashbin_demo_uncertain": "on" if state["waiting"] else "off",
        "select.trashbin_demo_mode": state["mode"],
        "number.trashbin_demo_gap_threshold": state["thresholds"]["gap"],
        "update.trashbin_demo_model": "off",
    }
    for label in LABELS:
        right[f"sensor.trashbin_demo_count_{label}"] = state["counts"]["total"].get(label, 0)
    found = dict.fromkeys(expected() - set(shown), (None, "missing"))
    found |= {
        name: (one["state"], "") for name, one in shown.items() if one["state"] == "unavailable"
    }
    for name, value in right.items():
        if name in shown and not same(shown[name]["state"], value):
            found[name] = (shown[name]["state"], value)
    if shown and not found:
        version = shown["update.trashbin_demo_model"]["attributes"]["installed_version"]
        if version != f"{model['variant']} {model['sha256'][:8]}":
            found["update.trashbin_demo_model"] = (version, model)
    return found


def same(shown: str, value: Any) -> bool:
    if value is None:
        return shown == "unknown"
    try:
        return float(shown) == pytest.approx(float(value), abs=1e-6)
    except ValueError:
        return shown == str(value)


def choices_template(event: dict[str, Any]) -> str:
    """What the shipped automation offers for this event, as a template of its own."""
    shipped = yaml.safe_load((SHIPPED / "automations.yaml").read_text().replace("bin-1", "demo"))
    actions = str(shipped[0]["actions"][0]["data"]["data"]["actions"])
    item = json.dumps({"scores": event["scores"], "event_id": event["event_id"]})
    return actions.replace("trigger.to_state.attributes", item)


def decided(home: Any) -> dict[str, Any]:
    """What the bin's event entity shows; its ``event_type`` is None before the first."""
    shown: dict[str, Any] = home.states()["event.trashbin_demo_decision"]["attributes"]
    return shown


def registered(home: Any) -> list[str]:
    """The bin's entities that its next start begins with: it writes them down ten seconds late."""
    file = home.folder / ".storage" / "core.entity_registry"
    known = json.loads(file.read_text())["data"]["entities"] if file.exists() else []
    return [one["entity_id"] for one in known if ".trashbin_" in one["entity_id"]]


def picture(url: str, image: dict[str, Any]) -> bytes:
    with urllib.request.urlopen(url + image["attributes"]["entity_picture"], timeout=10) as answer:
        return bytes(answer.read())


def everything_kept(here: Site) -> set[str]:
    listener = Listener(here.broker, "#")
    listener.send("mark", b"")
    within(WAIT_S, lambda: bool(listener.on("mark")))
    listener.close()
    return {message.topic for message in listener.seen if message.retain}


def complaints(here: Site) -> list[str]:
    """What Home Assistant logged against what the bin sent."""
    lines = here.home.log.read_text().splitlines()
    return [
        line for line in lines if "trashbin" in line and (" WARNING " in line or " ERROR " in line)
    ]


def tell(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n  {line}", end="", flush=True)
