"""Is there progress? systemd's watchdog is fed only where loop, camera and network all say so.

The loop says so by asking; the camera by its last frame, the network by its threads' last
round. None of them depends on the broker, and none is a timer of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from trashbin.condition import Parts
from trashbin.status import Status

log = logging.getLogger(__name__)

CAMERA_S = 120.0  # several times what a look, and every pause between two frames, may take
NETWORK_S = 180.0  # twice what paho may wait: a minute to reconnect, and a slow name server


class Watchdog:
    """Passes progress on to ``feed`` (``sdnotify.Notifier.progress``), or keeps it back."""

    def __init__(self, parts: Parts, feed: Callable[[Status], None]) -> None:
        self._parts = parts
        self._feed = feed
        self._began = parts.clock.monotonic()
        self._told: str | None = None

    def progress(self, status: Status) -> None:
        """The loop went round."""
        late = self.late()
        if late is None:
            self._feed(status)
        elif late != self._told:
            log.error("%s makes no progress: systemd will start the bin again", late)
        self._told = late

    def late(self) -> str | None:
        """The part that makes no progress, None where all do."""
        if self._silence(self._frame_at()) > CAMERA_S:
            return "camera"
        if self._silence(self._parts.publisher.progressed_at) > NETWORK_S:
            return "network"
        return None

    def _frame_at(self) -> float | None:
        """Of the last frame; None where there is no camera, or its failure is being dealt with."""
        looker = self._parts.looker
        if looker is None or "camera" in self._parts.problems:
            return None
        return self._began if looker.last_frame is None else looker.last_frame.at

    def _silence(self, last: float | None) -> float:
        return 0.0 if last is None else self._parts.clock.monotonic() - max(last, self._began)
