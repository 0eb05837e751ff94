"""Servos on a PCA9685 and on the Pi's PWM: the libraries' own code, bus and sysfs made here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contract.actuator_bench import SECTION, STOP
from trashbin.devices import load
from trashbin.devices.gpio import StopInput
from trashbin.errors import ActuatorError, StoppedError
from trashbin.ports import Actuator, Context

BOARD = {"kind": "pca9685", "channel": 3}
PWM = {"kind": "hardware_pwm", "pin": 18, "channel": 0}


class Chip:
    """A PCA9685 as its data sheet has it: registers, and off at power-on."""

    LED = 0x06

    def __init__(self) -> None:
        self.registers = bytearray(256)
        self.registers[0x00], self.registers[0xFE] = 0x11, 0x1E
        for channel in range(16):
            self.registers[self.LED + 4 * channel + 3] = 0x10
        self.missing = False

    def pulse_ms(self, channel: int) -> float | None:
        at = self.LED + 4 * channel
        on, off = (int.from_bytes(self.registers[at + n : at + n + 2], "little") for n in (0, 2))
        assert on == 0
        if off & 0x1000:
            return None
        assert not self.registers[0] & 0x10, "asleep"
        return off * (self.registers[0xFE] + 1) / 25e3


class Bus:
    """What Adafruit_PureIO's SMBus is to Blinka, with one chip on it."""

    chip: Chip

    def __init__(self, bus: int) -> None:
        self.bus = bus

    def close(self) -> None: ...

    def _answer(self, address: int) -> bytearray:
        if address != 0x40 or self.chip.missing:
            raise OSError(121, "Remote I/O error")
        return self.chip.registers

    def read_byte(self, address: int) -> int:
        return self._answer(address)[0]

    def write_quick(self, address: int) -> None:
        self._answer(address)

    def write_bytes(self, address: int, buffer: Any) -> None:
        registers, data = self._answer(address), bytes(buffer)
        if data:
            registers[data[0] : data[0] + len(data) - 1] = data[1:]

    def read_i2c_block_data(self, address: int, register: bytes, length: int) -> bytearray:
        return self._answer(address)[register[0] : register[0] + length]


@dataclass
class Bench:
    context: Context
    section: dict[str, Any]
    pulse_ms: Callable[[], float | None]
    break_it: Callable[[], None]

    def make(self) -> Any:
        section = SECTION.validate_python(self.section)
        actuator: Actuator = load("actuator", section.kind)(section, self.context)
        return actuator


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    extended = import_module("adafruit_extended_bus")
    from adafruit_blinka.microcontroller.generic_linux import i2c

    chip = Chip()
    monkeypatch.setattr(Bus, "chip", chip, raising=False)
    monkeypatch.setattr(i2c, "smbus", SimpleNamespace(SMBus=Bus))
    monkeypatch.setattr(extended, "path", SimpleNamespace(exists="/dev/i2c-1".__eq__))
    return chip


@pytest.fixture
def sysfs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """pwmchip0 with one exported channel, which another process left running."""
    library = import_module("rpi_hardware_pwm")
    chip = tmp_path / "sys/class/pwm/pwmchip0"
    (chip / "pwm0").mkdir(parents=True)
    (chip / "export").touch()
    for file, value in {"period": 20_000_000, "duty_cycle": 1_000_000, "enable": 1}.items():
        (chip / "pwm0" / file).write_text(f"{value}\n")

    def here(path: str) -> Path:
        return tmp_path / path.removeprefix("/")

    files = SimpleNamespace(
        join=os.path.join,
        isdir=lambda path: here(path).is_dir(),
        exists=lambda path: here(path).exists(),
    )
    fake = SimpleNamespace(
        path=files, W_OK=os.W_OK, access=lambda path, how: os.access(here(path), how)
    )
    monkeypatch.setattr(library, "os", fake)
    monkeypatch.setattr(library, "open", lambda path, mode: here(path).open(mode), raising=False)
    return chip


def board_bench(context: Context, chip: Chip) -> Bench:
    return Bench(context, BOARD, lambda: chip.pulse_ms(3), lambda: setattr(chip, "missing", True))


def pwm_bench(context: Context, chip: Path) -> Bench:
    def number(file: str) -> int:
        return int((chip / "pwm0" / file).read_text())

    def pulse_ms() -> float | None:
        assert number("period") == 20_000_000
        return number("duty_cycle") / 1e6 if number("enable") else None

    def unplug() -> None:
        (chip / "pwm0").rename(chip / "gone")

    return Bench(context, PWM, pulse_ms, unplug)


@pytest.fixture(params=["pca9685", "hardware_pwm"])
def bench(request: pytest.FixtureRequest, context: Context) -> Iterator[Bench]:
    if request.param == "pca9685":
        yield board_bench(context, request.getfixturevalue("chip"))
    else:
        yield pwm_bench(context, request.getfixturevalue("sysfs"))


@pytest.mark.devices
def test_an_item_passes_through_at_each_bins_pulse(bench: Bench) -> None:
    servo = bench.make()
    servo.release()
    servo.close()  # before it was opened, too
    for _ in range(2):
        servo.open()
        assert (servo.name, servo.moves, bench.pulse_ms()) == ("servo", True, None)
        servo.sort("left")
        assert bench.pulse_ms() == pytest.approx(1.0, abs=0.005)  # the board has steps of 4.9 us
        servo.sort("right")
        assert bench.pulse_ms() == pytest.approx(2.0, abs=0.005)
        servo.rest()
        assert bench.pulse_ms() == pytest.approx(1.5, abs=0.005)
        bench.context.clock.wait(1.0)
        servo.release()
        assert bench.pulse_ms() is None
        servo.close()
        servo.close()
        assert bench.pulse_ms() is None


@pytest.mark.devices
def test_what_still_runs_from_before_a_crash_ends_as_it_is_opened(bench: Bench) -> None:
    first = bench.make()
    first.open()
    first.sort("left")
    again = bench.make()
    again.open()
    assert bench.pulse_ms() is None
    again.close()


@pytest.mark.devices
def test_the_stop_switch_ends_the_pulse_and_nothing_moves_until_it_is_off(bench: Bench) -> None:
    made: list[Any] = []
    stop = StopInput(STOP, bench.context, lambda: made[0].release())
    stop.open()
    bench.context = replace(bench.context, stop=stop)
    servo = bench.make()
    made.append(servo)
    servo.open()
    servo.sort("left")
    bench.context.pins.pin(STOP).drive_low()
    assert bench.pulse_ms() is None
    with pytest.raises(StoppedError):
        servo.sort("right")
    assert bench.pulse_ms() is None
    stop.close()


@pytest.mark.devices
def test_what_comes_loose_is_told_at_every_call(bench: Bench) -> None:
    servo = bench.make()
    servo.open()
    bench.break_it()
    for move in (lambda: servo.sort("left"), servo.release, servo.close):
        with pytest.raises(ActuatorError, match=r"The servo cannot be"):
            move()
    with pytest.raises(ActuatorError, match=r"The servo on .* cannot be opened"):
        servo.open()


@pytest.mark.devices
def test_a_bus_or_an_overlay_that_is_not_there_is_told_with_what_to_do(
    context: Context, chip: Chip, sysfs: Path
) -> None:
    with pytest.raises(ActuatorError, match=r"channel 3 .* 0x40 .*/dev/i2c-2.*raspi-config"):
        Bench(context, BOARD | {"bus": 2}, lambda: None, lambda: None).make().open()
    with pytest.raises(ActuatorError, match=r"at 0x41 .*raspi-config"):
        Bench(context, BOARD | {"address": 0x41}, lambda: None, lambda: None).make().open()
    with pytest.raises(ActuatorError, match=r"pwmchip2 .*dtoverlay=pwm,pin=18,func=2"):
        Bench(context, PWM | {"chip": 2}, lambda: None, lambda: None).make().open()


@pytest.mark.parametrize(
    ("section", "module", "extra"),
    [(BOARD, "adafruit_extended_bus", "pca9685"), (PWM, "rpi_hardware_pwm", "hardware-pwm")],
)
def test_a_library_that_is_missing_is_told_with_its_extra(
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    section: dict[str, Any],
    module: str,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    servo = Bench(context, section, lambda: None, lambda: None).make()
    with pytest.raises(ActuatorError, match=rf"pip install 'trashbin\[{extra}\]'"):
        servo.open()
    servo.release()
    servo.close()
