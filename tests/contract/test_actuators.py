"""One contract for every actuator; what they do is read off gpiozero's mock pins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gpiozero import LED

from tests.contract.actuator_bench import (
    PINS,
    RGB,
    RIGHT,
    SERVO,
    UNCERTAIN,
    USUAL,
    Bench,
    workbench,
)
from tests.contract.toy_world import toy_world
from trashbin.devices import TABLE
from trashbin.errors import ActuatorError
from trashbin.ports import Context
from trashbin.status import Status


@pytest.fixture
def bench(context: Context, tmp_path: Path) -> Iterator[Bench]:
    grey = np.full((48, 64, 3), 120, np.uint8)
    world = toy_world(tmp_path, context.clock, grey)
    with workbench(replace(context, world=world)) as bench:
        yield bench


every_actuator = pytest.mark.parametrize("name", sorted(USUAL))


@every_actuator
def test_opening_moves_and_lights_nothing(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    assert bench.lit() == {}
    assert bench.pulse_ms() is None
    assert actuator.name in TABLE["actuator"]
    assert actuator.moves is (name in ("servo", "simulated"))
    assert actuator.lights is (name in ("lamps", "rgb"))


@every_actuator
def test_an_item_passes_through_and_leaves_nothing_on(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    for bin in ("left", "right", "left"):
        actuator.show(Status.LOOKING, None)
        actuator.show(Status.SORTING, bin)
        actuator.sort(bin)
        bench.context.clock.wait(1.0)
        actuator.rest()
        bench.context.clock.wait(1.0)
        actuator.release()
        actuator.show(Status.IDLE, None)
        assert bench.lit() == {}
        assert bench.pulse_ms() is None


@every_actuator
def test_every_status_can_be_shown_with_and_without_a_bin(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    for status in Status:
        for bin in (None, "left", "right"):
            actuator.show(status, bin)
    actuator.show(Status.IDLE, None)
    assert bench.lit() == {}


@every_actuator
def test_close_and_release_are_safe_at_any_time(bench: Bench, name: str) -> None:
    actuator = bench.make(name)
    actuator.release()
    actuator.close()
    for _ in range(2):
        actuator.open()
        actuator.show(Status.FAULT, None)
        actuator.sort("left")
        actuator.close()
        actuator.close()
        actuator.release()
        assert bench.lit() == {}
        assert bench.pulse_ms() is None
    actuator.open()
    actuator.open()


@every_actuator
def test_a_closed_actuator_leaves_its_pins_to_others(bench: Bench, name: str) -> None:
    bench.opened(name).close()
    for pin in PINS:
        LED(pin, pin_factory=bench.context.pins).close()


@pytest.mark.parametrize(
    ("name", "taken"), [("servo", SERVO), ("lamps", UNCERTAIN), ("lamps", RIGHT), ("rgb", RGB[2])]
)
def test_a_pin_in_use_is_told_and_the_others_are_given_back(
    bench: Bench, name: str, taken: int
) -> None:
    other = LED(taken, pin_factory=bench.context.pins)
    with pytest.raises(ActuatorError, match=rf"{taken}.*cannot be opened"):
        bench.opened(name)
    for pin in set(PINS) - {taken}:
        LED(pin, pin_factory=bench.context.pins).close()
    other.close()
    bench.made[0].open()
