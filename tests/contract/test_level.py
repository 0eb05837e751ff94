"""The level sensor on gpiozero's own stand-in for one: distances, silence, pins taken and freed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from gpiozero import LED
from gpiozero.pins.mock import MockFactory, MockPin

from tests.support import FakeClock
from trashbin.devices.level import SILENT_S, UltrasonicSensor
from trashbin.errors import TriggerError
from trashbin.ports import Context
from trashbin.settings import Level

TRIGGER, ECHO = 9, 10
SPEED = 34326  # of sound, cm/s, as gpiozero has it
LEVEL = Level(trigger=TRIGGER, echo=ECHO, empty_cm=340, full_cm=40)


class Ping(MockPin):
    """The trigger's pin: the echo's pin answers at once, and says how long the way took."""

    def __init__(self, factory: MockFactory, info: Any, echo: MockPin, seconds: float) -> None:
        super().__init__(factory, info)
        self.echo, self.seconds = echo, seconds

    def _set_state(self, value: bool) -> None:
        super()._set_state(value)
        if value:
            for at, state in ((0.0, True), (self.seconds, False)):
                self.echo._change_state(state)
                self.echo._last_change = at
                self.echo._call_when_changed()


def wired(context: Context, distance_cm: float) -> UltrasonicSensor:
    """A sensor over something so far away."""
    air = MockFactory(pin_class=MockPin)
    air.pin(TRIGGER, pin_class=Ping, echo=air.pin(ECHO), seconds=2 * distance_cm / SPEED)
    return UltrasonicSensor(LEVEL, "rest", replace(context, pins=air))


@pytest.mark.parametrize(
    ("distance_cm", "level"), [(300, 40 / 300), (100, 240 / 300), (30, 310 / 300)]
)
def test_a_distance_is_a_level(context: Context, distance_cm: float, level: float) -> None:
    sensor = wired(context, distance_cm)
    sensor.open()
    try:
        deadline = time.monotonic() + 10
        while (seen := sensor.level()) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen == pytest.approx(level, abs=0.001)
    finally:
        sensor.close()


def test_silence_is_no_level_and_after_a_while_an_error(context: Context, clock: FakeClock) -> None:
    sensor = UltrasonicSensor(LEVEL, "rest", context)  # nothing answers on its echo pin
    with pytest.raises(TriggerError, match="not open"):
        sensor.level()
    sensor.open()
    assert sensor.level() is None
    clock.advance(SILENT_S + 1)
    with pytest.raises(TriggerError, match="bin rest hears no echo"):
        sensor.level()
    sensor.close()
    sensor.close()


def test_its_pins_are_taken_and_freed(context: Context) -> None:
    sensor = UltrasonicSensor(LEVEL, "rest", context)
    sensor.open()
    with pytest.raises(TriggerError, match="level sensor of bin hall on pins 9 and 10"):
        UltrasonicSensor(LEVEL, "hall", context).open()
    sensor.close()
    for pin in (TRIGGER, ECHO):
        LED(pin, pin_factory=context.pins).close()
