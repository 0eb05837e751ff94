"""What the composition root makes of a configuration whose parts are not all there."""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path

import pytest
from gpiozero import LED

from tests.support import FakeClock
from trashbin import app, config, made
from trashbin.devices.gpio import STUCK_S
from trashbin.devices.pins import pin_factory
from trashbin.errors import StoppedError, StoreError
from trashbin.status import Status

NO_PINS = """\
version: 1
device: {id: b}
bins: {a: {labels: [cardboard, glass, metal, paper, plastic, trash]}}
camera: {kind: simulated}
triggers: [{kind: simulated}]
actuators: [{kind: simulated}]
publisher: {kind: none}
gpio: {pins: pigpio, stop: 27}
store: {path: store}
"""


def test_a_file_full_of_mistakes_is_told_by_the_first(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(NO_PINS + "look:\n" + "".join(f"  k{number}:\n" for number in range(5000)))
    told = app._in_short(config.load(file))
    assert told.startswith("5000 mistake(s): line ") and "look.k0: found" in told
    assert told.endswith("; check-config tells all") and len(told) < 3000


def test_nothing_moves_where_the_stop_switch_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(NO_PINS)
    with ExitStack() as stack:
        daemon = app.build(config.read(file), FakeClock(), stack)
        daemon.begin()
        assert {"gpio", "stop"} <= daemon.parts.problems.keys()
        assert daemon.status is Status.FAULT
        # nor does what goes back to rest from a move that the power cut off
        with pytest.raises(StoppedError, match="switch on pin 27 cannot be read: see gpio"):
            daemon.parts.actuation.home()


def test_a_stop_switch_whose_pin_another_program_has_is_read_as_soon_as_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(NO_PINS.replace("pigpio", "mock"))
    clock, pins = FakeClock(), pin_factory("mock")
    monkeypatch.setattr(made, "_pins", lambda config: pins)
    other = LED(27, pin_factory=pins)
    with ExitStack() as stack:
        daemon = app.build(config.read(file), clock, stack)

        def state() -> tuple[Status, str | None]:
            clock.stopped = False
            clock.at(clock.elapsed + 3, clock.stop)
            daemon.run()
            return daemon.status, daemon.parts.problems.get("stop")

        daemon.begin()
        taken = daemon.parts.problems["stop"]
        assert "pin 27 cannot be opened, and counts as closed" in taken
        assert state() == (Status.FAULT, taken)
        with pytest.raises(StoppedError, match="counts as closed"):
            daemon.parts.actuation.home()
        other.close()
        status, why = state()
        assert status is not Status.FAULT and why is None
        pins.pin(27).drive_low()
        status, why = state()
        assert status is Status.FAULT and why is not None and "the lid is open" in why
    LED(27, pin_factory=pins).close()


@pytest.mark.parametrize("lamp", ["tray_lamp", "broker_lamp"])
def test_a_lamp_whose_pin_another_program_has_is_a_problem_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lamp: str
) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(NO_PINS.replace("pigpio, stop", f"mock, {lamp}"))
    clock, pins = FakeClock(), pin_factory("mock")
    monkeypatch.setattr(made, "_pins", lambda config: pins)
    other = LED(27, pin_factory=pins)
    with ExitStack() as stack:
        daemon = app.build(config.read(file), clock, stack)
        daemon.begin()
        for taken in (True, False):
            clock.stopped = False
            clock.at(clock.elapsed + 60, clock.stop)
            daemon.run()
            told = [why for why in daemon.parts.problems.values() if "lamp on pin 27" in why]
            assert len(told) == taken
            other.close()
    LED(27, pin_factory=pins).close()


def test_a_doctor_that_looks_at_the_lock_turns_no_bin_away(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        waited: list[float] = []

        def looks_away(seconds: float) -> None:
            waited.append(seconds)
            fcntl.flock(looked_at, fcntl.LOCK_UN)

        with app.alone(tmp_path, looks_away):
            assert len(waited) == 1
            with pytest.raises(StoreError, match="another"), app.alone(tmp_path, waited.append):
                pass
    assert sum(waited) < 1


def test_of_what_people_press_an_answer_alone_may_not_stay_pressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trashbin.yaml"
    buttons = NO_PINS.replace("pins: pigpio, stop: 27", "pins: mock, answers: {glass: 23}")
    file.write_text(buttons.replace("bins: {a: {", "bins: {a: {emptied: 11, "))
    clock, pins = FakeClock(), pin_factory("mock")
    monkeypatch.setattr(made, "_pins", lambda config: pins)
    with ExitStack() as stack:
        daemon = app.build(config.read(file), clock, stack)
        for pin in (11, 23):
            pins.pin(pin).drive_low()
        clock.advance(STUCK_S)
        (told,) = (each.problem for each in daemon.parts.buttons if each.problem)
        assert "button for glass on pin 23" in told
