"""The YAML: every mistake is told once, at its line, with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_config import SOUND, edited, load, only
from trashbin import config, resources
from trashbin import settings as keys
from trashbin.config_yaml import MAX_BYTES, START, Document
from trashbin.errors import ConfigError
from trashbin.settings import Config, Section
from trashbin.types import Mode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


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


def test_read_raises_one_error_with_all_of_them(folder: Path) -> None:
    loaded = load(folder, FIVE)
    assert [mistake.column for mistake in loaded.mistakes] == [3, 3, 5, 5, 3]
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


def test_a_pin_taken_twice_is_told_beside_another_mistake_in_its_section(folder: Path) -> None:
    found = load(
        folder,
        edited(
            ("angle: -40, lamp: 16", "angle: -400, lamp: 17"),
            ("pin: 18", "pin: 19\n    rest_angle: up"),
            ("kind: lamps\n    uncertain: 19", "kind: lamps\n    rgb: [20, 21]"),
            ("publisher:", "gpio: {stop: 99, answers: {glass: 17}}\npublisher:"),
        ),
    ).mistakes
    assert [f"{mistake.key} {mistake.suggestion}".rstrip() for mistake in found] == [
        "bins.paper.angle",
        "triggers[0].pin pin 17 is bins.paper.lamp in line 5",
        "actuators[0].rest_angle",
        "actuators[1].rgb",
        "gpio.stop",
        "gpio.answers.glass pin 17 is bins.paper.lamp in line 5",
    ]


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
        (b"[" + b"a, " * 900 + b"[" * 900, 1, "more than 12 levels"),
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
    assert line or len(mistakes) == 1, "what is too large is not even parsed"


@pytest.mark.parametrize(
    ("content", "column", "told"),
    [
        (b"", 0, f"found an empty file, expected a configuration\n    {START}"),
        (
            b"[]",
            1,
            f"line 1: found an empty list, expected keys such as device: and bins:\n    {START}",
        ),
        (b"\n\xff", 1, "line 2: found bytes that are not UTF-8, expected text saved as UTF-8"),
        (b"a: [x]]", 7, "line 1: found ] where none may be, expected a key or a value"),
        (
            b"a:\n  b: [x, y\n  c: 1\n",
            6,
            "line 2: found [ without its end, expected ] after its last entry, "
            "or a comma before line 3",
        ),
        (
            b"a: {b: 1\n",
            4,
            "line 1: found { without its end, expected } after its last entry, "
            "or a comma before line 2",
        ),
        (
            b"a: 'x\n",
            4,
            "line 1: found a quote without its end, expected the same quote after the text",
        ),
    ],
)
def test_what_is_said_of_them_and_nothing_besides(
    folder: Path, content: bytes, column: int, told: str
) -> None:
    mistakes = load(folder, content).mistakes
    assert [(mistake.column, str(mistake)) for mistake in mistakes] == [(column, told)]


@pytest.mark.parametrize(
    ("edit", "keys"),
    [
        (("    pin: 17", "    kind: pir\n    piin: 17"), ["triggers[0].kind", "triggers[0].piin"]),
        (("    pin: 17", "    ? [a]\n    : b\n    piin: 17"), ["triggers[0]", "triggers[0].piin"]),
    ],
)
def test_a_key_that_is_left_out_hides_no_mistake_after_it(
    folder: Path, edit: tuple[str, str], keys: list[str]
) -> None:
    assert [mistake.key for mistake in load(folder, edited(edit)).mistakes] == keys


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *[(word, True) for word in ("yes", "Yes", "on", "ON", "true", "TRUE")],
        *[(word, False) for word in ("no", "No", "off", "OFF", "false", "FALSE")],
        *[(word, None) for word in ("", "~", "null", "NULL")],
        *[(word, word) for word in ("007", "12:30", "2026-01-31", "0x10", "1_000", "1e3", "y")],
        *[(f"'{word}'", word) for word in ("yes", "null", "4", "4.5", "")],
        *[("0", 0), ("-4", -4), ("+40", 40), ("9" * 18, 10**18 - 1), ("9" * 19, "9" * 19)],
        *[("4.5", 4.5), ("-.5", -0.5), ("4.", 4.0), ("1.5e-3", 0.0015)],
    ],
)
def test_words_mean_what_readme_says(written: str, meant: object) -> None:
    found = Document().parse(f"key: {written}\n".encode())
    assert found == {"key": meant} and type(found["key"]) is type(meant)


def test_a_missing_file_is_a_mistake_too(folder: Path) -> None:
    mistake = only(config.load(folder / "nowhere.yaml"))
    assert "No such file" in str(mistake)
    assert "directory" in str(only(config.load(folder)))


def test_bins_may_be_called_what_yaml_takes_for_something_else(folder: Path) -> None:
    loaded = load(folder, edited(("  rest:", "  no:"), ("  paper:", "  1:")))
    assert loaded.config is not None
    assert list(loaded.config.bins) == ["1", "no"]
