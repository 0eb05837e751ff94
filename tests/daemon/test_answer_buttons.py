"""An answer by a button at the bin: about what it holds, or what it has just sorted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Rig, holding
from trashbin.events import Answer


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """It holds a can."""
    return holding(tmp_path)


def test_a_button_answers_what_is_held(rig: Rig) -> None:
    rig.daemon.press("glass")
    rig.go()
    assert rig.events()[-1].answer == Answer("glass", "button")
    assert rig.servo.visited == ["rest"]


def test_a_button_corrects_what_was_just_sorted_and_nothing_later(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.daemon.press("glass")  # there is nothing yet
    rig.go(1)
    rig.drop()
    rig.go(30)
    rig.daemon.press("glass")
    rig.go(60)
    rig.daemon.press("paper")
    rig.go()
    assert [event.answer for event in rig.events()] == [None, Answer("glass", "button")]
    assert rig.servo.visited == ["rest"]


def test_a_button_that_is_pressed_again_and_again_answers_once(rig: Rig) -> None:
    for _ in range(2):  # as what waits, and as what was sorted
        rig.daemon.press("glass")
        rig.daemon.press("glass")
        rig.go(10)
    assert rig.kinds() == ["uncertain", "resolved"]
    rig.daemon.press("paper")
    rig.go(1)
    rig.daemon.press("glass")
    rig.go(1)
    answers = [event.answer for event in rig.events()[1:]]
    assert answers == [Answer(label, "button") for label in ("glass", "paper", "glass")]


def test_a_button_sorts_what_was_only_labelled_while_the_bin_was_paused(rig: Rig) -> None:
    rig.request("mode", mode="paused")
    rig.go(10)
    rig.daemon.press("glass")
    rig.go(1)
    rig.request("mode", mode="auto")
    rig.go(10)
    rig.daemon.press("glass")
    rig.go(10)
    assert rig.kinds() == ["uncertain", "resolved", "resolved"]
    assert rig.servo.visited == ["rest"]


def test_a_button_answers_what_waited_as_it_was_pressed(rig: Rig) -> None:
    rig.tray.clear()
    rig.drop("letter", 20, 60)
    rig.clock.at(rig.clock.elapsed + 0.3, lambda: rig.daemon.press("glass"))
    rig.go(10)
    can, letter, answered = rig.events()
    assert answered.resolves == can.event_id and rig.servo.visited == []
    assert rig.told.topics["state"]["waiting"]["event_id"] == letter.event_id


def test_a_button_answers_what_is_held_though_a_look_failed_since(rig: Rig) -> None:
    rig.tray.broken = "the ribbon is loose"
    rig.signal()
    rig.go(1)
    rig.tray.broken = None
    rig.go(10)
    rig.daemon.press("paper")
    rig.go(10)
    assert rig.kinds() == ["uncertain", "uncertain", "fault", "resolved"]
    assert rig.events()[-1].resolves == rig.events()[0].event_id and rig.servo.visited == ["paper"]
