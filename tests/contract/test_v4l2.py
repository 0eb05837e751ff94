"""The V4L2 camera beyond the contract: a live driver that is slow, torn, hung or gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.contract.camera_bench import VIDEO_FRAMES, Bench, grey, picture_file, workbench
from trashbin.devices import v4l2
from trashbin.errors import CameraError
from trashbin.ports import Camera, Context
from trashbin.types import Pixels


@pytest.fixture
def bench(tmp_path: Path, context: Context) -> Bench:
    return workbench(tmp_path, context)


def test_a_video_gives_each_frame_once_and_its_end_is_told(bench: Bench) -> None:
    camera = bench.make("v4l2")
    camera.open()
    for _ in range(VIDEO_FRAMES):
        camera.capture(2.0)
    with pytest.raises(CameraError, match="at its end"):
        camera.capture(2.0)
    camera.open()
    camera.capture(2.0)
    camera.close()


def test_a_picture_sequence_is_a_video(bench: Bench, tmp_path: Path) -> None:
    for number in range(3):
        picture_file(tmp_path / f"{number:02d}.png", grey(10 * number))
    camera = bench.make("v4l2", device=str(tmp_path / "%02d.png"))
    camera.open()
    assert [int(camera.capture(2.0).pixels[0, 0, 0]) for _ in range(3)] == [0, 10, 20]
    camera.close()


def test_a_path_that_may_not_be_looked_at_is_a_camera_error(bench: Bench) -> None:
    camera = bench.make("v4l2", device="/" + 300 * "x")  # to root, too, is this refused
    with pytest.raises(CameraError, match="cannot be looked for"):
        camera.open()


class Driver:
    """A USB camera's driver behind VideoCapture: its pictures are numbered as they come."""

    def __init__(self) -> None:
        self.count = 0
        self.busy = False
        self.awake = threading.Event()  # while cleared, every call hangs
        self.awake.set()
        self.torn = 0  # this many of the next pictures are half a JPEG
        self.unplugged = False
        self.in_use = 0
        self.knows = ("YUYV", "MJPG")
        self.code = 0.0

    def open(self, source: int | str, backend: int) -> bool:
        self.in_use += 1
        return not self.busy

    def set(self, key: int, value: float) -> bool:
        if key == cv2.CAP_PROP_FOURCC:
            known = [float(cv2.VideoWriter.fourcc(*name)) for name in self.knows]
            self.code = value if value in known else known[0]
        return True

    def get(self, key: int) -> float:
        return self.code if key == cv2.CAP_PROP_FOURCC else 0.0

    def grab(self) -> bool:
        self.awake.wait()
        time.sleep(0.001)  # the pace of the camera itself, not of the test
        self.count += 1
        return not self.unplugged

    def retrieve(self) -> tuple[bool, Pixels | None]:
        if self.torn:
            self.torn -= 1
            return False, None
        return True, np.full((2, 2, 3), self.count % 256, np.uint8)

    def release(self) -> None:
        self.in_use -= 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setattr(cv2, "VideoCapture", lambda: driver)
    monkeypatch.setattr(v4l2, "CLOSE_S", 0.02)
    return driver


def live(bench: Bench) -> Camera:
    return bench.make("v4l2", device="/dev/null")  # a device that is there and may be read


def test_a_live_camera_gives_the_newest_frame_and_never_an_old_one(
    bench: Bench, driver: Driver
) -> None:
    camera = live(bench)
    camera.open()
    for _ in range(5):
        arrived = driver.count
        assert int(camera.capture(2.0).pixels[0, 0, 0]) > arrived
        while driver.count < arrived + 5:  # frames that nobody wants
            time.sleep(0.001)
    camera.close()
    assert driver.in_use == 0


def test_half_a_jpeg_is_passed_over(bench: Bench, driver: Driver) -> None:
    driver.torn = 3
    camera = live(bench)
    camera.open()
    assert camera.capture(2.0).pixels.shape == (2, 2, 3)
    camera.close()


def test_a_driver_that_hangs_costs_its_time_limit_and_one_thread(
    bench: Bench, driver: Driver
) -> None:
    threads = set(threading.enumerate())
    camera = live(bench)
    camera.open()
    driver.awake.clear()
    with pytest.raises(CameraError, match=r"within 0\.05 s"):
        camera.capture(0.05)
    for _ in range(3):
        with pytest.raises(CameraError, match="still hangs: unplug"):
            camera.open()
    assert len(set(threading.enumerate()) - threads) <= 1
    driver.awake.set()
    for thread in threading.enumerate():
        if thread.name == "camera /dev/null":
            thread.join(2.0)
    camera.open()
    camera.capture(2.0)
    camera.close()
    assert set(threading.enumerate()) <= threads
    assert driver.in_use == 0


def test_an_unplugged_camera_is_told_and_may_come_back(bench: Bench, driver: Driver) -> None:
    camera = live(bench)
    camera.open()
    driver.unplugged = True
    with pytest.raises(CameraError, match="still plugged in"):
        camera.capture(2.0)
    driver.unplugged = False
    camera.open()
    camera.capture(2.0)
    camera.close()


def test_a_camera_that_another_program_holds_is_told(bench: Bench, driver: Driver) -> None:
    driver.busy = True
    with pytest.raises(CameraError, match="does another program use it"):
        live(bench).open()


@pytest.mark.parametrize(
    ("settings", "travels"),
    [
        ({}, "yuyv"),
        ({"width": 1280, "height": 720}, "mjpg"),
        ({"fps": 60}, "mjpg"),
        ({"format": "mjpg"}, "mjpg"),
        ({"width": 1280, "height": 720, "format": "yuyv"}, "yuyv"),
    ],
)
def test_pictures_travel_whole_where_usb_carries_them(
    bench: Bench, driver: Driver, settings: dict[str, Any], travels: str
) -> None:
    camera = bench.make("v4l2", device="/dev/null", **settings)
    camera.open()
    camera.close()
    assert driver.code == cv2.VideoWriter.fourcc(*travels.upper())


def test_a_camera_that_has_not_the_format_is_told_and_used_all_the_same(
    bench: Bench, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.knows = ("MJPG",)
    camera = live(bench)
    camera.open()
    camera.capture(2.0)
    camera.close()
    assert "gives mjpg, not yuyv" in caplog.text
