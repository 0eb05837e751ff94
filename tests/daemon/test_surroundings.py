"""What changes under the bin: a trigger that sticks, and the lamp that shows the broker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.rig import Bulb, Rig
from trashbin.devices.gpio import STUCK_S, Buttons, Lamp, PirTrigger
from trashbin.devices.none import MqttTrigger
from trashbin.devices.pins import pin_factory
from trashbin.errors import ActuatorError, TriggerError
from trashbin.ports import Context, Emit
from trashbin.settings import PirTrigger as PirSettings
from trashbin.status import Status

PIN = 25


def test_the_broker_lamp_is_lit_while_the_broker_is_there(rig: Rig) -> None:
    pins = pin_factory("mock")
    lamp = Lamp("broker lamp", PIN, Context(rig.clock, rig.config, pins=pins))
    lamp.open()
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
    rig.go(10)
    rig.told.topics.clear()
    rig.sorts_the_next()
    assert set(rig.told.topics) == {"state"}, "health said so before"
    trigger.problem = None
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False


@pytest.mark.parametrize("part", ["trigger", "buttons"])
def test_what_could_not_be_opened_is_over_once_it_is(rig: Rig, part: str) -> None:
    """As where another program has its pins as the bin starts."""
    pins = pin_factory("mock")
    context = Context(rig.clock, rig.config, pins=pins)
    section = PirSettings(kind="pir", pin=PIN)
    opened: Any = {
        "trigger": PirTrigger(section, context),
        "buttons": Buttons({"glass": PIN}, "for", context),
    }[part]
    other = Lamp("broker lamp", PIN, context)
    other.open()
    with pytest.raises(TriggerError) as failed:
        opened.open(lambda what: None)
    if part == "trigger":
        mqtt: Any = rig.config.triggers[1]
        rig.daemon.parts.triggers = [opened, MqttTrigger(mqtt, context)]
    else:
        rig.daemon.parts.buttons = [opened]
    rig.daemon.condition.fault(part, str(failed.value))  # as at the start
    rig.go(60)
    assert list(rig.daemon.parts.problems) == [part] and rig.kinds() == ["fault"]
    other.close()
    rig.go(10)
    assert rig.told.topics["state"]["problems"] == {}
    opened.close()


def test_a_button_that_sticks_is_told_once_and_over_once_it_is_let_go(rig: Rig) -> None:
    pins = pin_factory("mock")
    buttons = Buttons({"glass": PIN}, "for", Context(rig.clock, rig.config, pins=pins))
    buttons.open(rig.daemon.press)
    rig.daemon.parts.buttons = [buttons]
    pins.pin(PIN).drive_low()
    rig.go(STUCK_S + 60)
    (fault,) = rig.events()
    assert fault.detail is not None and fault.detail.part == "buttons"
    assert rig.daemon.status is Status.IDLE
    pins.pin(PIN).drive_high()
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False
    buttons.close()


def test_a_trigger_that_could_not_even_be_made_stays_told(rig: Rig) -> None:
    rig.daemon.condition.fault("trigger", "there is no such thing")
    rig.go(60)
    assert rig.told.topics["state"]["problem"] is True


def test_a_bin_to_which_nothing_happens_tells_how_it_is_and_no_more(rig: Rig) -> None:
    rig.go(10)
    rig.told.topics.clear()
    rig.go(200)
    assert set(rig.told.topics) == {"health"}


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


@pytest.mark.parametrize("part", ["broker_lamp", "tray_lamp"])
def test_a_lamp_whose_pin_another_program_has_is_lit_once_it_is_free(rig: Rig, part: str) -> None:
    pins = pin_factory("mock")
    context = Context(rig.clock, rig.config, pins=pins)
    other, lamp = Lamp("other", PIN, context), Lamp(part.replace("_", " "), PIN, context)
    other.open()
    looker = rig.daemon.parts.looker
    assert looker is not None
    if part == "tray_lamp":
        looker.tray_lamp = lamp
    else:
        rig.daemon.parts.broker_lamp = lamp
    with pytest.raises(ActuatorError) as failed:
        lamp.open()
    rig.daemon.condition.fault(part, str(failed.value))  # as at the start
    rig.go(60)
    assert list(rig.daemon.parts.problems) == [part] and rig.kinds() == ["fault"]
    rig.sorts_the_next()
    other.close()
    rig.go(10)
    assert rig.told.topics["state"]["problems"] == {}
    pins.pin(PIN).clear_states()
    rig.sorts_the_next()
    rig.go(10)
    assert True in [bool(state.state) for state in pins.pin(PIN).states]
    lamp.close()
