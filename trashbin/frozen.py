"""A camera that gives one picture for ever: its driver stands still, and no call fails."""

from __future__ import annotations

import logging

from trashbin.errors import CameraHungError
from trashbin.limits import LimitedCamera
from trashbin.types import Frame, Pixels

log = logging.getLogger(__name__)

FEWEST = 4  # pictures in a row that are the same: a driver may hand out one buffer twice
# levels between which a sensor's noise shows: what is black or clipped can honestly repeat
BLACK, CLIPPED = 16, 239
LIT = 0.1  # share of the picture that must lie between them


class LiveCamera:
    """A camera whose pictures differ, if by a sensor's noise alone, or CameraHungError.

    One and the same lit picture for ``longest_s`` is no picture of now. After that, opened
    again or not, it is believed only once two that follow each other differ: a driver may
    come back with another picture that stays.
    """

    def __init__(self, camera: LimitedCamera, longest_s: float) -> None:
        self._camera = camera
        self._longest_s = longest_s
        self._last: Frame | None = None
        self._since = 0.0  # when ``_last`` was seen first
        self._times = 0
        self._frozen = False

    def open(self) -> None:
        """As the camera's."""
        self._camera.open()

    def capture(self, timeout: float) -> Frame:
        """As the camera's, of what is there now."""
        frame = self._next(timeout)
        if self._frozen:
            frame = self._next(timeout)
            self._frozen = False
            log.info("the camera's pictures change again")
        return frame

    def attend(self, attentive: bool) -> None:
        """As the camera's."""
        self._camera.attend(attentive)

    def close(self) -> None:
        """As the camera's."""
        self._camera.close()

    def _next(self, timeout: float) -> Frame:
        frame = self._camera.capture(timeout)
        if self._last is None or not same(self._last.pixels, frame.pixels):
            self._last, self._since, self._times = frame, frame.at, 1
            return frame
        self._times += 1
        lasted = frame.at - self._since
        late = self._times >= FEWEST and lasted >= self._longest_s
        if (late or self._frozen) and is_lit(frame.pixels):
            self._frozen = True
            raise CameraHungError(
                "The camera gives one and the same picture, to the last bit, which no sensor does:"
                " its driver is frozen. If it stays so, unplug the camera and plug it in again."
            )
        return frame


def same(before: Pixels, now: Pixels) -> bool:
    """Row by row: of nearly every two pictures the first one tells."""
    pairs = zip(before, now, strict=False)
    return before.shape == now.shape and all((row == other).all() for row, other in pairs)


def is_lit(pixels: Pixels) -> bool:
    """Is enough of it neither black nor clipped, so that noise would show?"""
    between = sum(int(((row > BLACK) & (row < CLIPPED)).sum()) for row in pixels)
    return between >= LIT * pixels.size
