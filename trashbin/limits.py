"""Limits of time for calls into drivers, which may never come back.

Each part's calls run on a thread of its own, one after another, and the daemon waits so long
and no longer. A call that is late is left behind; until it comes back, every further one
fails at once, so that there is never more than one lost thread for each part.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from trashbin.errors import ActuatorError, CameraHungError
from trashbin.ports import Actuator, Attentive, Camera
from trashbin.status import Status
from trashbin.types import Frame

T = TypeVar("T")

OPEN_S = 15.0  # a USB camera may take ten seconds to start
GRACE_S = 5.0  # over the adapter's own limits, which may start a camera first, and tell more
CLOSE_S = 3.0
DRIVE_S = 2.0  # a servo's or lamp's calls begin something, and do not wait for its end


class Late(Exception):
    """The call did not come back in time, or one before it has not yet."""


class Worker:
    """A thread that makes calls for others; it ends with ``close``, begins by the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()  # a stop switch calls from its own thread
        self._late: Future[Any] | None = None

    @property
    def hangs(self) -> bool:
        """True while a call that was late has not come back."""
        return self._late is not None and not self._late.done()

    def begin(self) -> None:
        """Start the thread now: later the system may have none to give."""
        with self._beginning:
            if self._thread is None:
                # daemonic: one that hangs must not keep the process from ending
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def call(self, action: Callable[[], T], limit: float) -> T:
        """What ``action`` returns or raises; Late where that takes more than ``limit`` seconds."""
        if self.hangs:
            raise Late
        self.begin()
        answer: Future[T] = Future()
        self._calls.put(lambda: _answer(answer, action))
        try:
            return answer.result(limit)
        except TimeoutError:
            if answer.done():  # the error is the action's own, or it was done just now
                return answer.result()
            self._late = answer
            raise Late from None

    def close(self) -> None:
        """End the thread, unless it hangs: then it ends once the call comes back."""
        thread, self._thread = self._thread, None
        if thread is not None:
            calls, self._calls = self._calls, queue.SimpleQueue()
            calls.put(None)
            if not self.hangs:
                thread.join(CLOSE_S)

    def _run(self) -> None:
        calls = self._calls
        while (call := calls.get()) is not None:
            call()


def _answer(answer: Future[T], action: Callable[[], T]) -> None:
    try:
        answer.set_result(action())
    except BaseException as error:
        answer.set_exception(error)


class LimitedCamera:
    """A camera each of whose calls comes back in time, or raises CameraHungError."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._worker = Worker("camera")

    def open(self) -> None:
        """As the camera's. While a call hangs, a second one would only hang as well."""
        self._within(OPEN_S, "start", self._camera.open)

    def capture(self, timeout: float) -> Frame:
        """As the camera's; ``timeout`` holds whatever the driver does."""
        return self._within(
            timeout + GRACE_S, "give a picture", lambda: self._camera.capture(timeout)
        )

    def attend(self, attentive: bool) -> None:
        """As the camera's, where it cares; if it hangs, the next capture tells."""
        camera = self._camera
        if isinstance(camera, Attentive):
            with suppress(Late):
                self._worker.call(lambda: camera.attend(attentive), CLOSE_S)

    def close(self) -> None:
        """As the camera's; one that hangs is left to the end of the process."""
        if not self._worker.hangs:
            try:
                self._within(CLOSE_S, "stop", self._camera.close)
            finally:
                self._worker.close()

    def _within(self, limit: float, what: str, action: Callable[[], T]) -> T:
        before = self._worker.hangs
        try:
            return self._worker.call(action, limit)
        except Late:
            message = (
                "The camera's driver still hangs: unplug the camera and plug it in again."
                if before
                else f"The camera did not {what} within {limit:g} s: its driver hangs."
            )
            raise CameraHungError(message) from None


class LimitedActuator:
    """An actuator each of whose calls comes back in time, or raises ActuatorError."""

    def __init__(self, actuator: Actuator, move_s: float) -> None:
        self._actuator = actuator
        self.name = actuator.name
        self.moves = actuator.moves
        self.lights = actuator.lights
        self._move_s = move_s
        self._worker = Worker(self.name)
        # of its own: what cuts the drive must not queue behind what hangs
        self._releasing = Worker(f"{self.name}, release")

    def open(self) -> None:
        """As the actuator's; a servo that was caught on its way goes to rest first."""
        self._releasing.begin()
        self._within(self._worker, DRIVE_S + self._move_s, "be opened", self._actuator.open)

    def show(self, status: Status, bin: str | None) -> None:
        """As the actuator's."""
        self._within(self._worker, DRIVE_S, "show", lambda: self._actuator.show(status, bin))

    def sort(self, bin: str) -> None:
        """As the actuator's."""
        self._within(self._worker, DRIVE_S, "move", lambda: self._actuator.sort(bin))

    def rest(self) -> None:
        """As the actuator's."""
        self._within(self._worker, DRIVE_S, "go to rest", self._actuator.rest)

    def release(self) -> None:
        """As the actuator's: from any thread, at any time."""
        self._within(self._releasing, DRIVE_S, "let go", self._actuator.release)

    def close(self) -> None:
        """As the actuator's: back to rest first."""
        try:
            if not self._worker.hangs:
                limit = DRIVE_S + self._move_s
                self._within(self._worker, limit, "be closed", self._actuator.close)
        finally:
            self._worker.close()
            self._releasing.close()

    def _within(self, worker: Worker, limit: float, what: str, action: Callable[[], None]) -> None:
        try:
            worker.call(action, limit)
        except Late:
            raise ActuatorError(
                f"The {self.name} did not {what} within {limit:g} s: its driver hangs."
            ) from None
