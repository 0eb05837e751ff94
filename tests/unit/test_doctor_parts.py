"""What the doctor makes of a camera and of what hangs on pins: good, warning or bad."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from gpiozero import LED
from gpiozero.pins.mock import MockFactory, MockPWMPin

from tests.support import FakeClock
from trashbin import devices, limits
from trashbin.assistant.parts import opened_camera
from trashbin.devices import gpio
from trashbin.devices.level import UltrasonicSensor
from trashbin.devices.pins import pin_factory
from trashbin.doctor import examine, eyes
from trashbin.doctor.machine import Host
from trashbin.doctor.pins import Pins
from trashbin.doctor.report import Finding, Level, Report
from trashbin.errors import CameraError, CameraHungError, ExitCode
from trashbin.model import golden
from trashbin.ports import Context
from trashbin.resources import labels
from trashbin.settings import Config
from trashbin.types import Frame, Pixels

PIR, SERVO, STOP, UNCERTAIN, TRAY, BROKER = 17, 18, 27, 19, 22, 25

# the camera


@dataclass
class FakeCamera:
    """Shows one picture, with a sensor's noise unless it is ``frozen``."""

    pixels: Pixels | None
    frozen: bool = False
    closed: bool = False
    shown: int = 0

    def open(self) -> None:
        if self.pixels is None:
            raise CameraError("There is no /dev/video0.")

    def capture(self, timeout: float) -> Frame:
        assert self.pixels is not None
        noisy = self.pixels.copy()
        self.shown += not self.frozen
        noisy[-1, -1] ^= self.shown % 2
        return Frame(noisy, 0.0)

    def close(self) -> None:
        self.closed = True


CONFIG: dict[str, Any] = {
    "version": 1,
    "device": {"id": "b"},
    "bins": {"left": {"labels": ["paper"], "angle": -45, "lamp": 5}},
    "camera": {"kind": "v4l2"},
    "triggers": [{"kind": "pir", "pin": PIR}, {"kind": "mqtt"}],
    "actuators": [{"kind": "servo", "pin": SERVO}, {"kind": "lamps", "uncertain": UNCERTAIN}],
    "gpio": {"stop": STOP, "tray_lamp": TRAY},
    "publisher": {"kind": "none"},
}
SEEN = Config.model_validate(CONFIG)


def looked_at(pixels: Pixels | None, answer: bool | None = None) -> dict[str, Finding]:
    camera = FakeCamera(pixels)
    found = {f.check: f for f in eyes.check(camera, SEEN, lambda question: answer)}
    assert camera.closed
    return found


def test_a_sharp_well_lit_picture_is_good() -> None:
    found = looked_at(golden.pattern(3, 480, 640))
    assert {f.level for f in found.values()} == {Level.GOOD}
    assert set(found) == {f"camera{what}" for what in ("", " light", " focus", " colours", " rate")}


def test_what_a_camera_may_have_is_told_apart() -> None:
    sharp = golden.pattern(3, 480, 640)
    blurred: Pixels = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 8), np.uint8)
    dark: Pixels = (sharp // 40).astype(np.uint8)
    white: Pixels = np.full_like(sharp, 255)
    assert looked_at(None)["camera"].exit_code is ExitCode.UNREACHABLE
    assert looked_at(None)["camera"].found == "absent: There is no /dev/video0."
    assert looked_at(dark)["camera light"].level is Level.BAD
    assert looked_at(white)["camera light"].level is Level.WARNING
    assert "one flat colour" in looked_at(white)["camera focus"].found
    assert looked_at(blurred)["camera focus"].level is Level.WARNING


@pytest.mark.parametrize(
    ("kind", "level", "picture"),
    [("v4l2", 100, Level.BAD), ("v4l2", 0, Level.GOOD), ("folder", 100, Level.GOOD)],
)
def test_a_frozen_camera_is_told_where_noise_would_show(
    kind: str, level: int, picture: Level
) -> None:
    camera = {"kind": kind} | ({"path": "."} if kind == "folder" else {})
    config = Config.model_validate(CONFIG | {"camera": camera})
    frozen = FakeCamera(np.full((48, 64, 3), level, np.uint8), frozen=True)
    found = {f.check: f for f in eyes.check(frozen, config, lambda question: None)}
    assert found["camera"].level is picture
    assert ("frozen" in found["camera"].found) is (picture is Level.BAD)


def test_red_and_blue_are_told_by_something_red() -> None:
    red: Pixels = np.empty((480, 640, 3), np.uint8)
    red[:] = (200, 40, 30)
    assert looked_at(red, True)["camera colours"].found == "red 200, blue 30"
    swapped = looked_at(np.ascontiguousarray(red[:, :, ::-1]), True)["camera colours"]
    assert (swapped.level, "swapped" in swapped.found) == (Level.BAD, True)
    assert looked_at(np.full_like(red, 90), True)["camera colours"].level is Level.WARNING


def test_a_camera_whose_driver_hangs_is_told_and_the_examination_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken = threading.Event()

    class Hanging(FakeCamera):
        def open(self) -> None:
            woken.wait()

    monkeypatch.setattr(limits, "OPEN_S", 0.05)
    monkeypatch.setattr(devices, "load", lambda port, kind: lambda *_: Hanging(None))
    context = Context(FakeClock(), SEEN)
    (found,) = examine._eyes(SEEN, context, FakePerson())
    assert (found.exit_code, "hangs" in found.found) == (ExitCode.UNREACHABLE, True)
    with pytest.raises(CameraHungError), opened_camera(SEEN, FakeClock()):
        raise AssertionError("it is not open")
    woken.set()


@pytest.mark.parametrize(
    ("terminal", "move", "as_json", "moves", "answer"),
    [
        (True, None, False, True, False),
        (True, False, False, False, False),
        (True, None, True, False, None),
        (False, None, False, False, None),
        (False, True, True, True, None),
    ],
)
def test_nobody_is_asked_and_nothing_moves_unasked_where_no_person_sits_there(
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    move: bool | None,
    as_json: bool,
    moves: bool,
    answer: bool | None,
) -> None:
    stream = SimpleNamespace(isatty=lambda: terminal)
    monkeypatch.setattr(examine, "sys", SimpleNamespace(stdin=stream, stdout=stream))
    person = examine.at_terminal(1.0, move, as_json=as_json)
    with CliRunner().isolation(input="n\n") as (out, *_):
        assert (person.may_move, person.ask("Did it move?")) == (moves, answer)
    assert not out.getvalue(), "which is for the findings, or JSON"


# pins


@dataclass
class FakePerson:
    """Answers each question alike; ``when`` does something when a text is said."""

    answer: bool | None = None
    wait_s: float = 0.0
    may_move: bool = False
    when: dict[str, Callable[[], None]] = field(default_factory=dict)

    def ask(self, question: str) -> bool | None:
        return self.answer

    def say(self, text: str) -> None:
        for start, action in self.when.items():
            if text.startswith(start):
                action()


def on_pins(person: FakePerson, pins: Any, config: Config = SEEN) -> dict[str, Finding]:
    context = Context(FakeClock(), config, pins=pins)
    return {finding.check: finding for finding in Pins(context, person).check()}


def test_nothing_moves_unless_it_may() -> None:
    pins = pin_factory("mock")
    found = on_pins(FakePerson(), pins)
    assert found["servo"].means == "It was not moved: --move sweeps it."
    assert found["lamps"].found == "lit in turn: left, uncertain"
    assert found["stop switch"].level is found["trigger pir"].level is Level.GOOD
    assert found["gpio"].level is Level.WARNING  # mock


def test_the_servo_is_swept_where_it_may_and_a_person_says_how_it_went() -> None:
    pins = pin_factory("mock")
    pulses = []
    servo = pins.pin(SERVO)
    when = {"servo": lambda: pulses.append(servo.frequency)}
    assert on_pins(FakePerson(True, 0.0, True, when), pins)["servo"].level is Level.GOOD
    assert pulses == [None]  # at rest before it moves: no jump
    assert servo.frequency is None  # released
    pins.reset()

    class Honest(FakePerson):
        def ask(self, question: str) -> bool | None:
            return "hands" in question

    assert on_pins(Honest(may_move=True), pins)["servo"].exit_code is ExitCode.UNREACHABLE


class ShortedStop(MockPWMPin):
    """Its stop switch holds the pin at ground, whatever pulls at it."""

    def _change_state(self, value: Any) -> bool:
        return bool(super()._change_state(value and self.info.name != f"GPIO{STOP}"))


def test_a_stop_switch_that_cannot_be_read_is_not_called_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(button: Any) -> bool:
        if button.when_activated is None:
            return False  # as it is opened
        raise ConnectionResetError("pigpiod is gone")

    monkeypatch.setattr(gpio.Button, "is_active", property(gone))
    found = on_pins(FakePerson(True, 0.0, True), MockFactory())["stop switch"]
    assert found.level is Level.BAD and "pigpiod is gone" in found.found


def test_the_servo_stands_still_while_the_stop_switch_is_closed() -> None:
    found = on_pins(FakePerson(True, 0.0, True), MockFactory(pin_class=ShortedStop))
    assert found["stop switch"].level is Level.WARNING
    assert (found["servo"].level, "stop switch" in found["servo"].found) == (Level.WARNING, True)


@pytest.mark.parametrize("lamp", ["tray lamp", "broker lamp"])
def test_each_lamp_of_one_purpose_is_lit_and_out_again(lamp: str) -> None:
    gpio = SEEN.gpio.model_copy(update={"broker_lamp": BROKER})
    config = SEEN.model_copy(update={"gpio": gpio})
    pins = pin_factory("mock")
    pin = pins.pin(TRAY if lamp == "tray lamp" else BROKER)
    asked: dict[str, bool] = {}

    class Looking(FakePerson):
        def ask(self, question: str) -> bool | None:
            asked[question] = bool(pin.state)
            return self.answer

    assert on_pins(Looking(True), pins, config)[lamp].level is Level.GOOD
    assert [question for question, is_lit in asked.items() if is_lit] == [f"Did the {lamp} light?"]
    assert not pin.state
    pins.reset()
    assert on_pins(FakePerson(False), pins, config)[lamp].exit_code is ExitCode.UNREACHABLE


def test_a_trigger_is_waited_for_and_what_it_saw_is_told() -> None:
    pins = pin_factory("mock")
    pir = pins.pin(PIR)
    wave = {"pir": pir.drive_high}
    found = on_pins(FakePerson(wait_s=5.0, when=wave), pins)["trigger pir"]
    assert (found.level, "fired after" in found.found) == (Level.GOOD, True)
    pins.reset()
    assert on_pins(FakePerson(wait_s=0.02), pins)["trigger pir"].level is Level.WARNING


def test_a_trigger_that_flickers_is_told() -> None:
    pins = pin_factory("mock")
    pir = pins.pin(PIR)

    def flicker() -> None:
        for _ in range(4):
            pir.drive_high()
            pir.drive_low()

    found = on_pins(FakePerson(wait_s=5.0, when={"pir": flicker}), pins)["trigger pir"]
    assert (found.level, "4 times" in found.found) == (Level.WARNING, True)


def test_without_pins_one_line_names_all_that_hangs_on_them() -> None:
    # a factory by name, on a machine that has no such pins
    config = SEEN.model_copy(update={"gpio": SEEN.gpio.model_copy(update={"pins": "pigpio"})})
    found = on_pins(FakePerson(), None, config)
    assert set(found) == {"gpio", "trigger mqtt"}
    assert found["gpio"].found.startswith("absent: ")
    for part in ("pir on GPIO17", "servo on GPIO18", "stop switch", "tray lamp"):
        assert part in found["gpio"].means


AT_THE_BIN = Config.model_validate(
    CONFIG
    | {
        "bins": {
            "left": {
                "labels": ["paper"],
                "emptied": 11,
                "level": {"trigger": 9, "echo": 10, "empty_cm": 60, "full_cm": 12},
            }
        },
        "triggers": [{"kind": "mqtt"}],
        "actuators": [{"kind": "none"}],
        "gpio": {"answers": {"glass": 23}},
    }
)


def test_without_pins_what_people_press_is_named_and_nothing_that_hangs_on_none() -> None:
    right = AT_THE_BIN.bins["left"].model_copy(update={"emptied": None, "level": None})
    bins = {**AT_THE_BIN.bins, "right": right}
    config = AT_THE_BIN.model_copy(update={"bins": bins})
    assert Pins(Context(FakeClock(), config), FakePerson()).wired() == [
        "button for glass on GPIO23",
        "emptied of left on GPIO11",
        "level sensor of left",
    ]


@pytest.mark.parametrize(
    ("heard", "level", "told"),
    [
        (0.25, Level.GOOD, "left: 25% full"),
        (1.1, Level.GOOD, "left: 100% full"),
        (None, Level.BAD, "left: no echo within 3 s"),
    ],
)
def test_what_people_press_and_what_sees_how_full_it_is_are_tried_too(
    monkeypatch: pytest.MonkeyPatch, heard: float | None, level: Level, told: str
) -> None:
    monkeypatch.setattr(UltrasonicSensor, "level", lambda sensor: heard)
    found = on_pins(FakePerson(), pin_factory("mock"), AT_THE_BIN)
    assert (found["level"].level, found["level"].found) == (level, told)
    assert found["answer buttons"].found == "can be read: glass on GPIO23"
    assert found["emptied buttons"].found == "can be read: left on GPIO11"
    pins = pin_factory("mock")
    taken = LED(23, pin_factory=pins)
    assert on_pins(FakePerson(), pins, AT_THE_BIN)["answer buttons"].level is Level.BAD
    taken.close()


def test_the_camera_is_judged_in_the_light_of_the_tray_lamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trashbin.yaml"
    own = {"store": {"path": str(tmp_path)}, "bins": {"all": {"labels": list(labels())}}}
    own |= {"actuators": [{"kind": "none"}], "triggers": [{"kind": "pir", "pin": PIR}]}
    file.write_text(yaml.safe_dump(CONFIG | own))
    pins, lamp = pin_factory("mock"), list[bool]()

    def look(*_: object) -> list[Finding]:
        lamp.append(pins.pin(TRAY).state)
        return []

    monkeypatch.setattr(examine, "_eyes", look)
    examine.examine(file, FakePerson(), Report(), Host(tmp_path, lambda command: None), pins)
    assert lamp == [True]
    assert pins.pin(TRAY).state == 0


def test_where_it_cannot_be_seen_whether_the_bin_is_at_work_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is opened, nothing moves, and nobody says for it that it is offline."""
    file, report = tmp_path / "trashbin.yaml", Report()
    own = {"store": {"path": str(tmp_path)}, "bins": {"all": {"labels": list(labels())}}}
    own |= {"actuators": [{"kind": "none"}], "triggers": [{"kind": "pir", "pin": PIR}]}
    file.write_text(yaml.safe_dump(CONFIG | own))
    asked = list[bool]()

    def check(section: object, device_id: str, running: bool, heard: object) -> list[Finding]:
        asked.append(running)
        return []

    monkeypatch.setattr(examine.network, "check", check)
    monkeypatch.setattr(examine.daemon, "runs", lambda *_: None)
    host = Host(tmp_path, lambda command: None)
    assert examine.examine(file, FakePerson(True, 0.0, True), report, host) is None
    found = {finding.check: finding for finding in report.findings}
    assert not {"camera", "gpio", "trigger pir", "tray lamp", "stop switch"} & found.keys()
    assert found["daemon"].level is Level.WARNING and "sudo" in found["daemon"].do
    assert asked == [True]
