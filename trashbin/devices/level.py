"""An ultrasonic sensor over a bin (HC-SR04 and its kind), by gpiozero's DistanceSensor."""

from __future__ import annotations

import warnings

from gpiozero import DistanceSensor, DistanceSensorNoEcho, PWMSoftwareFallback

from trashbin.devices.pins import told_as
from trashbin.errors import TriggerError
from trashbin.ports import Clock, Context
from trashbin.settings import Level

SILENT_S = 10.0  # without an echo; gpiozero keeps the last distance for ever
SAMPLES = 9  # whose median is taken
SAMPLE_S = 0.5  # between two; by gpiozero's own 0.06 it wakes the processor 50 times a second
BEYOND_CM = 50  # the bottom of the empty bin: no echo from so far is one from inside it


class UltrasonicSensor:
    """How full a bin is, by the way down to what lies in it; gpiozero samples in its own thread."""

    def __init__(self, settings: Level, bin: str, context: Context) -> None:
        self._settings = settings
        self._bin = bin
        self._context = context
        self._sensor: _Listening | None = None
        self._opened_at = 0.0

    def open(self) -> None:
        """Take the pins and begin to sample. TriggerError if they can't be had."""
        self.close()
        settings, clock = self._settings, self._context.clock
        pins = f"pins {settings.trigger} and {settings.echo}"
        with (
            told_as(TriggerError, f"The level sensor of bin {self._bin} on {pins} cannot be had"),
            warnings.catch_warnings(action="ignore", category=PWMSoftwareFallback),
        ):
            # for centimetres the software's timing is good enough
            self._sensor = _Listening(
                clock,
                echo=settings.echo,
                trigger=settings.trigger,
                queue_len=SAMPLES,
                max_distance=(settings.empty_cm + BEYOND_CM) / 100,
                partial=True,
                pin_factory=self._context.pins,
            )
        self._opened_at = clock.monotonic()

    def level(self) -> float | None:
        """0 empty to 1 full, may be beyond both; None before the first echo.

        TriggerError where none came for a while, or its pins still cannot be had.
        """
        if self._sensor is None:
            self.open()
        sensor = self._sensor
        assert sensor is not None
        heard = sensor.heard_at
        if self._context.clock.monotonic() - (heard or self._opened_at) > SILENT_S:
            raise TriggerError(
                f"The level sensor of bin {self._bin} hears no echo from inside it; "
                "check its wires, its 5 V, and that it looks down into the bin"
            )
        if heard is None:
            return None
        empty, full = self._settings.empty_cm, self._settings.full_cm
        distance_cm = float(sensor.distance) * 100
        return (empty - distance_cm) / (empty - full)

    def close(self) -> None:
        """Stop sampling and free the pins."""
        if self._sensor is not None:
            self._sensor.close()
            self._sensor = None


class _Listening(DistanceSensor):  # type: ignore[misc]
    """Remembers when it last heard an echo, and does not warn of each that it missed.

    A sensor that hears none ends its pulse after 38 ms, as from 6 m; gpiozero makes the most of
    its ``max_distance`` of that. Rubbish that swallows the sound, or an open lid, is no empty bin.
    """

    def __init__(self, clock: Clock, **keys: object) -> None:
        self._clock = clock
        self.heard_at: float | None = None
        super().__init__(**keys)
        self._queue.sample_wait = SAMPLE_S

    def close(self) -> None:
        """Stop sampling first: gpiozero frees the trigger while its thread may yet use it."""
        if getattr(self, "_queue", None) is not None and self._queue.is_alive():
            self._queue.stop()
        super().close()

    def _read(self) -> float | None:
        with warnings.catch_warnings(action="ignore", category=DistanceSensorNoEcho):
            value: float | None = super()._read()
        if value is None or value >= 1.0:
            return None
        self.heard_at = self._clock.monotonic()
        return value
