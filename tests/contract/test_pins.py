"""What hangs on a pin and is neither trigger nor actuator: stop switch, buttons, tray lamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from gpiozero import LED

from tests.support import FakeClock
from trashbin.devices.gpio import STUCK_S, Buttons, Lamp, StopInput
from trashbin.errors import ActuatorError, TriggerError
from trashbin.ports import Context

BUTTON, STOP, LAMP = 17, 22, 23


def test_the_stop_switch_tells_at_once_each_time_and_shows_its_state(context: Context) -> None:
    stops: list[bool] = []
    told: list[Callable[[], None]] = []
    stop = StopInput(STOP, context, lambda: told[0]())
    told.append(lambda: stops.append(stop.active))
    stop.open()
    assert not stop.active
    for count in (1, 2):
        context.pins.pin(STOP).drive_low()
        assert stops == [True] * count
        assert stop.active
        context.pins.pin(STOP).drive_high()
        assert not stop.active
    stop.close()
    stop.close()
    context.pins.pin(STOP).drive_low()
    assert stops == [True] * 2
    assert not stop.active


def test_a_stop_switch_that_is_closed_at_the_start_is_active(context: Context) -> None:
    pin = context.pins.pin(STOP)
    stop = StopInput(STOP, context, lambda: None)
    stop.open()
    pin.drive_low()
    assert stop.active
    with pytest.raises(TriggerError, match="stop switch on pin 22"):
        StopInput(STOP, context, lambda: None).open()
    stop.close()


def test_a_stop_switch_whose_pin_is_taken_counts_as_closed_until_it_can_be_read(
    context: Context,
) -> None:
    stops: list[bool] = []
    other = LED(STOP, pin_factory=context.pins)
    stop = StopInput(STOP, context, lambda: stops.append(True))
    with pytest.raises(TriggerError, match="pin 22 cannot be opened, and counts as closed") as told:
        stop.open()
    assert stop.active and stop.active and stop.problem == str(told.value)
    other.close()
    context.pins.pin(STOP).drive_high()
    assert not stop.active and stop.problem is None
    context.pins.pin(STOP).drive_low()
    assert stop.active and stops == [True], "it tells at once from now on"
    stop.close()
    assert not stop.active
    LED(STOP, pin_factory=context.pins).close()


def test_a_stop_switch_without_a_way_to_its_pin_is_not_sought_elsewhere(context: Context) -> None:
    stop = StopInput(STOP, replace(context, pins=None), lambda: None)
    with pytest.raises(TriggerError, match="pin 22 cannot be read: see gpio"):
        stop.open()
    assert stop.active
    stop.close()


def test_a_stop_switch_that_cannot_be_read_counts_as_closed(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = StopInput(STOP, context, lambda: None)
    stop.open()
    with monkeypatch.context() as patch:
        patch.setattr(
            type(context.pins.pin(STOP)), "_get_state", Mock(side_effect=OSError("pigpiod is gone"))
        )
        assert stop.active and stop.active
        told = stop.problem or ""
    assert "switch on pin 22 cannot be read" in told and "pigpiod is gone" in told
    assert caplog.messages == [told]
    assert not stop.active and stop.problem is None
    stop.close()


def test_a_pin_that_cannot_be_watched_is_free_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RPi.GPIO has a pin, and may fail to watch it."""
    stop = StopInput(STOP, context, lambda: None)
    buttons = Buttons({"glass": BUTTON}, "for", context)
    kind = type(context.pins.pin(STOP))
    watch = kind._set_when_changed

    def fails(pin: Any, change: object) -> None:
        if change is not None:
            raise OSError("Failed to add edge detection")
        watch(pin, change)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "_set_when_changed", fails)
        for opening in (stop.open, partial(buttons.open, lambda name: None)):
            with pytest.raises(TriggerError, match="Failed to add edge detection"):
                opening()
        assert stop.active and buttons.problem is not None
    context.pins.pin(STOP).drive_high()
    assert not stop.active and buttons.problem is None
    stop.close()
    buttons.close()


def test_an_answer_button_tells_its_label_once_a_press(context: Context) -> None:
    pressed: list[str] = []
    buttons = Buttons({"glass": BUTTON, "metal": STOP}, "for", context)
    for _ in range(2):
        buttons.open(pressed.append)
    for pin in (STOP, BUTTON):
        context.pins.pin(pin).drive_low()
        context.pins.pin(pin).drive_high()
    assert pressed == ["metal", "glass"]
    with pytest.raises(TriggerError, match="button for metal on pin 22"):
        Buttons({"metal": STOP}, "for", context).open(pressed.append)
    buttons.close()
    buttons.close()
    context.pins.pin(STOP).drive_low()
    assert len(pressed) == 2
    LED(BUTTON, pin_factory=context.pins).close()


@pytest.mark.parametrize("may_stay", [False, True])
def test_a_button_that_stays_pressed_is_a_problem_and_a_closed_door_is_none(
    context: Context, clock: FakeClock, may_stay: bool
) -> None:
    pins = {"glass": BUTTON, "metal": STOP}
    buttons = Buttons(pins, "for", context, may_stay=may_stay)
    buttons.open(lambda name: None)
    context.pins.pin(STOP).drive_low()
    clock.advance(STUCK_S - 1)
    assert buttons.problem is None
    clock.advance(1)
    told = buttons.problem or ""
    assert told.startswith("" if may_stay else "The button for metal on pin 22 has been on for 10")
    assert ("jammed" in told) != may_stay and "glass" not in told
    context.pins.pin(STOP).drive_high()
    assert buttons.problem is None
    buttons.close()


def test_a_button_whose_pin_is_taken_is_tried_again_and_the_others_work(context: Context) -> None:
    pressed: list[str] = []
    other = LED(BUTTON, pin_factory=context.pins)
    buttons = Buttons({"glass": BUTTON, "metal": STOP}, "for", context)
    with pytest.raises(TriggerError, match="button for glass on pin 17 cannot be opened"):
        buttons.open(pressed.append)
    assert buttons.problem is not None and "metal" not in buttons.problem
    other.close()
    assert buttons.problem is None
    for pin in (STOP, BUTTON):
        context.pins.pin(pin).drive_low()
    assert pressed == ["metal", "glass"]
    buttons.close()
    assert buttons.problem is None
    LED(BUTTON, pin_factory=context.pins).close()


def test_the_tray_lamp_is_dark_until_lit_and_dark_when_closed(context: Context) -> None:
    lamp = Lamp("tray lamp", LAMP, context)
    lamp.open()
    pin = context.pins.pin(LAMP)
    assert not pin.state
    lamp.on()
    assert pin.state
    lamp.off()
    assert not pin.state
    lamp.on()
    with pytest.raises(ActuatorError, match="tray lamp on pin 23"):
        Lamp("tray lamp", LAMP, context).open()
    lamp.close()
    lamp.close()
    assert not pin.state
    with pytest.raises(ActuatorError, match="cannot be lit"):
        lamp.on()


def test_a_lamp_whose_pin_is_taken_stays_dark_and_is_tried_until_it_is_closed(
    context: Context,
) -> None:
    other = LED(LAMP, pin_factory=context.pins)
    lamp, left = Lamp("tray lamp", LAMP, context), Lamp("broker lamp", LAMP, context)
    for each in (lamp, left):
        each.on()
        each.off()
        assert "lamp on pin 23 cannot be opened" in (each.problem or "")
    left.close()
    other.close()
    assert left.problem is None and lamp.problem is None
    lamp.on()
    assert context.pins.pin(LAMP).state
    lamp.close()
