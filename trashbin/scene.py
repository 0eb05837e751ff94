"""What a run of frames shows: an empty tray, something moving, something at rest.

Pure OpenCV on a small copy of each frame; no clock, no device. A frame is compared with a
learned picture of the empty tray after the light has been taken out of the comparison (one
gain and one gentle slope for each colour channel), by level and by edges: glass and clear
plastic change little but edges. The learned picture follows slow changes only while the
tray is empty, so a resting item never becomes part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from trashbin.types import Frame, Pixels

Small: TypeAlias = npt.NDArray[np.float32]  # (3, 120, 160): a plane for each colour
Mask: TypeAlias = npt.NDArray[np.uint8]  # (120, 160): 255 or 0

WIDTH, HEIGHT = 160, 120  # every frame is judged at this size
PIXELS = WIDTH * HEIGHT
LEVEL, LEVEL_SHARE = 8.0, 0.06  # a change: so many of 255 levels, and this share of the level
EDGE = 5.0  # a change of slope, levels per small pixel
BRIGHTEST = 232.0  # above it a camera clips, and no two levels can be told apart
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
SMALLEST = 20  # small pixels; anything less is a speck
MOVED = 0.004  # share of the picture that must differ between two frames to be motion
SHARP_WIDTH = 320  # the width at which sharpness is measured


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
    what changed where that is known; ``motion`` is the share of the picture that differs
    from the frame before.
    """

    state: SceneState
    changed: float | None
    items: int
    brightness: float
    sharpness: float
    motion: float


class Scene:
    """Feeds on frames in time order and says what they show.

    ``changed_area`` is the share of the picture that must differ to be an item. ``learn``
    False means no empty tray is known: whatever is at rest then counts as an item.
    ``still_frames`` frames in a row without motion make a changed tray settled.
    The first ``learn_frames`` frames are taken for the empty tray. Another tray or a moved
    camera must be taught (``forget``, or ``learn``): a change that nobody vouches for
    is a thing, however large, or a big carton would become the tray.
    """

    def __init__(
        self,
        *,
        changed_area: float = 0.01,
        learn: bool = True,
        still_frames: int = 3,
        learn_frames: int = 5,
    ) -> None:
        self.changed_area = changed_area
        self.still_frames = still_frames
        self.learn_frames = learn_frames
        self._learns = learn
        self._tray: Small | None = None
        self._taught = 0
        self._before: Small | None = None
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
        self._teach(_small(frame))

    def look(self, frame: Frame) -> View:
        """Judge the next frame."""
        now = _small(frame)
        motion = self._motion(now)
        self._still = 0 if motion >= MOVED else self._still + 1
        mask: Mask | None = None
        changed: float | None = None
        items = 0
        if not self._learns:
            items = 1
            resting = SceneState.SETTLED
        elif not self.learned:
            if motion >= MOVED:
                self.forget()  # somebody reaches in: begin again
            self._teach(now)
            changed, resting = 0.0, SceneState.EMPTY
        else:
            assert self._tray is not None
            expected, light = _relit(self._tray, now)
            mask, areas = _things(_differs(now, expected))
            changed = float(sum(areas)) / PIXELS
            # leaving needs clearly less than entering, so that the state does not flicker
            enough = self.changed_area * (0.6 if self._occupied else 1.0)
            self._occupied = changed >= enough
            if self._occupied:
                items = _apart(areas, self.changed_area)
                resting = SceneState.SETTLED
            else:
                mask, resting = None, SceneState.EMPTY
                if self._still >= self.still_frames:
                    self._follow(now, expected, light)
        state = self._state(resting, motion)
        self.arrivals += self._was_empty and state is not SceneState.EMPTY
        self._was_empty = state is SceneState.EMPTY
        return View(
            state=state,
            changed=changed,
            items=items,
            brightness=brightness(frame),
            sharpness=_sharpness(frame.pixels, mask),
            motion=motion,
        )

    def same_thing(self, before: Frame, after: Frame) -> bool:
        """True where what lay in the tray in ``before`` lies there unmoved in ``after``.

        After a move that means a jam; False means that the tray is empty or that something
        else lies there now.
        """
        old, new = _small(before), _small(after)
        differs = _differs(new, _relit(old, new)[0])
        if not self._learns or self._tray is None:
            return float(cv2.countNonZero(differs)) / PIXELS < self.changed_area
        marks = _differs(old, _relit(self._tray, old)[0])
        thing, areas = _things(marks)
        if not areas:
            return False
        # measured by what shows of the thing: of a clear bottle that is little of its area
        shows = cv2.countNonZero(cv2.bitwise_and(marks, thing))
        return cv2.countNonZero(cv2.bitwise_and(differs, thing)) < 0.5 * shows

    def _state(self, resting: SceneState, motion: float) -> SceneState:
        if motion >= MOVED:
            return SceneState.MOVING
        if resting is SceneState.SETTLED and self._still < self.still_frames:
            return SceneState.MOVING
        return resting

    def _motion(self, now: Small) -> float:
        before, self._before = self._before, now
        if before is None:
            return 0.0
        moved = cv2.morphologyEx(_differs(now, _relit(before, now)[0]), cv2.MORPH_OPEN, _SPECK)
        return float(cv2.countNonZero(moved)) / PIXELS

    def _teach(self, now: Small) -> None:
        self._taught += 1
        if self._tray is None:
            self._tray = now.copy()
        else:
            self._tray += (now - self._tray) / np.float32(min(self._taught, 20))

    def _follow(self, now: Small, expected: Small, light: Small) -> None:
        """Let the learned picture follow, in its own light: a dark night must not blacken it."""
        assert self._tray is not None
        usable = (expected < 245) & (now < 250) & (light > 0.3)
        step = np.where(usable, (now - expected) / np.maximum(light, np.float32(0.3)), 0)
        self._tray += np.float32(0.03) * step.astype(np.float32)


def brightness(frame: Frame) -> float:
    """Mean luma, 0..255."""
    return float(np.dot(LUMA, cv2.mean(frame.pixels)[:3]))


def sharpness(frame: Frame) -> float:
    """How steep the edges are, 0..100: the share of an edge's height that one pixel climbs.

    Measured on a copy 320 pixels wide, where contrast is highest, and as a share of that
    contrast: it does not depend on light or on how much there is to see. Measured:
    98 of 100 sharp photographs give 52 or more, the same photographs blurred by a Gaussian of
    4 pixels at 640 x 480 give 17 to 28. A picture without contrast has nothing to be blurred: 100.
    """
    return _sharpness(frame.pixels, None)


def sharpest(frames: Sequence[Frame], n: int) -> list[Frame]:
    """The ``n`` sharpest of ``frames``, in the order in which they were taken."""
    best = sorted(range(len(frames)), key=lambda i: -sharpness(frames[i]))[: max(n, 0)]
    return [frames[i] for i in sorted(best)]


def too_dark(view: View, level: float) -> bool:
    """True where the mean luma is below ``level`` (0..255)."""
    return view.brightness < level


def too_blurred(view: View, floor: float) -> bool:
    """True where the sharpness is below ``floor`` (0..100)."""
    return view.sharpness < floor


def _small(frame: Frame) -> Small:
    """The frame at 160 x 120, smoothed a little against noise."""
    made: npt.NDArray[Any] | None = frame.small
    if made is None or made.shape != (HEIGHT, WIDTH, 3):
        made = cv2.resize(frame.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(made, (3, 3), 0)
    return np.stack(cv2.split(small)).astype(np.float32)


# Where light is measured: every eighth pixel. A slope is a plane over the picture, in logs.
_ROWS, _COLUMNS = (grid.ravel() for grid in np.mgrid[4:HEIGHT:8, 4:WIDTH:8])
_X = np.linspace(-0.5, 0.5, WIDTH, dtype=np.float32)
_Y = np.linspace(-0.5, 0.5, HEIGHT, dtype=np.float32)
_PLANE = np.stack([np.ones(_ROWS.size, dtype=np.float32), _X[_COLUMNS], _Y[_ROWS]], axis=1)
_STEEPEST = 0.3


def _relit(picture: Small, now: Small) -> tuple[Small, Small]:
    """``picture`` in the light of ``now``, and that light as a gain for each pixel.

    One gain for each channel, the median of the ratios, so that an item under half of the
    picture does not bend it; then a slope fitted to the points that agree with it.
    """
    old, new = picture[:, _ROWS, _COLUMNS], now[:, _ROWS, _COLUMNS]
    ratios = np.log((new + 1) / (old + 1))
    usable = (old > 6) & (old < BRIGHTEST) & (new < BRIGHTEST)
    light = np.empty_like(picture)
    for channel in range(3):
        ratio, trusted = ratios[channel], usable[channel]
        # where nearly all is clipped, the dark points tell the gain: they clip last
        few = np.count_nonzero(trusted) < 30
        middle = np.quantile(ratio, 0.98) if few else np.median(ratio[trusted])
        plane = np.array([middle, 0, 0], dtype=np.float32)
        for tolerance in (0.2, 0.08):
            agree = trusted & (np.abs(ratio - _PLANE @ plane) < tolerance)
            if np.count_nonzero(agree) < 100:
                break
            points = _PLANE[agree]
            # the small ridge keeps points on one line from being no equation at all
            normal = points.T @ points + np.float32(0.01) * np.eye(3, dtype=np.float32)
            plane = np.linalg.solve(normal, points.T @ ratio[agree])
            plane[1:] = np.clip(plane[1:], -_STEEPEST, _STEEPEST)
        np.outer(np.exp(plane[0] + plane[2] * _Y), np.exp(plane[1] * _X), out=light[channel])
    return np.minimum(picture * light, 255), light


def _differs(now: Small, expected: Small) -> Mask:
    """255 where a pixel differs by level or by edge, else 0."""
    limit = np.minimum(expected, np.float32(BRIGHTEST))
    difference = np.minimum(now, np.float32(BRIGHTEST)) - limit
    limit *= np.float32(LEVEL_SHARE)
    limit += np.float32(LEVEL)
    by_level = (np.abs(difference) > limit).max(axis=0)
    luma = np.tensordot(LUMA, difference, 1)
    by_edge = np.abs(cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125)) > EDGE
    by_edge |= np.abs(cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125)) > EDGE
    return np.where(by_level | by_edge, np.uint8(255), np.uint8(0))


_SPECK = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_BRIDGE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))


def _things(differs: Mask) -> tuple[Mask, list[int]]:
    """The mask of the things in a mask of changes, and their areas, largest first.

    Specks go; what lies within a bridge's width is one thing (one clear bottle shows as
    several highlights).
    """
    if not differs.any():
        return differs, []
    clean = cv2.morphologyEx(differs, cv2.MORPH_OPEN, _SPECK)
    # a border of its own, or closing would bridge to the picture's edge
    wide = cv2.copyMakeBorder(clean, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=0)
    joined = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, _BRIDGE)[12:-12, 12:-12].copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    areas = stats[:count, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    kept = areas >= SMALLEST
    mask = np.where(kept, np.uint8(255), np.uint8(0))[labels]
    return mask, sorted((int(area) for area in areas[kept]), reverse=True)


def _apart(areas: Sequence[int], changed_area: float) -> int:
    """How many things there are: others have a quarter of the largest area or more."""
    floor = max(areas[0] / 4, changed_area * PIXELS / 2)
    return max(1, sum(area >= floor for area in areas))


def _sharpness(pixels: Pixels, mask: Mask | None) -> float:
    height = max(1, round(pixels.shape[0] * SHARP_WIDTH / pixels.shape[1]))
    height = min(height, 4 * SHARP_WIDTH)  # a frame of one column is still a frame
    small = cv2.resize(pixels, (SHARP_WIDTH, height), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    climb = np.zeros_like(gray)
    climb[:, 1:] = cv2.absdiff(gray[:, 1:], gray[:, :-1])
    climb[1:] = np.maximum(climb[1:], cv2.absdiff(gray[1:], gray[:-1]))
    # every fourth pixel will do, since a window reaches six pixels each way
    window = np.ones((13, 13), dtype=np.uint8)
    contrast = cv2.subtract(cv2.dilate(gray, window), cv2.erode(gray, window))[::4, ::4]
    steepest = cv2.dilate(climb, window)[::4, ::4]
    if mask is not None:
        rows, columns = contrast.shape
        near = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
        contrast = cv2.bitwise_and(contrast, near)
    highest = float(contrast.max())
    if highest < 24:
        return 100.0
    where = contrast >= max(24.0, 0.5 * highest)
    return float(np.percentile(100.0 * steepest[where] / contrast[where], 90))
