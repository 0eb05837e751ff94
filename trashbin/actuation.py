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
        self._halted = False
        self.half_way = False  # a move was begun that did not end at rest

    def movers(self, mode: Mode) -> list[Actuator]:
        """What may move in this mode: in advisory, nothing."""
        return [a for a in self.actuators if a.moves] if mode is Mode.AUTO else []

    def planned(self, movers: Sequence[Actuator]) -> list[str]:
        """The names of what is to move or light, as the event has them."""
        return [a.name for a in self.actuators if a in movers or a.lights]

    def show(self, status: Status, bin: str | None) -> None:
        """Let every lamp show it; one that fails must not stop a servo's cycle."""
        for actuator in self.actuators:
            try:
                actuator.show(status, bin)
            except DeviceError as error:
                log.error("%s: %s", actuator.name, error)

    def move(self, bin: str, movers: Sequence[Actuator]) -> None:
        """To the bin, dwell, back to rest, drive off.

        ActuatorError where a part fails, StoppedError where a hand, the lid or the end of
        the process stops it. The drive is off then, too: ``home`` or closing goes to rest.
        """
        self._halted = False
        try:
            for actuator in movers:
                self._unless_stopped()
                self.half_way = True
                actuator.sort(bin)
            self.clock.wait(self.times.move_s + self.times.dwell_s, until=self.stopped)
            self._rest(movers)
        finally:
            self.release()

    def home(self) -> None:
        """Back to rest after a move was stopped half-way; as ``move`` fails."""
        self._halted, self.half_way = False, True
        try:
            self._rest([actuator for actuator in self.actuators if actuator.moves])
        finally:
            self.release()

    def halt(self) -> None:
        """Cut every drive at once, and let the move under way end; runs on the switch's thread.

        Remembered until the next move, so that a switch that closes for an instant only
        still ends this one.
        """
        self._halted = True
        self.release()
        self.clock.notify()

    def release(self) -> None:
        """Cut every drive, each even where another fails."""
        for actuator in self.actuators:
            try:
                actuator.release()
            except DeviceError as error:
                log.error("%s: %s", actuator.name, error)

    def stopped(self) -> bool:
        """True while the lid is open or a hand is in it, or was during this move."""
        return self._halted or self.switched_off

    @property
    def switched_off(self) -> bool:
        """True while the stop switch is closed."""
        return self.stop is not None and self.stop.active

    @property
    def unread(self) -> str | None:
        """Why the stop switch could not be read, and counts as closed; None where it was read."""
        return None if self.stop is None else self.stop.problem

    def _rest(self, movers: Sequence[Actuator]) -> None:
        for actuator in movers:
            self._unless_stopped()
            actuator.rest()
        self.clock.wait(self.times.move_s, until=self.stopped)
        self._unless_stopped()
        self.half_way = False

    def _unless_stopped(self) -> None:
        if self.stopped():
            raise StoppedError(
                self.unread
                or "the lid was opened, or the stop switch closed: nothing moves until that ends"
            )
        if self.clock.wait(0):
            raise StoppedError("the bin was told to stop before the move was over")
