"""What the assistant writes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from trashbin import config, resources
from trashbin.assistant import asking, parts, plan
from trashbin.assistant.draft import Draft
from trashbin.assistant.plan import Plan
from trashbin.assistant.template import Template, scalar
from trashbin.settings import Config

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
        if host is not None:
            wanted.port, wanted.login = 8883, ("gate-1", "/secret")
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


@pytest.mark.parametrize("name", ["Bin #3", "Bin 'a' #3", "a#b", 'say "#"', "Küche"])
def test_a_name_is_replaced_whole_and_its_comment_stays(name: str) -> None:
    own = Plan().written()
    assert Plan().written(Plan(name=name).written(own)) == Plan().written(own)
    assert yaml.safe_load(Plan(name=name).written(own))["device"]["name"] == name


def test_triggers_and_keys_that_nobody_is_asked_for_stay(tmp_path: Path) -> None:
    own = plan.shipped()
    for old, new in (
        ("  # - kind: button        # a", "  - kind: button        # a"),
        ("  #   pin: 23             # no d", "    pin: 23             # no d"),
        ("    # capacity: 80 ", "    capacity: 80 "),
        ("    # emptied: 11 ", "    emptied: 11 "),
    ):
        assert old in own
        own = own.replace(old, new)
    before = read(tmp_path, own)
    wanted = plan.of(before)
    wanted.bins["paper"].angle = -50.0
    found = read(tmp_path, wanted.written(own))
    assert found.triggers == before.triggers
    bin = before.bins["paper"].model_copy(update={"angle": -50.0})
    assert found.bins == before.bins | {"paper": bin}


def test_a_servo_that_is_aimed_anew_leaves_the_comments_at_the_bins(tmp_path: Path) -> None:
    """All of ``bins:`` was written anew, and whatever its owner had noted there was gone."""
    own = plan.shipped().replace("  glass:\n", "  'glass':  # by the door\n    # not for jars\n")
    before, wanted = own, plan.of(read(tmp_path, own))
    wanted.bins["glass"].angle, wanted.bins["rest"].lamp = -25.5, None
    for old, new in (("angle: -20\n", "angle: -25.5\n"), ("    lamp: 26", "    # lamp: 26")):
        own = own.replace(old, new)
    assert wanted.written(before) == own


def test_what_else_a_bin_may_have_is_told_under_whatever_name() -> None:
    text = Plan(bins=plan.two_bins()).written()
    told = [key for key in ("capacity", "level", "emptied", "color") if f"    # {key}: " in text]
    assert told == ["capacity", "level", "emptied", "color"]


@pytest.mark.parametrize("name", ["trashbin", "two-bins", "school"])
def test_a_file_of_another_layout_is_taken_over_key_by_key(name: str) -> None:
    file = resources.root() / "config" / f"{name}.yaml"
    before = config.read(file)
    found = parts.as_config(plan.of(before).written(before=before), file.parent)
    assert found == before


@pytest.mark.parametrize("flow", [False, True, None], ids=["block", "flow", "mixed"])
@pytest.mark.parametrize("indented", [False, True])
def test_whatever_a_files_layout_an_answer_holds_and_nothing_else_changes(
    tmp_path: Path, flow: bool | None, indented: bool
) -> None:
    """Lists at the left edge, as many write them, ended it in a traceback."""

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, indentless and not indented)

    data = yaml.safe_load((resources.root() / "config" / "school.yaml").read_text())
    file = tmp_path / "trashbin.yaml"
    file.write_text(yaml.dump(data, Dumper=Dumper, default_flow_style=flow))
    own = Draft(file)
    assert own.config() == own.before
    own.plan.id, own.plan.name = "gate-1", "Gate"
    own.plan.stop, own.plan.host, own.plan.port = None, "hub", 8884
    own.plan.login = ("gate-1", "/secret")
    bins = "paper: [cardboard, paper], packaging: [glass], rest: [trash, metal, plastic]"
    labels = yaml.safe_load(f"{{{bins}}}")
    for name, taken in labels.items():
        own.plan.bins[name].labels = tuple(taken)
    own.plan.bins["packaging"].angle = 12.5
    said = yaml.safe_load(yaml.safe_dump(data))
    for name, taken in labels.items():
        said["bins"][name] |= {"labels": taken}
    said["bins"]["packaging"] |= {"angle": 12.5}
    said["device"] |= {"id": "gate-1", "name": "Gate"}
    said["gpio"] |= {"stop": None}
    login = {"username": "gate-1", "password_file": "/secret"}
    said["publisher"] |= {"host": "hub", "port": 8884} | login
    assert own.config() == parts.as_config(yaml.safe_dump(said), tmp_path)


@pytest.mark.parametrize(
    "name", [">-\n    In the\n    yard", '"In the\n    yard"', "In the\n    yard"]
)
def test_a_name_on_several_lines_is_not_doubled(tmp_path: Path, name: str) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(Plan(name="Gate").written().replace("name: Gate ", f"name: {name}\n#"))
    own = Draft(file)
    assert own.before is not None and own.before.device.name == "In the yard"
    assert own.config() == own.before


def test_bins_without_an_angle_are_written_anew_for_a_servo(tmp_path: Path) -> None:
    own = Plan(servo=None).written()
    first, wanted = plan.of(read(tmp_path, own)), plan.of(read(tmp_path, own))
    assert wanted.has_bins_of(first)
    wanted.servo = plan.Servo()
    assert not wanted.has_bins_of(first)
    read(tmp_path, wanted.written(own))


def test_the_pins_of_lamps_that_are_given_up_are_free(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(Plan().written())
    own = Draft(file)
    own.plan.lamps, own.plan.uncertain = False, None
    own.plan.stop = own.plan.bins["paper"].lamp
    assert own.plan.stop is not None
    assert own.config().gpio.stop == own.plan.stop


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


# what an answer may be, and what a file of somebody's own layout lacks


@pytest.mark.parametrize(
    ("check", "good", "wrong"),
    [
        (asking.id_checked, ["a", "Bin_1-x", "x" * 64], ["", "a b", "ä", "x" * 65, "a/b", "a\n"]),
        (asking.angle_within(-60, 60), ["-60", "60", "0.5"], ["-60.1", "61", "left", "nan", ""]),
        (asking.whole(0, 15), ["0", "15"], ["-1", "16", "1.5", "²", "", "9" * 5000]),
        (asking.plain_checked, ["Größe 1", ""], ["\x1b[A", "a\tb"]),
    ],
)
def test_an_answer_that_cannot_be_is_asked_again(
    check: Callable[[str], object], good: list[str], wrong: list[str]
) -> None:
    for text in good:
        assert str(check(text)) == text
    for text in wrong:
        with pytest.raises(click.BadParameter):
            check(text)


def test_what_a_layout_lacks_is_missed_and_not_left_out() -> None:
    text = "camera:\n  kind: v4l2\n  device: 0    # which\n"
    changes: list[Callable[[Template], None]] = [
        lambda template: template.choose("camera", ["picamera2"]),
        lambda template: template.choose("gpio", []),
        lambda template: template.put("camera", "index", 0),
        lambda template: template.put("camera", "device", 0, part="picamera2"),
        lambda template: template.replace("bins", []),
    ]
    for change in changes:
        with pytest.raises(KeyError):
            change(Template(text))
    template = Template(text)
    template.put("camera", "device", None)
    assert template.text == "camera:\n  kind: v4l2\n  # device: 0    # which\n"


@pytest.mark.parametrize(
    "value", ["Bin:", "Bin ", "a: b", "yes", "Null", "1", "", "#1", 'a"b', "ä", "hall", "a/b.c-d"]
)
def test_text_is_written_so_that_it_is_read_as_it_was(value: str) -> None:
    written = yaml.safe_load(f"name: {scalar(value)}\n")
    assert written == {"name": value}
