"""The bin as systemd runs it: at work or not, told to stop and to start."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trashbin.doctor.machine import UNIT, Host

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
