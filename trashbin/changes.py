"""Where two small pictures differ, when the light has been taken out of the comparison.

One gain and one gentle slope for each colour channel, then a comparison by level and by
edges: glass and clear plastic change little but edges. Everything as large as a picture
is written into leased arrays.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from trashbin.leases import Leases
from trashbin.types import Box, Frame, Pixels

Small: TypeAlias = npt.NDArray[np.float32]  # (3, 120, 160): a plane for each colour
Mask: TypeAlias = npt.NDArray[np.uint8]  # (120, 160): 255 or 0
Rows: TypeAlias = npt.NDArray[np.float32]  # (3, ...): a row for each colour

WIDTH, HEIGHT = 160, 120  # every frame is judged at this size
PIXELS = WIDTH * HEIGHT
PLANES = (3, HEIGHT, WIDTH)
SMALL = (HEIGHT, WIDTH, 3)
LEVEL, LEVEL_SHARE = 8.0, 0.06  # a change: so many of 255 levels, and this share of the level
DIM = 0.6  # share of the tray's own light, below which what lies there may seem to be gone
EDGE = 5.0  # a change of slope, levels per small pixel
BRIGHTEST = 232.0  # above it a camera clips, and no two levels can be told apart
LUMA = (0.299, 0.587, 0.114)
SMALLEST = 20  # small pixels; anything less is a speck

# What is no shadow: logs of the ratio to the tray, each colour's beside their mean, and that mean.
TINTED, BRIGHTER, BLACKER = 0.12, 0.15, -1.0
SHARP_EDGE = 0.08  # of that mean, a small pixel: edges of shadows are softer, and grain cancels
OUTLYING = 0.01  # share of what is no shadow that may lie beyond each side of the outline
FEWEST = 60  # small pixels that are no shadow, without which the shadow counts as well

_EDGE = np.array([EDGE])  # as OpenCV takes a scalar

# Where light is measured: every eighth pixel. A slope is a plane over the picture, in logs.
_GRID = (slice(None), slice(4, HEIGHT, 8), slice(4, WIDTH, 8))
_X = np.linspace(-0.5, 0.5, WIDTH, dtype=np.float32)
_Y = np.linspace(-0.5, 0.5, HEIGHT, dtype=np.float32)
_ROWS, _COLUMNS = (grid.ravel() for grid in np.mgrid[_GRID[1:]])
_PLANE = np.stack([np.ones(_ROWS.size, dtype=np.float32), _X[_COLUMNS], _Y[_ROWS]], axis=1)
_PRODUCTS = np.einsum("pi,pj->pij", _PLANE, _PLANE).reshape(-1, 9)
# keeps points on one line from being no equation at all
_RIDGE = np.float32(0.01) * np.eye(3, dtype=np.float32)
_STEEPEST = 0.3

_SPECK = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_BRIDGE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
_MARGIN = 12  # beyond what a bridge reaches, or closing would bridge to the picture's edge


class Changes:
    """Compares small pictures. What it gives is leased: until its next call of the same name."""

    def __init__(self) -> None:
        self._lease = Leases()

    def resized(self, frame: Frame) -> Pixels:
        """The frame at 160 x 120, RGB uint8 (120, 160, 3)."""
        made: Any = frame.small
        if made is None or made.shape != SMALL:
            made = self._lease("resized", SMALL, np.uint8)
            cv2.resize(frame.pixels, (WIDTH, HEIGHT), dst=made, interpolation=cv2.INTER_AREA)
        return made  # type: ignore[no-any-return]

    def small(self, frame: Frame, name: str) -> Small:
        """The frame at 160 x 120, smoothed a little against noise; ``name`` is the lease's."""
        smooth = self._lease("smooth", SMALL, np.uint8)
        cv2.GaussianBlur(self.resized(frame), (3, 3), 0, dst=smooth)
        small = self._lease(name, PLANES, np.float32)
        plane = self._lease("plane", (HEIGHT, WIDTH), np.uint8)
        for channel in range(3):
            cv2.extractChannel(smooth, channel, dst=plane)
            small[channel] = plane
        return small

    def relit(self, picture: Small, now: Small) -> tuple[Small, Small]:
        """``picture`` in the light of ``now``, and that light as a gain for each pixel.

        One gain for each channel, the median of the ratios, so that an item under half of the
        picture does not bend it; then a slope fitted to the points that agree with it.
        """
        light = self._lease("light", PLANES, np.float32)
        planes = _light(picture[_GRID].reshape(3, -1), now[_GRID].reshape(3, -1))
        down = np.exp(planes[:, :1] + planes[:, 2:] * _Y)
        across = np.exp(planes[:, 1:2] * _X)
        np.einsum("cy,cx->cyx", down, across, out=light)
        expected = self._lease("expected", PLANES, np.float32)
        np.multiply(picture, light, out=expected)
        np.minimum(expected, np.float32(255), out=expected)
        return expected, light

    def differs(self, now: Small, expected: Small, name: str = "differs") -> Mask:
        """255 where a pixel differs by level or by edge, else 0; ``name`` is the lease's."""
        limit = self._lease("limit", PLANES, np.float32)
        difference = self._lease("difference", PLANES, np.float32)
        size = self._lease("size", PLANES, np.float32)
        np.minimum(expected, np.float32(BRIGHTEST), out=limit)
        np.minimum(now, np.float32(BRIGHTEST), out=difference)
        np.subtract(difference, limit, out=difference)
        limit *= np.float32(LEVEL_SHARE)
        limit += np.float32(LEVEL)
        np.abs(difference, out=size)
        mask: Mask = self._lease(name, (HEIGHT, WIDTH), np.uint8)
        more = self._lease("more", (HEIGHT, WIDTH), np.uint8)
        cv2.compare(size[0], limit[0], cv2.CMP_GT, dst=mask)
        for channel in (1, 2):
            cv2.compare(size[channel], limit[channel], cv2.CMP_GT, dst=more)
            cv2.bitwise_or(mask, more, dst=mask)
        luma, slope = size[0], size[1]  # their sizes are used
        cv2.addWeighted(difference[0], LUMA[0], difference[1], LUMA[1], 0, dst=luma)
        cv2.scaleAdd(difference[2], LUMA[2], luma, dst=luma)
        for x, y in ((1, 0), (0, 1)):
            cv2.Sobel(luma, cv2.CV_32F, x, y, dst=slope, scale=0.125)
            np.abs(slope, out=slope)
            cv2.compare(slope, _EDGE, cv2.CMP_GT, dst=more)
            cv2.bitwise_or(mask, more, dst=mask)
        return mask

    def outline(self, now: Small, expected: Small, mask: Mask) -> Box:
        """Around what of a thing's mask is no shadow, the outermost (glints, mostly) left out.

        ``now`` and ``expected`` are what the mask was made from.
        """
        core = self.unshaded(now, expected, mask)
        if cv2.countNonZero(core) < FEWEST:
            core = mask
        left, right = _middle(core, 0)
        top, bottom = _middle(core, 1)
        return left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT

    def unshaded(self, now: Small, expected: Small, mask: Mask) -> Mask:
        """What of a mask is no shadow: that darkens every colour alike, and its edges are soft."""
        ratio = self._lease("difference", PLANES, np.float32)
        other = self._lease("limit", PLANES, np.float32)
        plane = self._lease("size", PLANES, np.float32)[0]
        np.subtract(now, expected, out=ratio)
        np.add(expected, np.float32(8), out=other)  # so that noise in the dark is no tint
        np.divide(ratio, other, out=ratio)
        np.log1p(ratio, out=ratio)
        mean = other[0]
        np.add(ratio[0], ratio[1], out=mean)
        np.add(mean, ratio[2], out=mean)
        mean *= np.float32(1 / 3)
        core: Mask = self._lease("core", (HEIGHT, WIDTH), np.uint8)
        more = self._lease("more", (HEIGHT, WIDTH), np.uint8)
        cv2.compare(mean, np.array([BRIGHTER]), cv2.CMP_GT, dst=core)
        cv2.compare(mean, np.array([BLACKER]), cv2.CMP_LT, dst=more)
        cv2.bitwise_or(core, more, dst=core)
        for channel in range(3):
            np.subtract(ratio[channel], mean, out=plane)
            np.abs(plane, out=plane)
            cv2.compare(plane, np.array([TINTED]), cv2.CMP_GT, dst=more)
            cv2.bitwise_or(core, more, dst=core)
        for x, y in ((1, 0), (0, 1)):
            cv2.Sobel(mean, cv2.CV_32F, x, y, dst=plane, scale=0.125)
            np.abs(plane, out=plane)
            cv2.compare(plane, np.array([SHARP_EDGE]), cv2.CMP_GT, dst=more)
            cv2.bitwise_or(core, more, dst=core)
        cv2.bitwise_and(core, mask, dst=core)
        return core

    def moved(self, now: Small, before: Small) -> float:
        """The share of the picture that differs between two frames, specks left out."""
        differs = self.differs(now, self.relit(before, now)[0])
        cv2.morphologyEx(differs, cv2.MORPH_OPEN, _SPECK, dst=differs)
        return float(cv2.countNonZero(differs)) / PIXELS

    def follow(self, tray: Small, now: Small, expected: Small, light: Small) -> None:
        """Let the learned picture follow, in its own light: a dark night must not blacken it."""
        step = self._lease("difference", PLANES, np.float32)
        least = self._lease("limit", PLANES, np.float32)
        usable = self._lease("usable", PLANES, np.bool_)
        also = self._lease("also", PLANES, np.bool_)
        np.less(expected, 245, out=usable)
        np.logical_and(usable, np.less(now, 250, out=also), out=usable)
        np.logical_and(usable, np.greater(light, DIM, out=also), out=usable)
        np.maximum(light, np.float32(DIM), out=least)
        np.subtract(now, expected, out=step)
        np.divide(step, least, out=step)
        np.multiply(step, usable, out=step)
        step *= np.float32(0.03)
        tray += step

    def average(self, tray: Small, now: Small, count: int) -> None:
        """Move a learned picture a ``count``-th of the way to what is seen."""
        step = self._lease("difference", PLANES, np.float32)
        np.subtract(now, tray, out=step)
        step /= np.float32(count)
        tray += step


def _light(old: Rows, new: Rows) -> Rows:
    """For each colour the logs of a gain, and of its slopes across and down: (3, 3).

    ``old`` and ``new`` are what two pictures have at the points where light is measured.
    """
    ratio = np.log((new + 1) / (old + 1))
    usable = (old > 6) & (old < BRIGHTEST) & (new < BRIGHTEST)
    planes = np.zeros((3, 3), dtype=np.float32)
    fits = np.ones(3, dtype=np.bool_)
    for channel in range(3):
        trusted = ratio[channel][usable[channel]]
        # where nearly all is clipped, the dark points tell the gain: they clip last
        few = len(trusted) < 30
        planes[channel, 0] = np.quantile(ratio[channel], 0.98) if few else _median(trusted)
    for tolerance in (0.2, 0.08):
        agree = usable & (np.abs(ratio - planes @ _PLANE.T) < tolerance)
        fits &= np.count_nonzero(agree, axis=1) >= 100
        if not fits.any():
            break
        weights = agree.astype(np.float32)
        normal = (weights @ _PRODUCTS).reshape(3, 3, 3) + _RIDGE
        fitted = np.linalg.solve(normal, ((weights * ratio) @ _PLANE)[:, :, None])[:, :, 0]
        fitted[:, 1:] = np.clip(fitted[:, 1:], -_STEEPEST, _STEEPEST)
        planes[fits] = fitted[fits]
    return planes


def _median(values: npt.NDArray[np.float32]) -> np.float32:
    """numpy.median, without its checks for what cannot be here."""
    middle = len(values) // 2
    if len(values) % 2:
        return np.float32(np.partition(values, middle)[middle])
    below, above = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return np.float32((below + above) / 2)


def _middle(mask: Mask, axis: int) -> tuple[int, int]:
    """From where to where along an axis most of a mask lies: OUTLYING is left out on each side."""
    sums = cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().cumsum()
    beyond = OUTLYING * sums[-1]
    first, last = np.searchsorted(sums, (beyond, sums[-1] - beyond))
    return int(first), int(last) + 1


def things(differs: Mask) -> tuple[Mask, list[int]]:
    """The mask of the things in a mask of changes, and their areas, largest first.

    Specks go; what lies within a bridge's width is one thing (one clear bottle shows as
    several highlights).
    """
    clean = cv2.morphologyEx(differs, cv2.MORPH_OPEN, _SPECK)
    left, top, width, height = cv2.boundingRect(clean)
    mask: Mask = np.zeros_like(differs)
    if not width:
        return mask, []
    # closing leaves nothing outside of the rectangle that holds all there is
    part = clean[top : top + height, left : left + width]
    wide = cv2.copyMakeBorder(
        part, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=0
    )
    inside = slice(_MARGIN, -_MARGIN)
    joined = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, _BRIDGE)[inside, inside].copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, ltype=cv2.CV_16U)
    areas = [int(area) for area in stats[1:count, cv2.CC_STAT_AREA]]  # the first is what is not
    for place, area in enumerate(areas, start=1):
        if area < SMALLEST:
            joined[labels == place] = 0
    mask[top : top + height, left : left + width] = joined
    return mask, sorted((area for area in areas if area >= SMALLEST), reverse=True)
