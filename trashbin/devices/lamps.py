"""Lamps: one LED a bin or one RGB LED for all, and one that says "uncertain"."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from gpiozero import LED, RGBLED, threads

from trashbin.devices.pins import told_as
from trashbin.errors import ActuatorError, ConfigError
from trashbin.ports import Context
from trashbin.settings import Color
from trashbin.settings import LampsActuator as LampsSettings
from trashbin.status import Status

log = logging.getLogger(__name__)

# red, green, blue, each 0..1; LEDs are brightest in green, so mixtures have less of it
COLORS: dict[Color, tuple[float, float, float]] = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 0.6, 0),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
    "white": (1, 1, 1),
    "orange": (1, 0.3, 0),
}
LOOKING: Color = "white"
FAULT: Color = "red"
SLOW_S, FAST_S = 0.5, 0.1  # half a period of blinking


@dataclass(frozen=True, slots=True)
class _Light:
    """What is lit: a lamp by name, its colour if it has one, and half its blinking period."""

    lamp: str
    color: Color | None = None
    blink_s: float | None = None


class LampsActuator:
    """Shows the status: looking (white; RGB only), the bin, uncertain, fault (fast blinking).

    Everything is dark while the bin is idle or paused. The uncertain lamp is its own LED
    where it has a pin, else the RGB LED in ``uncertain_color``. ConfigError when made, if
    there is no lamp at all.
    """

    name = "lamps"
    moves = False
    lights = True

    def __init__(self, settings: LampsSettings, context: Context) -> None:
        self._settings = settings
        self._factory = context.pins
        self._bins = context.config.bins
        pins = {f"bin {name}": entry.lamp for name, entry in self._bins.items()}
        pins["uncertain"] = settings.uncertain
        self._pins = {name: pin for name, pin in pins.items() if pin is not None}
        if not self._pins and settings.rgb is None:
            raise ConfigError(
                "actuators: lamps: no lamp has a pin. Set rgb, uncertain, or bins: NAME: lamp."
            )
        self._lamps: dict[str, Any] = {}
        self._lit: _Light | None = None

    def open(self) -> None:
        """Take the pins, all dark."""
        self.close()
        high, factory = self._settings.active_high, self._factory
        try:
            for name, pin in self._pins.items():
                with told_as(ActuatorError, f"The lamp {name} on pin {pin} cannot be opened"):
                    self._lamps[name] = LED(pin, active_high=high, pin_factory=factory)
            if self._settings.rgb is not None:
                pins = self._settings.rgb
                with told_as(ActuatorError, f"The RGB lamp on pins {pins} cannot be opened"):
                    self._lamps["rgb"] = RGBLED(*pins, active_high=high, pin_factory=factory)
        except ActuatorError:
            self.close()
            raise

    def show(self, status: Status, bin: str | None) -> None:
        """Light what belongs to the status, and nothing else."""
        light = self._light(status, bin)
        if light == self._lit:
            return  # a lamp that blinks keeps its rhythm
        with told_as(ActuatorError, "The lamps cannot be switched"):
            if self._lit is not None:
                self._lamps[self._lit.lamp].off()
            self._lit = None
            if light is not None and light.lamp in self._lamps:
                _switch_on(self._lamps[light.lamp], light)
                self._lit = light

    def sort(self, bin: str) -> None:
        """Nothing: ``show`` lights the bin's lamp."""

    def rest(self) -> None:
        """Nothing moved."""

    def release(self) -> None:
        """Nothing is driven: a lamp may stay lit."""

    def close(self) -> None:
        """All dark; free the pins."""
        for lamp in self._lamps.values():
            lamp.close()
        self._lamps.clear()
        self._lit = None

    def _light(self, status: Status, bin: str | None) -> _Light | None:
        """The one light for a status; a lamp without a pin is not lit."""
        rgb = self._settings.rgb is not None
        if status is Status.LOOKING and rgb:
            return _Light("rgb", LOOKING)
        if status is Status.SORTING and bin is not None:
            if f"bin {bin}" in self._pins:
                return _Light(f"bin {bin}")
            return _Light("rgb", self._bins[bin].color or "white") if rgb else None
        if status is Status.HOLDING:
            blink = SLOW_S if self._settings.uncertain_style == "blink" else None
            return self._uncertain(self._settings.uncertain_color, blink)
        if status is Status.FAULT:
            return self._uncertain(FAULT, FAST_S)
        return None

    def _uncertain(self, color: Color, blink_s: float | None) -> _Light:
        if "uncertain" in self._pins:
            return _Light("uncertain", None, blink_s)
        return _Light("rgb", color, blink_s)


def _switch_on(lamp: Any, light: _Light) -> None:
    if light.blink_s is not None:
        color = {} if light.color is None else {"on_color": COLORS[light.color]}
        try:
            lamp.blink(light.blink_s, light.blink_s, **color)
        except RuntimeError as error:  # the system has no thread to give
            log.error("the lamp %s is lit, as it cannot blink: %s", light.lamp, error)
            # gpiozero keeps the thread that never began, and would wait for its end
            thread = getattr(lamp, "_blink_thread", None)
            lamp._blink_thread = None
            getattr(threads, "_THREADS", set()).discard(thread)
        else:
            return
    if light.color is not None:
        lamp.color = COLORS[light.color]
    else:
        lamp.on()
