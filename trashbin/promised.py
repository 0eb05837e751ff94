"""What the daemon makes of the bin's calibration: its thresholds, and whether its promise holds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from trashbin import calibration
from trashbin.calibration import Calibration
from trashbin.errors import StoreError
from trashbin.ports import Classifier
from trashbin.settings import Look
from trashbin.types import Thresholds

log = logging.getLogger(__name__)


class Promised:
    """The calibration in a store's folder, read again whenever the file changes."""

    def __init__(self, store: Path, look: Look) -> None:
        self.store = store
        self._look = look  # how this bin looks
        self._seen: object = None  # the file as it was last read
        self._read: Calibration | None = None

    def calibration(self) -> Calibration | None:
        """What ``trashbin calibrate`` left; None where there is none, or none that can be read."""
        try:
            file = (self.store / calibration.NAME).stat()
        except OSError:
            self._seen = self._read = None
            return None
        seen = (file.st_mtime_ns, file.st_size, file.st_ino)
        if self._seen != seen:
            self._seen, self._read = seen, None
            try:
                self._read = calibration.read(self.store)
            except StoreError as error:
                log.error("calibration: %s", error)
        return self._read

    def thresholds(self, classifier: Classifier | None) -> Thresholds:
        """Those that hold where neither a request nor the YAML gives others."""
        if classifier is None:
            return Thresholds()
        return calibration.applied(self.calibration(), classifier)

    def told(self, classifier: Classifier | None, thresholds: Thresholds) -> dict[str, Any] | None:
        """For ``info``: the promise, and why it does not hold where it doesn't."""
        made = self.calibration()
        if made is None:
            return None
        why = made.broken(classifier, thresholds, self._look)
        return {
            "risk": made.risk,
            "confidence": made.confidence,
            "items": made.items,
            "acted": made.acted,
            "wrong": made.wrong,
            "made": made.made,
            "holds": why is None,
            "why": why,
        }

    def is_new(self, told: str) -> bool:
        """True where ``told``, as ``news`` gave it, is of another calibration."""
        made = self.calibration()
        return made is not None and not told.startswith(made.digest())

    def news(self, classifier: Classifier | None, thresholds: Thresholds) -> tuple[str, str]:
        """A short text that differs whenever there is news, and the news in words."""
        made = self.calibration()
        if made is None:
            return "", "the promise is withdrawn: its file was taken away. Calibrate again."
        why = made.broken(classifier, thresholds, self._look)
        if why is None:
            return made.digest(), f"promised: {made.promise}"
        return f"{made.digest()} {why}", f"the promise is withdrawn: {why}. Calibrate again."
