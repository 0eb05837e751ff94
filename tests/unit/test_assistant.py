"""What the assistant writes, finds and tries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click import Abort
from click.testing import CliRunner

from tests.support import FakeClock
from tests.unit.test_doctor import FakeCamera
from trashbin import config
from trashbin.assistant import parts, plan, servos
from trashbin.assistant.parts import Found, Mover, Tray
from trashbin.assistant.plan import Plan
from trashbin.assistant.talk import Setup
from trashbin.assistant.template import Template, scalar
from trashbin.devices.pins import pin_factory
from trashbin.doctor.machine import Host
from trashbin.errors import ConfigError
from trashbin.model import golden
from trashbin.settings import Config, Pca9685Actuator
from trashbin.types import Pixels

SERVO = 18
DRIVEN = (
    plan.Servo(),
    plan.Servo("pca9685", channel=3, address=65),
    plan.Servo("hardware_pwm", pin=13, channel=1, chip=2),
)


def read(folder: Path, text: str) -> Config:
    file = folder / "trashbin.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = config.load(file)
    assert loaded.config is not None, "\n".join(map(str, loaded.mistakes))
    return loaded.config


# what is written

WAYS = list(
    itertools.product(
        ("picamera2", "v4l2"),
        ("pir", "button", "motion"),
        (*DRIVEN, None),
        (True, False),
        (plan.four_bins, plan.two_bins, plan.six_bins),
        ("broker.example", None),
    )
)


def test_every_combination_of_answers_is_a_sound_configuration(tmp_path: Path) -> None:
    for camera, trigger, servo, lamps, bins, host in WAYS:
        wanted = Plan(
            camera=camera, trigger=trigger, servo=servo, lamps=lamps, bins=bins(), host=host
        )
        wanted.uncertain = 19 if lamps else None
        wanted.name = 'Größe: "x" #1'
        found = plan.of(read(tmp_path, wanted.written()))
        wanted.trigger_pin = found.trigger_pin if trigger == "motion" else 17
        for entry in (*wanted.bins.values(), *found.bins.values()):
            entry.angle = entry.angle if servo else 0.0
            entry.lamp = entry.lamp if lamps else None
        assert found == wanted


def test_a_servo_of_another_kind_is_written_where_the_first_stood() -> None:
    own = Plan(name="Gate").written()
    own = own.replace(
        "rest_angle: 0.0     # these as above", "rest_angle: 5.0     # these as above"
    )
    written = Plan(name="Gate", servo=plan.Servo("pca9685", channel=3)).written(own)
    assert "\n  # - kind: servo " in written
    assert "\n  - kind: pca9685       # the same servo on a PCA9685 board" in written
    assert "\n    channel: 3          # of the board, 0 to 15; no default" in written
    assert "\n    rest_angle: 5.0     # these as above" in written
    assert Plan(name="Gate").written(written).replace("channel: 3 ", "channel: 0 ") == own


def test_the_defaults_are_the_shipped_configuration(tmp_path: Path) -> None:
    assert read(tmp_path, Plan().written()) == read(tmp_path, plan.shipped())


def test_every_comment_of_the_shipped_file_stays() -> None:
    explained = [line for line in plan.shipped().splitlines() if "# seconds" in line]
    written = Plan(camera="v4l2", trigger="motion").written()
    comments = [line.partition("# seconds")[2] for line in explained]
    assert comments
    assert all(comment in written for comment in comments)


def test_a_kind_that_is_left_out_and_chosen_again_is_as_before() -> None:
    template = Template(plan.shipped())
    before = template.text
    template.choose("camera", ["v4l2"])
    assert template.text != before
    template.choose("camera", ["picamera2"])
    assert template.text == before


def test_what_somebody_wrote_elsewhere_in_his_file_stays(tmp_path: Path) -> None:
    own = plan.shipped().replace("hold_s: 60.0 ", "hold_s: 90.0 ")
    written = Plan(name="Gate").written(own, keep_bins=True)
    found = read(tmp_path, written)
    assert (found.look.hold_s, found.device.name) == (90.0, "Gate")


def test_a_file_of_another_layout_is_no_ground_to_write_on() -> None:
    with pytest.raises(KeyError):
        Plan().written("version: 1\ndevice: {id: b}\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [("hall", "hall"), ("no", '"no"'), ("12:30", '"12:30"'), ("a: b", '"a: b"'), (None, "null")],
)
def test_text_has_quotes_where_yaml_would_take_it_for_something_else(
    value: str | None, text: str
) -> None:
    assert scalar(value) == text


def test_the_name_comes_from_the_pis_serial_number(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/serial-number").write_text("10000000ABCDEF12\0")
    assert plan.default_id(tmp_path) == "bin-cdef12"


@pytest.mark.parametrize("serial", [None, "", "\0", "unknown\0"])
def test_copies_of_one_card_have_names_of_their_own_where_the_pis_tell_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serial: str | None
) -> None:
    monkeypatch.setattr(plan.socket, "gethostname", lambda: "copy of.a card")
    names = []
    for number in ("10000000abcdef12", "10000000abcdef13", serial):
        root = tmp_path / str(len(names))
        (root / "proc/device-tree").mkdir(parents=True)
        if number is not None:
            (root / "proc/device-tree/serial-number").write_text(number)
        names.append(plan.default_id(root))
    assert names == ["bin-cdef12", "bin-cdef13", "bin-copy-of-a-card"]


# what is found and tried


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
    tray = Tray(camera, parts.as_config(Plan()))
    assert tray.learn() < 0.001
    assert tray.watch() is None
    item: Pixels = empty.copy()
    item[160:320, 240:400] = 255 - np.median(item[160:320, 240:400]).astype(np.uint8)
    camera.pixels = item
    share = tray.watch()
    assert share is not None
    assert 0.04 < share < 0.2


def test_the_servo_is_turned_where_it_is_told_and_let_go() -> None:
    factory, clock = pin_factory("mock"), FakeClock()
    pin = factory.pin(SERVO)
    widths: list[float | None] = []

    def measure() -> None:
        widths.append(None if pin.frequency is None else round(1000 * pin.state / pin.frequency, 2))

    mover = Mover(Plan(), factory, clock)
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
    Mover(Plan(servo=board, stop=None), None, FakeClock()).turn("paper", 45.0)
    assert given[:2] == [2.0, None]
    assert set(given[2:]) <= {None}


def test_answers_that_do_not_fit_together_are_told() -> None:
    with pytest.raises(ConfigError, match="18"):
        parts.as_config(Plan(uncertain=18))
