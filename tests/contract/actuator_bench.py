"""A workbench on which actuators are made and opened, with mock pins that can be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from trashbin import settings
from trashbin.devices import load
from trashbin.ports import Actuator, Context

SERVO, UNCERTAIN, STOP = 18, 13, 22
RGB = (16, 20, 21)
LEFT, RIGHT = 5, 6  # the bins' lamps, as in CONFIG
PINS = (SERVO, UNCERTAIN, LEFT, RIGHT, *RGB)
SECTION: TypeAdapter[Any] = TypeAdapter(settings.Actuator)
USUAL: dict[str, dict[str, Any]] = {
    "servo": {"kind": "servo", "pin": SERVO},
    "lamps": {"kind": "lamps", "uncertain": UNCERTAIN},
    "rgb": {"kind": "lamps", "rgb": RGB},
    "simulated": {"kind": "simulated"},
    "none": {"kind": "none"},
}


@dataclass
class Bench:
    context: Context
    made: list[Actuator] = field(default_factory=list)

    def make(self, name: str, **more: Any) -> Any:
        section = SECTION.validate_python(USUAL[name] | more)
        actuator: Actuator = load("actuator", section.kind)(section, self.context)
        self.made.append(actuator)
        return actuator

    def opened(self, name: str, **more: Any) -> Any:
        actuator = self.make(name, **more)
        actuator.open()
        return actuator

    def pin(self, number: int) -> Any:
        return self.context.pins.pin(number)

    def lit(self) -> dict[int, float]:
        """Every pin that gives current now, with its share of the time."""
        return {number: float(self.pin(number).state) for number in PINS if self.pin(number).state}

    def pulse_ms(self) -> float | None:
        """The servo's pulse, None where there is none."""
        pin = self.pin(SERVO)
        return None if pin.frequency is None else 1000.0 * pin.state / pin.frequency


@contextmanager
def workbench(context: Context) -> Iterator[Bench]:
    """A bench that closes what was made on it."""
    bench = Bench(context)
    try:
        yield bench
    finally:
        for actuator in bench.made:
            actuator.close()
