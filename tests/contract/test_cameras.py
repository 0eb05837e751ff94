"""One contract for every camera: on files, on stand-ins, and the simulated one as it is."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.camera_bench import BLUE, HEIGHT, REAL, RED, WIDTH, Bench, workbench
from trashbin.devices import TABLE
from trashbin.errors import CameraError
from trashbin.ports import Context


@pytest.fixture
def bench(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = workbench(tmp_path, context)
    bench.machine.install(monkeypatch)
    return bench


every_camera = pytest.mark.parametrize("kind", sorted(TABLE["camera"]))


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


@every_camera
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
    threads = set(threading.enumerate())
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
    assert set(threading.enumerate()) <= threads


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


if not REAL:  # the whole Pi's camera can cut out a part

    def test_a_camera_that_cannot_cut_out_a_part_is_told_with_the_key(bench: Bench) -> None:
        with pytest.raises(CameraError, match="take region out of the configuration"):
            bench.make("picamera2", region=[0.0, 0.0, 0.5, 1.0]).open()
        bench.make("picamera2").open()  # it was freed


def test_without_picamera2_the_message_says_how_to_install_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match=r"apt install python3-picamera2.*system-site-packages"):
        bench.make("picamera2").open()
