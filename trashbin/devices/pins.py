"""How GPIO pins are reached: one gpiozero pin factory, chosen by name and handed to each device."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPWMPin

from trashbin.errors import DeviceError

log = logging.getLogger(__name__)

FACTORIES = {
    "lgpio": "gpiozero.pins.lgpio:LGPIOFactory",
    "rpigpio": "gpiozero.pins.rpigpio:RPiGPIOFactory",
    "pigpio": "gpiozero.pins.pigpio:PiGPIOFactory",
    "native": "gpiozero.pins.native:NativeFactory",
}
# gpiozero's order. It ends with native too, which has no PWM and so cannot drive a servo
# or an RGB LED: that one is used only where it is named.
AUTO = ("lgpio", "rpigpio", "pigpio")
HELP = (
    "On a Raspberry Pi: sudo apt install python3-lgpio, make the virtual environment with"
    " --system-site-packages, add the user to the group gpio, and start from a folder that may be"
    " written to (lgpio keeps a pipe there). Anywhere else: gpio: pins: mock."
)


def pin_factory(kind: str) -> Any:
    """A gpiozero pin factory: ``auto``, ``mock`` or one of ``FACTORIES``.

    ``auto`` takes the first of ``AUTO`` that works and logs which, and what failed before it.
    DeviceError names everything that was tried, and why it failed.
    """
    if kind == "mock":
        return MockFactory(pin_class=MockPWMPin)
    failed = []
    for name in AUTO if kind == "auto" else (kind,):
        module, factory = FACTORIES[name].split(":")
        try:
            found = getattr(import_module(module), factory)()
        except pin_errors(ImportError, RuntimeError) as error:  # RuntimeError: RPi.GPIO off a Pi
            failed.append(f"{name} ({error})")
        else:
            log.log(
                logging.WARNING if failed else logging.INFO,
                "GPIO pins through %s%s",
                name,
                f", after {'; '.join(failed)} failed" if failed else "",
            )
            return found
    raise DeviceError(f"No way to the GPIO pins. Tried {'; '.join(failed)}. {HELP}")


@contextmanager
def pipes_elsewhere() -> Iterator[None]:
    """Let lgpio make its pipe in a folder that goes away, not where a command was started."""
    with tempfile.TemporaryDirectory(prefix="trashbin-") as folder:
        os.environ.setdefault("LG_WD", folder)
        yield


def pin_errors(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What gpiozero and the pin library beneath it raise, and ``more``.

    ``lgpio.error`` and ``pigpio.error`` pass through gpiozero unchanged (a pin that another
    process holds), and exist only where that library has been loaded. RPi.GPIO has none of its
    own: on newer kernels it raises a RuntimeError, "Failed to add edge detection", for each input.
    """
    loaded = (sys.modules.get(name) for name in ("lgpio", "pigpio"))
    errors = [module.error for module in loaded if module]
    if "RPi.GPIO" in sys.modules:
        errors.append(RuntimeError)
    return (GPIOZeroError, OSError, *errors, *more)


@contextmanager
def told_as(error: type[DeviceError], what: str) -> Iterator[None]:
    """Turn what the pin libraries raise into ``error``, beginning with ``what`` was tried."""
    try:
        yield
    except pin_errors() as exc:
        raise error(f"{what}: {exc}") from exc
