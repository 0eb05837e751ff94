"""What the assistant finds and tries."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import Abort, BadParameter
from click.testing import CliRunner

from tests.support import FakeClock
from tests.unit.test_doctor_parts import FakeCamera
from trashbin import config
from trashbin.assistant import asking, parts, plan, servos, talk
from trashbin.assistant.parts import Found, Mover, Tray
from trashbin.assistant.plan import Plan
from trashbin.assistant.talk import Setup
from trashbin.devices.pins import pin_factory
from trashbin.doctor.machine import Host
from trashbin.errors import ConfigError
from trashbin.model import golden
from trashbin.settings import MqttPublisher, Pca9685Actuator
from trashbin.types import Pixels

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


def test_where_nothing_hangs_on_a_pin_none_is_to_be_tried(tmp_path: Path) -> None:
    name, bins, motion, rest = "\n\n", "\nnone\n", "motion\n", "none\nnone\nn\n"
    answers = f"{name}{bins}{motion}{rest}none\n\n"
    screen = Systemd(tmp_path, "inactive").talk(tmp_path / "trashbin.yaml", answers)
    assert "Nothing hangs on a pin." in screen
    assert "Try trigger" not in screen
    assert "no way to the pins" not in screen
    assert config.load(tmp_path / "trashbin.yaml").config is not None


def test_who_forgot_sudo_is_told_before_the_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    screen = Systemd(tmp_path).talk(tmp_path / "trashbin.yaml", "")
    assert "may not be written to. Run it with sudo" in " ".join(screen.split())
    assert "1/8" not in screen


def test_a_file_that_may_not_be_looked_for_is_no_traceback(tmp_path: Path) -> None:
    screen = Systemd(tmp_path, "inactive").talk(tmp_path / (300 * "x") / "trashbin.yaml", "")
    assert "Setting up a bin." in screen


def test_a_servo_on_a_board_is_turned_without_any_way_to_the_pins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[float | None] = []

    class Pulse:
        def __init__(self, settings: Pca9685Actuator) -> None:
            assert (settings.channel, settings.address) == (3, 0x41)

        def give(self, milliseconds: float) -> None:
            given.append(milliseconds)

        def end(self) -> None:
            given.append(None)

        def close(self) -> None: ...

    monkeypatch.setattr("trashbin.devices.servo_boards._BoardPulse", Pulse)
    board = plan.Servo("pca9685", channel=3, address=0x41)
    mover_of(Plan(servo=board, stop=None), None, FakeClock()).turn("paper", 45.0)
    assert given[:2] == [2.0, None]
    assert set(given[2:]) <= {None}


def test_answers_that_do_not_fit_together_are_told() -> None:
    with pytest.raises(ConfigError, match="18"):
        parts.as_config(Plan(uncertain=18).written())


def again(folder: Path, *edits: tuple[str, str]) -> Setup:
    """The assistant, run again on a file that somebody has edited since."""
    file = folder / "trashbin.yaml"
    text = Plan(pins="mock").written()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return Setup(file, yes=False, pins="mock", host=Host(folder, lambda command: None))


NARROW = (
    ("    min_pulse_ms: 0.5     # m", "    min_pulse_ms: 1.0     # m"),
    ("    max_pulse_ms: 2.5     # an", "    max_pulse_ms: 2.0     # an"),
    ("    min_angle: -90.0 ", "    min_angle: -80.0 "),
)


def test_a_servo_is_tried_within_the_pulses_that_its_owner_has_set(tmp_path: Path) -> None:
    setup = again(tmp_path, *NARROW)
    factory, clock = pin_factory("mock"), FakeClock()
    pin = factory.pin(SERVO)
    widths: list[float] = []
    clock.at(0.1, lambda: widths.append(round(1000 * pin.state / pin.frequency, 2)))
    Mover(setup.plan, setup._config, factory, clock).turn("paper", -80.0)
    assert widths == [1.0]
    with CliRunner().isolation(input="-85\n\n"):  # beyond its reach, so asked again
        setup._find_angle(
            Mover(setup.plan, setup._config, factory, clock), "paper", setup.plan.bins["paper"]
        )
    assert setup.plan.bins["paper"].angle == -80.0


def test_a_broker_is_tried_with_the_tls_that_the_file_has(tmp_path: Path) -> None:
    setup = again(tmp_path, ("  # tls:                  # d", "  tls: {ca: ca.crt}       # d"))
    section = setup._config().publisher
    assert isinstance(section, MqttPublisher) and section.tls is not None
    assert section.tls.ca == tmp_path / "ca.crt"  # beside the file, not beside a copy of it


def test_a_pin_that_nobody_is_asked_for_is_taken_all_the_same(tmp_path: Path) -> None:
    setup = again(
        tmp_path, ("  # answers:  ", "  answers:  "), ("  #   glass: 23 ", "    glass: 23 ")
    )
    with CliRunner().isolation(input="23\n24\n") as (*_, screen):
        assert setup._pin("Its pin", 17) == 24
    assert "GPIO23 is taken: gpio: answers.glass" in screen.getvalue().decode()


def test_lamps_without_a_pin_are_no_lamps(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock")
    with CliRunner().isolation(input="y\n" + 5 * "none\n"):
        setup._lamps()
    assert {actuator.kind for actuator in setup._config().actuators} == {"servo"}


def test_what_cannot_be_seen_is_no_answer(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock")
    with CliRunner().isolation(input="bin-2\n\x1b[D\nKüche\n"):  # an arrow key
        setup._name()
    assert (setup.plan.id, setup.plan.name) == ("bin-2", "Küche")


@pytest.mark.parametrize("text", ["²", "-1", "1.0", "", "9" * 5000])
def test_what_int_cannot_read_is_no_pin_and_no_port(tmp_path: Path, text: str) -> None:
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock")
    with CliRunner().isolation(input=f"{text}\n5\n"):
        assert setup._pin("Its pin", None) == 5
    with pytest.raises(BadParameter):
        asking.whole(1, 65535)(text)


def test_a_lamp_at_some_bins_only_is_asked_for_again(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock")
    setup.plan.bins = plan.two_bins()
    with CliRunner().isolation(input="y\n5\nnone\n5\n6\nnone\n"):
        setup._lamps()
    assert [entry.lamp for entry in setup.plan.bins.values()] == [5, 6]


def test_a_terminal_that_sends_no_utf_8_is_asked_again() -> None:
    sent = [b"K\xfcche", b"Kueche"]
    assert asking._answered(lambda: sent.pop(0).decode()) == "Kueche"
    with pytest.raises(BadParameter):
        asking.plain_checked(b"K\xfcche".decode(errors="surrogateescape"))


def test_a_bin_goes_on_where_the_connection_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(setup: Setup) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    systemd = Systemd(tmp_path)
    run = systemd.host.run

    def told(command: Sequence[str]) -> str | None:
        if command[-2] == "start":
            os.kill(os.getpid(), signal.SIGTERM)  # sudo is not patient
        return run(command)

    systemd.host = Host(tmp_path, told)
    monkeypatch.setattr(Setup, "_name", break_off)
    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        systemd.talk(tmp_path / "trashbin.yaml", "y\n")
    assert systemd.told == ["stop", "start"]
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_bin_goes_on_after_ctrl_c_at_the_last_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path)
    monkeypatch.setattr(talk, "SYSTEM_CONFIG", tmp_path / "trashbin.yaml")
    setup = Setup(tmp_path / "trashbin.yaml", yes=False, pins="mock", host=systemd.host)
    with CliRunner().isolation(input="y\n"), pytest.raises(Abort), setup._alone():
        setup._start()
    assert systemd.told == ["stop", "start"]
