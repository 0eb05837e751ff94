"""A hobby servo that turns the tray or a flap towards a compartment, and its pulse on a pin."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from gpiozero import Servo as PinServo

from trashbin.devices.pins import told_as
from trashbin.errors import ActuatorError, ConfigError, StoppedError
from trashbin.ports import Context
from trashbin.settings import Servo as Settings
from trashbin.settings import ServoActuator as PinSettings
from trashbin.status import Status


class Pulse(Protocol):
    """The signal of one servo, taken when made, without a pulse."""

    def give(self, milliseconds: float) -> None:
        """Repeat a pulse of this length until told otherwise."""
        ...

    def end(self) -> None:
        """No pulse from now on: the servo has no force."""
        ...

    def close(self) -> None:
        """End it and give back what was taken."""
        ...


class Servo:
    """Moves to a bin's angle and back; without a pulse, so without force or hum, between moves.

    ConfigError when made, if a bin has no angle or one that the servo cannot reach. One lock
    guards the pulse: while the stop switch is active no move can begin, and ``release``
    from the switch's own thread comes either before the look at the switch or after the pulse.
    """

    name = "servo"
    moves = True
    lights = False

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._stop = context.stop
        self._move_s = context.config.sorting.move_s
        self._angles = _angles(settings, context)
        self._lock = threading.Lock()
        self._pulse: Pulse | None = None
        self._away = False  # may stand somewhere else than at rest
        self._resting_since: float | None = None

    def open(self) -> None:
        """Take the signal; the servo stays as it stands, without a pulse."""
        self.close()
        self._pulse = self._taken()

    def show(self, status: Status, bin: str | None) -> None:
        """Nothing: a servo shows nothing."""

    def sort(self, bin: str) -> None:
        """Begin to move to the angle of a bin. StoppedError while the stop switch is active."""
        self._drive(self._angles[bin])
        self._away, self._resting_since = True, None

    def rest(self) -> None:
        """Begin to move back. StoppedError while the stop switch is active."""
        self._drive(self._settings.rest_angle)
        self._resting_since = self._clock.monotonic()

    def release(self) -> None:
        """End the pulse. From any thread, at any time; where it is not open, do nothing."""
        with self._lock:
            if self._pulse is not None:
                with told_as(ActuatorError, "The servo cannot be released"):
                    self._pulse.end()
        since = self._resting_since
        self._resting_since = None
        if since is not None and self._clock.monotonic() - since >= self._move_s:
            self._away = False

    def close(self) -> None:
        """Back to rest if it was caught on its way (this waits for the move), then free it."""
        try:
            self.release()
            if self._pulse is not None and self._away and not self._stopped():
                self.rest()
                # not clock.wait: that one ends at once when the process is asked to stop,
                # which is when a servo is caught on its way
                time.sleep(self._move_s)
                self._away = False
        finally:
            with self._lock:
                pulse, self._pulse = self._pulse, None
                if pulse is not None:
                    with told_as(ActuatorError, "The servo cannot be closed"):
                        pulse.close()

    def _taken(self) -> Pulse:
        """The signal of this kind of servo, without a pulse. ActuatorError if it can't be had."""
        raise NotImplementedError

    def _drive(self, angle: float) -> None:
        settings = self._settings
        share = (angle - settings.min_angle) / (settings.max_angle - settings.min_angle)
        with self._lock:
            if self._pulse is None:
                raise ActuatorError("The servo is not open.")
            if self._stopped():
                raise StoppedError("The servo stands still: the stop switch is on.")
            with told_as(ActuatorError, f"The servo cannot be moved to {angle} degrees"):
                self._pulse.give(
                    settings.min_pulse_ms + share * (settings.max_pulse_ms - settings.min_pulse_ms)
                )

    def _stopped(self) -> bool:
        return self._stop is not None and self._stop.active


class ServoActuator(Servo):
    """A servo whose signal is a GPIO pin."""

    def __init__(self, settings: PinSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._pin = settings
        self._pins = context.pins

    def _taken(self) -> Pulse:
        with told_as(ActuatorError, f"The servo on pin {self._pin.pin} cannot be opened"):
            return _PinPulse(self._pin, self._pins)


class _PinPulse:
    """gpiozero's, on whichever pin library there is."""

    def __init__(self, settings: PinSettings, pins: object) -> None:
        self._low, self._high = settings.min_pulse_ms, settings.max_pulse_ms
        self._servo = PinServo(
            settings.pin,
            initial_value=None,
            min_pulse_width=self._low / 1000,
            max_pulse_width=self._high / 1000,
            pin_factory=pins,
        )

    def give(self, milliseconds: float) -> None:
        value = 2 * (milliseconds - self._low) / (self._high - self._low) - 1
        self._servo.value = min(1.0, max(-1.0, value))  # rounding must not pass the ends

    def end(self) -> None:
        self._servo.detach()

    def close(self) -> None:
        self._servo.close()


def _angles(settings: Settings, context: Context) -> dict[str, float]:
    """Each bin's angle, all of them within the servo's reach."""
    if settings.min_angle >= settings.max_angle:
        raise ConfigError(
            f"servo: min_angle {settings.min_angle} must be below max_angle {settings.max_angle}."
        )
    if settings.min_pulse_ms >= settings.max_pulse_ms:
        raise ConfigError(
            f"servo: min_pulse_ms {settings.min_pulse_ms} must be below max_pulse_ms"
            f" {settings.max_pulse_ms}."
        )
    angles: dict[str, float] = {}
    for name, entry in context.config.bins.items():
        if entry.angle is None:
            raise ConfigError(f"bins: {name}: a servo needs an angle for every bin.")
        angles[name] = entry.angle
    wanted = {f"bins: {name}: angle": angle for name, angle in angles.items()}
    wanted["servo: rest_angle"] = settings.rest_angle
    for where, angle in wanted.items():
        if not settings.min_angle <= angle <= settings.max_angle:
            raise ConfigError(
                f"{where}: {angle} degrees is outside the servo's reach of"
                f" {settings.min_angle} to {settings.max_angle}."
            )
    return angles
