"""The machine under the bin: clock, disk, heat, power, who may do what, systemd, the watchdog.

Everything is read below ``Host.root``, so that a test can lay out a machine of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trashbin.doctor.report import Finding, bad, good, warning

USER = "trashbin"
GROUPS = ("gpio", "video", "render")  # as the unit's SupplementaryGroups
UNIT = "trashbin.service"
SYSTEM_CONFIG = Path("/etc/trashbin/trashbin.yaml")  # the one that it runs with
CREDENTIAL = Path("etc/credstore/trashbin.mqtt-password")
LEAST_FREE_MB = 100
WARM_C, HOT_C = 75.0, 85.0  # a Pi slows down from 80 and must from 85
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)  # a clock before that is wrong for sure

# bits of the firmware's get_throttled: now, and since boot
NOW = {0: "undervoltage", 1: "a lowered clock", 2: "throttling", 3: "the soft heat limit"}
SINCE_BOOT = {bit + 16: name for bit, name in NOW.items()}


def _run(command: Sequence[str]) -> str | None:
    """What a program prints; None where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Host:
    """Where the machine's files lie, and how its programs are run."""

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = _run

    def read(self, *names: str) -> str | None:
        """The text of the first of these files that is there."""
        for name in names:
            try:
                return (self.root / name).read_text(errors="replace").strip("\0\n ")
            except OSError:
                continue
        return None

    @property
    def board(self) -> str | None:
        """Which board this is; None where it is none that says so."""
        return self.read("proc/device-tree/model", "sys/firmware/devicetree/base/model")

    @property
    def is_pi(self) -> bool:
        """A Raspberry Pi?"""
        return "Raspberry Pi" in (self.board or "")

    @property
    def has_systemd(self) -> bool:
        """Does systemd run here?"""
        return (self.root / "run/systemd/system").is_dir()

    def activity(self) -> str | None:
        """What the bin's service is doing, in systemd's word; None where it cannot be asked."""
        state = self.run(["systemctl", "show", UNIT, "-p", "ActiveState", "--value"])
        return None if state is None else state.strip()


def clock(host: Host, now: datetime, synchronized: bool) -> Finding:
    """Is the time of day plausible, and does a time server keep it?"""
    told = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < RELEASED:
        return bad(
            "clock",
            f"{told}, which cannot be",
            "Events would carry a wrong time, and TLS certificates look invalid.",
            "Join a network with a time server, or set it: sudo date -s '2026-11-24 12:00'",
        )
    if synchronized:
        return good("clock", f"{told}, kept by a time server", "Events carry the right time.")
    if not host.has_systemd:
        return good(
            "clock",
            f"{told}; no time service runs here",
            "The time is plausible. Events say unsynced, as nothing here vouches for it.",
        )
    return warning(
        "clock",
        f"{told}, not kept by a time server",
        "Events carry ts_quality: unsynced, and may be hours off after a power cut.",
        "Join a network, and see: timedatectl status",
    )


def disk(folder: Path, max_mb: int) -> Finding:
    """Is there room for the store to grow to its cap?"""
    there = nearest(folder)
    try:
        usage = shutil.disk_usage(there)
    except OSError as error:
        return bad(
            "disk", str(error), "Events cannot be kept.", "Look at the card: dmesg | grep mmc"
        )
    free = usage.free // 2**20
    told = f"{free:,} MB free below {there}"
    if free < LEAST_FREE_MB:
        return bad(
            "disk",
            told,
            "Nothing is sorted once an event cannot be written.",
            "Free some space, or set store: path to a folder on another disk, and name it in "
            "ReadWritePaths= with: sudo systemctl edit trashbin",
        )
    if free < max_mb:
        return warning(
            "disk",
            f"{told}, less than store: max_mb ({max_mb})",
            "The disk fills before the store gives way by its own rule.",
            "Free some space, or set a smaller store: max_mb.",
        )
    return good("disk", told, "The store can grow to its cap.")


def temperature(host: Host) -> Finding:
    """How warm is the processor?"""
    text = host.read("sys/class/thermal/thermal_zone0/temp")
    if text is None or not text.lstrip("-").isdigit():
        return good("temperature", "this machine tells none", "Nothing to judge.")
    celsius = int(text) / 1000
    told = f"{celsius:.0f} °C"
    if celsius < WARM_C:
        return good("temperature", told, "Cool enough to run at full speed.")
    means = "From 80 °C a Pi slows down, from 85 °C it must: decisions take longer."
    do = "Give it air or a heat sink, out of the sun."
    if celsius >= HOT_C:
        return bad("temperature", told, means, do)
    return warning("temperature", told, means, do)


def power(host: Host) -> Finding:
    """Did the supply hold since boot? The Pi's firmware remembers."""
    text = host.read("sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None:
        answer = host.run(["vcgencmd", "get_throttled"])
        text = (answer or "").partition("=")[2].strip() or None
    try:
        bits = None if text is None else int(text, 16)
    except ValueError:
        bits = None
    if bits is None:
        if host.is_pi:
            return warning(
                "power",
                "the firmware does not tell how the supply held",
                "An undervoltage would go unnoticed.",
                "sudo apt install raspi-utils, or run this as root.",
            )
        return good("power", "no Raspberry Pi: nothing tells of the supply", "Nothing to judge.")
    now = [name for bit, name in NOW.items() if bits >> bit & 1]
    before = [name for bit, name in SINCE_BOOT.items() if bits >> bit & 1]
    means = "The Pi slows down, may reset in mid-move, and the card may suffer."
    do = (
        "A supply and cable made for this Pi; never let the servo take its power from the Pi."
        if "undervoltage" in now + before
        else "Give it air or a heat sink."
    )
    if now:
        return bad("power", f"{' and '.join(now)} now", means, do)
    if before:
        return warning("power", f"{' and '.join(before)} since boot", means, do)
    return good("power", "no undervoltage since boot", "The supply holds.")


def account(host: Host) -> Finding:
    """Is there the user that the unit runs as, in the groups that own the devices?"""
    users, groups = host.read("etc/passwd"), host.read("etc/group")
    names = {line.split(":")[0] for line in (users or "").splitlines()}
    if USER not in names:
        return warning(
            "account",
            f"no user {USER}",
            "The bin is not installed as a service here; by hand it runs as you.",
            "sudo ./install.sh",
        )
    lines = [line.split(":") for line in (groups or "").splitlines()]
    members = {line[0]: line[3].split(",") for line in lines if len(line) == 4}
    missing = [name for name in GROUPS if name not in members]
    outside = [name for name in GROUPS if USER not in members.get(name, [])]
    if missing or outside:
        told = f"no group {', '.join(missing)}" if missing else f"not in {', '.join(outside)}"
        return bad(
            "account",
            f"the user {USER}: {told}",
            "It may use neither pins nor camera; systemd does not start it without its groups.",
            "sudo ./install.sh, which adds what is missing.",
        )
    return good("account", f"{USER}, in {', '.join(GROUPS)}", "It may use pins and camera.")


def files(host: Host, config: Path, store: Path) -> Iterator[Finding]:
    """May the right people, and only they, read and write the bin's files?"""
    wrong = []
    password = host.root / CREDENTIAL
    for file, forbidden, rule in (
        (password, 0o077, "readable by root alone"),
        (config, 0o022, "writable by root alone"),
    ):
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        if mode & forbidden:
            wrong.append(f"{file} has mode {mode:03o} and should be {rule}")
    if wrong:
        yield warning(
            "files",
            "; ".join(wrong),
            "Whoever can log in could read the password or change what the bin does.",
            f"sudo chmod 600 {password}; sudo chmod 644 {config}",
        )
    owner = _owner(store)
    if owner is not None and _user_exists(USER) and owner not in (USER, _me()):
        yield bad(
            "files",
            f"{store} belongs to {owner}",
            "The bin cannot write its events there, and sorts nothing.",
            f"sudo chown -R {USER}: {store}",
        )
        return
    there = nearest(store)
    if not os.access(there, os.W_OK) and _owner(there) != USER:
        yield bad(
            "files",
            f"{there} may not be written to by {_me()}",
            "A bin of this user cannot keep its events, and sorts nothing.",
            f"As the bin's user, or with sudo: trashbin doctor; or set store: path in {config}.",
        )
    elif not wrong:
        told = " and ".join(str(path) for path in (config, store) if is_there(path))
        yield good("files", f"{told or there} as they should be", "Nobody else may write.")


def service(host: Host) -> Finding:
    """Does systemd keep the bin running?"""
    if not host.has_systemd:
        return warning(
            "systemd",
            "absent: systemd does not run here",
            "Nothing starts the bin at boot, or again after a fault.",
            f"On a Pi it does. Here, by hand: {USER} run --config FILE",
        )
    told = host.run(
        ["systemctl", "show", UNIT, "-p", "LoadState,ActiveState,SubState,UnitFileState,NRestarts"]
    )
    state = dict(line.partition("=")[::2] for line in (told or "").splitlines())
    if state.get("LoadState") != "loaded":
        return warning(
            "systemd",
            f"there is no {UNIT}",
            "Nothing starts the bin at boot, or again after a fault.",
            "sudo ./install.sh",
        )
    active, enabled = state.get("ActiveState"), state.get("UnitFileState")
    restarts = int(state.get("NRestarts") or 0)
    if active != "active":
        return bad(
            "systemd",
            f"{UNIT} is {active} ({state.get('SubState')})",
            "The bin does nothing.",
            f"journalctl -u {USER} -n 30; then sudo systemctl start {USER}",
        )
    if enabled != "enabled":
        return warning(
            "systemd",
            f"{UNIT} runs, and is not enabled",
            "After the next boot the bin does nothing.",
            f"sudo systemctl enable {USER}",
        )
    if restarts:
        return warning(
            "systemd",
            f"{UNIT} was restarted {restarts} times since it was started",
            "It ended with a fault, or its watchdog bit.",
            f"journalctl -u {USER} -p warning -n 30",
        )
    return good("systemd", f"{UNIT} runs and starts at boot", "It comes back after any fault.")


def watchdog(host: Host) -> Finding:
    """Does the hardware reset a machine that hangs?"""
    device = any((host.root / "dev" / name).exists() for name in ("watchdog0", "watchdog"))
    means = "A kernel that hangs stays hung until somebody pulls the plug."
    if not device:
        return warning(
            "watchdog",
            "absent: there is no /dev/watchdog",
            means,
            "On a Pi: dtparam=watchdog=on in /boot/firmware/config.txt, and reboot.",
        )
    text = host.run(["systemctl", "show", "-p", "RuntimeWatchdogUSec", "--value"])
    told = (text or "0").strip()
    if told in ("", "0", "infinity"):
        return warning(
            "watchdog",
            "the hardware watchdog is there, and nothing feeds it",
            means,
            "sudo ./install.sh sets RuntimeWatchdogSec; it holds from the next boot on.",
        )
    return good("watchdog", f"the hardware resets a hung machine after {told}", "It restarts.")


def is_there(path: Path) -> bool:
    """False, too, where a folder on the way there may not be entered."""
    try:
        return path.exists()
    except OSError:
        return False


def nearest(path: Path) -> Path:
    """The path, or the folder on the way there that is there already."""
    return next(each for each in (path, *path.absolute().parents) if is_there(each))


def _owner(path: Path) -> str | None:
    try:
        return path.owner()
    except (OSError, KeyError):
        return None


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _me() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container, often
        return f"the user {os.geteuid()}"
