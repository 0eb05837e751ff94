"""What a run of frames shows: an empty tray, something moving, something at rest.

Pure OpenCV on a small copy of each frame; no clock, no device. A frame is compared with a
learned picture of the empty tray, and with the frame before (``changes``). The learned
picture follows slow changes only while the tray is empty, so a resting item never becomes
part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from trashbin.changes import LUMA, PIXELS, Changes, Mask, Small, things
from trashbin.leases import Leases
from trashbin.types import Box, Frame, Pixels

MOVED = 0.004  # share of the picture that must differ between two frames to be motion
CHANGED_AREA = 0.01  # share of it that must differ from the empty tray to be an item
STILL_FRAMES = 3
SHARP_WIDTH = 320  # the width at which sharpness is measured
_LUMA = np.array(LUMA, dtype=np.float32)
_WINDOW = np.ones((13, 13), dtype=np.uint8)


class SceneState(StrEnum):
    """What the tray is doing."""

    EMPTY = "empty"
    MOVING = "moving"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class View:
    """What one frame shows, in the light of those before it.

    ``changed`` is the share of the picture that differs from the learned empty tray, 0..1,
    or None without one. ``items`` counts the things that lie clearly apart (0 when empty).
    ``brightness`` is the mean luma, 0..255; ``sharpness`` is that of ``sharpness()``, over
    what changed where that is known; ``thing`` is where that lies. Both are None where they were
    not asked for, ``thing`` also where no empty tray is known or it is empty; ``motion`` is the
    share of the picture that differs from the frame before.
    """

    state: SceneState
    changed: float | None
    items: int
    brightness: float
    sharpness: float | None
    motion: float
    thing: Box | None = None


class Scene:
    """Feeds on frames in time order and says what they show.

    ``changed_area`` is the share of the picture that must differ to be an item. ``learn``
    False means no empty tray is known: whatever is at rest then counts as an item.
    ``STILL_FRAMES`` in a row without motion make a changed tray settled.
    The first ``learn_frames`` frames are taken for the empty tray. Another tray or a moved
    camera must be taught (``forget``, or ``learn``): a change that nobody vouches for
    is a thing, however large, or a big carton would become the tray. What is darker than
    ``dark_level`` (mean luma, 0..255) is never taken for it.
    """

    def __init__(
        self,
        *,
        changed_area: float = CHANGED_AREA,
        learn: bool = True,
        learn_frames: int = 3,  # whatever is seen empty afterwards is averaged in
        dark_level: float = 0.0,
    ) -> None:
        self.changed_area = changed_area
        self.dark_level = dark_level
        self.learn_frames = learn_frames
        self._learns = learn
        self._changes = Changes()
        self._lease = Leases()  # for the sharpness
        self._tray: Small | None = None
        self._taught = 0
        self._before: Small | None = None
        self._even = False  # which of two leases the last frame has
        self._still = 0
        self._occupied = False
        self._was_empty = False
        self.arrivals = 0  # how often an empty tray was empty no longer, whoever was looking

    @property
    def learned(self) -> bool:
        """True once the empty tray is known (or none is wanted)."""
        return not self._learns or self._taught >= self.learn_frames

    def forget(self) -> None:
        """Take the next frames for the empty tray."""
        self._tray, self._taught, self._occupied, self._before = None, 0, False, None

    def learn(self, frame: Frame) -> None:
        """This is the empty tray; several calls are averaged."""
        self._teach(self._changes.small(frame, "taught"))

    @property
    def tray(self) -> Pixels | None:
        """The empty tray as it is known now, RGB uint8 (120, 160, 3), until asked again."""
        if self._tray is None or not self.learned:
            return None
        told: Pixels = self._lease("told", (*self._tray.shape[1:], 3), np.uint8)
        plane = self._lease("plane", self._tray.shape[1:], np.uint8)
        for channel, level in enumerate(self._tray):
            told[:, :, channel] = cv2.convertScaleAbs(level, dst=plane)
        return told

    def know(self, tray: Pixels) -> None:
        """Take what ``tray`` told in an earlier run for the empty tray."""
        self.forget()
        self._tray = np.ascontiguousarray(tray.transpose(2, 0, 1), dtype=np.float32)
        self._taught = self.learn_frames

    def kept(self, frame: Frame) -> Pixels:
        """What ``same_thing`` sees of a frame, RGB uint8 (120, 160, 3), until the next look."""
        return self._changes.resized(frame)

    def look(self, frame: Frame, *, closely: bool = True) -> View:
        """Judge the next frame.

        ``closely`` also tells sharpness and place of the thing, at half of the time: few ask.
        """
        before = self._before
        now = self._changes.small(frame, "odd" if self._even else "even")
        self._before, self._even = now, not self._even
        motion = 0.0 if before is None else self._changes.moved(now, before)
        bright = brightness(frame)
        self._still = 0 if motion >= MOVED else self._still + 1
        mask: Mask | None = None
        changed: float | None = None
        thing: Box | None = None
        items = 0
        if not self._learns:
            items = 1
            resting = SceneState.SETTLED
        elif not self.learned:
            if bright < self.dark_level:
                self.forget()  # nothing to be seen
            elif motion >= MOVED:
                self.forget()  # somebody reaches in: begin again once the hand is gone
                self._before = now
            else:
                self._teach(now)
            changed, resting = 0.0, SceneState.EMPTY
        else:
            assert self._tray is not None
            expected, light = self._changes.relit(self._tray, now)
            mask, areas = things(self._changes.differs(now, expected))
            changed = float(sum(areas)) / PIXELS
            # leaving needs clearly less than entering, so that the state does not flicker
            enough = self.changed_area * (0.6 if self._occupied else 1.0)
            self._occupied = changed >= enough
            if self._occupied:
                items = _apart(areas, self.changed_area)
                resting = SceneState.SETTLED
                if closely:
                    thing = self._changes.outline(now, expected, mask)
            else:
                mask, resting = None, SceneState.EMPTY
                if self._still >= STILL_FRAMES:
                    self._changes.follow(self._tray, now, expected, light)
        state = self._state(resting, motion)
        self.arrivals += self._was_empty and state is not SceneState.EMPTY
        self._was_empty = state is SceneState.EMPTY
        return View(
            state=state,
            changed=changed,
            items=items,
            brightness=bright,
            sharpness=_sharpness(frame.pixels, mask, self._lease) if closely else None,
            motion=motion,
            thing=thing,
        )

    def same_thing(self, before: Frame, after: Frame) -> bool:
        """True where what lay in the tray in ``before`` lies there unmoved in ``after``.

        After a move that means a jam; False means that the tray is empty or that something
        else lies there now.
        """
        changes = self._changes
        old, new = changes.small(before, "old"), changes.small(after, "new")
        differs = changes.differs(new, changes.relit(old, new)[0])
        if not self._learns or self._tray is None:
            return float(cv2.countNonZero(differs)) / PIXELS < self.changed_area
        marks = changes.differs(old, changes.relit(self._tray, old)[0], "marks")
        thing, _ = things(marks)
        # measured by what shows of the thing: of a clear bottle that is little of its area
        shows = cv2.countNonZero(cv2.bitwise_and(marks, thing))
        return cv2.countNonZero(cv2.bitwise_and(differs, thing)) < 0.5 * shows

    def joined(self, before: Frame, after: Frame) -> bool:
        """True where in ``after`` another thing lies beside what lay in the tray in ``before``.

        Shadows count for nothing: whoever passes by may cast one.
        """
        if not self._learns or self._tray is None:
            return False
        changes = self._changes
        old, new = changes.small(before, "old"), changes.small(after, "new")
        thing, _ = things(changes.differs(old, changes.relit(self._tray, old)[0]))
        # what was there before, and is gone, differs from ``before`` but not from the tray
        lies_there = changes.differs(new, changes.relit(self._tray, new)[0], "marks")
        expected = changes.relit(old, new)[0]
        differs = changes.differs(new, expected)
        cv2.bitwise_and(differs, lies_there, dst=differs)
        differs[cv2.dilate(thing, _WINDOW) > 0] = 0
        other, _ = things(differs)
        seen = cv2.countNonZero(changes.unshaded(new, expected, other))
        return float(seen) / PIXELS >= self.changed_area

    def _state(self, resting: SceneState, motion: float) -> SceneState:
        if motion >= MOVED:
            return SceneState.MOVING
        if resting is SceneState.SETTLED and self._still < STILL_FRAMES:
            return SceneState.MOVING
        return resting

    def _teach(self, now: Small) -> None:
        self._taught += 1
        if self._tray is None:
            self._tray = now.copy()
        else:
            self._changes.average(self._tray, now, min(self._taught, 20))


def find_thing(
    pixels: Pixels, trays: Sequence[Pixels], changed_area: float = CHANGED_AREA
) -> Box | None:
    """Where something lies in a picture (H, W, 3), beside pictures of the empty tray.

    Of several, that of another day or another bin, the one counts that differs least. None
    where there is none, or nothing lies there.
    """
    views = []
    for tray in trays:
        scene = Scene(learn_frames=1, changed_area=changed_area)
        scene.learn(Frame(tray, 0.0))
        views.append(scene.look(Frame(pixels, 0.0)))
    return min(views, key=lambda view: view.changed or 0.0).thing if views else None


def brightness(frame: Frame) -> float:
    """Mean luma, 0..255."""
    return float(np.dot(_LUMA, cv2.mean(frame.pixels)[:3]))


def sharpness(frame: Frame) -> float:
    """How steep the edges are, 0..100: the share of an edge's height that one pixel climbs.

    Measured on a copy 320 pixels wide, where contrast is highest, and as a share of that
    contrast: it does not depend on light or on how much there is to see. Measured:
    98 of 100 sharp photographs give 52 or more, the same photographs blurred by a Gaussian of
    4 pixels at 640 x 480 give 17 to 28. A picture without contrast has nothing to be blurred: 100.
    """
    return _sharpness(frame.pixels, None, Leases())


def too_dark(view: View, level: float) -> bool:
    """True where the mean luma is below ``level`` (0..255)."""
    return view.brightness < level


def too_blurred(view: View, floor: float) -> bool:
    """True where the sharpness, which was asked for, is below ``floor`` (0..100)."""
    assert view.sharpness is not None
    return view.sharpness < floor


def _apart(areas: Sequence[int], changed_area: float) -> int:
    """How many things there are: others have a quarter of the largest area or more."""
    floor = max(areas[0] / 4, changed_area * PIXELS / 2)
    return max(1, sum(area >= floor for area in areas))


def _sharpness(pixels: Pixels, mask: Mask | None, lease: Leases) -> float:
    height = max(1, round(pixels.shape[0] * SHARP_WIDTH / pixels.shape[1]))
    height = min(height, 4 * SHARP_WIDTH)  # a frame of one column is still a frame
    shape = (height, SHARP_WIDTH)
    small = lease("small", (*shape, 3), np.uint8)
    cv2.resize(pixels, (SHARP_WIDTH, height), dst=small, interpolation=cv2.INTER_AREA)
    gray, climb, lowest, highest = (
        lease(name, shape, np.uint8) for name in ("gray", "climb", "lowest", "highest")
    )
    cv2.cvtColor(small, cv2.COLOR_RGB2GRAY, dst=gray)
    step = lowest  # not needed yet
    climb[:, 0] = 0
    cv2.absdiff(gray[:, 1:], gray[:, :-1], dst=climb[:, 1:])
    if height > 1:
        cv2.absdiff(gray[1:], gray[:-1], dst=step[1:])
        cv2.max(climb[1:], step[1:], dst=climb[1:])
    cv2.dilate(gray, _WINDOW, dst=highest)
    cv2.erode(gray, _WINDOW, dst=lowest)
    # every fourth pixel will do, since a window reaches six pixels each way
    contrast = cv2.subtract(highest[::4, ::4].copy(), lowest[::4, ::4].copy())
    steepest = cv2.dilate(climb, _WINDOW, dst=highest)[::4, ::4]
    if mask is not None:
        rows, columns = contrast.shape
        near = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
        contrast = cv2.bitwise_and(contrast, near)
    most = float(contrast.max())
    if most < 24:
        return 100.0
    where = contrast >= max(24.0, 0.5 * most)
    edges = 100.0 * steepest[where] / contrast[where]
    # the 90th percentile; NumPy's own loads its masked arrays, 40 ms of a bin's start
    at = int(0.9 * (len(edges) - 1))
    return float(np.partition(edges, at)[at])
