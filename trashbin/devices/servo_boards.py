"""Servos whose pulses something else times: a PCA9685 board on I2C, or the Pi's own PWM.

Their signal does not tremble, whatever else the Pi does. The libraries are extras
(``trashbin[pca9685]``, ``trashbin[hardware-pwm]``) and are loaded as a servo is opened.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trashbin.devices.servo import Pulse, Servo
from trashbin.errors import ActuatorError
from trashbin.ports import Context
from trashbin.settings import HardwarePwmActuator as PwmSettings
from trashbin.settings import Pca9685Actuator as BoardSettings

HZ = 50  # of a hobby servo's pulses
STEPS = 4096  # of the board in one period


class Pca9685Actuator(Servo):
    """A servo on one channel of a PCA9685. All channels of the board then run at 50 Hz."""

    def __init__(self, settings: BoardSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._board = settings

    def _taken(self) -> Pulse:
        board = self._board
        where = f"The servo on channel {board.channel} of the PCA9685 at {board.address:#x}"
        with _opened(
            f"{where} on I2C bus {board.bus}",
            "pca9685",
            "switch I2C on (sudo raspi-config nonint do_i2c 0), let the user into the group i2c, "
            "and see whether i2cdetect finds the board",
        ):
            return _BoardPulse(board)


class _BoardPulse:
    def __init__(self, settings: BoardSettings) -> None:
        from adafruit_extended_bus import ExtendedI2C
        from adafruit_pca9685 import PCA9685

        self._bus = ExtendedI2C(settings.bus, frequency=None)  # the kernel's to set
        try:
            board = PCA9685(self._bus, address=settings.address)
            self._channel: Any = board.channels[settings.channel]
            self.end()  # the board goes on with what it was told before a crash
            board.frequency = HZ
            self._hz: float = board.frequency  # the nearest that the board has
        except BaseException:
            self._bus.deinit()
            raise

    def give(self, milliseconds: float) -> None:
        # the library takes 16 bits, of which the board has the upper 12
        self._channel.duty_cycle = round(milliseconds / 1000 * self._hz * STEPS) << 4

    def end(self) -> None:
        self._channel.duty_cycle = 0

    def close(self) -> None:
        try:
            self.end()
        finally:
            self._bus.deinit()


class HardwarePwmActuator(Servo):
    """A servo on a pin that the kernel's PWM drives."""

    def __init__(self, settings: PwmSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._pwm = settings

    def _taken(self) -> Pulse:
        pwm = self._pwm
        where = f"The servo on GPIO{pwm.pin}, channel {pwm.channel} of /sys/class/pwm"
        with _opened(
            f"{where}/pwmchip{pwm.chip}",
            "hardware-pwm",
            f"dtoverlay=pwm,pin={pwm.pin},func={2 if pwm.pin > 13 else 4} belongs into "
            "/boot/firmware/config.txt; ls /sys/class/pwm shows the chips there are",
        ):
            return _PwmPulse(pwm)


class _PwmPulse:
    def __init__(self, settings: PwmSettings) -> None:
        from rpi_hardware_pwm import HardwarePWM

        self._pwm = HardwarePWM(settings.channel, hz=HZ, chip=settings.chip)
        self.end()  # it may still run for a process that was killed

    def give(self, milliseconds: float) -> None:
        self._pwm.start(milliseconds / 1000 * HZ * 100)  # a share of the period, in percent

    def end(self) -> None:
        self._pwm.stop()

    def close(self) -> None:
        self.end()


@contextmanager
def _opened(what: str, extra: str, help: str) -> Iterator[None]:
    """Turn what libraries raise as they are loaded and opened into an ActuatorError."""
    try:
        yield
    except ImportError as error:
        raise ActuatorError(
            f"{what} cannot be opened: {error}. Its library is missing: sudo ./install.sh "
            f"--with {extra}, or elsewhere {sys.executable} -m pip install 'trashbin[{extra}]'"
        ) from error
    except Exception as error:  # the libraries raise what they please
        raise ActuatorError(f"{what} cannot be opened: {error}; {help}") from error
