"""The simulated tray: what falls into it, lies there and leaves, as pictures on a clock.

At rest an item's picture is its rendered one, untouched but for the light; only while it moves
is it a cut-out over the picture of the empty tray. The hand that takes things out, and
the tray's own tilt, are not drawn.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from trashbin import pictures, scenes
from trashbin.errors import CameraError, PictureError
from trashbin.ports import Clock
from trashbin.scenes import Item, Tray
from trashbin.types import Pixels

Floats: TypeAlias = npt.NDArray[np.float32]
Listed: TypeAlias = tuple[dict[str, Tray], tuple[Item, ...]]

FALL_S, BOUNCE_S, LEAVE_S = 0.35, 0.15, 0.3
EXPOSURE_S = 1 / 50  # what moves is blurred over this time


def _read(path: Path) -> Pixels:
    """A picture of the scenes. CameraError where it cannot be read."""
    try:
        return pictures.read(path)
    except PictureError as error:
        raise CameraError(
            f"A picture of the simulated tray cannot be read, install trashbin again: {error}"
        ) from error


def _listed() -> Listed:
    try:
        return scenes.load()
    except (OSError, ValueError) as error:
        raise CameraError(
            f"The list of the simulated tray's pictures cannot be read,"
            f" install trashbin again: {error}"
        ) from error


class _Thing:
    """An item in the tray, with what is needed to draw it while it moves."""

    def __init__(self, item: Item, empty: Pixels, at: float, rng: random.Random) -> None:
        self.item = item
        self.dropped_at = at
        self.left_at = float("inf")
        self.leaves_to = (0.0, 1.0)  # in widths of the picture
        self.picture = _read(item.path)
        mask = _read(item.mask_path)[:, :, 0]
        self.cut = np.dstack([self.picture, mask])
        self.cut[:, :, :3] = cv2.multiply(self.picture, cv2.merge([mask] * 3), scale=1 / 255)
        ratio = (self.picture.astype(np.float32) + 1) / (empty.astype(np.float32) + 1)
        self.shade = np.clip(ratio, 0.2, 1.2)
        under = self.shade.copy()
        under[mask > 0] = 0.7  # what lies under the thing is not to be seen in its picture
        self.shade_moving = cv2.GaussianBlur(under, (0, 0), 5)
        rows, columns = np.nonzero(mask)
        self.centre = (float(columns.mean()), float(rows.mean())) if rows.size else (320.0, 240.0)
        self.falls_from = (rng.uniform(-0.25, 0.25), rng.uniform(-0.5, -0.3))
        self.spin = rng.uniform(-25, 25)

    def height(self, at: float) -> float:
        """How far above the tray: 1 when let go, 0 at rest; a small bounce between."""
        fallen = at - self.dropped_at
        if fallen < FALL_S:
            return 1 - max(0.0, fallen / FALL_S) ** 2
        bounce = (fallen - FALL_S) / BOUNCE_S
        return 0.16 * bounce * (1 - bounce) if bounce < 1 else 0.0

    def way_out(self, at: float) -> float:
        """How far it has left: 0 while it lies, 1 when gone."""
        return min(1.0, max(0.0, (at - self.left_at) / LEAVE_S) ** 2)

    def resting(self, at: float) -> bool:
        return self.height(at) == 0.0 and self.way_out(at) == 0.0

    def place(self, at: float, width: int) -> npt.NDArray[np.float64]:
        """Where it is: the affine map from its rendered place."""
        height, out = self.height(at), self.way_out(at)
        matrix = cv2.getRotationMatrix2D(self.centre, self.spin * height, 1 + 0.7 * height)
        for axis in range(2):
            matrix[axis, 2] += width * (
                height * self.falls_from[axis] + 1.2 * out * self.leaves_to[axis]
            )
        return matrix  # type: ignore[return-value]


class World:
    """The tray, what lies in it, and the light; everything follows the clock.

    For tests: ``stuck`` keeps a thing where it lies whatever the servo does (a jam),
    ``lights`` is a factor on all brightness (or one for each of red, green, blue), and
    ``drop`` while something lies there puts a second thing beside or upon it.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        listed: Listed | None = None,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.trays, self.items = _listed() if listed is None else listed
        self.tray = next(iter(self.trays))
        self.stuck = False
        self.lights: float | tuple[float, float, float] = 1.0
        self._rng = random.Random(seed)
        self._empties: dict[str, Pixels] = {}
        self._things: list[_Thing] = []
        self._empty_since = float("-inf")

    @property
    def lying(self) -> tuple[Item, ...]:
        """What is in the tray now, falling and leaving things included."""
        now = self.clock.monotonic()
        gone = [thing for thing in self._things if thing.way_out(now) >= 1]
        for thing in gone:
            self._things.remove(thing)
            self._empty_since = max(self._empty_since, thing.left_at + LEAVE_S)
        return tuple(thing.item for thing in self._things)

    @property
    def empty_for(self) -> float:
        """Seconds since the last thing left; 0 while something is there."""
        return 0.0 if self.lying else self.clock.monotonic() - self._empty_since

    def drop(self, item: Item) -> None:
        """Let an item fall. It must belong to the tray that stands there."""
        if item.tray != self.tray:
            raise ValueError(f"{item.id} belongs to the tray {item.tray}, not {self.tray}")
        now = self.clock.monotonic()
        self._things.append(_Thing(item, self._empty(self.tray), now, self._rng))

    def slide(self, bin: str) -> list[Item]:
        """The servo tips everything out, unless it is stuck; what goes."""
        side = 1.0 if sum(bin.encode()) % 2 else -1.0
        return [] if self.stuck else self._leave((side, 0.25), self.clock.monotonic())

    def take_away(self, after: float = 0.0) -> None:
        """The person takes everything out, ``after`` seconds from now."""
        self._leave((0.1, 1.0), self.clock.monotonic() + after)

    def leave_it(self) -> None:
        """The person who was about to take things out does not."""
        now = self.clock.monotonic()
        for thing in self._things:
            if thing.left_at > now:
                thing.left_at = float("inf")

    def change_tray(self, tray: str) -> None:
        """Put another tray there. Only an empty one is changed."""
        if self.lying:
            raise ValueError("something lies in the tray")
        self._empty(tray)
        self.tray = tray

    def picture(self) -> Pixels:
        """RGB uint8 (480, 640, 3) of what there is to be seen now; not to be written to."""
        now = self.clock.monotonic()
        if not self.lying:
            seen = self._empty(self.tray)
        elif len(self._things) == 1 and self._things[0].resting(now):
            seen = self._things[0].picture
        else:
            drawn = self._empty(self.tray).astype(np.float32)
            for thing in self._things:
                drawn = _draw(drawn, thing, now)
            seen = np.clip(drawn, 0, 255).astype(np.uint8)
        if self.lights == 1.0:
            return seen
        lit: Pixels = np.clip(seen * np.asarray(self.lights, np.float32), 0, 255).astype(np.uint8)
        return lit

    def _leave(self, to: tuple[float, float], at: float) -> list[Item]:
        going = [thing for thing in self._things if thing.left_at > at]
        for thing in going:
            thing.left_at, thing.leaves_to = at, to
        return [thing.item for thing in going]

    def _empty(self, tray: str) -> Pixels:
        if tray not in self._empties:
            self._empties[tray] = _read(self.trays[tray].path)
        return self._empties[tray]


def _draw(base: Floats, thing: _Thing, at: float) -> Floats:
    """``base`` with the thing on it: its shadow, then itself, blurred along its way."""
    rows, columns = base.shape[:2]
    if thing.resting(at):
        cut, shade = thing.cut.astype(np.float32), thing.shade
    else:
        cut = np.zeros((rows, columns, 4), dtype=np.float32)
        for part in range(4):
            place = thing.place(at - EXPOSURE_S * part / 4, columns)
            cv2.accumulate(cv2.warpAffine(thing.cut, place, (columns, rows)), cut)
        cut /= 4
        near = max(0.0, 1 - 1.5 * thing.height(at)) * (1 - thing.way_out(at))
        place = thing.place(at, columns)
        shade = cv2.warpAffine(
            1 + np.float32(near) * (thing.shade_moving - 1),
            place,
            (columns, rows),
            borderValue=(1, 1, 1),
        )
    cover = cut[:, :, 3:] / np.float32(255)
    drawn: Floats = base * shade * (1 - cover) + cut[:, :, :3]
    return drawn
