"""How the machine under the bin is: temperature, power, disk; None for what it does not tell."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

# where Raspberry Pi OS's kernel shows what its firmware knows; vcgencmd asks the firmware itself
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
MODEL = Path("/proc/device-tree/model")
ASK_S = 2.0

M_MMAP_THRESHOLD = -3  # malloc.h

UNDERVOLTAGE, CAPPED, THROTTLING, HOT = 0x1, 0x2, 0x4, 0x8
SINCE_BOOT = 16  # bits further up: the same, at any time since the start


def give_back_large_blocks() -> None:
    """Let the C library hand every block of a megabyte back to the kernel as it is freed.

    Left to itself, glibc keeps ever larger ones once a few were freed: tens of megabytes of a
    Pi's memory for pictures that are long gone. Other C libraries are left as they are.
    """
    with suppress(AttributeError):  # no mallopt
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)


def disk_free_mb(folder: Path) -> int | None:
    """Free space on a folder's disk in mebibytes, or None where the folder is gone."""
    try:
        return shutil.disk_usage(folder).free // 2**20
    except OSError:
        return None


def board() -> str:
    """The board's name as its device tree has it; elsewhere the processor's architecture."""
    try:
        return MODEL.read_text().strip("\0\n ")
    except OSError:
        return f"no Raspberry Pi ({platform.machine()})"


def system() -> str:
    """The operating system's name and release, and the processor's architecture."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name} {platform.machine()}"


def temperature() -> float | None:
    """The processor's temperature in degrees Celsius, or None where the kernel tells none."""
    try:
        return int(TEMPERATURE.read_text()) / 1000
    except (OSError, ValueError):
        return None


def power() -> dict[str, bool] | None:
    """Too little voltage, or slowed down (by heat or voltage), now and since boot.

    None where this is no Raspberry Pi.
    """
    bits = _throttled()
    if bits is None:
        return None
    before = bits >> SINCE_BOOT
    slowed = CAPPED | THROTTLING | HOT
    return {
        "undervoltage": bool(bits & UNDERVOLTAGE),
        "throttled": bool(bits & slowed),
        "undervoltage_since_boot": bool(before & UNDERVOLTAGE),
        "throttled_since_boot": bool(before & slowed),
    }


def _throttled() -> int | None:
    try:
        return int(THROTTLED.read_text(), 16)
    except (OSError, ValueError):
        pass
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, timeout=ASK_S, check=True
        )
        return int(done.stdout.strip().partition("=")[2], 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
