"""A camera that gives one picture for ever is noticed: no sensor does so in the light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.daemon.rig import Rig
from tests.daemon.test_watch import faults, may_end
from tests.support_config import edited, load
from trashbin.clock import SystemClock
from trashbin.errors import GivenUpError
from trashbin.frozen import LiveCamera, is_lit
from trashbin.limits import LimitedCamera
from trashbin.made import Made
from trashbin.outbox import Outbox
from trashbin.status import Status
from trashbin.types import Frame, Pixels

NOISE: Pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


class Sensor:
    """The tray's camera with a sensor's noise; its driver may stand still."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.frozen = False
        self.thaws_for = 0  # pictures after it was opened again
        self.noise = np.random.default_rng(0)
        self._last: Pixels | None = None
        self._left = 0
        looker = rig.daemon.parts.looker
        assert looker is not None
        self.live = LiveCamera(LimitedCamera(self), rig.config.watch.frozen_s)
        looker.camera = self.live

    def open(self) -> None:
        self.rig.tray.open()
        self._left = self.thaws_for

    def capture(self, timeout: float) -> Frame:
        frame = self.rig.tray.capture(timeout)
        fresh = not self.frozen or self._last is None or self._left > 0
        self._left -= 1
        if fresh:
            self._last = frame.pixels + self.noise.integers(0, 2, frame.pixels.shape, np.uint8)
        assert self._last is not None
        return Frame(self._last, frame.at)

    def close(self) -> None:
        self.rig.tray.close()


@pytest.fixture
def sensor(tmp_path: Path) -> Sensor:
    return Sensor(Rig(tmp_path))


def test_it_is_told_and_what_fell_in_meanwhile_is_sorted_when_it_is_over(
    sensor: Sensor,
) -> None:
    rig = sensor.rig
    rig.go(300)
    assert rig.kinds() == [], "noise is enough"
    sensor.frozen = True
    rig.drop()
    rig.go(30)
    assert rig.kinds() == ["empty"], "as long as nobody can know"
    rig.go(600)
    (part, message), (_, at_last) = faults(rig)
    assert part == "camera" and "one and the same picture" in message
    assert "It was opened 6 times" in at_last
    assert rig.daemon.status is Status.FAULT and not rig.servo.visited
    sensor.frozen = False
    rig.go(60)
    assert rig.servo.visited == ["rest"] and rig.kinds() == ["empty", "fault", "fault", "sorted"]
    assert rig.daemon.status is Status.IDLE
    rig.sorts_the_next()


def test_a_new_picture_that_stays_is_no_recovery(sensor: Sensor) -> None:
    rig = sensor.rig
    sensor.frozen, sensor.thaws_for = True, 1
    rig.go(900)
    assert len(faults(rig)) == 2 and rig.daemon.status is Status.FAULT


def test_the_process_ends_to_be_started_anew(sensor: Sensor) -> None:
    rig = sensor.rig
    may_end(rig)
    sensor.frozen = True
    with pytest.raises(GivenUpError, match="one and the same picture"):
        rig.go(900)
    assert rig.tray.opened == rig.config.watch.camera_tries
    assert "restart 1 of 5" in faults(rig)[-1][1]


@pytest.mark.parametrize("light", [0.0, 0.1, 3.0])
def test_what_is_black_or_clipped_may_repeat(sensor: Sensor, light: float) -> None:
    rig = sensor.rig
    rig.go(30)
    rig.tray.empty = np.clip(rig.tray.empty * light, 0, 255).astype(np.uint8)
    sensor.frozen, sensor._last = True, None
    rig.go(600)
    assert faults(rig) == []


@pytest.mark.parametrize(
    ("pixels", "lit"),
    [
        (NOISE, True),
        (NOISE // 16, False),
        (np.full_like(NOISE, 255), False),
        (np.vstack([np.zeros_like(NOISE), np.full_like(NOISE, 255)]), False),
        (np.vstack([np.zeros_like(NOISE), NOISE]), True),
    ],
)
def test_where_noise_would_show(pixels: Pixels, lit: bool) -> None:
    assert is_lit(pixels) == lit


@pytest.mark.parametrize(
    ("camera", "watch", "live"),
    [
        ("kind: v4l2", "", True),
        ("kind: v4l2\n  device: /dev/v4l/by-id/some", "", True),
        ("kind: v4l2\n  device: tray.avi", "", False),
        ("kind: picamera2", "", True),
        ("kind: picamera2", "watch:\n  frozen_s: 0\n", False),
        ("kind: folder\n  path: pictures", "", False),
    ],
)
def test_a_file_may_show_one_picture_for_long_and_so_may_what_the_owner_says(
    tmp_path: Path, camera: str, watch: str, live: bool
) -> None:
    config = load(tmp_path, edited(("kind: v4l2", camera)) + watch).config
    assert config is not None
    made = Made(config, SystemClock(), Outbox(tmp_path / "events.sqlite"), {})
    assert isinstance(made.camera, LiveCamera) == live
