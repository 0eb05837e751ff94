"""What the assistant finds and tries."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click import Abort
from click.testing import CliRunner

from tests.support import FakeClock
from tests.unit.test_doctor_parts import FakeCamera
from trashbin import devices
from trashbin.assistant import parts, plan, servos
from trashbin.assistant.parts import Found, Mover, Tray
from trashbin.assistant.plan import Plan
from trashbin.assistant.talk import Setup
from trashbin.devices.pins import pin_factory
from trashbin.doctor.machine import Host
from trashbin.model import golden
from trashbin.types import Frame, Pixels

SERVO = 18


def test_a_usb_camera_is_named_so_that_it_stays_the_same_one(tmp_path: Path) -> None:
    assert parts._usb(tmp_path) == []
    for number, name in ((0, "HD Webcam"), (10, "bcm2835-codec-decode")):
        (tmp_path / f"sys/class/video4linux/video{number}").mkdir(parents=True)
        (tmp_path / f"sys/class/video4linux/video{number}/name").write_text(f"{name}\n")
    (tmp_path / "dev").mkdir()
    for number in (0, 10):
        (tmp_path / f"dev/video{number}").touch()
    assert parts._usb(tmp_path) == [Found("v4l2", 0, "HD Webcam")]
    by_id = tmp_path / "dev/v4l/by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-ACME_HD-video-index0").touch()
    (by_id / "usb-ACME_HD-video-index1").touch()
    path = "/dev/v4l/by-id/usb-ACME_HD-video-index0"
    assert parts._usb(tmp_path) == [Found("v4l2", path, "ACME HD")]


def test_a_camera_on_the_ribbon_comes_first_and_a_usb_one_is_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [
        {"Num": 0, "Model": "UVC", "Id": "/base/axi/pcie@120000/rp1/usb@300000-2:1.0-046d:0825"},
        {"Num": 1, "Model": "imx708", "Id": "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a"},
    ]
    library = SimpleNamespace(Picamera2=SimpleNamespace(global_camera_info=lambda: told))
    monkeypatch.setattr(parts, "_usb", lambda root: TWO[1:])
    monkeypatch.setitem(sys.modules, "picamera2", library)
    assert parts.cameras() == [Found("picamera2", 1, "imx708"), *TWO[1:]]
    monkeypatch.setitem(sys.modules, "picamera2", None)  # not installed
    assert parts.cameras() == TWO[1:]


def test_an_empty_tray_is_learned_and_what_is_put_there_is_seen() -> None:
    empty = golden.pattern(5, 480, 640)
    camera = FakeCamera(empty)
    tray = Tray(camera, parts.as_config(Plan().written()))
    assert tray.learn() < 0.001
    assert tray.watch() is None
    item: Pixels = empty.copy()
    item[160:320, 240:400] = 255 - np.median(item[160:320, 240:400]).astype(np.uint8)
    camera.pixels = item
    share = tray.watch()
    assert share is not None
    assert 0.04 < share < 0.2


def test_what_moves_over_an_empty_tray_is_told_as_so_large_a_change() -> None:
    class Passing(FakeCamera):
        """A shadow falls into one picture of many."""

        def capture(self, timeout: float) -> Frame:
            frame = super().capture(timeout)
            if self.shown == 7:
                frame.pixels[160:320, 240:400] //= 4
            return frame

    tray = Tray(Passing(golden.pattern(5, 480, 640)), parts.as_config(Plan().written()))
    assert 0.04 < tray.learn() < 0.2


def test_a_camera_that_was_tried_is_free_for_the_bin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera(golden.pattern(5, 480, 640))
    monkeypatch.setattr(devices, "load", lambda port, kind: lambda *_: camera)
    config = parts.as_config(Plan().written())
    with pytest.raises(Abort), parts.opened_camera(config, FakeClock()) as opened:
        assert opened.capture(1.0).pixels.shape == (480, 640, 3) and not camera.closed
        raise Abort  # Ctrl-C at a question
    assert camera.closed


def mover_of(wanted: Plan, factory: Any, clock: FakeClock) -> Mover:
    return Mover(wanted, lambda: parts.as_config(wanted.written()), factory, clock)


def test_the_servo_is_turned_where_it_is_told_and_let_go() -> None:
    factory, clock = pin_factory("mock"), FakeClock()
    pin = factory.pin(SERVO)
    widths: list[float | None] = []

    def measure() -> None:
        widths.append(None if pin.frequency is None else round(1000 * pin.state / pin.frequency, 2))

    mover = mover_of(Plan(), factory, clock)
    for angle in (-90.0, 45.0):
        clock.at(clock.elapsed + 0.1, measure)  # in the middle of the move
        mover.turn("paper", angle)
        measure()
    assert widths == [0.5, None, 2.0, None]
    assert mover.plan.bins["paper"].angle == 45.0


def test_a_board_on_i2c_is_found_by_its_answer(tmp_path: Path) -> None:
    def answers(bus: Path, address: int) -> bool:
        assert bus == tmp_path / "dev/i2c-1"
        return address >= 0x42

    assert servos.board(tmp_path, answers) is None
    assert any("do_i2c" in what for what in servos.lacking(plan.Servo("pca9685"), tmp_path))
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").touch()
    assert servos.board(tmp_path, answers) == plan.Servo("pca9685", address=0x42)
    assert servos.board(tmp_path) is None  # no bus, so nothing on it
    assert not any("do_i2c" in what for what in servos.lacking(plan.Servo("pca9685"), tmp_path))


@pytest.mark.parametrize(
    ("byte", "found"), [(b"\0", plan.Servo("pca9685", address=0x45)), (b"", None)]
)
def test_what_answers_on_i2c_is_asked_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, byte: bytes, found: plan.Servo | None
) -> None:
    def ioctl(device: object, request: int, address: int) -> None:
        if (request, address) != (0x0703, 0x45):  # I2C_SLAVE of linux/i2c-dev.h
            raise OSError(errno.EREMOTEIO, "nobody there")

    monkeypatch.setattr(servos.fcntl, "ioctl", ioctl)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").write_bytes(byte)
    assert servos.board(tmp_path) == found


@pytest.mark.parametrize(
    ("board", "line", "chips", "found"),
    [
        ("4 Model B Rev 1.5", "dtoverlay=pwm,pin=13,func=4", {0: "fe20c000.pwm"}, (13, 1, 0)),
        ("4 Model B Rev 1.5", "dtoverlay=pwm", {0: "fe20c000.pwm"}, (18, 0, 0)),
        (
            "5 Model B Rev 1.0",
            "dtoverlay=pwm-2chan",
            {1: "1f0009c000.pwm", 2: "1f00098000.pwm"},
            (18, 2, 2),
        ),
        ("5 Model B Rev 1.0", "dtoverlay=pwm", {1: "1f0009c000.pwm"}, None),  # its fan's alone
        ("4 Model B Rev 1.5", "# dtoverlay=pwm", {0: "fe20c000.pwm"}, None),
        ("4 Model B Rev 1.5", "dtoverlay=pwm-ir-tx", {0: "fe20c000.pwm"}, None),
        ("4 Model B Rev 1.5", "dtoverlay=pwm", {}, None),
        ("4 Model B Rev 1.5", "dtoverlay=pwm,pin=40,func=4", {0: "fe20c000.pwm"}, None),  # its jack
    ],
)
def test_hardware_pwm_is_found_where_the_overlay_and_the_kernel_say_so(
    tmp_path: Path,
    board: str,
    line: str,
    chips: dict[int, str],
    found: tuple[int, int, int] | None,
) -> None:
    for file, text in (
        ("boot/firmware/config.txt", f"arm_64bit=1\n{line}\n"),
        ("proc/device-tree/model", f"Raspberry Pi {board}\0"),
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    for number, device in chips.items():
        chip = tmp_path / f"sys/class/pwm/pwmchip{number}"
        chip.mkdir(parents=True)
        (tmp_path / device).mkdir()
        (chip / "device").symlink_to(tmp_path / device)
    way = servos.pwm(tmp_path)
    assert (way and (way.pin, way.channel, way.chip)) == found
    lacking = servos.lacking(plan.Servo("hardware_pwm"), tmp_path)
    assert any("dtoverlay=pwm,pin=18,func=2" in what for what in lacking) == (found is None)


def test_an_owner_is_told_how_to_get_a_missing_library(tmp_path: Path) -> None:
    for kind, extra in (("pca9685", "pca9685"), ("hardware_pwm", "hardware-pwm")):
        told = " ".join(servos.lacking(plan.Servo(kind), tmp_path))
        assert f"sudo ./install.sh --with {extra}" in told
    assert servos.lacking(plan.Servo(), tmp_path) == []


class Systemd:
    """A systemd under which the bin is at work; what it was told."""

    def __init__(self, root: Path, state: str = "active") -> None:
        (root / "run/systemd/system").mkdir(parents=True)
        self.host = Host(root, self.run)
        self.state, self.told = state, list[str]()

    def run(self, command: Sequence[str]) -> str | None:
        if command[1] == "show":
            return f"{self.state}\n"
        self.told.append(command[-2])
        return ""

    def talk(self, file: Path, answers: str) -> str:
        """What stands on the screen, until the answers are used up."""
        runner = CliRunner()
        with runner.isolation(input=answers) as (*_, screen), suppress(Abort):
            Setup(file, yes=False, pins="mock", host=self.host).run()
        return screen.getvalue().decode()


@pytest.mark.parametrize(
    ("state", "answers", "told"),
    [
        ("active", "\n", ["stop", "start"]),
        ("activating", "y\n", ["stop", "start"]),
        ("active", "n\n", []),
        ("inactive", "", []),
    ],
)
def test_a_bin_at_work_rests_while_its_parts_are_tried_and_goes_on(
    tmp_path: Path, state: str, answers: str, told: list[str]
) -> None:
    systemd = Systemd(tmp_path, state)
    screen = systemd.talk(tmp_path / "trashbin.yaml", answers)  # Ctrl-C at the first step
    assert ("at work" in screen) == bool(answers)
    assert systemd.told == told


def test_the_boards_pins_are_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").touch()
    name, bins, button, stop = "\n\n", "\n\n", "button\n3\n", "none\n"
    systemd = Systemd(tmp_path, "inactive")
    answers = f"{name}{bins}{button}{stop}pca9685\nhardware_pwm\n17\n12\n"
    screen = systemd.talk(tmp_path / "trashbin.yaml", answers)
    assert "Its I2C needs GPIO3, which is taken: its pin." in screen
    assert "a BCM pin 12, 13, 18, 19" in screen  # not 17
    assert "dtoverlay=pwm,pin=12,func=4" in " ".join(screen.split())


def test_the_camera_is_tried_in_the_light_that_the_bin_will_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock")
    lamp: list[bool] = []
    monkeypatch.setattr(parts, "cameras", lambda: TWO[:1])
    monkeypatch.setattr(Setup, "_look", lambda *_: lamp.append(setup.factory.pin(9).state))
    with CliRunner().isolation(input="9\n"):
        setup._camera()
    assert lamp == [True]
    assert setup.factory.pin(9).state == 0


TWO = [Found("picamera2", 0, "imx708"), Found("v4l2", "/dev/v4l/by-id/usb-A", "A")]


@pytest.mark.parametrize(
    ("found", "before", "answer", "chosen"),
    [
        ([], Plan(camera="picamera2", camera_device=1), "", ("picamera2", 1)),
        (TWO, Plan(), "", ("picamera2", 0)),
        (TWO, Plan(), "2", ("v4l2", "/dev/v4l/by-id/usb-A")),
        (
            TWO,
            Plan(camera="v4l2", camera_device="/dev/v4l/by-id/usb-A"),
            "",
            ("v4l2", "/dev/v4l/by-id/usb-A"),
        ),
        (TWO[1:], Plan(), None, ("v4l2", "/dev/v4l/by-id/usb-A")),
    ],
)
def test_a_camera_stays_what_it_was_unless_another_is_chosen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: list[Found],
    before: Plan,
    answer: str | None,
    chosen: tuple[object, ...],
) -> None:
    monkeypatch.setattr(parts, "cameras", lambda: found)
    monkeypatch.setattr(Setup, "_try_camera", lambda setup: None)
    file = tmp_path / "trashbin.yaml"
    file.write_text(before.written())
    setup = Setup(file, yes=False, pins="mock")
    with CliRunner().isolation(input="\n" if answer is None else f"\n{answer}\n"):
        setup._camera()
    assert (setup.plan.camera, setup.plan.camera_device) == chosen
