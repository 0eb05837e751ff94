"""What is held, remembered over an end that nobody meant: a power cut, a crash, the watchdog.

At the next start it would be learned as part of the empty tray, and be missed there for ever.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass

import cv2
import numpy as np

from trashbin import pictures
from trashbin.changes import SMALL
from trashbin.errors import PictureError, StoreError
from trashbin.events import Event
from trashbin.leases import Leases
from trashbin.outbox import Outbox
from trashbin.types import Pixels

log = logging.getLogger(__name__)

KEY = "held"  # of the store's settings
BOTH = (2 * SMALL[0], *SMALL[1:])  # the tray above what is seen
# nothing that the scene model would take for a change
FAITHFUL = (
    *(cv2.IMWRITE_JPEG_QUALITY, 98),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The event that holds; the empty ``tray`` and the tray as ``seen`` with the thing in it.

    Both are RGB uint8 (120, 160, 3): what the scene model compares.
    """

    event: Event
    tray: Pixels
    seen: Pixels


class Memory:
    """Keeps one of them in the store. A store that fails is no reason not to hold."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lease = Leases()
        self._keeps = True  # an earlier run may have left something

    def keep(self, held: Remembered) -> None:
        """Remember it in place of any other."""
        both = self._lease("both", BOTH, np.uint8)
        np.concatenate([held.tray, held.seen], out=both)
        cv2.cvtColor(both, cv2.COLOR_RGB2BGR, dst=both)
        _, jpeg = cv2.imencode(".jpg", both, FAITHFUL)
        text = base64.b64encode(jpeg.tobytes()).decode()
        self._set(f"{held.event.event_id} {text}")

    def forget(self) -> None:
        """Nothing is held any more."""
        if self._keeps:
            self._set(None)

    def recall(self) -> Remembered | None:
        """What an earlier run held; None where it held nothing, or it cannot be read."""
        try:
            value = self._outbox.get(KEY)
            self._keeps = value is not None
            event_id, _, text = (value or "").partition(" ")
            event = self._outbox.find(event_id)
            if event is None:
                return None
            both = pictures.decode(base64.b64decode(text, validate=True))
        except (StoreError, PictureError, ValueError) as error:
            log.warning("what was held at the last end cannot be read: %s", error)
            return None
        return Remembered(event, *np.split(both, 2)) if both.shape == BOTH else None

    def _set(self, value: str | None) -> None:
        try:
            self._outbox.set(KEY, value)
        except StoreError as error:
            log.warning("what is held is not remembered over a power cut: %s", error)
        else:
            self._keeps = value is not None
