"""The bin as systemd runs it: at work or not, told to stop and to start; its password."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trashbin.doctor.machine import UNIT, Host


def patiently(command: Sequence[str]) -> str | None:
    """What a program prints, however long a start takes; None where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def at_work(host: Host) -> bool:
    """Does it run, or is it just starting?"""
    if not host.has_systemd:
        return False
    state = host.run(["systemctl", "show", UNIT, "-p", "ActiveState", "--value"])
    return (state or "").strip() in ("active", "activating", "reloading")


def told(host: Host, verb: str) -> bool:
    """Tell it to start, stop or restart; False where it does not."""
    return host.run(["systemctl", "--no-ask-password", verb, UNIT]) is not None


def put_secret(file: Path, secret: str) -> None:
    """Write a password where its owner alone may read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(f"{secret}\n")
