"""What the assistant writes, finds and tries."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.support import FakeClock
from tests.unit.test_doctor import FakeCamera
from trashbin import config
from trashbin.assistant import parts, plan
from trashbin.assistant.parts import Found, Mover, Tray
from trashbin.assistant.plan import Plan
from trashbin.assistant.template import Template, scalar
from trashbin.devices.pins import pin_factory
from trashbin.errors import ConfigError
from trashbin.model import golden
from trashbin.settings import Config
from trashbin.types import Pixels

SERVO = 18


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
        (SERVO, None),
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


def test_answers_that_do_not_fit_together_are_told() -> None:
    with pytest.raises(ConfigError, match="18"):
        parts.as_config(Plan(uncertain=18))
