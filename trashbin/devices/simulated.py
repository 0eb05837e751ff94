"""A bin that is not there: things fall into a tray of rendered pictures, and are taken away.

``World`` is the tray; camera, trigger and actuator share it through the context. At rest an
item's frame is its rendered picture, untouched but for light and sensor noise; only while it
moves is it a cut-out over the picture of the empty tray.

An item was rendered on its own tray and is shown on no other. When the next item
belongs to another tray, the person who tends the bin changes the tray while it is empty and
the bin is idle, and teaches the bin the new one, as someone would who swaps or wipes a
real tray: the scene model learns from frames of the camera, as at start.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from trashbin import pictures, scenes
from trashbin.errors import ActuatorError, CameraError, PictureError, TriggerError
from trashbin.ports import Clock, Context, Emit
from trashbin.preprocess import resize
from trashbin.scenes import Item, Tray
from trashbin.settings import SimulatedActuator as ActuatorSettings
from trashbin.settings import SimulatedCamera as CameraSettings
from trashbin.settings import SimulatedTrigger as TriggerSettings
from trashbin.status import Status
from trashbin.types import Frame, Pixels, Signal, Source

Floats: TypeAlias = npt.NDArray[np.float32]
Listed: TypeAlias = tuple[dict[str, Tray], tuple[Item, ...]]

FALL_S, BOUNCE_S, LEAVE_S = 0.35, 0.15, 0.3
EXPOSURE_S = 1 / 50  # what moves is blurred over this time
NOISE = 1.6  # levels of 255, standard deviation
RUN = 3  # items on one tray before the next tray
TEACHING = 5  # frames that teach an exchanged tray
AGAIN_S = 1.0  # a thing that lies there unnoticed: the person waves again
PATIENCE = 4  # times, then the person takes it out


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


@dataclass(frozen=True, slots=True)
class Moved:
    """What the actuator moved, and to which bin."""

    item: str
    bin: str


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


class SimulatedCamera:
    """Looks at the world ``fps`` times a second, with a little sensor noise."""

    def __init__(self, settings: CameraSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._world: World = context.world
        self._opened_at: float | None = None
        # one field of noise, of which each frame takes another cut
        self._rng = np.random.default_rng(self._world.seed)
        size = (settings.height + 64, settings.width + 64, 3)
        self._noise = self._rng.normal(0, NOISE, size).round().astype(np.int16)

    def open(self) -> None:
        """Begin to look. CameraError where the pictures cannot be read."""
        self._world.picture()
        self._opened_at = self._clock.monotonic()

    def capture(self, timeout: float) -> Frame:
        """The next frame. CameraError where it would come after ``timeout`` or none can be read."""
        if self._opened_at is None:
            raise CameraError("The simulated camera is not open.")
        fps, running = self._settings.fps, self._clock.monotonic() - self._opened_at
        # the next frame's own time; a frame that is due within rounding is this one, not the next
        waits = (math.floor(running * fps + 1e-6) + 1) / fps - running
        if waits > timeout:
            raise CameraError(f"The simulated camera has no frame within {timeout:g} s.")
        self._clock.wait(waits)
        seen = self._world.picture()
        width, height = self._settings.width, self._settings.height
        if seen.shape[:2] != (height, width):
            seen = resize(seen, width, height)
        down, right = self._rng.integers(0, 64, 2)
        noise = self._noise[down : down + height, right : right + width]
        pixels = np.asarray(cv2.add(seen, noise, dtype=cv2.CV_8U), np.uint8)
        pixels.flags.writeable = False
        return Frame(pixels, self._clock.monotonic())

    def close(self) -> None:
        """Look no more."""
        self._opened_at = None


def shuffled(items: Iterable[Item], seed: int) -> Iterator[Item]:
    """Items for ever: every one before any comes again, a few of one tray at a time.

    Labels that came least so far come first, so that a short run shows them all.
    """
    items = tuple(items)
    rng = random.Random(seed)
    shown: Counter[str] = Counter()
    while items:
        pools: dict[str, list[Item]] = {}
        for item in rng.sample(items, len(items)):
            pools.setdefault(item.tray, []).append(item)
        while any(pools.values()):
            for pool in pools.values():
                for _ in range(min(RUN, len(pool))):
                    item = min(pool, key=lambda item: shown[item.label])
                    pool.remove(item)
                    shown[item.label] += 1
                    yield item


class SimulatedTrigger:
    """The person at the bin: drops the next item when the bin is free, and is noticed doing so.

    The daemon polls only while it is idle, which is how the person knows that it is free.
    """

    poll_every: float | None = 0.2

    def __init__(self, settings: TriggerSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._clock = context.clock
        self._world: World = context.world
        if self._world is None:
            raise TriggerError("A simulated trigger needs a simulated camera: see camera: kind.")
        self._coming = shuffled(self._world.items, settings.seed)
        self._next = next(self._coming)
        self._emit: Emit | None = None
        self._signalled_at = float("-inf")
        self._waved = 0
        self.dropped: list[Item] = []

    @property
    def done(self) -> bool:
        """True once all items were dropped and the last one has left the tray."""
        limit = self._settings.items
        return limit is not None and len(self.dropped) >= limit and not self._world.lying

    def open(self, emit: Emit) -> None:
        """Put the first item's tray there, before the bin learns it."""
        self._emit = emit
        if not self._world.lying:
            self._world.change_tray(self._next.tray)

    def poll(self) -> None:
        """Drop the next item if it is time; wave again at one that the bin did not notice."""
        if self._emit is None:
            return
        if self._world.lying:
            self._wave()
        elif len(self.dropped) != self._settings.items and self._is_time():
            if self._next.tray != self._world.tray:
                self._change_tray()
            self._world.drop(self._next)
            self.dropped.append(self._next)
            self._next = next(self._coming)
            self._waved = 0
            self._signal()

    def close(self) -> None:
        """The person goes."""
        self._emit = None

    def _is_time(self) -> bool:
        return self._world.empty_for >= self._settings.every_s

    def _wave(self) -> None:
        """The bin is idle and something lies there: it took the signal for an echo."""
        if self._clock.monotonic() - self._signalled_at < AGAIN_S:
            return
        self._waved += 1
        if self._waved < PATIENCE:
            self._signal()
        else:
            self._world.take_away()

    def _signal(self) -> None:
        assert self._emit is not None
        self._signalled_at = self._clock.monotonic()
        self._emit(Signal(Source.SIMULATED, self._signalled_at))

    def _change_tray(self) -> None:
        self._world.change_tray(self._next.tray)
        scene, camera = self._context.scene, self._context.camera
        if scene is None or camera is None:
            return  # nobody to teach
        scene.forget()
        for _ in range(TEACHING):
            scene.learn(camera.capture(1.0))


class SimulatedActuator:
    """Empties the simulated tray; a thing that is held the person takes out after ``person_s``.

    ``sorted`` lists what was moved and whereto.
    """

    name = "simulated"
    moves = True
    lights = False

    def __init__(self, settings: ActuatorSettings, context: Context) -> None:
        self._settings = settings
        self._world: World = context.world
        if self._world is None:
            raise ActuatorError("A simulated actuator needs a simulated camera: see camera: kind.")
        self._called = False
        self.sorted: list[Moved] = []

    def open(self) -> None:
        """Nothing to take."""

    def show(self, status: Status, bin: str | None) -> None:
        """The person sees the lamps, and comes for what the bin does not move itself."""
        waits = status in (Status.HOLDING, Status.FAULT, Status.SORTING)
        if waits and not self._called:
            self._world.take_away(self._settings.person_s)
        self._called = waits

    def sort(self, bin: str) -> None:
        """The tray tips: what lies there slides out."""
        self._world.leave_it()
        self.sorted += [Moved(item.id, bin) for item in self._world.slide(bin)]

    def rest(self) -> None:
        """The tray is level again."""

    def release(self) -> None:
        """Nothing holds power."""

    def close(self) -> None:
        """Nothing to free."""
