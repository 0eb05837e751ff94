"""The level sensor on gpiozero's own stand-in for one: distances, silence, pins taken and freed."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from gpiozero import LED, DistanceSensor
from gpiozero.pins.mock import MockFactory, MockPin

from tests.support import FakeClock
from tests.support_processes import WAIT_S, wait_until
from trashbin.devices import level
from trashbin.devices.level import SILENT_S, UltrasonicSensor
from trashbin.errors import TriggerError
from trashbin.ports import Context
from trashbin.settings import Level

TRIGGER, ECHO = 9, 10
SPEED = 34326  # of sound, cm/s, as gpiozero has it
LEVEL = Level(trigger=TRIGGER, echo=ECHO, empty_cm=340, full_cm=40)


SHIPPED_S = level.SAMPLE_S


@pytest.fixture(autouse=True)
def sample_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a bin to fill."""
    monkeypatch.setattr(level, "SAMPLE_S", 0.01)


class Ping(MockPin):
    """The trigger's pin: the echo's pin answers at once, and says how long the way took."""

    def __init__(self, factory: MockFactory, info: Any, echo: MockPin, seconds: float) -> None:
        super().__init__(factory, info)
        self.echo, self.seconds = echo, seconds
        self.sent = 0

    def _set_state(self, value: bool) -> None:
        super()._set_state(value)
        if value:
            self.sent += 1
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
    ("distance_cm", "expected"), [(300, 40 / 300), (100, 240 / 300), (30, 310 / 300)]
)
def test_a_distance_is_a_level(context: Context, distance_cm: float, expected: float) -> None:
    sensor = wired(context, distance_cm)
    sensor.open()
    try:
        assert wait_until(lambda: sensor.level() is not None)
        assert sensor.level() == pytest.approx(expected, abs=0.001)
    finally:
        sensor.close()


def test_silence_is_no_level_and_after_a_while_an_error(context: Context, clock: FakeClock) -> None:
    sensor = UltrasonicSensor(LEVEL, "rest", context)  # nothing answers on its echo pin
    sensor.open()
    assert sensor.level() is None
    clock.advance(SILENT_S + 1)
    with pytest.raises(TriggerError, match="bin rest hears no echo"):
        sensor.level()
    sensor.close()
    sensor.close()


def test_the_end_of_a_pulse_without_an_echo_is_no_empty_bin(
    context: Context, clock: FakeClock
) -> None:
    """Rubbish may swallow the sound: the sensor then ends its pulse by itself, after 38 ms."""
    sensor = wired(context, 0.038 * SPEED / 2)
    sensor.open()
    try:
        ping = sensor._sensor.trigger  # type: ignore[union-attr]
        assert wait_until(lambda: ping.sent > 3)
        assert sensor.level() is None
        clock.advance(SILENT_S + 1)
        with pytest.raises(TriggerError, match="no echo from inside it"):
            sensor.level()
    finally:
        sensor.close()


def test_it_does_not_keep_the_processor_awake(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A level is read every 5 s; gpiozero would sample sixteen times a second."""
    monkeypatch.setattr(level, "SAMPLE_S", SHIPPED_S)
    sensor = UltrasonicSensor(LEVEL, "rest", context)
    sensor.open()
    assert sensor._sensor._queue.sample_wait >= 0.5  # type: ignore[union-attr]
    sensor.close()


class Turn:
    """gpiozero's lock among sensors, which another one keeps until ``over``."""

    def __init__(self) -> None:
        self.waited_for, self.over = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.waited_for.set()
        assert self.over.wait(WAIT_S)

    def __exit__(self, *_: object) -> None: ...


def test_one_that_waits_for_its_turn_ends_quietly(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in its thread would fail the test, and be a traceback in the bin's log."""
    turn = Turn()
    monkeypatch.setattr(DistanceSensor, "ECHO_LOCK", turn)
    sensor = UltrasonicSensor(LEVEL, "rest", context)
    sensor.open()
    samples = sensor._sensor._queue  # type: ignore[union-attr]
    assert turn.waited_for.wait(WAIT_S)
    closing = threading.Thread(target=sensor.close)
    closing.start()
    assert wait_until(samples.stopping.is_set)
    turn.over.set()
    closing.join(WAIT_S)
    assert not samples.is_alive()


def test_its_pins_are_taken_and_freed(context: Context) -> None:
    sensor = UltrasonicSensor(LEVEL, "rest", context)
    sensor.open()
    hall = UltrasonicSensor(LEVEL, "hall", context)
    for take in (hall.open, hall.level):
        with pytest.raises(TriggerError, match="level sensor of bin hall on pins 9 and 10"):
            take()
    sensor.close()
    assert hall.level() is None, "it has its pins, and listens"
    hall.close()
    for pin in (TRIGGER, ECHO):
        LED(pin, pin_factory=context.pins).close()
