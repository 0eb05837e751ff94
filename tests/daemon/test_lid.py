"""The lid and the stop switch: what they end, what they keep from moving, and who is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Rig, sure
from trashbin.status import Status


def test_the_lid_stops_a_move_at_once_and_closing_it_lets_the_bin_go_on(rig: Rig) -> None:
    began = rig.clock.elapsed
    opened: list[float] = []

    def open_lid() -> None:
        rig.lid.active = True
        opened.append(rig.clock.elapsed)

    rig.servo.on_sort = lambda bin: rig.clock.at(rig.clock.elapsed + 0.1, open_lid)
    rig.drop()
    rig.go(3)
    sorted_, fault = rig.events()
    assert fault.about == sorted_.event_id
    assert fault.detail is not None and fault.detail.part == "stop"
    assert not rig.servo.driven
    assert opened and opened[0] - began < 3
    assert rig.daemon.status is Status.FAULT
    rig.lid.active = False
    rig.servo.on_sort = lambda bin: rig.tray.clear()
    rig.go(6)
    assert rig.daemon.status is Status.IDLE
    assert rig.kinds() == ["sorted", "fault", "sorted"], "the item lay there still"


def test_a_lid_that_is_opened_between_items_is_told_at_once_and_its_end_too(rig: Rig) -> None:
    rig.lid.active = True
    rig.go(1)
    state = rig.told.topics["state"]
    assert state["status"] == "fault" and state["problem"] is True
    assert "the lid is open" in state["problems"]["stop"]
    assert rig.lamps.shown[-1] == (Status.FAULT, None)
    rig.drop()  # through the open lid
    rig.go(60)
    assert rig.kinds() == [] and rig.servo.visited == []
    rig.lid.active = False
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False
    assert rig.kinds() == ["sorted"] and rig.servo.visited == ["rest"]
    assert rig.daemon.status is Status.IDLE


def test_a_switch_that_cannot_be_read_is_not_told_as_an_open_lid(rig: Rig) -> None:
    why = "The stop switch on pin 27 cannot be read, and counts as closed: pigpiod is gone"

    def told() -> str:
        rig.go(3)
        state = rig.told.topics["state"]
        assert state["status"] == "fault"
        return str(state["problems"]["stop"])

    rig.lid.active, rig.lid.problem = True, why
    assert told() == why and rig.kinds() == ["fault"]
    rig.lid.problem = None
    assert "the lid is open" in told()
    rig.lid.problem = why
    assert told() == why and rig.kinds() == ["fault", "fault"]
    rig.lid.active, rig.lid.problem = False, None
    rig.go(5)
    assert rig.told.topics["state"]["problem"] is False

    def unread(bin: str) -> None:
        rig.lid.active, rig.lid.problem = True, why

    rig.servo.on_sort = unread
    rig.drop()
    assert told() == why
    rig.go(30)
    assert rig.kinds()[2:] == ["sorted", "fault"], "told once"


def test_a_part_that_fails_after_the_lid_was_open_is_tried_again_as_soon_as_ever(rig: Rig) -> None:
    rig.lid.active = True
    rig.go(30)
    rig.lid.active = False
    rig.go(5)
    assert rig.daemon.status is Status.IDLE
    rig.tray.broken = "unplugged"
    rig.signal()
    rig.go(0.5)
    assert rig.daemon.status is Status.FAULT
    rig.tray.broken = None
    rig.go(5)
    assert rig.daemon.status is Status.IDLE


def test_what_falls_through_an_open_lid_is_seen_by_a_bin_that_knows_no_empty_tray(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, look={"empty_tray": "none"})
    for dropped in (False, True):
        rig.lid.active = True
        rig.go(2)
        if dropped:
            rig.drop()
        rig.go(5)
        rig.lid.active = False
        rig.go(10)
        assert rig.kinds() == ["sorted"] * dropped


def test_a_lid_that_was_opened_between_items_moves_no_servo_as_it_is_closed(rig: Rig) -> None:
    for active in (True, False):
        rig.lid.active = active
        rig.go(2)
        assert rig.told.topics["state"]["problem"] is active
    rig.go(10)
    assert rig.daemon.status is Status.IDLE and rig.servo.at is None
    assert rig.servo.rests == 0, "it stood at rest"


def test_what_is_held_as_the_lid_is_opened_is_asked_about_again_or_gone(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    for taken_out in (False, True):
        rig.lid.active = True
        rig.go(1)
        assert rig.daemon.status is Status.FAULT
        if taken_out:
            rig.tray.clear()
            rig.go(1)
        rig.lid.active = False
        rig.go(10)
        assert rig.daemon.status is (Status.IDLE if taken_out else Status.HOLDING)
    assert rig.kinds() == ["uncertain"]


@pytest.mark.parametrize("mode", ["advisory", "paused"])
def test_a_lid_is_no_problem_where_nothing_is_to_move(rig: Rig, mode: str) -> None:
    rig.request("mode", mode=mode)
    rig.lid.active = True
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False
    rig.request("mode", mode="auto")
    rig.go(10)
    assert "stop" in rig.told.topics["state"]["problems"]


def test_a_switch_that_closes_for_an_instant_still_ends_the_move(rig: Rig) -> None:
    halt = rig.daemon.parts.actuation.halt
    rig.servo.on_sort = lambda bin: rig.clock.at(rig.clock.elapsed + 0.1, halt)
    rig.drop()
    rig.go(0.8)
    assert rig.kinds() == ["sorted", "fault"]
    assert rig.servo.at == "rest" and not rig.servo.driven, "stopped where it was"
    rig.tray.clear()
    rig.go(5)
    assert rig.servo.at is None and not rig.servo.driven, "back at rest once the lid is closed"
