"""What happens to a dropped item, from the signal to the empty tray."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import Rig, sure
from trashbin.status import Status
from trashbin.types import Action, Reason, Signal, Source


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Rig]:
    return lambda **changes: Rig(tmp_path, **changes)


def test_a_clear_item_is_sorted_and_the_servo_is_off_afterwards(rig: Rig) -> None:
    rig.drop()
    rig.go()
    (event,) = rig.events()
    assert (event.event_type, event.label, event.bin) == ("sorted", "metal", "rest")
    assert event.actuation == ["servo", "lamps"]
    assert event.trigger is Source.PIR
    assert rig.servo.visited == ["rest"]
    assert rig.servo.at is None and not rig.servo.driven
    assert (Status.SORTING, "rest") in rig.lamps.shown
    assert rig.daemon.status is Status.IDLE


def test_the_event_is_on_disk_before_anything_moves(rig: Rig) -> None:
    seen: list[int] = []
    rig.servo.on_sort = lambda bin: (seen.append(rig.outbox.last_seq()), rig.tray.clear())[0]
    rig.drop()
    rig.go()
    assert seen == [1]


def test_an_uncertain_item_is_held_until_it_is_taken_out(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(10)
    (event,) = rig.events()
    assert (event.event_type, event.reason, event.bin) == ("uncertain", Reason.LOW_GAP, None)
    assert rig.servo.visited == []
    assert rig.daemon.status is Status.HOLDING
    rig.tray.clear()
    rig.go(2)
    assert rig.daemon.status is Status.IDLE


def test_holding_ends_when_the_time_for_it_is_over(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(90)
    assert rig.daemon.status is Status.IDLE
    assert rig.kinds() == ["uncertain"]


def test_one_fresh_burst_is_tried_before_holding(rig: Rig) -> None:
    rig.network.answers = [sure("metal", 0.3)] * 3
    rig.drop()
    rig.go()
    assert rig.kinds() == ["sorted"]


def test_an_empty_tray_moves_nothing(rig: Rig) -> None:
    rig.signal()
    rig.go()
    (event,) = rig.events()
    assert (event.event_type, event.reason, event.decision) == (
        "empty",
        Reason.EMPTY,
        Action.HOLD,
    )
    assert rig.servo.visited == []


def test_a_pir_that_fires_twice_makes_one_event(rig: Rig) -> None:
    rig.drop()
    rig.clock.at(rig.clock.elapsed + 0.2, rig.signal)
    rig.clock.at(rig.clock.elapsed + 1.6, rig.signal)
    rig.go()
    assert rig.kinds() == ["sorted"]


@pytest.mark.parametrize("again_after", [0.2, 1.0, 1.4, 1.8, 2.5, 5.0])
@pytest.mark.parametrize("refractory_s", [0.0, 2.0, 3.0])
def test_a_second_pulse_for_one_hand_is_no_news_and_a_later_one_is(
    make: Callable[..., Rig], refractory_s: float, again_after: float
) -> None:
    rig = make(look={"refractory_s": refractory_s})
    rig.signal()
    rig.clock.at(rig.clock.elapsed + again_after, rig.signal)
    rig.go()
    looked_s = rig.config.look.settle_s  # an empty tray is believed once that is over
    news = again_after > looked_s and again_after >= refractory_s
    assert rig.kinds() == ["empty"] * (1 + news)


def test_whoever_asks_for_a_look_is_told_of_an_empty_tray_each_time(rig: Rig) -> None:
    for _ in range(2):
        rig.request("look")
    rig.go()
    assert rig.kinds() == ["empty", "empty"]
    assert [answer["status"] for _, answer in rig.told.answers] == ["ok", "ok"]


@pytest.mark.parametrize(("pulse_after", "looks"), [(0.3, 1), (1.6, 2)])
def test_the_servos_own_motion_is_looked_after_only_where_something_may_fall_still(
    rig: Rig, pulse_after: float, looks: int
) -> None:
    rig.drop()
    rig.clock.at(rig.clock.elapsed + pulse_after, rig.signal)
    rig.go()
    assert rig.kinds() == ["sorted"]
    assert [status for status, _ in rig.lamps.shown].count(Status.LOOKING) == looks


def test_a_passer_by_does_not_have_the_held_item_judged_again(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    for seconds in (5, 10, 15):
        rig.clock.at(rig.clock.elapsed + seconds, rig.signal)
    rig.go(20)
    assert rig.kinds() == ["uncertain"]
    assert rig.daemon.status is Status.HOLDING


def test_something_dropped_during_a_cycle_starts_the_next_one(rig: Rig) -> None:
    def sort_and_drop(bin: str) -> None:
        rig.tray.clear()
        if len(rig.servo.visited) == 1:
            rig.network.usual = sure("paper")
            rig.clock.at(rig.clock.elapsed + 0.5, lambda: rig.drop("letter", 20, 60))

    rig.servo.on_sort = sort_and_drop
    rig.drop()
    rig.go()
    assert [event.label for event in rig.events()] == ["metal", "paper"]
    assert rig.servo.visited == ["rest", "paper"]


def test_even_one_that_no_sensor_noticed(rig: Rig) -> None:
    def sort_and_swap(bin: str) -> None:
        rig.tray.clear()
        if len(rig.servo.visited) == 1:
            rig.tray.put("letter", 20, 60)

    rig.servo.on_sort = sort_and_swap
    rig.drop()
    rig.go()
    assert rig.kinds() == ["sorted", "sorted"]
    assert rig.events()[1].trigger is Source.MOTION


def test_a_hand_over_the_tray_after_a_move_is_no_item_and_no_news(
    make: Callable[..., Rig],
) -> None:
    rig = make(look={"settle_s": 0.4, "refractory_s": 0})

    def wave(bin: str) -> None:
        rig.tray.clear()
        for step in range(100):  # for as long as the servo is away, and the look after it
            rig.clock.at(
                rig.clock.elapsed + step / 20, lambda x=step % 40: rig.tray.put("hand", 3 * x, 60)
            )

    rig.servo.on_sort = wave
    rig.tray.put()
    rig.daemon.take(Signal(Source.PIR, rig.clock.monotonic()))
    rig.clock.due.clear()
    rig.tray.clear()
    rig.go()
    assert rig.kinds() == ["sorted"]
    assert rig.daemon.status is Status.IDLE


def test_an_item_that_stays_is_tried_once_more_and_then_a_fault(rig: Rig) -> None:
    rig.servo.on_sort = lambda bin: None
    rig.drop()
    rig.go()
    sorted_, fault = rig.events()
    assert rig.servo.visited == ["rest", "rest"]
    assert (fault.event_type, fault.about) == ("fault", sorted_.event_id)
    assert fault.detail is not None and fault.detail.part == "tray"
    assert rig.daemon.status is Status.FAULT
    rig.tray.clear()
    rig.go(2)
    assert rig.daemon.status is Status.IDLE


def test_two_things_at_once_hold_as_disagree(rig: Rig) -> None:
    rig.tray.put("letter", 110, 70)
    rig.drop("can", 10, 10)
    rig.go(10)
    (event,) = rig.events()
    assert (event.event_type, event.reason) == ("uncertain", Reason.DISAGREE)
    assert rig.servo.visited == []


def test_too_dark_to_judge_holds_as_dark(rig: Rig) -> None:
    rig.tray.light = 0.03
    rig.drop()
    rig.go(10)
    (event,) = rig.events()
    assert (event.event_type, event.reason, event.scores) == ("uncertain", Reason.DARK, {})


def test_the_tray_lamp_is_lit_for_the_look_and_out_again(rig: Rig) -> None:
    rig.tray.night = True
    rig.drop()
    rig.go()
    assert [event.reason for event in rig.events()] == [Reason.CLEAR]
    assert not rig.tray.bulb.lit


@pytest.mark.parametrize("boots_again", [False, True])
def test_a_button_corrects_what_was_sorted_but_not_before_a_reboot(
    rig: Rig, boots_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.drop()
    rig.go()
    if boots_again:  # the time since the start tells nothing of an earlier one
        monkeypatch.setattr("trashbin.cycle.boot_id", lambda: "another")
    rig.daemon.press("glass")
    rig.go(1)
    assert rig.kinds() == ["sorted"] + ["resolved"] * (not boots_again)


def test_advisory_lights_the_lamp_and_moves_nothing(make: Callable[..., Rig]) -> None:
    rig = make(device={"id": "rig", "mode": "advisory"})
    rig.drop()
    rig.go(5)
    (event,) = rig.events()
    assert (event.event_type, event.bin, event.actuation) == ("sorted", "rest", ["lamps"])
    assert rig.servo.visited == []
    assert rig.lamps.shown[-1] == (Status.SORTING, "rest")
    rig.tray.clear()
    rig.go(2)
    assert rig.lamps.shown[-1] == (Status.IDLE, None)


def test_paused_ignores_its_triggers(make: Callable[..., Rig]) -> None:
    rig = make(device={"id": "rig", "mode": "paused"})
    rig.drop()
    rig.go()
    assert rig.events() == []


def test_what_fell_in_while_it_was_paused_is_sorted_once_it_is_not(
    make: Callable[..., Rig],
) -> None:
    rig = make(device={"id": "rig", "mode": "paused"})
    rig.drop()
    rig.go()
    rig.request("mode", mode="auto")
    rig.go()
    assert rig.kinds() == ["sorted"] and not rig.tray.things
    rig.request("mode", mode="paused")
    rig.go()
    rig.request("mode", mode="auto")
    rig.go()
    assert rig.kinds() == ["sorted"], "nothing lay there, which is no news"


def test_what_was_held_as_it_was_paused_is_asked_about_again(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    for mode in ("paused", "auto"):
        rig.request("mode", mode=mode)
        rig.go(5)
    assert rig.kinds() == ["uncertain"] and rig.daemon.status is Status.HOLDING


def test_a_bin_that_is_told_to_stop_during_a_move_does_not_move_again(rig: Rig) -> None:
    rig.servo.on_sort = lambda bin: rig.clock.stop()
    rig.drop()
    rig.go()
    sorted_, fault = rig.events()
    assert rig.servo.visited == ["rest"] and not rig.servo.driven
    assert fault.about == sorted_.event_id
    assert fault.detail is not None and "told to stop" in fault.detail.message


@pytest.mark.parametrize("shares", [{}, {"metal": float("nan")}, dict.fromkeys(("a", "b"), 0.5)])
def test_nonsense_from_the_network_never_moves_anything(rig: Rig, shares: Any) -> None:
    rig.network.usual = shares
    rig.drop()
    rig.go(5)
    assert rig.servo.visited == []
    assert rig.kinds() == ["uncertain"]


def test_a_school_with_two_bins_sorts_six_labels_and_says_which_goes_where(
    make: Callable[..., Rig],
) -> None:
    rig = make(device={"id": "rig", "name": "Canteen", "site": "Linden School"})
    info = rig.told.topics["info"]
    assert (info["name"], info["site"], len(info["labels"])) == ("Canteen", "Linden School", 6)
    assert info["bins"]["paper"] == ["cardboard", "paper"]
    for label, bin in (("cardboard", "paper"), ("glass", "rest"), ("paper", "paper")):
        rig.network.usual = sure(label)
        rig.drop()
        rig.go()
        assert (rig.events()[-1].label, rig.servo.visited[-1]) == (label, bin)


@pytest.mark.parametrize("items", [4, 12])
def test_items_in_quick_succession_go_into_no_other_bin_than_their_own(
    rig: Rig, items: int
) -> None:
    labels = ["metal", "paper"] * items
    went: list[tuple[str, str]] = []

    def falls(number: int) -> None:
        rig.network.usual = sure(labels[number])
        rig.tray.things = {f"{labels[number]} {number}": (20 + 50 * (number % 2), 20)}
        rig.signal()

    def slides(bin: str) -> None:
        went.extend((name.split()[0], bin) for name in rig.tray.things)
        rig.tray.clear()
        if len(went) < items:
            rig.clock.at(rig.clock.elapsed + 0.9, partial(falls, len(went)))

    rig.servo.on_sort = slides
    falls(0)
    rig.go(60)
    assert {bin == rig.config.bin_of(label) for label, bin in went} == {True}
    assert len(went) >= 4
