"""One contract for every camera: on files, on stand-ins, and the simulated one as it is."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.support import FakeClock
from tests.support_picamera2 import Machine
from trashbin import settings
from trashbin.devices import TABLE, load, v4l2
from trashbin.errors import CameraError
from trashbin.ports import Camera, Context
from trashbin.types import Pixels

WIDTH, HEIGHT = 96, 64
RED, BLUE = (200, 40, 30), (30, 40, 200)
VIDEO_FRAMES = 6
SECTION: TypeAdapter[Any] = TypeAdapter(settings.Camera)


def half_red_half_blue() -> Pixels:
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2], picture[:, WIDTH // 2 :] = RED, BLUE
    return picture


def picture_file(path: Path, rgb: Pixels) -> None:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def video_file(path: Path) -> Path:
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, 15.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for _ in range(VIDEO_FRAMES):
        writer.write(cv2.cvtColor(half_red_half_blue(), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@dataclass
class Bench:
    """Where cameras are made: a folder, a clock, a Pi's camera connector."""

    folder: Path
    context: Context
    machine: Machine

    def make(self, kind: str, **settings_of_kind: Any) -> Camera:
        usual: dict[str, Any] = {
            "folder": {"path": self.folder / "pictures"},
            "v4l2": {"device": str(self.folder / "v.avi")},
        }.get(kind, {"width": WIDTH, "height": HEIGHT})
        section = SECTION.validate_python({"kind": kind} | usual | settings_of_kind)
        camera: Camera = load("camera", kind)(section, self.context)
        return camera


@pytest.fixture
def bench(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (tmp_path / "pictures").mkdir()
    picture_file(tmp_path / "pictures" / "a.png", half_red_half_blue())
    video_file(tmp_path / "v.avi")
    machine = Machine(half_red_half_blue())
    machine.install(monkeypatch)
    return Bench(tmp_path, context, machine)


KINDS = sorted(TABLE["camera"])
every_camera = pytest.mark.parametrize("kind", KINDS)
every_camera_of_a_known_picture = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "simulated"]
)


@every_camera
def test_a_frame_is_a_read_only_rgb_picture_taken_after_the_call(bench: Bench, kind: str) -> None:
    camera = bench.make(kind)
    camera.open()
    for _ in range(4):
        called_at = bench.context.clock.monotonic()
        frame = camera.capture(2.0)
        assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
        assert frame.pixels.dtype == np.uint8
        assert not frame.pixels.flags.writeable
        assert called_at <= frame.at <= bench.context.clock.monotonic()
    camera.close()


@every_camera_of_a_known_picture
def test_red_is_red_and_left_is_left(bench: Bench, kind: str) -> None:
    camera = bench.make(kind)
    camera.open()
    pixels = camera.capture(2.0).pixels
    # a video's JPEG may be off by some levels, and smears colours at the border
    np.testing.assert_allclose(pixels[24, 8], RED, atol=25)
    np.testing.assert_allclose(pixels[24, -8], BLUE, atol=25)
    camera.close()


@every_camera
def test_close_is_safe_at_any_time_and_a_closed_camera_can_be_opened_again(
    bench: Bench, kind: str
) -> None:
    threads = threading.active_count()
    camera = bench.make(kind)
    camera.close()
    for _ in range(3):
        camera.open()
        camera.capture(2.0)
        camera.close()
        camera.close()
    camera.open()
    camera.open()  # the first must not stay behind, holding the device
    camera.capture(2.0)
    camera.close()
    assert threading.active_count() == threads


@every_camera
def test_a_capture_from_a_camera_that_is_not_open_is_our_error(bench: Bench, kind: str) -> None:
    camera = bench.make(kind)
    with pytest.raises(CameraError, match="not open"):
        camera.capture(2.0)
    camera.open()
    camera.close()
    with pytest.raises(CameraError, match="not open"):
        camera.capture(2.0)


@pytest.mark.parametrize(
    ("kind", "wrong", "tells"),
    [
        ("folder", {"path": Path("nowhere")}, "nowhere does not exist"),
        ("v4l2", {"device": "/dev/video-none"}, "There is no /dev/video-none"),
        ("v4l2", {"device": 63}, "There is no /dev/video63"),
        ("v4l2", {"device": __file__}, "no video that OpenCV can read"),
        ("picamera2", {"index": 3}, "No camera number 3.*cable"),
    ],
)
def test_a_missing_camera_says_what_to_do_and_can_come_later(
    bench: Bench, kind: str, wrong: dict[str, Any], tells: str
) -> None:
    camera = bench.make(kind, **wrong)
    for _ in range(2):
        with pytest.raises(CameraError, match=tells):
            camera.open()
    camera.close()


@pytest.mark.parametrize(("kind", "rotate"), [("v4l2", 180), ("picamera2", 180)])
def test_a_camera_that_hangs_upside_down_is_turned(bench: Bench, kind: str, rotate: int) -> None:
    camera = bench.make(kind, rotate=rotate)
    camera.open()
    np.testing.assert_allclose(camera.capture(2.0).pixels[24, 8], BLUE, atol=25)
    camera.close()


@pytest.mark.parametrize(("rotate", "top"), [(90, RED), (270, BLUE)])
def test_a_quarter_turn_is_clockwise(bench: Bench, rotate: int, top: tuple[int, ...]) -> None:
    camera = bench.make("v4l2", rotate=rotate)
    camera.open()
    pixels = camera.capture(2.0).pixels
    assert pixels.shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_allclose(pixels[8, 24], top, atol=25)
    camera.close()


# folder


def grey(level: int) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def levels(camera: Camera, clock: Any, count: int, every_s: float) -> list[int]:
    seen = []
    for _ in range(count):
        seen.append(int(camera.capture(1.0).pixels[0, 0, 0]))
        clock.advance(every_s)
    return seen


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    folder = tmp_path / "greys"
    folder.mkdir()
    for level in (10, 20, 30, 40):
        picture_file(folder / f"{level}.png", grey(level))
    return folder


def test_a_folder_shows_each_picture_for_its_time_and_begins_again(
    bench: Bench, clock: FakeClock, greys: Path
) -> None:
    camera = bench.make("folder", path=greys, seconds_each=4.0)
    camera.open()
    assert levels(camera, clock, 9, 2.0) == [10, 10, 20, 20, 30, 30, 40, 40, 10]


def test_a_shuffled_folder_has_an_order_of_its_seed(
    bench: Bench, clock: FakeClock, greys: Path
) -> None:
    seen = []
    for seed in (1, 1, 2):
        camera = bench.make("folder", path=greys, seconds_each=1.0, order="shuffled", seed=seed)
        camera.open()
        seen.append(levels(camera, clock, 4, 1.0))
    assert seen[0] == seen[1] != seen[2]
    assert all(sorted(one) == [10, 20, 30, 40] for one in seen)


def test_a_broken_picture_is_skipped_with_one_warning(
    bench: Bench, clock: FakeClock, greys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (greys / "20.png").write_bytes(b"no picture")
    camera = bench.make("folder", path=greys, seconds_each=1.0)
    camera.open()
    assert levels(camera, clock, 8, 1.0) == [10, 30, 30, 40, 10, 30, 30, 40]
    assert [record.message.count("20.png") for record in caplog.records] == [1]


def test_a_folder_without_a_whole_picture_is_a_camera_error(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    camera = bench.make("folder", path=folder)
    with pytest.raises(CameraError, match="holds no picture"):
        camera.open()
    (folder / "a.jpg").write_text("no picture")
    camera.open()
    with pytest.raises(CameraError, match="can be read"):
        camera.capture(1.0)


# v4l2


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

    def open(self, source: int | str, backend: int) -> bool:
        self.in_use += 1
        return not self.busy

    def set(self, key: int, value: float) -> bool:
        return True

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
    threads = threading.active_count()
    camera = live(bench)
    camera.open()
    driver.awake.clear()
    with pytest.raises(CameraError, match=r"within 0\.05 s"):
        camera.capture(0.05)
    for _ in range(3):
        with pytest.raises(CameraError, match="still hangs: unplug"):
            camera.open()
    assert threading.active_count() <= threads + 1
    driver.awake.set()
    for thread in threading.enumerate():
        if thread.name == "camera /dev/null":
            thread.join(2.0)
    camera.open()
    camera.capture(2.0)
    camera.close()
    assert threading.active_count() == threads
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


# picamera2


def test_a_silent_picamera2_is_closed_and_can_be_opened_again(bench: Bench) -> None:
    camera = bench.make("picamera2")
    camera.open()
    bench.machine.silent = True
    with pytest.raises(CameraError, match=r"within 0\.5 s"):
        camera.capture(0.5)
    assert not bench.machine.opened
    bench.machine.silent = False
    camera.open()
    camera.capture(0.5)
    camera.close()


def test_every_buffer_of_picamera2_is_given_back(bench: Bench) -> None:
    camera = bench.make("picamera2")
    camera.open()
    for _ in range(20):
        camera.capture(0.5)
    camera.close()


def test_without_picamera2_the_message_says_how_to_install_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match=r"apt install python3-picamera2.*system-site-packages"):
        bench.make("picamera2").open()
