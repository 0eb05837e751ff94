"""What is held when the power goes is held on, not learned as part of the empty tray."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon.rig import Rig, holding, sure
from trashbin import scenes
from trashbin.changes import LEVEL
from trashbin.errors import StoreError
from trashbin.pictures import encode, read
from trashbin.preprocess import resize
from trashbin.remembered import HELD, Memory
from trashbin.status import Status
from trashbin.types import Frame

OTHER = base64.b64encode(encode(np.zeros((8, 8, 3), np.uint8))).decode()
ADVISORY = {"device": {"id": "rig", "mode": "advisory"}}


def power_cut(rig: Rig) -> None:
    rig.start()
    rig.go(3)


def test_it_waits_on_for_its_answer_and_is_sorted_by_it(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    (event,) = rig.events()
    power_cut(rig)
    assert rig.kinds() == ["uncertain"] and rig.daemon.status is Status.HOLDING
    assert rig.told.topics["state"]["waiting"]["event_id"] == event.event_id
    rig.answer(event, "paper")
    rig.go(10)
    assert rig.servo.visited == ["paper"] and rig.outbox.get(HELD) is None
    rig.sorts_the_next()


def test_what_is_stuck_is_learned_at_the_next_start(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.servo.on_sort = lambda bin: None
    rig.answer(rig.events()[0], "paper")
    rig.go(10)
    assert rig.daemon.status is Status.FAULT and rig.outbox.get(HELD) is None


def test_once_it_is_taken_out_the_tray_is_empty(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    power_cut(rig)
    rig.tray.clear()
    rig.go(3)
    assert rig.daemon.status is Status.IDLE
    rig.sorts_the_next()


def test_through_one_power_cut_after_the_other_in_another_light(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    for light in (0.9, 0.8, 1.0):
        rig.tray.light = light
        power_cut(rig)
        assert rig.daemon.status is Status.HOLDING
    rig.tray.clear()
    rig.go(3)
    rig.sorts_the_next()


def test_a_person_who_was_to_carry_it_is_still_awaited(tmp_path: Path) -> None:
    rig = Rig(tmp_path, **ADVISORY)
    rig.drop()
    rig.go(5)
    assert rig.kinds() == ["sorted"]
    power_cut(rig)
    assert rig.lamps.shown[-1] == (Status.SORTING, "rest")
    rig.tray.clear()
    rig.go(3)
    assert rig.daemon.status is Status.IDLE


def test_a_paused_bin_remembers_it_too(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.request("mode", mode="paused")
    rig.go(2)
    power_cut(rig)
    assert rig.daemon.status is Status.PAUSED
    rig.tray.clear()
    rig.request("mode", mode="auto")
    rig.go(2)
    rig.sorts_the_next()


def test_what_was_taken_out_meanwhile_is_not_missed(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.tray.clear()
    power_cut(rig)
    assert rig.kinds() == ["uncertain"] and rig.daemon.status is Status.IDLE
    rig.sorts_the_next()


def test_what_is_let_go_is_forgotten(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    assert rig.outbox.get(HELD) is not None
    rig.tray.clear()
    rig.go(3)
    assert rig.outbox.get(HELD) is None


def test_what_rolled_is_remembered_as_it_lies(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = sure("metal", 0.3)
    rig.roll()
    rig.go(3)
    assert rig.kinds() == ["uncertain"] and rig.outbox.get(HELD) is None
    rig.go(7)
    power_cut(rig)
    assert rig.daemon.status is Status.HOLDING


def test_what_fell_in_the_dark_is_judged_in_the_light(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.tray.light = 0.02
    rig.drop()
    rig.go(90)
    rig.tray.light = 1.0
    rig.signal()
    rig.go(5)
    assert rig.kinds() == ["uncertain", "sorted"]


@pytest.mark.parametrize("tray", sorted(scenes.load()[0]))
def test_a_tray_comes_back_as_the_scene_model_knew_it(tmp_path: Path, tray: str) -> None:
    rig = holding(tmp_path)
    (event,) = rig.events()
    picture = resize(read(scenes.load()[0][tray].path), 160, 120)
    rig.scene.know(picture)
    looker = rig.daemon.cycle.looker
    Memory(rig.outbox, rig.daemon.recorder.album, keeps=True).keep(event, Frame(picture, 0), looker)
    rig.tray.light = 0.02  # it can't tell that it lies there no more
    kept = Memory(rig.outbox, rig.daemon.recorder.album, keeps=True).learn(looker)
    assert kept is not None and kept.event == event
    for back in (kept.tray, kept.seen):
        assert np.abs(back.astype(int) - picture).max() < LEVEL


def test_something_else_that_lies_there_by_then_is_judged(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.tray.clear()
    rig.tray.put("crate", 100, 80)
    rig.network.usual = sure("paper")
    power_cut(rig)
    assert rig.kinds() == ["uncertain", "sorted"] and rig.servo.visited == ["paper"]
    assert rig.daemon.status is Status.IDLE and rig.outbox.get(HELD) is None


@pytest.mark.parametrize("hides", ["a hand", "the dark"])
@pytest.mark.parametrize("lies", [True, False])
def test_what_hides_it_at_the_start_is_not_learned(tmp_path: Path, hides: str, lies: bool) -> None:
    rig = holding(tmp_path)
    if not lies:
        rig.tray.clear()
    if hides == "the dark":
        rig.tray.light = 0.02
    else:
        for frame in range(60):
            move = partial(rig.tray.put, "hand", 5 + 20 * (frame % 5), 80)
            rig.clock.at(rig.clock.elapsed + 0.05 * frame, move)
        rig.clock.at(rig.clock.elapsed + 3.1, partial(rig.tray.things.pop, "hand", None))
    rig.start()
    assert rig.daemon.status is Status.HOLDING
    rig.go(1)
    rig.tray.light = 1.0
    rig.go(5)
    assert rig.daemon.status is (Status.HOLDING if lies else Status.IDLE)
    assert rig.kinds() == ["uncertain"]
    rig.tray.clear()
    rig.go(3)
    rig.sorts_the_next()


def test_a_camera_that_comes_late_learns_it_no_more_than_one_that_is_there(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.tray.broken = "not there yet"
    power_cut(rig)
    assert rig.daemon.status is Status.FAULT
    rig.tray.broken = None
    rig.go(60)
    assert rig.kinds().count("uncertain") == 1
    rig.tray.clear()
    rig.go(3)
    rig.sorts_the_next()


def test_where_the_servo_takes_the_power_down_it_is_not_learned(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    (event,) = rig.events()
    rig.answer(event, "paper")
    rig.go_until_the_servo_takes_the_power_down()
    power_cut(rig)
    assert rig.daemon.status is Status.HOLDING
    rig.tray.clear()
    rig.go(3)
    rig.sorts_the_next()


def test_a_bin_that_is_auto_by_now_points_nowhere_for_a_person(tmp_path: Path) -> None:
    rig = Rig(tmp_path, **ADVISORY)
    rig.drop()
    rig.go(5)
    rig.changes = {}
    power_cut(rig)
    assert rig.lamps.shown[-1] == (Status.HOLDING, None)


def test_whoever_stops_the_bin_may_teach_it_the_tray_anew(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    rig.daemon.end()
    power_cut(rig)  # a stain that it held for a thing is part of the tray from now on
    assert rig.daemon.status is Status.IDLE
    rig.signal()
    rig.go(5)
    assert rig.kinds() == ["uncertain", "empty"]


def test_a_reboot_is_no_person_who_empties_the_tray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = holding(tmp_path)
    (event,) = rig.events()
    rig.daemon.end()
    monkeypatch.setattr("trashbin.remembered.boot_id", lambda: "the next")
    power_cut(rig)
    assert rig.daemon.status is Status.HOLDING
    rig.answer(event, "paper")
    rig.go(10)
    assert rig.servo.visited == ["paper"]
    rig.sorts_the_next()


@pytest.mark.parametrize(
    "changes", [{"pictures": {"keep": "none"}}, {"look": {"empty_tray": "none"}}]
)
def test_where_no_picture_may_be_kept_or_none_tells_anything(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert holding(tmp_path, **changes).outbox.get(HELD) is None


def test_what_was_kept_is_deleted_where_no_picture_may_be_kept_any_more(tmp_path: Path) -> None:
    rig = holding(tmp_path)
    assert rig.outbox.get(HELD) is not None
    rig.changes = {"pictures": {"keep": "none"}}
    power_cut(rig)
    assert rig.outbox.get(HELD) is None


@pytest.mark.parametrize(
    "damaged", ["", "{", "nobody /9j/", "EVENT", "EVENT !", "EVENT /9j/", f"EVENT {OTHER}"]
)
def test_a_damaged_memory_is_none(tmp_path: Path, damaged: str) -> None:
    rig = holding(tmp_path)
    rig.outbox.set(HELD, damaged.replace("EVENT", rig.events()[0].event_id))
    rig.tray.clear()
    power_cut(rig)
    rig.sorts_the_next()


def test_a_store_that_fails_is_no_reason_not_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = sure("metal", 0.3)
    monkeypatch.setattr(rig.outbox, "set", _fails)
    rig.drop()
    rig.go(5)
    assert rig.kinds() == ["uncertain"] and rig.daemon.status is Status.HOLDING


def _fails(key: str, value: str | None, *, synced: bool = True) -> None:
    raise StoreError("the disk is full")
