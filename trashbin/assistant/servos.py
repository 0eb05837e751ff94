"""The ways to drive a servo: which of them are found here, and what each still needs."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from trashbin.assistant.plan import Servo
from trashbin.config_checks import PWM_CHANNELS
from trashbin.doctor.machine import Host

WAYS = {
    "servo": "its signal on a pin",
    "pca9685": "on a PCA9685 board",
    "hardware_pwm": "on a pin that the Pi's own PWM drives",
}
I2C = Path("dev/i2c-1")
BOARDS = range(0x40, 0x48)  # a board with none, or with the first three, of its pads bridged
I2C_SLAVE = 0x0703  # the kernel's ioctl: whom to talk to
LIBRARIES = {
    "pca9685": ("adafruit_pca9685", "pca9685"),
    "hardware_pwm": ("rpi_hardware_pwm", "hardware-pwm"),
}
OVERLAY = re.compile(r"^\s*dtoverlay=pwm(?:-2chan)?(?:,\S*?\bpin=(\d+)|[,\s]|$)", re.MULTILINE)
FAN = "1f0009c000"  # the PWM of a Pi 5's fan; no pin hangs on it


def _answers(bus: Path, address: int) -> bool:
    """Whether anything at that address lets a byte be read."""
    try:
        with open(os.open(bus, os.O_RDWR), "rb", buffering=0) as device:  # noqa: PTH123
            fcntl.ioctl(device, I2C_SLAVE, address)
            return bool(device.read(1))
    except OSError:
        return False


def board(root: Path, answers: Callable[[Path, int], bool] = _answers) -> Servo | None:
    """The first board on I2C, or what answers in its place: a byte that is read harms nothing."""
    if not (root / I2C).exists():
        return None
    found = (address for address in BOARDS if answers(root / I2C, address))
    return next((Servo("pca9685", address=address) for address in found), None)


def pwm(root: Path) -> Servo | None:
    """The pin that ``dtoverlay=pwm`` gives to the Pi's own PWM, and the kernel's names for it."""
    chips = [
        chip
        for chip in sorted(root.glob("sys/class/pwm/pwmchip*"))
        if FAN not in (chip / "device").resolve().name
    ]
    overlay = OVERLAY.search(Host(root).read("boot/firmware/config.txt") or "")
    if not chips or overlay is None or int(overlay[1] or 18) not in PWM_CHANNELS:
        return None
    pin = int(overlay[1] or 18)
    chip = int(chips[0].name.removeprefix("pwmchip"))
    return Servo("hardware_pwm", pin=pin, channel=channel(pin, root), chip=chip)


def channel(pin: int, root: Path) -> int:
    """The kernel's PWM channel behind a pin: a Pi 5 counts otherwise."""
    of_a_5 = re.search(r"(Pi|Module) 5", Host(root).board or "") is not None
    return PWM_CHANNELS[pin][-1 if of_a_5 else 0]


def lacking(servo: Servo, root: Path) -> list[str]:
    """What is still to be done before a servo of this kind can move."""
    todo = []
    if servo.kind in LIBRARIES:
        module, extra = LIBRARIES[servo.kind]
        if find_spec(module) is None:
            todo.append(f"its library, once: sudo ./install.sh --with {extra}")
    if servo.kind == "pca9685" and not (root / I2C).exists():
        todo.append("I2C switched on, once: sudo raspi-config nonint do_i2c 0")
    if servo.kind == "hardware_pwm" and pwm(root) is None:
        func = 2 if servo.pin > 13 else 4
        todo.append(
            f"the line dtoverlay=pwm,pin={servo.pin},func={func} in /boot/firmware/config.txt,"
            " and a restart"
        )
    return todo
