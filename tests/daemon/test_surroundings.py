"""What changes under the bin: a trigger that sticks, and the lamp that shows the broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Bulb, Rig
from trashbin.devices.gpio import Lamp
from trashbin.devices.pins import pin_factory
from trashbin.ports import Context, Emit
from trashbin.status import Status

PIN = 25


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_the_broker_lamp_is_lit_while_the_broker_is_there(rig: Rig) -> None:
    pins = pin_factory("mock")
    lamp = Lamp("broker lamp", PIN, Context(rig.clock, rig.config, pins=pins))
    rig.daemon.parts.broker_lamp = lamp
    rig.go(10)
    assert pins.pin(PIN).state
    rig.told.connected = False
    rig.go(10)
    assert not pins.pin(PIN).state
    rig.told.connected = True
    rig.go(10)
    assert pins.pin(PIN).state
    lamp.close()
    assert not pins.pin(PIN).state


def test_a_trigger_that_sticks_is_told_once_and_over_once_it_fires_again(rig: Rig) -> None:
    class Sticks:
        poll_every: float | None = None
        problem: str | None = "The pir on pin 4 has been on for 10 minutes"

        def open(self, emit: Emit) -> None: ...

        def poll(self) -> None: ...

        def close(self) -> None: ...

    rig.daemon.parts.triggers = [trigger := Sticks()]
    rig.go(60)
    (fault,) = rig.events()
    assert fault.detail is not None and fault.detail.part == "stuck trigger"
    assert fault.detail.message == trigger.problem
    assert rig.daemon.status is Status.IDLE, "another trigger may still fire"
    rig.sorts_the_next()
    trigger.problem = None
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False


def test_without_camera_or_network_it_looks_round_nevertheless(rig: Rig) -> None:
    rig.daemon.parts.looker = None
    rig.told.problem = "The broker bench:1883 cannot be reached"
    rig.go(600)
    (fault,) = rig.events()
    assert fault.detail is not None and fault.detail.part == "broker"


def test_a_broker_lamp_that_fails_is_told_once_and_stops_nothing(rig: Rig) -> None:
    rig.daemon.parts.broker_lamp = lamp = Bulb()
    lamp.broken = True
    rig.go(60)
    (fault,) = rig.events()
    assert fault.detail is not None and fault.detail.part == "broker_lamp"
    assert rig.daemon.status is Status.IDLE
    rig.sorts_the_next()
    lamp.broken = False
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False
