"""What Home Assistant shows of a bin whose configuration changes, or is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.homeassistant.conftest import IN_TIME_S, Site, within
from tests.homeassistant.test_home import complaints
from tests.support_processes import Listener

pytestmark = pytest.mark.homeassistant

NAME = "\U0001f600 PET"
REST = ["cardboard", "glass", "paper", "trash"]
OPTIONAL = {
    f"{platform}.trashbin_demo_{name}"
    for platform, name in (
        ("button", "look"),
        ("image", "image"),
        ("sensor", "level_1"),
        ("binary_sensor", "full_1"),
        ("button", "emptied_1"),
    )
}


def bins(**counted: int) -> dict[str, Any]:
    return {
        NAME: {"labels": ["metal", "plastic"], "angle": 30, "lamp": 5, **counted},
        "\U0001f601": {"labels": REST, "angle": 0, "lamp": 6},
    }


def test_entities_come_and_go_with_the_configuration_and_stay_in_safe_mode(
    site: Callable[..., Site],
) -> None:
    here = site(bins=bins(capacity=10), triggers=[{"kind": "mqtt"}], pictures={"publish": True})
    home, good = here.home, here.bin.settings
    home.start()
    home.wait_running()

    def start(**changes: Any) -> None:
        here.bin.kill()
        here.bin.settings = good | changes
        here.bin.start()
        assert here.bin.process is not None
        here.bin.process.wait_ready()

    def optional() -> set[str]:
        return OPTIONAL & set(home.states())

    start()
    within(IN_TIME_S, lambda: optional() == OPTIONAL, optional)
    level, last = "sensor.trashbin_demo_level_1", "sensor.trashbin_demo_request"
    within(IN_TIME_S, lambda: home.state(level) == "0.0", lambda: home.state(level))
    assert home.states()[level]["attributes"]["friendly_name"].endswith(f"{NAME} level")
    home.call("button.press", "button.trashbin_demo_emptied_1")
    within(IN_TIME_S, lambda: home.states()[last]["attributes"].get("data") == {"bin": NAME})

    # a picture is more than its recorder takes
    sender = Listener(here.broker, "nothing")
    data = {"image_id": "some", "jpeg": "A" * 20_000}
    answer = {"status": "ok", "data": data, "error": None, "transaction": "t"}
    sender.send("trashbin/demo/response/image", json.dumps(answer))
    sender.close()
    within(IN_TIME_S, lambda: home.states()[last]["attributes"]["transaction"] == "t")
    assert home.states()[last]["attributes"]["data"] == {"image_id": "some"}

    start(colour="red")
    within(IN_TIME_S, lambda: home.state("binary_sensor.trashbin_demo_problem") == "on")
    assert optional() == OPTIONAL

    start(bins=bins(), triggers=[{"kind": "timer", "every_s": 60}], pictures={"publish": False})
    within(IN_TIME_S, lambda: not optional(), optional)
    assert home.states()

    start(publisher=good["publisher"] | {"discovery": False})
    within(IN_TIME_S, lambda: not home.states(), lambda: sorted(home.states()))
    assert complaints(here) == []
