"""What the assistant asks, and what it makes of odd answers and of a file that is there."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from click import Abort, BadParameter
from click.testing import CliRunner

from tests.support import FakeClock
from tests.unit.test_assistant_parts import SERVO, Systemd, mover_of
from trashbin import config
from trashbin.assistant import asking, draft, parts, plan, talk
from trashbin.assistant.parts import Mover
from trashbin.assistant.plan import Plan
from trashbin.assistant.talk import Setup
from trashbin.devices.pins import pin_factory
from trashbin.doctor.machine import Host
from trashbin.errors import ConfigError
from trashbin.settings import MqttPublisher, Pca9685Actuator


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


def test_a_full_disk_leaves_what_was_there_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    file = tmp_path / "trashbin.yaml"
    file.write_text("old")
    with pytest.raises(OSError, match="No space left"):
        draft.put(file, "new")
    assert file.read_text() == "old"
    file.unlink()
    name, bins, motion, rest = "\n\n", "\nnone\n", "motion\n", "none\nnone\nn\n"
    screen = Systemd(tmp_path, "inactive").talk(file, f"{name}{bins}{motion}{rest}none\n\n")
    assert "trashbin.yaml: cannot be written (No space left on device)\n" in screen
    assert not [*tmp_path.glob("*trashbin.yaml*")]


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


def test_that_nothing_of_a_file_with_mistakes_is_taken_over_is_told(tmp_path: Path) -> None:
    file, told = tmp_path / "trashbin.yaml", "has mistakes, so nothing of it is taken over"
    systemd = Systemd(tmp_path, "inactive")
    assert told not in systemd.talk(file, "")
    file.write_text(Plan().written())
    assert told not in systemd.talk(file, "")
    file.write_text(Plan().written().replace("hold_s:", "hold_z:"))
    assert told in systemd.talk(file, "")


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
    Mover(setup.plan, setup.draft.config, factory, clock).turn("paper", -80.0)
    assert widths == [1.0]
    with CliRunner().isolation(input="-85\n\n"):  # beyond its reach, so asked again
        setup._find_angle(
            Mover(setup.plan, setup.draft.config, factory, clock), "paper", setup.plan.bins["paper"]
        )
    assert setup.plan.bins["paper"].angle == -80.0


def test_a_broker_is_tried_with_the_tls_that_the_file_has(tmp_path: Path) -> None:
    setup = again(tmp_path, ("  # tls:                  # d", "  tls: {ca: ca.crt}       # d"))
    section = setup.draft.config().publisher
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
    assert {actuator.kind for actuator in setup.draft.config().actuators} == {"servo"}


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
