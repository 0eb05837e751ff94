"""What is known of the tray, remembered over an end: how it looks empty, and what is held in it.

Each start learns the empty tray anew. But in the dark there is nothing to learn, and what lay there
as the power went or the machine went down, held, about to be moved or not yet judged, would be
learned as part of the tray, and be missed there for ever.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass

import cv2
import numpy as np

from trashbin import pictures
from trashbin.album import Album
from trashbin.changes import SMALL
from trashbin.errors import DeviceError, PictureError, StoreError
from trashbin.events import Event, boot_id
from trashbin.leases import Leases
from trashbin.looking import Looker
from trashbin.outbox import Outbox
from trashbin.scene import SceneState, View, too_dark
from trashbin.types import Frame, Pixels

log = logging.getLogger(__name__)

# of the store's settings
HELD = "held"
TRAY = "tray"
OCCUPIED = "occupied"  # something may lie there
STOPPED = "stopped"  # the boot in which the bin was told to stop
BOTH = (2 * SMALL[0], *SMALL[1:])  # the tray above what is seen
# more than any thing covers: then it is another tray, or the camera looks elsewhere
ANOTHER = 0.85  # share of the picture that differs from the tray
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
    """Keeps both in the store, where ``keeps`` says that small pictures may be kept.

    A store that fails, or a disk with no room for pictures, is no reason not to hold or to learn.
    """

    def __init__(self, outbox: Outbox, album: Album, *, keeps: bool) -> None:
        self._outbox = outbox
        self._album = album
        self._keeps = keeps
        self._lease = Leases()
        self._holds = self.is_occupied = True  # an earlier run may have left something

    def stop(self) -> None:
        """The bin is told to stop, by a person or because the machine goes down."""
        self._set(STOPPED, boot_id(), synced=False)

    def begin(self) -> None:
        """A start: who stopped the bin in this boot has emptied the tray, a reboot has not."""
        stopped = self._get(STOPPED)
        if stopped == boot_id():
            self.emptied()
        if stopped is not None:
            self._set(STOPPED, None, synced=False)
        self.is_occupied = self._get(OCCUPIED) is not None

    def keep(self, event: Event, seen: Frame, looker: Looker) -> None:
        """Something that lies still is held from now on, in place of any other."""
        tray = self._seen_empty(looker)
        if tray is not None:
            both = self._lease("both", BOTH, np.uint8)
            np.concatenate([tray, looker.scene.kept(seen)], out=both)
            if self._set(HELD, f"{event.event_id} {self._written(both)}"):
                self._holds = True

    def forget(self) -> None:
        """Nothing is held any more."""
        if self._holds and self._set(HELD, None):
            self._holds = False

    def noticed(self) -> None:
        """Something may lie in the tray from now on, until it is seen empty."""
        if self._keeps and not self.is_occupied:
            self.is_occupied = self._set(OCCUPIED, "yes", synced=False)

    def emptied(self) -> None:
        """Nothing lies in the tray, or what does is to be learned."""
        self.forget()
        if self.is_occupied and self._set(OCCUPIED, None, synced=False):
            self.is_occupied = False

    def keep_tray(self, looker: Looker) -> None:
        """Remember how the empty tray looks by now."""
        tray = self._seen_empty(looker)
        if tray is not None:
            self._set(TRAY, self._written(tray))

    def learn(self, looker: Looker) -> Remembered | None:
        """Learn the empty tray; or the thing that is held on, with which the tray is known.

        Where something else may lie there (``is_occupied``), and in the dark, the tray of an
        earlier run counts, if one is remembered and what the camera shows can be it. DeviceError
        where the camera gives no frame.
        """
        held = self._held() if self._keeps else None
        if held is not None and self._lies_there(held, looker):
            return held
        self.forget()
        tray = self._tray()
        self.is_occupied = tray is not None and self._get(OCCUPIED) is not None
        if tray is not None and self.is_occupied and self._is_another(tray, looker):
            self.emptied()
        if not self.is_occupied:
            looker.learn_empty_tray()
            if looker.scene.learned:
                self.keep_tray(looker)
                return None
        if tray is not None:
            looker.scene.know(tray)
        return None

    def _is_another(self, tray: Pixels, looker: Looker) -> bool:
        """Is what the camera shows now no picture of this tray at all?"""
        view = self._seen_beside(tray, looker)
        another = _differs(view) and not too_dark(view, looker.settings.dark_level)
        if another:
            looker.scene.forget()
        return another

    def _lies_there(self, held: Remembered, looker: Looker) -> bool:
        """Where a hand or the dark hides what lies there, it is held on, too."""
        scene, seen = looker.scene, Frame(held.seen, 0.0)
        view = self._seen_beside(held.tray, looker)
        hidden = too_dark(view, looker.settings.dark_level) or view.state is SceneState.MOVING
        same = (
            view.state is SceneState.SETTLED
            and not _differs(view)
            and scene.same_thing(seen, looker.seen)
        )
        if not (hidden or same):
            scene.forget()
        return hidden or same

    def _seen_beside(self, tray: Pixels, looker: Looker) -> View:
        looker.scene.know(tray)
        try:
            return looker.at_rest()
        except DeviceError:
            looker.scene.forget()  # the camera may look elsewhere when it is back
            raise

    def _seen_empty(self, looker: Looker) -> Pixels | None:
        """The empty tray, where one is known and may be kept."""
        return looker.scene.tray if self._keeps and self._album.problem is None else None

    def _held(self) -> Remembered | None:
        """What an earlier run held; None where it held nothing, or it cannot be read."""
        try:
            value = self._outbox.get(HELD)
            self._holds = value is not None
            event_id, _, text = (value or "").partition(" ")
            event = self._outbox.find(event_id)
        except StoreError as error:
            log.warning("what was held at the last end cannot be read: %s", error)
            return None
        both = None if event is None else _read(text, BOTH)
        return None if event is None or both is None else Remembered(event, *np.split(both, 2))

    def _tray(self) -> Pixels | None:
        """The empty tray of an earlier run."""
        value = self._get(TRAY)
        if value is not None and not self._keeps:
            self._set(TRAY, None)
            return None
        return None if value is None else _read(value, SMALL)

    def _written(self, pixels: Pixels) -> str:
        turned = self._lease("turned", pixels.shape, np.uint8)
        cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR, dst=turned)
        _, jpeg = cv2.imencode(".jpg", turned, FAITHFUL)
        return base64.b64encode(jpeg.tobytes()).decode()

    def _get(self, key: str) -> str | None:
        try:
            return self._outbox.get(key)
        except StoreError as error:
            log.warning("what was remembered over the last end cannot be read: %s", error)
            return None

    def _set(self, key: str, value: str | None, *, synced: bool = True) -> bool:
        try:
            self._outbox.set(key, value, synced=synced)
        except StoreError as error:
            log.warning("not remembered over a power cut (%s): %s", key, error)
            return False
        return True


def _differs(view: View) -> bool:
    return view.state is SceneState.SETTLED and (view.changed or 0.0) > ANOTHER


def _read(text: str, shape: tuple[int, ...]) -> Pixels | None:
    """What was written; None for anything else."""
    try:
        pixels = pictures.decode(base64.b64decode(text, validate=True))
    except (PictureError, ValueError) as error:
        log.warning("a picture that was remembered cannot be read: %s", error)
        return None
    return pixels if pixels.shape == shape else None
