"""``trashbin setup`` at a terminal: a person answers, mock pins move, and a bin is written down."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from tests.support_terminal import converse
from trashbin import config

COMMAND = [sys.executable, "-m", "trashbin", "setup", "--pins", "mock"]


def test_enter_makes_a_sound_configuration_and_an_angle_is_tried_anew(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    answers = {"Try trigger": "n", "rest: is this angle right": "45"}
    status, screen = converse([*COMMAND, "--config", str(file)], answers)
    assert status == 0, screen
    loaded = config.load(file)
    assert loaded.config is not None, loaded.mistakes
    assert loaded.config.gpio.pins == "mock"
    angles = {name: entry.angle for name, entry in loaded.config.bins.items()}
    assert angles == {"paper": -60, "glass": -20, "packaging": 20, "rest": 45}
    assert "8/8 MQTT broker" in screen
    assert max(map(len, screen.replace(str(tmp_path), "").splitlines())) <= 80
    assert "Traceback" not in screen


def test_answers_are_written_down_and_are_the_next_times_defaults(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    answers = {
        "Its name on MQTT": "gate 1",  # refused: a space
        "name on MQTT": "gate-1",
        "for people": "Bin at the gate",
        "How many": "2",
        "Which one?": "button",
        "Its pin": "23",
        "What drives it?": "pca9685",
        "Its channel": "16",  # refused: there are sixteen
        "channel, 0 to 15": "3",
        "lamp of recycling": "2",  # refused: the board's
        "Pin of the lamp of recycling": "16",
        "lid switch": "none",
        "Try trigger": "n",
        "name or address": "broker.invalid",
        "User name": "gate-1",
        "Password": "s3cret",
    }
    status, screen = converse([*COMMAND, "--config", str(file)], answers)
    assert status == 0, screen
    assert "GPIO2 is taken" in screen
    assert "sudo ./install.sh --with pca9685" in screen  # its library is not there
    assert "s3cret" not in screen
    found = config.read(file)
    assert (found.device.id, found.device.name) == ("gate-1", "Bin at the gate")
    assert found.bins["recycling"].lamp == 16
    assert found.gpio.stop is None
    (servo, _) = found.actuators
    assert (servo.kind, getattr(servo, "channel", None)) == ("pca9685", 3)
    (button,) = (trigger for trigger in found.triggers if trigger.kind == "button")
    assert button.pin == 23
    assert {trigger.kind for trigger in found.triggers} == {"button", "mqtt"}
    assert found.publisher.kind == "mqtt"
    secret = found.publisher.password_file
    assert secret is not None
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("s3cret\n", 0o600)

    before = file.read_text().replace("hold_s: 60.0 ", "hold_s: 90.0 ")
    file.write_text(before)
    again = {"for people": "Gate", "Try trigger": "n"}
    status, screen = converse([*COMMAND, "--config", str(file)], again)
    assert status == 0, screen
    changed = config.read(file)
    assert changed == found.model_copy(
        update={
            "device": found.device.model_copy(update={"name": "Gate"}),
            "look": found.look.model_copy(update={"hold_s": 90.0}),
        }
    )
    (old,) = tmp_path.glob("trashbin.yaml.2*")
    assert old.read_text() == before


def test_without_a_terminal_defaults_are_taken_and_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "--config", str(file), *more]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert run().returncode != 0  # nobody answers
    assert not file.exists()
    assert run("--yes").returncode == 0
    assert config.read(file).camera.kind in ("v4l2", "picamera2")
    text = file.read_text()
    assert run("--yes").returncode == 0
    assert file.read_text() == text
