"""How the empty tray looks outlives every end: in the dark, and after a move that was cut off."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon.rig import PowerCut, Rig, sure
from trashbin.daemon import TRAY_EVERY_S
from trashbin.errors import StoreError
from trashbin.pictures import encode
from trashbin.remembered import OCCUPIED, TRAY, Memory
from trashbin.status import Status
from trashbin.types import Reason

NIGHT = 0.02
OTHER = base64.b64encode(encode(np.zeros((8, 8, 3), np.uint8))).decode()
NOTHING_KEPT: dict[str, Any] = {"pictures": {"keep": "none"}}


def started_at_night(folder: Path, **changes: Any) -> Rig:
    """A bin that ran before by day."""
    rig = Rig(folder, **changes)
    rig.go(1)
    rig.tray.light = NIGHT
    rig.start()
    return rig


def morning(rig: Rig) -> None:
    rig.go(300)
    rig.tray.light = 1.0
    rig.go(30)


def _power_cut() -> None:
    raise PowerCut


@pytest.mark.parametrize("changes", [{}, NOTHING_KEPT, {"look": {"empty_tray": "none"}}])
def test_a_bin_that_starts_at_night_sorts_in_the_morning(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    rig = started_at_night(tmp_path, **changes)
    morning(rig)
    assert rig.events() == []
    rig.sorts_the_next()


def test_so_does_one_that_never_saw_its_tray(tmp_path: Path) -> None:
    rig = started_at_night(tmp_path)
    rig.outbox.set(TRAY, None)
    rig.start()
    assert not rig.scene.learned and rig.daemon.status is Status.IDLE
    morning(rig)
    rig.sorts_the_next()


def test_one_that_was_told_to_stop_knows_its_tray_at_night(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.daemon.end()
    rig.tray.light = NIGHT
    rig.start()
    assert rig.scene.learned


def test_what_fell_in_while_it_was_off_at_night_is_judged_in_the_morning(tmp_path: Path) -> None:
    rig = started_at_night(tmp_path)
    rig.tray.put()
    morning(rig)
    rig.signal()  # somebody passes by
    rig.go(5)
    assert rig.kinds() == ["sorted"] and not rig.tray.things


def test_by_day_each_start_learns_the_tray_anew(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.tray.put("stain")
    rig.start()
    rig.signal()
    rig.go(5)
    assert rig.kinds() == ["empty"]
    rig.tray.light = NIGHT
    rig.start()
    rig.tray.light = 1.0
    rig.signal()
    rig.go(5)
    assert rig.kinds() == ["empty", "empty"]


def test_a_tray_that_ages_is_remembered_as_it_is_by_now(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    before = rig.outbox.get(TRAY)
    rig.tray.empty = np.asarray(rig.tray.empty * 0.98, np.uint8)
    for _ in range(40):
        rig.daemon.cycle.looker.now()
    assert rig.outbox.get(TRAY) == before is not None
    rig.go(TRAY_EVERY_S + 1)
    assert rig.outbox.get(TRAY) != before


def test_what_was_not_yet_judged_as_the_power_went_is_judged_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    with monkeypatch.context() as during_the_look, pytest.raises(PowerCut):
        during_the_look.setattr(rig.network, "predict", lambda *seen: _power_cut())
        rig.go()
    rig.clock.due.clear()
    rig.start()
    rig.go(10)
    assert rig.kinds() == ["sorted"] and not rig.tray.things
    rig.sorts_the_next()


def test_what_a_cut_off_move_left_is_looked_at_and_moved(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    rig.go_until_the_servo_takes_the_power_down()
    rig.start()
    rig.go(10)
    assert rig.kinds() == ["sorted", "fault", "sorted"]
    assert rig.servo.visited == ["rest", "rest"] and not rig.tray.things
    rig.sorts_the_next()


def test_what_it_is_not_sure_of_by_then_is_held(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    rig.go_until_the_servo_takes_the_power_down()
    rig.network.usual = sure("metal", 0.3)
    rig.start()
    rig.go(10)
    assert rig.kinds() == ["sorted", "fault", "uncertain"]
    rig.answer(rig.events()[-1], "paper")
    rig.go(10)
    assert rig.servo.visited == ["rest", "paper"]
    rig.sorts_the_next()


@pytest.mark.parametrize("held", [False, True])
def test_where_the_camera_looks_at_another_tray_by_then_that_is_learned(
    tmp_path: Path, held: bool
) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = sure("metal", 0.3 if held else 1.0)
    rig.drop()
    if held:
        rig.go(3)
    else:
        rig.go_until_the_servo_takes_the_power_down()
    rig.tray.clear()
    blocks = np.random.default_rng(1).integers(0, 256, (15, 20, 3), np.uint8)
    rig.tray.empty = blocks.repeat(8, 0).repeat(8, 1)
    rig.start()
    before = rig.kinds()
    rig.go(300)
    assert rig.kinds() == before and rig.daemon.status is Status.IDLE
    assert before == (["uncertain"] if held else ["sorted", "fault"])
    rig.network.usual = sure("metal")
    rig.sorts_the_next()


@pytest.mark.parametrize("changes", [{}, NOTHING_KEPT, {"look": {"empty_tray": "none"}}])
def test_where_it_fell_out_before_nothing_moves(tmp_path: Path, changes: dict[str, Any]) -> None:
    rig = Rig(tmp_path, **changes)
    rig.drop()
    rig.go_until_the_servo_takes_the_power_down()
    rig.tray.clear()
    rig.start()
    rig.go(10)
    assert rig.kinds() == ["sorted", "fault"] and rig.daemon.status is Status.IDLE
    rig.sorts_the_next()


def test_a_supply_that_fails_as_it_goes_home_is_no_reason_to_learn_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    rig.go_until_the_servo_takes_the_power_down()
    rests, rig.servo.rest = rig.servo.rest, _power_cut  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        rig.start()
    rig.servo.rest = rests  # type: ignore[method-assign]
    rig.start()
    rig.go(10)
    assert rig.kinds() == ["sorted", "fault", "sorted"] and not rig.tray.things
    rig.sorts_the_next()


def test_what_fell_at_night_before_the_power_cut_is_judged_in_the_morning(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.tray.light = NIGHT
    rig.drop()
    rig.go(5)
    assert rig.events()[-1].reason is Reason.DARK
    rig.tray.light = 1.0
    rig.start()
    rig.go(5)
    assert rig.kinds() == ["uncertain", "sorted"] and not rig.tray.things


@pytest.mark.parametrize("what", ["servo", "lid", "camera"])
def test_what_a_fault_left_there_is_judged_by_the_next_start(tmp_path: Path, what: str) -> None:
    rig = Rig(tmp_path)
    if what == "servo":
        rig.servo.broken = "no pulse"
    elif what == "camera":
        rig.clock.at(rig.clock.elapsed + 0.2, lambda: setattr(rig.tray, "broken", "hangs"))
    else:
        rig.servo.on_sort = lambda bin: setattr(rig.lid, "active", True)
    rig.drop()
    rig.go(3)
    assert "fault" in rig.kinds() and rig.tray.things
    rig.servo.broken, rig.lid.active, rig.tray.broken = None, False, None
    rig.servo.on_sort = lambda bin: rig.tray.clear()
    rig.start()
    rig.go(10)
    assert rig.kinds()[-1] == "sorted" and not rig.tray.things
    rig.sorts_the_next()


@pytest.mark.parametrize("why", ["paused", "no camera", "no camera at the start"])
def test_what_fell_in_while_it_could_not_look_is_not_learned(tmp_path: Path, why: str) -> None:
    rig = Rig(tmp_path)
    if why == "paused":
        rig.request("mode", mode="paused")
    else:
        rig.tray.broken = "unplugged"
    if why == "no camera at the start":
        rig.daemon.end()
        rig.start()
    rig.go(30)
    rig.drop()
    rig.go(5)
    rig.tray.broken = None
    if why != "no camera at the start":
        rig.start()
    rig.request("mode", mode="auto")
    rig.go(60)
    assert rig.kinds()[-1] == "sorted" and not rig.tray.things
    rig.sorts_the_next()


def test_what_fell_in_before_the_first_look_is_remembered(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.daemon.end()
    memory = Memory(rig.outbox, rig.daemon.recorder.album, keeps=True)
    memory.begin()
    memory.noticed()  # a sensor fired, and the camera could not be opened yet
    assert rig.outbox.get(OCCUPIED) is not None


def test_whoever_stops_the_bin_has_it_learn_what_lies_there(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.servo.broken = "no pulse"
    rig.drop()
    rig.go(3)
    rig.daemon.end()
    rig.start()
    rig.signal()
    rig.go(5)
    assert rig.kinds()[-1] == "empty"


def test_a_self_test_learns_no_tray(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    rig.tray.broken = "not there yet"
    rig.start()
    rig.go(4)
    rig.tray.broken = None
    for _ in range(3):
        rig.request("selftest")
    rig.go(60)
    assert rig.daemon.status is Status.HOLDING and rig.kinds().count("uncertain") == 1


def test_a_camera_that_comes_late_after_a_cut_off_move(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    rig.go_until_the_servo_takes_the_power_down()
    rig.tray.broken = "not there yet"
    rig.start()
    rig.go(5)
    rig.tray.broken = None
    rig.go(60)
    assert rig.kinds().count("sorted") == 2 and not rig.tray.things
    rig.sorts_the_next()


def test_where_no_picture_may_be_kept_any_more_the_tray_is_forgotten(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.outbox.get(TRAY) is not None
    rig.changes = NOTHING_KEPT
    rig.start()
    rig.go(2 * TRAY_EVERY_S)
    assert rig.outbox.get(TRAY) is None


@pytest.mark.parametrize("damaged", ["", "!", "/9j/", OTHER])
def test_a_damaged_picture_of_the_tray_is_none(tmp_path: Path, damaged: str) -> None:
    rig = started_at_night(tmp_path)
    rig.outbox.set(TRAY, damaged)
    rig.start()
    morning(rig)
    rig.sorts_the_next()


def test_a_store_that_cannot_keep_it_is_no_reason_not_to_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)

    def fails(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    for name in ("get", "set"):
        monkeypatch.setattr(rig.outbox, name, fails)
    rig.daemon.cycle.learn()
    rig.sorts_the_next()
