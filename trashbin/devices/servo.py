"""A hobby servo that turns the tray or a flap towards a compartment."""

from __future__ import annotations

import threading
import time

from gpiozero import AngularServo

from trashbin.devices.pins import told_as
from trashbin.errors import ActuatorError, ConfigError, StoppedError
from trashbin.ports import Context
from trashbin.settings import ServoActuator as ServoSettings
from trashbin.status import Status


class ServoActuator:
    """Moves to a bin's angle and back; without a pulse, so without force or hum, between moves.

    ConfigError when made, if a bin has no angle or one that the servo cannot reach. One lock
    guards the pulse: while the stop switch is active no move can begin, and ``release``
    from the switch's own thread comes either before the look at the switch or after the pulse.
    """

    name = "servo"
    moves = True
    lights = False

    def __init__(self, settings: ServoSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._stop = context.stop
        self._pins = context.pins
        self._move_s = context.config.sorting.move_s
        self._angles = _angles(settings, context)
        self._lock = threading.Lock()
        self._servo: AngularServo | None = None
        self._away = False  # may stand somewhere else than at rest
        self._resting_since: float | None = None

    def open(self) -> None:
        """Take the pin; the servo stays as it stands, without a pulse."""
        self.close()
        settings = self._settings
        with told_as(ActuatorError, f"The servo on pin {settings.pin} cannot be opened"):
            self._servo = AngularServo(
                settings.pin,
                initial_angle=None,
                min_angle=settings.min_angle,
                max_angle=settings.max_angle,
                min_pulse_width=settings.min_pulse_ms / 1000,
                max_pulse_width=settings.max_pulse_ms / 1000,
                pin_factory=self._pins,
            )

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
        """End the pulse. From any thread, at any time; without a pin there is nothing to do."""
        with self._lock:
            if self._servo is not None:
                with told_as(ActuatorError, "The servo cannot be released"):
                    self._servo.detach()
        since = self._resting_since
        self._resting_since = None
        if since is not None and self._clock.monotonic() - since >= self._move_s:
            self._away = False

    def close(self) -> None:
        """Back to rest if it was caught on its way (this waits for the move), then free the pin."""
        try:
            self.release()
            if self._servo is not None and self._away and not self._stopped():
                self.rest()
                # not clock.wait: that one ends at once when the process is asked to stop,
                # which is when a servo is caught on its way
                time.sleep(self._move_s)
                self._away = False
        finally:
            with self._lock:
                servo, self._servo = self._servo, None
                if servo is not None:
                    servo.close()

    def _drive(self, angle: float) -> None:
        with self._lock:
            if self._servo is None:
                raise ActuatorError("The servo is not open.")
            if self._stopped():
                raise StoppedError("The servo stands still: the stop switch is on.")
            with told_as(ActuatorError, f"The servo cannot be moved to {angle} degrees"):
                self._servo.angle = angle

    def _stopped(self) -> bool:
        return self._stop is not None and self._stop.active


def _angles(settings: ServoSettings, context: Context) -> dict[str, float]:
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
