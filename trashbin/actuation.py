"""The actuators as one: who may move, one move there and back, and everything shown alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from trashbin.errors import DeviceError, StoppedError
from trashbin.ports import Actuator, Clock, StopInput
from trashbin.settings import Sorting
from trashbin.status import Status
from trashbin.types import Mode

log = logging.getLogger(__name__)


class Actuation:
    """Drives servo and lamps together; nothing moves while the stop input is active."""

    def __init__(
        self, actuators: Sequence[Actuator], stop: StopInput | None, times: Sorting, clock: Clock
    ) -> None:
        self.actuators = actuators
        self.stop = stop
        self.times = times
        self.clock = clock

    def movers(self, mode: Mode) -> list[Actuator]:
        """What may move in this mode: in advisory, nothing."""
        return [a for a in self.actuators if a.moves] if mode is Mode.AUTO else []

    def show(self, status: Status, bin: str | None) -> None:
        """Let every lamp show it; one that fails must not stop a servo's cycle."""
        for actuator in self.actuators:
            try:
                actuator.show(status, bin)
            except DeviceError as error:
                log.error("%s: %s", actuator.name, error)

    def move(self, bin: str, movers: Sequence[Actuator]) -> None:
        """To the bin, dwell, back to rest, drive off.

        Ends early, at rest, where the process is asked to stop. ActuatorError where a
        part fails, StoppedError where a hand or the lid stops it; the drive is off then too.
        """
        try:
            for actuator in movers:
                self._unless_stopped()
                actuator.sort(bin)
            self.clock.wait(self.times.move_s + self.times.dwell_s, until=self.stopped)
            for actuator in movers:
                self._unless_stopped()
                actuator.rest()
            self.clock.wait(self.times.move_s, until=self.stopped)
            self._unless_stopped()
        finally:
            self.release()

    def release(self) -> None:
        """Cut every drive."""
        for actuator in self.actuators:
            actuator.release()

    def stopped(self) -> bool:
        """True while the lid is open or a hand is in it."""
        return self.stop is not None and self.stop.active

    def _unless_stopped(self) -> None:
        if self.stopped():
            raise StoppedError("stopped by the lid or hand switch; close it to go on")
