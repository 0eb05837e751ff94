"""The bin as systemd runs it: at work or not, told to stop and to start; its password."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from trashbin import whole_file
from trashbin.doctor.machine import UNIT, Host, is_there

ENDS = (signal.SIGHUP, signal.SIGTERM)


def patiently(command: Sequence[str]) -> str | None:
    """What a program prints, however long a start takes; None where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def at_work(host: Host) -> bool:
    """Does it run, or is it just starting?"""
    return host.has_systemd and host.activity() in ("active", "activating", "reloading")


def told(host: Host, verb: str) -> bool:
    """Tell it to start, stop or restart; False where it does not."""
    return host.run(["systemctl", "--no-ask-password", verb, UNIT]) is not None


@contextmanager
def hang_up_as_ctrl_c() -> Iterator[None]:
    """Let a lost connection, or being told to end, end it as Ctrl-C does: tidily.

    Once: sudo sends both, one right after the other.
    """

    def end(*_: object) -> None:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def closed(file: Path) -> Path | None:
    """The folder that keeps the file from being written; None where none does."""
    folder = next(path for path in file.absolute().parents if is_there(path))
    return None if os.access(folder, os.W_OK | os.X_OK) else folder


def put(file: Path, text: str) -> Path | None:
    """Write a file whole or not at all; where what was there before is kept, if anything was."""
    kept = file.with_name(f"{file.name}.{datetime.now():%Y%m%dT%H%M%S}") if file.exists() else None
    try:
        if kept is not None:
            kept.write_bytes(file.read_bytes())
        whole_file.write(file, text, 0o644)
    except OSError:
        if kept is not None:
            kept.unlink(missing_ok=True)
        raise
    return kept


def put_secret(file: Path, secret: str) -> None:
    """Write a password where its owner alone may read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole_file.write(file, f"{secret}\n", 0o600)
