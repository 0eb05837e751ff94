"""The Pi's camera on picamera2's own code, with libcamera alone stood in for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.camera_bench import BLUE, RED, Bench, half_red_half_blue, workbench
from tests.support_libcamera import FULL, Machine
from tests.support_libcamera_values import Orientation, Rectangle
from trashbin.devices.picamera2 import Picamera2Camera
from trashbin.errors import CameraError
from trashbin.ports import Attentive, Context

pytestmark = pytest.mark.devices


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(half_red_half_blue())
    machine.install(monkeypatch)
    return machine


@pytest.fixture
def bench(tmp_path: Path, context: Context, machine: Machine) -> Bench:
    return replace(workbench(tmp_path, context), machine=machine)


def camera(bench: Bench, **settings: Any) -> Picamera2Camera:
    made = bench.make("picamera2", **{"width": 320, "height": 240} | settings)
    assert isinstance(made, Picamera2Camera)
    return made


def test_it_is_the_real_library() -> None:
    import importlib.metadata

    assert importlib.metadata.version("picamera2") >= "0.3.24"


def test_the_isp_scales_for_network_and_scene_from_a_mode_that_sees_the_whole_field(
    bench: Bench, machine: Machine
) -> None:
    with_default = camera(bench)
    with_default.open()
    frame = with_default.capture(2.0)
    with_default.close()
    assert machine.configured is not None and machine.configured.sensor_config is not None
    sensor = machine.configured.sensor_config.output_size
    assert (sensor.width, sensor.height) == (2304, 1296)
    main, lores = machine.configured.streams
    assert (main.size.width, main.size.height, main.buffer_count) == (320, 240, 4)
    assert frame.pixels.shape == (240, 320, 3)
    assert lores.pixel_format == "YUV420" and lores.stride > lores.size.width
    assert frame.small is not None and frame.small.shape == (120, 160, 3)


def test_a_test_picture_keeps_its_colours_and_sides_in_both_streams(bench: Bench) -> None:
    upright = camera(bench)
    upright.open()
    frame = upright.capture(2.0)
    upright.close()
    for picture in (frame.pixels, frame.small):
        assert picture is not None and not picture.flags.writeable
        rows, columns = picture.shape[:2]
        np.testing.assert_allclose(picture[rows // 3, columns // 8], RED, atol=4)
        np.testing.assert_allclose(picture[rows // 3, -columns // 8], BLUE, atol=4)


def test_the_sensor_turns_the_picture(bench: Bench, machine: Machine) -> None:
    hanging = camera(bench, rotate=180)
    hanging.open()
    np.testing.assert_allclose(hanging.capture(2.0).pixels[80, 40], BLUE, atol=4)
    hanging.close()
    assert machine.configured is not None
    assert machine.configured.orientation is Orientation.Rotate180


def test_lens_light_and_pace_reach_the_camera(bench: Bench, machine: Machine) -> None:
    set_up = camera(
        bench, focus_cm=25, exposure_ms=10, gain=2, white_balance="daylight", fps=20, buffers=3
    )
    set_up.open()
    set_up.capture(2.0)
    set_up.close()
    applied = machine.applied
    assert (applied["AfMode"].name, applied["LensPosition"]) == ("Manual", 4.0)
    assert (applied["ExposureTime"], applied["AnalogueGain"]) == (10_000, 2.0)
    assert applied["ExposureTimeMode"] == applied["AnalogueGainMode"] == 1  # manual
    assert applied["AwbMode"].name == "Daylight"
    assert applied["FrameDurationLimits"] == (50_000, 50_000)


@pytest.mark.parametrize("pi5", [False, True])
def test_a_region_is_cut_out_by_the_camera_on_every_pi(
    bench: Bench, machine: Machine, pi5: bool
) -> None:
    machine.pi5 = pi5
    left_half = camera(bench, region=[0.0, 0.0, 0.5, 1.0])
    left_half.open()
    frame = left_half.capture(2.0)
    left_half.close()
    crop = Rectangle(0, 0, FULL[0] // 2, FULL[1])
    assert machine.applied["ScalerCrops" if pi5 else "ScalerCrop"] == ([crop] * 2 if pi5 else crop)
    for picture in (frame.pixels, frame.small):
        assert picture is not None
        np.testing.assert_allclose(picture[:, -8:].reshape(-1, 3).mean(axis=0), RED, atol=6)


def test_a_fixed_lens_that_is_to_focus_is_told_with_the_key(bench: Bench, machine: Machine) -> None:
    machine.fixed_lens = True
    with pytest.raises(CameraError, match=r"focus_cm.*lens is fixed.*take focus_cm out"):
        camera(bench, focus_cm=25).open()
    assert not machine.opened


def test_a_start_passes_over_its_first_pictures(bench: Bench, machine: Machine) -> None:
    warm = camera(bench, warm_up=12)
    warm.open()
    assert machine.frames >= 12
    warm.close()


def test_white_balance_is_held_while_something_may_lie_there(
    bench: Bench, machine: Machine
) -> None:
    held = camera(bench)
    assert isinstance(held, Attentive)
    held.open()
    held.attend(False)
    for attentive in (True, False, True):
        held.attend(attentive)
        for _ in range(8):  # requests that were queued before go first
            held.capture(2.0)
        assert machine.applied["AwbEnable"] is not attentive
    held.close()


def test_an_idle_camera_is_slow_and_then_quick_again(bench: Bench, machine: Machine) -> None:
    slow = camera(bench, fps=20, idle_fps=5)
    slow.open()
    for attentive, frame_us in ((False, 200_000), (True, 50_000)):
        slow.attend(attentive)
        for _ in range(8):
            slow.capture(2.0)
        assert machine.applied["FrameDurationLimits"] == (frame_us, frame_us)
    slow.close()


def test_a_stopped_camera_starts_again_for_the_next_item(bench: Bench, machine: Machine) -> None:
    stopped = camera(bench, idle_fps=0)
    stopped.open()
    for _ in range(3):
        stopped.attend(False)
        frames = machine.frames
        assert machine.starts and not machine.running
        stopped.attend(True)
        assert stopped.capture(2.0).pixels.shape == (240, 320, 3)
        assert machine.frames > frames
    stopped.close()
    assert machine.starts == 4


def test_every_buffer_is_given_back_however_long_it_runs(bench: Bench, machine: Machine) -> None:
    camera_of_three = camera(bench, buffers=3)
    camera_of_three.open()
    frames = [camera_of_three.capture(2.0) for _ in range(30)]
    assert len({frame.pixels.ctypes.data for frame in frames}) == 30  # copies, not the buffers
    camera_of_three.close()


@pytest.mark.parametrize("when", ["start", "capture", "restart"])
def test_a_loose_cable_costs_its_time_limit_and_can_be_put_in_again(
    bench: Bench, machine: Machine, when: str
) -> None:
    loose = camera(bench, timeout_s=0.2, warm_up=2, fps=100, idle_fps=0)
    machine.silent = when == "start"
    if when != "start":
        loose.open()
        machine.silent = True
    if when == "restart":
        loose.attend(False)
    with pytest.raises(CameraError, match=r"within 0\.\d+ s: is its cable loose"):
        (loose.open if when == "start" else lambda: loose.capture(0.2))()
    assert not machine.opened
    machine.silent = False
    loose.open()
    loose.capture(2.0)
    loose.close()
    assert not machine.opened
