"""The YAML: every mistake is told once, at its line, with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from trashbin import config, resources
from trashbin import settings as keys
from trashbin.config import Loaded, Mistake
from trashbin.config_yaml import MAX_BYTES
from trashbin.errors import ConfigError
from trashbin.settings import Config, Section
from trashbin.types import Mode

SOUND = """\
version: 1
device:
  id: hall-2
bins:
  paper: {labels: [cardboard, paper], angle: -40, lamp: 16}
  rest: {labels: [glass, metal, plastic, trash], angle: 40, lamp: 20}
camera:
  kind: v4l2
triggers:
  - kind: pir
    pin: 17
actuators:
  - kind: servo
    pin: 18
  - kind: lamps
    uncertain: 19
publisher:
  kind: mqtt
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


def load(folder: Path, text: str | bytes) -> Loaded:
    path = folder / "trashbin.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return config.load(path)


def edited(*edits: tuple[str, str]) -> str:
    text = SOUND
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def only(loaded: Loaded) -> Mistake:
    assert len(loaded.mistakes) == 1, [str(mistake) for mistake in loaded.mistakes]
    assert loaded.config is None
    return loaded.mistakes[0]


# what is sound


def test_a_sound_file_has_its_values_and_the_defaults_of_the_rest(folder: Path) -> None:
    loaded = load(folder, SOUND)
    assert loaded.mistakes == ()
    assert loaded.config is not None
    assert loaded.config.device.id == "hall-2"
    assert loaded.config.device.mode is Mode.AUTO
    assert loaded.config.bin_of("paper") == "paper"
    assert loaded.config.actuators[0] == keys.ServoActuator(kind="servo", pin=18)
    assert loaded.config.look == keys.Look()
    assert loaded.sections["triggers[0]"] == loaded.config.triggers[0]


def test_paths_are_relative_to_the_folder_of_the_yaml(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SOUND + "store: {path: events}\n"
    loaded = load(folder, text)
    monkeypatch.chdir(folder)
    near = config.load(Path("trashbin.yaml"))
    assert loaded.config is not None
    assert near.config is not None
    assert loaded.config.store.path == near.config.store.path == folder / "events"
    absolute = load(folder, SOUND + "store: {path: /srv/events}\n")
    assert absolute.config is not None
    assert absolute.config.store.path == Path("/srv/events")


@pytest.mark.parametrize(
    ("device", "opened"),
    [("clip.mp4", "FOLDER/clip.mp4"), ("/dev/video2", "/dev/video2"), ("2", 2), ("'2'", "2")],
)
def test_so_is_a_video_and_no_number(folder: Path, device: str, opened: str | int) -> None:
    loaded = load(folder, edited(("kind: v4l2", f"kind: v4l2\n  device: {device}")))
    assert loaded.config is not None and isinstance(loaded.config.camera, keys.V4l2Camera)
    wanted = opened.replace("FOLDER", str(folder)) if isinstance(opened, str) else opened
    assert loaded.config.camera.device == wanted


def test_a_section_without_keys_is_its_defaults(folder: Path) -> None:
    assert load(folder, SOUND + "rules:\n  # gap: 0.2\n").config is not None


def test_the_defaults_are_such_as_a_file_could_hold() -> None:
    """They are taken without validation, to start quickly."""
    left_out = [field.default for field in Config.model_fields.values()]
    defaults = [part for part in left_out if isinstance(part, Section)]
    assert len(defaults) == 9
    for part in defaults:
        assert type(part).model_validate_json(part.model_dump_json(), strict=True) == part


@pytest.mark.parametrize("name", ["trashbin.yaml", "demo.yaml", "two-bins.yaml", "school.yaml"])
def test_the_shipped_files_have_no_mistake(name: str) -> None:
    config.read(resources.root() / "config" / name)


# what is wrong

FIVE = edited(
    ("id: hall-2", "id: hall 2"),
    ("kind: v4l2", "kind: v4l3"),
    ("    pin: 17", "    piin: 17"),
    ("    pin: 18", "    pin: 99"),
    ("  kind: mqtt", "  kind: mqtt\n  port: '1883'"),
)


def test_five_mistakes_are_told_at_once_each_at_its_line(folder: Path) -> None:
    loaded = load(folder, FIVE)
    assert [str(mistake) for mistake in loaded.mistakes] == [
        "line 3: device.id: found 'hall 2', "
        "expected 1 to 64 of the letters a-z, A-Z, digits, - and _",
        "line 8: camera.kind: found 'v4l3', expected one of simulated, folder, v4l2, picamera2\n"
        "    did you mean v4l2?",
        "line 11: triggers[0].piin: found an unknown key, expected one of kind, pin\n"
        "    did you mean pin?",
        "line 14: actuators[0].pin: found 99, expected a BCM pin: a whole number from 2 to 27",
        "line 19: publisher.port: found '1883', expected a whole number from 1 to 65535\n"
        "    write 1883 without quotes",
    ]
    assert [mistake.column for mistake in loaded.mistakes] == [3, 3, 5, 5, 3]


def test_read_raises_one_error_with_all_of_them(folder: Path) -> None:
    loaded = load(folder, FIVE)
    with pytest.raises(ConfigError) as raised:
        config.read(folder / "trashbin.yaml")
    told = str(raised.value)
    assert "5 mistakes" in told
    assert all(str(mistake) in told for mistake in loaded.mistakes)


def test_a_mistake_leaves_the_other_sections_sound(folder: Path) -> None:
    text = edited(("    pin: 18", "    pin: eighteen"), ("  kind: v4l2", "  kind: v4l2\n  fps: 0"))
    loaded = load(folder, text)
    assert loaded.config is None
    assert {"device", "publisher", "store", "bins.paper", "actuators[1]"} <= loaded.sections.keys()
    assert not {"camera", "actuators[0]"} & loaded.sections.keys()


@pytest.mark.parametrize(
    ("store", "there"),
    [
        ("{path: events, history_days: many, pasword: x}", "events"),
        (f"{{path: events, {'k' * 300}: 1}}", "events"),
        ("{path: 5, max_mb: 9}", None),
        ("[]", None),
    ],
)
def test_a_store_with_a_mistake_stays_where_it_is(
    folder: Path, store: str, there: str | None
) -> None:
    loaded = load(folder, f"{edited()}\nstore: {store}\n")
    assert loaded.config is None
    found = loaded.sections["store"]
    assert isinstance(found, keys.Store)
    assert found.path == (folder / there if there else keys.Store().path)


ONE_MISTAKE: dict[str, tuple[tuple[str, str], int, str, str]] = {
    "version 2": (("version: 1", "version: 2"), 1, "version", "expected 1"),
    "version true": (("version: 1", "version: yes"), 1, "version", "found yes (YAML reads it"),
    "a section misspelt": (("device:", "devise:"), 2, "devise", "did you mean device?"),
    "a key on top": (("camera:", "gap: 0.2\ncamera:"), 7, "gap", "it belongs under rules:"),
    "no section": (("publisher:\n  kind: mqtt\n", ""), 1, "publisher", "found nothing"),
    "kind misspelt": (("kind: servo", "kind: servoo"), 13, "actuators[0].kind", "mean servo?"),
    "kind left out": (("kind: v4l2", "device: 0"), 7, "camera.kind", "found nothing"),
    "kind as key misspelt": (("kind: v4l2", "knd: v4l2"), 7, "camera.kind", "where knd: stands"),
    "another kind's key": (
        ("    pin: 17", "    pin: 17\n    bounce_s: 1"),
        12,
        "triggers[0].bounce_s",
        "only kind: button has it",
    ),
    "no pin": (("    pin: 17\n", ""), 10, "triggers[0].pin", "found nothing, expected a BCM pin"),
    "true is no number": (("angle: 40", "angle: true"), 6, "bins.rest.angle", "found true"),
    "no is no text": (("hall-2", "no"), 3, "device.id", "put it in quotes"),
    "not a number": (("angle: 40", "angle: .nan"), 6, "bins.rest.angle", "expected a number"),
    "a word for a list": (
        ("kind: lamps", "kind: lamps\n    rgb: red"),
        16,
        "actuators[1].rgb",
        "a list of 3, each a BCM pin",
    ),
    "an enum": (("hall-2", "hall-2\n  mode: atuo"), 4, "device.mode", "did you mean auto?"),
    "a nested key": (
        ("kind: mqtt", "kind: mqtt\n  tls: {caa: x.crt}"),
        19,
        "publisher.tls.caa",
        "did you mean ca?",
    ),
    "no list": (("triggers:\n  - kind: pir\n    pin: 17", "triggers:"), 9, "triggers", "a list"),
    "a list of words": (("- kind: pir\n    pin: 17", "- pir"), 10, "triggers[0]", "a group of"),
    "a key twice": (("kind: mqtt", "kind: mqtt\n  kind: none"), 19, "publisher.kind", "line 18"),
    # sections against each other
    "two on a pin": (("pin: 18", "pin: 16"), 14, "actuators[0].pin", "bins.paper.lamp in line 5"),
    "a homeless label": (("metal, ", ""), 4, "bins", "add metal to the labels of a bin"),
    "an unknown label": (("metal", "mettal"), 6, "bins.rest.labels[1]", "did you mean metal?"),
    "a label in two bins": (("metal", "metal, paper"), 6, "bins.rest.labels[2]", "see line 5"),
    "a pin without PWM": (
        ("kind: servo\n    pin: 18", "kind: hardware_pwm\n    pin: 23\n    channel: 0"),
        14,
        "actuators[0].pin",
        "a pin with hardware PWM: 12 or 13 or 18 or 19",
    ),
    "another pin's channel": (
        ("kind: servo\n    pin: 18", "kind: hardware_pwm\n    pin: 18\n    channel: 1"),
        15,
        "actuators[0].channel",
        "the channel of GPIO18: 0 or 2",
    ),
    "a pin of the bus": (
        (
            "kind: servo\n    pin: 18\n  - kind: lamps\n    uncertain: 19",
            "kind: pca9685\n    channel: 0\n  - kind: lamps\n    uncertain: 3",
        ),
        16,
        "actuators[1].uncertain",
        "pin 3 is actuators[0].kind in line 13",
    ),
    "no angle": ((", angle: 40", ""), 6, "bins.rest.angle", "an angle from -90 to 90"),
    "angle out of reach": (("angle: 40", "angle: 91"), 6, "bins.rest.angle", "the servo's range"),
    "rest out of reach": (
        ("    pin: 18", "    pin: 18\n    rest_angle: -95"),
        15,
        "actuators[0].rest_angle",
        "found -95",
    ),
    "pulses crossed": (
        ("    pin: 18", "    pin: 18\n    min_pulse_ms: 3"),
        15,
        "actuators[0].min_pulse_ms",
        "found 3 and 2.5, expected min_pulse_ms below max_pulse_ms",
    ),
    "no lamp for one bin": ((", lamp: 20", ""), 6, "bins.rest.lamp", "as other bins have one"),
    "no color for the rgb lamp": (
        (", lamp: 20}\ncamera:", "}\ncamera:"),
        6,
        "bins.rest.lamp",
        "found nothing",
    ),
    "simulated without its camera": (
        ("kind: servo\n    pin: 18", "kind: simulated"),
        13,
        "actuators[0].kind",
        "kind: simulated under camera:",
    ),
    "a region beyond the picture": (
        ("kind: v4l2", "kind: picamera2\n  region: [0.5, 0, 0.6, 1]"),
        9,
        "camera.region",
        "a part of the picture",
    ),
    "an exposure longer than its frame": (
        ("kind: v4l2", "kind: picamera2\n  exposure_ms: 100"),
        9,
        "camera.exposure_ms",
        "found 100, expected at most 66.7",
    ),
    "idle quicker than at work": (
        ("kind: v4l2", "kind: picamera2\n  idle_fps: 30"),
        9,
        "camera.idle_fps",
        "at most fps, 15",
    ),
    "a stopped camera that is to notice": (
        (
            "v4l2\ntriggers:\n  - kind: pir\n    pin: 17",
            "picamera2\n  idle_fps: 0\ntriggers:\n  - kind: motion",
        ),
        11,
        "triggers[0].kind",
        "take idle_fps: 0 out",
    ),
    "a user without password": (
        ("kind: mqtt", "kind: mqtt\n  username: hall"),
        17,
        "publisher.password_file",
        "add password_file: or remove username:",
    ),
    "a certificate without key": (
        ("kind: mqtt", "kind: mqtt\n  tls: {cert: a.crt}"),
        19,
        "publisher.tls.key",
        "as cert is set",
    ),
    "tls left empty": (("kind: mqtt", "kind: mqtt\n  tls:"), 19, "publisher.tls", "tls: {}"),
    "a button for no label": (
        ("bins:", "gpio: {answers: {glas: 22}}\nbins:"),
        4,
        "gpio.answers.glas",
        "did you mean glass?",
    ),
    "a button on a taken pin": (
        ("bins:", "gpio: {answers: {glass: 17}}\nbins:"),
        12,
        "triggers[0].pin",
        "pin 17 is gpio.answers.glass in line 4",
    ),
    "a lamp of a second lamps actuator": (
        ("    uncertain: 19", "    uncertain: 19\n  - kind: lamps\n    uncertain: 12"),
        17,
        "actuators[2].kind",
        "as actuators[1] has those of the bins",
    ),
    "two servos on one channel of a board": (
        (
            "kind: servo\n    pin: 18",
            "{kind: pca9685, channel: 3}\n  - {kind: pca9685, channel: 3}",
        ),
        14,
        "actuators[1].channel",
        "not that of actuators[0]",
    ),
    "a seed below 0": (
        ("kind: v4l2", "kind: folder\n  path: x\n  seed: -1"),
        10,
        "camera.seed",
        "a whole number of at least 0",
    ),
    "hardly any pictures a second": (
        ("kind: v4l2", "kind: picamera2\n  fps: 1.0e-300"),
        9,
        "camera.fps",
        "a number from 0.1 to 120",
    ),
    "nor while it is idle": (
        ("kind: v4l2", "kind: picamera2\n  idle_fps: 0.001"),
        9,
        "camera.idle_fps",
        "0, or from 0.1",
    ),
    "a time that is none": (
        ("kind: v4l2", "kind: folder\n  path: x\n  seconds_each: 5.0e-324"),
        10,
        "camera.seconds_each",
        "a number from 0.01 to 86400",
    ),
    "a large bound": (
        ("bins:", "store: {max_mb: 0}\nbins:"),
        4,
        "store.max_mb",
        "a whole number from 1 to 1000000",
    ),
    # the YAML itself
    "a tab": (("  id: hall-2", "\tid: hall-2"), 3, "", "indent with spaces, not with tabs"),
    "an open quote": (("hall-2", "'hall-2"), 19, "", "expected valid YAML"),
    "an anchor": (("hall-2", "&id hall-2"), 3, "", "an anchor or alias"),
    "a tag": (("hall-2", "!!str hall-2"), 3, "", "a tag (!)"),
    "a colon in a text": (("hall-2", "hall: 2"), 3, "", "quote a text that has a colon"),
    "a control character": (("hall-2", '"hall\\0"'), 3, "", "a control character"),
    "no seed": (
        ("kind: pir\n    pin: 17", "kind: simulated\n    seed: -1"),
        11,
        "triggers[0].seed",
        "a whole number of at least 0",
    ),
    "half an emoji": (("hall-2", '"hall\\ud83d"'), 3, "", "a control character"),
}


@pytest.mark.parametrize(("edit", "line", "key", "told"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_one_mistake_is_one_message(
    folder: Path, edit: tuple[str, str], line: int, key: str, told: str
) -> None:
    mistake = only(load(folder, edited(edit)))
    assert (mistake.line, mistake.key) == (line, key)
    assert told in str(mistake)


def test_the_rgb_lamp_needs_each_bins_color(folder: Path) -> None:
    text = edited((", lamp: 16", ", color: blue"), (", lamp: 20", ""))
    text = text.replace("uncertain: 19", "rgb: [2, 3, 4]")
    assert only(load(folder, text)).key == "bins.rest.color"


def test_lamps_without_a_pin_light_nothing(folder: Path) -> None:
    text = edited((", lamp: 16", ""), (", lamp: 20", ""), ("\n    uncertain: 19", ""))
    assert only(load(folder, text)).key == "actuators[1]"


def test_two_servos_may_hang_on_one_board(folder: Path) -> None:
    board = "{kind: pca9685, channel: 0}\n  - {kind: pca9685, channel: 1}"
    assert load(folder, edited(("kind: servo\n    pin: 18", board))).config is not None


def test_a_trigger_over_mqtt_needs_a_broker(folder: Path) -> None:
    text = edited(("  kind: mqtt", "  kind: none"), ("kind: pir\n    pin: 17", "kind: mqtt"))
    assert only(load(folder, text)).key == "triggers[0].kind"


def test_motion_needs_a_learned_tray(folder: Path) -> None:
    text = edited(("kind: pir\n    pin: 17", "kind: motion")) + "look: {empty_tray: none}\n"
    assert only(load(folder, text)).key == "triggers[0].kind"


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        (b"", 0, "an empty file"),
        (b"# nothing\n", 0, "an empty file"),
        (b"- a\n- b\n", 1, "a list"),
        (b"version\n", 1, "'version'"),
        (b"version: 1\nname: \xff\n", 2, "bytes that are not UTF-8"),
        (b"version: 1\nname: \x01\n", 2, "the character '\\x01'"),
        (b"#" * (MAX_BYTES + 1), 0, "more than 64 KB"),
        (b"[" * 60_000, 1, "more than 12 levels"),
        (b"a: &a [x]\nb: [*a, *a]\n", 1, "an anchor or alias (& or *)"),
        (b"? [a]\n: b\n", 1, "a key in brackets"),
        (b"version: 1\n---\nversion: 1\n", 2, "another document"),
    ],
)
def test_files_that_are_no_configuration(
    folder: Path, content: bytes, line: int, found: str
) -> None:
    mistakes = load(folder, content).mistakes
    assert (line, found) in [(mistake.line, mistake.found) for mistake in mistakes]


def test_a_missing_file_is_a_mistake_too(folder: Path) -> None:
    mistake = only(config.load(folder / "nowhere.yaml"))
    assert "No such file" in str(mistake)
    assert "directory" in str(only(config.load(folder)))


def test_bins_may_be_called_what_yaml_takes_for_something_else(folder: Path) -> None:
    loaded = load(folder, edited(("  rest:", "  no:"), ("  paper:", "  1:")))
    assert loaded.config is not None
    assert list(loaded.config.bins) == ["1", "no"]
