"""One mistake in the YAML is one message: its line, its key, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_config import edited, load, only


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


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
    "a pin of the board's own": (("pin: 17", "pin: 1"), 11, "triggers[0].pin", "from 2 to 27"),
    "a pin beyond the last": (("pin: 17", "pin: 28"), 11, "triggers[0].pin", "from 2 to 27"),
    "percent for a share": (
        ("camera:", "rules: {gap: 1.01}\ncamera:"),
        7,
        "rules.gap",
        "a number from 0 to 1",
    ),
    "true is no number": (("angle: 40", "angle: true"), 6, "bins.rest.angle", "found true, "),
    "no is no text": (("hall-2", "no"), 3, "device.id", "put it in quotes"),
    "not a number": (("angle: 40", "angle: .nan"), 6, "bins.rest.angle", "expected a number"),
    "a word for a list": (
        ("kind: lamps", "kind: lamps\n    rgb: red"),
        16,
        "actuators[1].rgb",
        "a list of 3, each a BCM pin",
    ),
    "a group for a word": (("hall-2", "{a: b}"), 3, "device.id", "found a group of keys, "),
    "a list for a word": (("hall-2", "[a]"), 3, "device.id", "found a list, "),
    "an empty list for a word": (("hall-2", "[]"), 3, "device.id", "found an empty list, "),
    "a long word": (("hall-2", "h" * 99), 3, "device.id", f"found '{'h' * 45}...', "),
    "an enum": (("hall-2", "hall-2\n  mode: atuo"), 4, "device.mode", "did you mean auto?"),
    "a nested key": (
        ("kind: mqtt", "kind: mqtt\n  tls: {caa: x.crt}"),
        19,
        "publisher.tls.caa",
        "did you mean ca?",
    ),
    "no list": (
        ("triggers:\n  - kind: pir\n    pin: 17", "triggers:"),
        9,
        "triggers",
        "found nothing",
    ),
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
    "a tab": (("  id: hall-2", "\tid: hall-2"), 3, "", "found a tab, expected spaces"),
    "an open quote": (("hall-2", "'hall-2"), 3, "", "found a quote without its end"),
    "an open quote that a comment ends": (
        ("hall-2\n", "'hall-2\n# don't ask\n"),
        3,
        "",
        "found a quote without its end",
    ),
    "no quote at all": (
        ("hall-2\n", "hall-2\n  name: |\n    of\n    two lines\n  - mode\n"),
        7,
        "",
        "found - where none may be, expected a key or a value",
    ),
    "no colon": (("    uncertain: 19", "    uncertain 19"), 16, "", "no colon with a space after"),
    "no space after one": (("kind: v4l2", "kind: v4l2\n  fps:9"), 9, "", "expected key: value"),
    "a key too far right": (("    pin: 17", "     pin: 17"), 11, "", "or the indentation of the"),
    "a key too far left": (("    pin: 17", "   pin: 17"), 11, "", "indented otherwise than"),
    "a key at a list's edge": (("    pin: 17", "  pin: 17"), 11, "", "among the entries of a list"),
    "text after a quote": (("hall-2", "'it's'"), 3, "", "expected quotes around all of it"),
    "a bracket too many": (("[cardboard, paper]", "[paper]]"), 5, "", "found ']', expected ','"),
    "a sign that begins a text": (("hall-2", "@hall"), 3, "", "a text that begins with @"),
    "a bar that begins a text": (("hall-2", "|hall"), 3, "", "a text that begins with | or >"),
    "a backslash": (("hall-2", '"C:\\d"'), 3, "", "found \\d within quotes, expected \\\\d, or"),
    "text above all keys": (("version: 1", "a bin\n# x\nversion: 1"), 3, "", "text above this"),
    "an anchor": (("hall-2", "&id hall-2"), 3, "", "an anchor or alias (&"),
    "a tag": (("hall-2", "!!str hall-2"), 3, "", "a tag (!)"),
    "a colon in a text": (("hall-2", "hall: 2"), 3, "", "quotes around a text that has a colon"),
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
