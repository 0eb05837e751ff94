"""How parts that failed come back by themselves, each tried again with longer pauses."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from trashbin.condition import Condition
from trashbin.cycle import Cycle
from trashbin.errors import CameraHungError, DeviceError, GivenUpError, ModelError, StoreError
from trashbin.looking import Looker
from trashbin.ports import Actuator
from trashbin.status import Status
from trashbin.types import Mode

log = logging.getLogger(__name__)

CURABLE = frozenset({"camera", "model", "actuator", "lamps", "stop", "store"})
LID_S = 1.0  # how often the lid is looked at while it is open
SIZE_TRIES = 2  # of a camera whose pictures have another size, before it is taken for its size
REOPEN_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # pauses between tries at a part that failed


class Recovery:
    """Tries what is wrong with a bin's condition again, until nothing is."""

    def __init__(self, condition: Condition, cycle: Cycle) -> None:
        self.condition = condition
        self.cycle = cycle
        self.parts = condition.parts
        self._hung = 0  # tries in a row at which the camera's driver did not come back
        self._unread: str | None = None  # why the stop switch could not be read at the last try

    @property
    def due(self) -> bool:
        """True while there is something to try."""
        return bool(CURABLE & set(self.condition.problems))

    @property
    def pause_s(self) -> float:
        """Seconds before the failed parts are tried again; longer with every try."""
        if "stop" in self.condition.problems:
            return LID_S
        return REOPEN_S[min(self.condition.tries, len(REOPEN_S) - 1)]

    def try_again(self) -> None:
        """Try the failed parts again; idle once nothing blocks any more."""
        problems, looker = self.condition.problems, self.parts.looker
        before = set(problems)
        # an open lid is nothing that fails: however long it is, no part waits the longer for it
        failed = before & CURABLE - {"stop"}
        self.condition.tries += bool(failed)
        if "camera" in problems and looker is not None:
            if self._sees_again(looker):
                del problems["camera"]
                self._hung = 0
            else:
                self._hung = self._hung + 1 if self.condition.camera_hangs else 0
                self._give_up_camera()
        if "model" in problems and looker is not None and self._runs_again(looker):
            del problems["model"]
        # a servo that is opened again first goes to rest, which only auto allows
        broken, actuation = {"actuator", "lamps"} & before, self.parts.actuation
        auto = self.parts.recorder.mode is Mode.AUTO
        if broken and auto:
            if self._reopened(actuation.actuators):
                for part in broken:
                    del problems[part]
            actuation.show(self.condition.status, self.condition.bin)  # opened anew, all are dark
        if "stop" in problems and self._went_home(auto):
            del problems["stop"]
        if "store" in problems and self._records_again():
            del problems["store"]
        mended, idle = before - set(problems), self.condition.status is Status.IDLE
        if mended & failed:
            self.condition.mended_at = self.parts.clock.monotonic()
        if mended:
            self.cycle.recovered()
            self.condition.tell()
        if idle and "actuator" in mended:
            self.cycle.look_again()  # it was no fault, and what it left lies there still

    def _records_again(self) -> bool:
        """The event that tells of the failure is the one that shows whether it is over."""
        failed = self.condition.problems["store"]
        why = f"{failed} It is over; meanwhile nothing was recorded or moved."
        try:
            self.condition.commit(self.parts.recorder.fault("store", why))
        except StoreError as error:
            log.debug("store: %s", error)
            return False
        return True

    def _went_home(self, may_move: bool) -> bool:
        """The lid is closed again: what was stopped half-way goes back to rest, if it may."""
        actuation = self.parts.actuation
        off, before = actuation.switched_off, self._unread
        self._unread = actuation.unread
        if off:
            if self._unread not in (before, self.condition.problems["stop"]):
                self.condition.switched_off()  # for another reason than was told
            return False
        if not (may_move and actuation.half_way):
            return True  # the next sort ends at rest
        try:
            actuation.home()
        except DeviceError as error:
            log.warning("%s: still not at rest (%s)", error.part, error)
            return False
        return True

    def _sees_again(self, looker: Looker) -> bool:
        """The camera is back; a bin that does not know its tray learns it now, as at a start."""
        try:
            looker.camera.close()
            looker.camera.open()
            if self.condition.tries > SIZE_TRIES and looker.take_up_size():
                log.warning("camera: its pictures have another size, and the tray is learned anew")
            else:
                looker.glance()
            if not looker.scene.learned:
                self.cycle.learn()
        except DeviceError as error:
            log.debug("%s: still not back (%s)", error.part, error)
            self.condition.camera_hangs = isinstance(error, CameraHungError)
            if self.condition.problems["camera"] != str(error):
                self.condition.problems["camera"] = str(error)
                self.condition.tell_state()
            return False
        return True

    def _runs_again(self, looker: Looker) -> bool:
        try:
            looker.classifier.predict(looker.seen)
        except ModelError as error:
            log.debug("model: %s", error)
            return False
        return True

    def _give_up_camera(self) -> None:
        """A driver that hangs and hangs: end the process, or say that it stays off.

        GivenUpError where the budget of restarts allows it.
        """
        most = self.parts.recorder.config.watch.camera_tries
        if self._hung != most:
            return
        restarts = self.parts.restarts
        why = f"{self.condition.problems['camera']} It was opened {self._hung} times."
        if restarts is None or restarts.spent:
            self.condition.told("camera", f"{why} {self._no_restart()} It is tried on and on.")
            return
        which = f"restart {restarts.count + 1} of {restarts.budget}"
        self.condition.told("camera", f"{why} The bin ends, to be started anew ({which}).")
        restarts.end("camera")
        raise GivenUpError(f"camera: {self.condition.problems['camera']}")

    def _no_restart(self) -> str:
        restarts = self.parts.restarts
        if restarts is None:
            return "Nobody starts this bin again."
        within = f"{restarts.within_s / 60:g} minutes"
        return (
            f"The bin was started anew {restarts.count} times within {within}: the camera is off."
        )

    def _reopened(self, parts: Sequence[Actuator]) -> bool:
        """Close and open parts again; a servo that was caught on its way goes to rest first."""
        for part in parts:
            try:
                part.close()
                part.open()
            except DeviceError as error:
                log.debug("%s: still not back (%s)", error.part, error)
                return False
        return True
