"""From a trigger to the actuation command: the whole daemon, beside the least that it rests on."""

from __future__ import annotations

import math
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trashbin import app, pictures, resources, scenes
from trashbin.changes import HEIGHT as SMALL_HEIGHT
from trashbin.changes import WIDTH as SMALL_WIDTH
from trashbin.clock import SystemClock
from trashbin.daemon import Daemon
from trashbin.database import LOG_PAGES
from trashbin.limits import LimitedActuator, LimitedCamera
from trashbin.model.tflite import TFLiteClassifier
from trashbin.scene import SHARP_WIDTH
from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Frame, Pixels, Signal, Source

FPS = 15.0  # as the cameras' default
ALLOWANCE = 1.15  # over the bare resizes and invokes
WARM_UP = 3


@dataclass(frozen=True)
class Way:
    """The quickest of ``items``, in milliseconds: what else the machine does can only add.

    ``exposure`` is the time that the camera needs for a burst; ``bare`` that of the resizes
    and invokes that the bin made, called alone; ``commit`` that of one SQLite commit.
    """

    items: int
    frames: int
    total_ms: float
    exposure_ms: float
    bare_ms: float
    commit_ms: float

    @property
    def limit_ms(self) -> float:
        """What the way may take."""
        return self.exposure_ms + ALLOWANCE * self.bare_ms + self.commit_ms

    def figures(self) -> dict[str, float]:
        """What ``--json`` has of it."""
        return {
            "total_ms": self.total_ms,
            "exposure_ms": self.exposure_ms,
            "bare_ms": self.bare_ms,
            "commit_ms": self.commit_ms,
            "limit_ms": self.limit_ms,
            "ratio_over_limit": self.total_ms / self.limit_ms,
            "frames": self.frames,
            "items": self.items,
        }

    def __str__(self) -> str:
        return (
            f"trigger to actuation: {self.total_ms:.1f} ms, limit {self.limit_ms:.1f} ms "
            f"(burst {self.exposure_ms:.1f}, bare resizes and invokes {self.bare_ms:.1f}, "
            f"commit {self.commit_ms:.2f})\n"
            f"trigger to actuation / limit {self.total_ms / self.limit_ms:.3f} (at most 1)"
        )


def way(classifier: TFLiteClassifier, items: int) -> Way:
    """Items that lie settled as the trigger fires, each followed by its bare calls.

    The camera shows files, ``FPS`` pictures a second from the trigger on; the network and
    everything else runs on one thread.
    """
    with tempfile.TemporaryDirectory(prefix="trashbin-bench-") as name, ExitStack() as stack:
        bench = _Bench(Path(name), classifier, stack)
        turns = [bench.turn() for _ in range(WARM_UP + items)][WARM_UP:]
    total, frames, bare, commit = (min(column) for column in zip(*turns, strict=True))
    burst = bench.daemon.config.look.burst
    return Way(items, frames, total, 1e3 * burst / FPS, bare, commit)


class _Files:
    """A camera that shows pictures from files, each exposed for 1 / ``FPS`` s on end."""

    def __init__(self, shown: Pixels) -> None:
        self.shown = shown
        self.since: float | None = None  # None: at once
        self.taken = 0

    def open(self) -> None: ...

    def capture(self, timeout: float) -> Frame:
        """The picture whose exposure ends next."""
        if self.since is not None:
            now = time.perf_counter()
            due = self.since + (math.floor((now - self.since) * FPS) + 1) / FPS
            time.sleep(max(0.0, due - now))
        self.taken += 1
        return Frame(self.shown, time.monotonic())

    def close(self) -> None: ...


class _Hand:
    """Notes when it is told to move, and empties the tray."""

    name, moves, lights = "servo", True, False

    def __init__(self, camera: _Files, empty: Pixels) -> None:
        self._camera, self._empty = camera, empty
        self.told_at = 0.0
        self.frames = 0  # that were looked at before

    def open(self) -> None: ...

    def show(self, status: Status, bin: str | None) -> None: ...

    def sort(self, bin: str) -> None:
        """The command."""
        self.told_at, self.frames = time.perf_counter(), self._camera.taken
        self._camera.shown, self._camera.since = self._empty, None

    def rest(self) -> None: ...

    def release(self) -> None: ...

    def close(self) -> None: ...


class _Bench:
    def __init__(self, folder: Path, classifier: TFLiteClassifier, stack: ExitStack) -> None:
        trays, items = scenes.load()
        self.lying = pictures.read(items[0].path)
        self.empty = pictures.read(trays[items[0].tray].path)
        self.classifier = classifier
        self.daemon: Daemon = app.build(_config(folder), SystemClock(), stack)
        looker = self.daemon.parts.looker
        assert looker is not None
        self.looker = looker
        self.camera = _Files(self.empty)
        self.hand = _Hand(self.camera, self.empty)
        limited = LimitedCamera(self.camera)
        stack.callback(limited.close)
        looker.camera, looker.classifier = limited, classifier
        self.daemon.parts.recorder.classifier = classifier
        mover = LimitedActuator(self.hand, 0.0)
        stack.callback(mover.close)
        self.daemon.parts.actuation.actuators = [mover]
        self.daemon.begin()
        for _ in range(4):
            looker.glance()
        self.rows = stack.enter_context(closing(bare_store(folder / "bare.sqlite")))

    def turn(self) -> tuple[float, int, float, float]:
        """One item: milliseconds to the command, frames, bare calls and bare commit in ms."""
        self.camera.shown = self.lying
        for _ in range(6):
            self.looker.glance()  # it lies there
        self.camera.taken = 0
        started = self.camera.since = time.perf_counter()
        self.daemon.emit(Signal(Source.TIMER, time.monotonic()))
        self.daemon.step()
        total = (self.hand.told_at - started) * 1e3
        frames = self.hand.frames  # each is sharp, and asked about once
        for _ in range(4):
            self.looker.glance()
        return total, frames, self._bare(frames), self._commit()

    def _bare(self, frames: int) -> float:
        """The resizes of as many frames, for scene, sharpness and network, and the invokes."""
        spec = self.classifier.file.input_spec
        rows, columns = self.lying.shape[:2]
        sizes = (
            (SMALL_WIDTH, SMALL_HEIGHT),
            (SHARP_WIDTH, round(rows * SHARP_WIDTH / columns)),
            (spec.width, spec.height),
        )
        into = [np.empty((height, width, 3), np.uint8) for width, height in sizes]
        started = time.perf_counter()
        for _ in range(frames):
            for size, small in zip(sizes, into, strict=True):
                cv2.resize(self.lying, size, small, interpolation=cv2.INTER_AREA)
            self.classifier.invoke()
        return (time.perf_counter() - started) * 1e3

    def _commit(self) -> float:
        """A row of the last event's length and the features, committed as the store does."""
        outbox = self.daemon.parts.recorder.outbox
        [event] = outbox.span(outbox.last_seq() - 1, 1)
        text = event.to_json()
        features = bytes(2 * (self.classifier.file.manifest.output.features or 0))  # in float16
        started = time.perf_counter()
        bare_commit(self.rows, text, features)
        return (time.perf_counter() - started) * 1e3


def _config(folder: Path) -> Config:
    """A bin that acts on whatever the network says, and whose moves take no time."""
    return Config.model_validate(
        {
            "version": 1,
            "device": {"id": "bench"},
            "bins": {"all": {"labels": list(resources.labels())}},
            "rules": {"gap": 0.0, "top1": 0.0, "familiarity": 0.0},
            "look": {"refractory_s": 0, "settle_s": 1.5},
            "camera": {"kind": "simulated"},  # until the files take its place
            "triggers": [{"kind": "timer", "every_s": 86400}],
            "actuators": [{"kind": "none"}],
            "sorting": {"move_s": 0, "dwell_s": 0},
            "publisher": {"kind": "none"},
            "store": {"path": folder / "store"},
        }
    )


def bare_store(path: Path) -> sqlite3.Connection:
    """A database with the store's settings, and one table of a text and some bytes."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    db.execute("CREATE TABLE bare (json TEXT NOT NULL, features BLOB NOT NULL)")
    return db


def bare_commit(db: sqlite3.Connection, text: str, features: bytes) -> None:
    """One row, in a transaction of its own."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO bare VALUES (?, ?)", (text, features))
    db.execute("COMMIT")
