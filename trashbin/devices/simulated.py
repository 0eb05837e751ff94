"""A bin that is not there: a camera, a person and a servo at the simulated tray of ``world``.

Camera, trigger and actuator share the tray through the context. An item was rendered on
its own tray and is shown on no other. When the next item belongs to another tray, the
person who tends the bin changes the tray while it is empty and the bin is idle, and
teaches the bin the new one, as someone would who swaps or wipes a real tray: the scene
model learns from frames of the camera, as at start.
"""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from trashbin.devices.world import World
from trashbin.errors import ActuatorError, CameraError, TriggerError
from trashbin.ports import Context, Emit
from trashbin.preprocess import resize
from trashbin.scenes import Item
from trashbin.settings import SimulatedActuator as ActuatorSettings
from trashbin.settings import SimulatedCamera as CameraSettings
from trashbin.settings import SimulatedTrigger as TriggerSettings
from trashbin.status import Status
from trashbin.types import Frame, Signal, Source

log = logging.getLogger(__name__)

FALLS = "falls into the tray"  # in the log, once an item: make soak counts them
NOISE = 1.6  # levels of 255, standard deviation
RUN = 3  # items on one tray before the next tray
TEACHING = 3  # frames that teach an exchanged tray
AGAIN_S = 1.0  # a thing that lies there unnoticed: the person waves again
PATIENCE = 4  # times, then the person takes it out


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

    poll_every: float | None = 0.4  # each is a wake-up of an idle bin
    problem: str | None = None

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
            log.info("%s %s", self._next.id, FALLS)
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


@dataclass(frozen=True, slots=True)
class Moved:
    """What the actuator moved, and to which bin."""

    item: str
    bin: str


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
