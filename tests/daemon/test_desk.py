"""What requests do to a bin, and why some of them are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import Rig, sure
from trashbin.status import Status

LEVELS = {"bins": {"rest": {"labels": ["metal"], "capacity": 3}}}


def ask(rig: Rig, asked: str, **data: Any) -> Mapping[str, Any]:
    rig.request(asked, **data)
    rig.go(1)
    verb, answer = rig.told.answers[-1]
    assert verb == asked
    return answer


def test_nobody_makes_it_look_where_no_trigger_says_so(tmp_path: Path) -> None:
    rig = Rig(tmp_path, triggers=[{"kind": "pir", "pin": 4}])
    rig.tray.put()
    told = ask(rig, "look")
    assert told["status"] == "refused" and "add a trigger of kind mqtt" in told["error"]
    assert rig.events() == []


def test_it_says_why_it_cannot_look(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    ask(rig, "mode", mode="paused")
    rig.tray.put()
    told = ask(rig, "look")
    assert (told["status"], told["data"]) == ("refused", None)
    assert told["error"] == "the bin cannot look now: paused"
    rig.tray.clear()
    ask(rig, "mode", mode="auto")
    rig.lid.active = True
    rig.go(1)
    told = ask(rig, "look")
    assert told["error"].startswith("the bin cannot look now: fault: stop: the lid is open")


def test_no_bin_is_emptied_where_none_is_known(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.daemon.recorder.config = rig.config.model_copy(update={"bins": {}})  # in safe mode
    told = ask(rig, "emptied", bin="rest")
    assert told["status"] == "refused" and "the bins are not known now" in told["error"]


def test_what_was_never_opened_is_not_called_good(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    there = ["camera", "model", "actuator"]  # signals come by hand here
    assert ask(rig, "selftest")["data"]["parts"] == dict.fromkeys(there, "good")
    rig.daemon.parts.looker = None  # in safe mode
    rig.daemon.parts.actuation.actuators = ()
    rig.daemon.parts.problems["configuration"] = "1 mistake(s)"
    assert ask(rig, "selftest")["data"]["parts"] == {"configuration": "1 mistake(s)"}


def test_that_a_bin_was_emptied_is_told_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, **LEVELS)
    rig.drop()
    rig.go(10)
    assert rig.told.topics["state"]["levels"]["rest"]["items"] == 1
    ask(rig, "emptied", bin="rest")
    assert rig.told.topics["state"]["levels"]["rest"]["items"] == 0


def test_thresholds_are_told_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert ask(rig, "threshold", gap=0.5)["data"]["gap"] == 0.5
    assert rig.told.topics["state"]["thresholds"]["gap"] == 0.5


@pytest.mark.parametrize(
    ("verb", "data"),
    [
        ("resolve", {"event_id": "gone", "label": "metal"}),  # as the bin sees it
        ("resolve", {"event_id": "gone", "label": "mettal"}),
        ("resolve", {"event": "gone"}),  # as it is read
        ("dance", {}),
    ],
)
def test_who_is_refused_knows_which_request_it_was(
    tmp_path: Path, verb: str, data: dict[str, str]
) -> None:
    told = ask(Rig(tmp_path), verb, **data, transaction="mine")
    assert (told["status"], told["transaction"]) == ("refused", "mine")


def test_a_bin_that_is_to_be_found_blinks_for_a_while_and_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.go(1)
    ask(rig, "identify")
    assert rig.lamps.shown[-1] == (Status.FAULT, None)
    rig.go(60)
    assert rig.lamps.shown[-1] == (Status.IDLE, None)
    rig.sorts_the_next()


def test_a_camera_knows_whether_something_may_lie_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds its white balance then, and may rest otherwise."""
    rig = Rig(tmp_path)
    cares: list[bool] = []
    monkeypatch.setattr(rig.tray, "attend", cares.append, raising=False)
    rig.start()
    assert cares[-1] is False, "the tray was just learned"
    clears = rig.servo.on_sort

    def sort(bin: str) -> None:
        assert cares[-1] is True
        clears(bin)

    rig.servo.on_sort = sort
    rig.drop()
    rig.go(10)
    assert rig.servo.visited == ["rest"] and cares[-1] is False
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    assert rig.daemon.status is Status.HOLDING and cares[-1] is True
    rig.tray.clear()
    rig.go(20)
    assert cares[-1] is False
