"""What an item costs in memory: nothing as large as a picture, once the bin has seen a few."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import trashbin
from tests.daemon.rig import Rig, sure
from trashbin import pictures, scenes
from trashbin.model import manifest
from trashbin.model.tflite import TFLiteClassifier
from trashbin.types import Frame, Pixels, Prediction

MOST = 64 * 1024  # bytes
OURS = str(Path(trashbin.__file__).parent)


class Lines:
    """The most that any one line of our own code took at once, what it gave back included."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}
        self._line = ""
        self._before = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        now, peak = tracemalloc.get_traced_memory()
        self.most[self._line] = max(self.most.get(self._line, 0), peak - self._before)
        file = frame.f_code.co_filename
        if not file.startswith(OURS):
            self._line = ""
            return None
        self._line = f"{file[len(OURS) + 1 :]}:{frame.f_lineno}"
        self._before = now
        tracemalloc.reset_peak()
        return self


@contextmanager
def traced() -> Iterator[Lines]:
    lines = Lines()
    before = sys.gettrace()
    gc.collect()
    tracemalloc.start()
    sys.settrace(lines)
    try:
        yield lines
    finally:
        sys.settrace(before)
        tracemalloc.stop()
        lines.most.pop("", None)


@dataclass
class Handed:
    """A camera whose frames are there already."""

    rig: Rig
    shown: Pixels

    def open(self) -> None: ...

    def capture(self, timeout: float) -> Frame:
        self.rig.clock.advance(0.05)
        return Frame(self.shown, self.rig.clock.monotonic())

    def close(self) -> None: ...


class Bin:
    """The whole daemon with the shipped network, whose answer alone is known beforehand."""

    def __init__(self, folder: Path, share: float, **changes: Any) -> None:
        self.rig = Rig(folder, **changes)
        trays, items = scenes.load()
        self.empty = pictures.read(trays[items[0].tray].path)
        # of several sizes, each in a close-up of its own
        self.lying = [pictures.read(item.path) for item in items if item.tray == items[0].tray]
        self.network = TFLiteClassifier(manifest.find())
        self.share = share
        self.camera = Handed(self.rig, self.empty)
        self.rig.network.predict = self.predict  # type: ignore[method-assign]
        looker = self.rig.daemon.cycle.looker
        looker.camera, looker._shape = self.camera, None
        looker.scene.forget()
        looker.learn_empty_tray()
        self.rig.servo.on_sort = lambda bin: self.clear()

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        return replace(self.network.predict(frame, turns), scores=sure("metal", self.share))

    def clear(self) -> None:
        self.camera.shown = self.empty

    def item(self) -> None:
        """One falls, is judged, and lies there for a while where it is held."""
        self.lying.insert(0, self.lying.pop())
        self.camera.shown = self.lying[0]
        self.rig.signal()
        for _ in range(4):
            self.rig.daemon.step()
            self.rig.clock.advance(1.0)
        self.clear()
        for _ in range(4):
            self.rig.daemon.step()
            self.rig.clock.advance(1.0)


@pytest.mark.parametrize(("share", "kind"), [(0.9, "sorted"), (0.3, "uncertain")])
def test_no_line_takes_as_much_as_a_picture_for_an_item(
    tmp_path: Path, share: float, kind: str
) -> None:
    bin = Bin(tmp_path, share)
    for _ in range(len(bin.lying) + 1):  # so that the next is of another size than the last
        bin.item()
    with traced() as lines:
        bin.item()
    assert bin.rig.kinds()[-4:] == [kind] * 4
    taken = sorted(((most, line) for line, most in lines.most.items()), reverse=True)
    assert len(taken) > 200  # it was looked at
    assert taken[0][0] <= MOST, taken[:10]
