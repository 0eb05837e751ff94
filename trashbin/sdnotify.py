"""Tell systemd how the bin is: READY, STATUS, WATCHDOG, STOPPING; nothing without NOTIFY_SOCKET."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from trashbin.status import Status

log = logging.getLogger(__name__)

CHANGED_EVERY_S = 5.0  # how often a file is looked at; much less than the unit's WatchdogSec
SEND_LIMIT_S = 1.0  # a manager that does not read must not hold up the bin


class Notifier:
    """Speaks to the socket that systemd named when this was made."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # Linux's abstract namespace
            self._address = "\0" + self._address[1:]
        self._shown: Status | None = None

    def ready(self) -> None:
        """The bin is up; ``systemctl start`` returns on this."""
        self._send("READY=1")

    def progress(self, status: Status) -> None:
        """The loop went round: feed the watchdog, and show a status that is new.

        Call it for progress only; a timer of its own would feed a dead bin's watchdog.
        """
        if status is self._shown:
            self._send("WATCHDOG=1")
        else:
            self._send(f"WATCHDOG=1\nSTATUS={status}")
            self._shown = status

    def stopping(self) -> None:
        """The bin goes down on purpose."""
        self._send("STOPPING=1")

    def wait_for_change(self, file: Path, wait: Callable[[float], bool]) -> None:
        """Stay up until a file that nothing can run with changes, or ``wait`` says stop.

        systemd would start a process that ends for it again and again, every other second. Where
        it does not listen, a person waits: this returns at once.
        """
        if not self._address:
            return
        before = _stamp(file)
        self.ready()
        while not wait(CHANGED_EVERY_S) and _stamp(file) == before:
            self.progress(Status.FAULT)

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_LIMIT_S)
                sender.sendto(state.encode(), self._address)
        except OSError as error:  # the bin must not stop because nobody listens
            log.warning("systemd cannot be told %r: %s", state, error)


def _stamp(file: Path) -> tuple[int, int] | None:
    """What differs once a file was written, replaced or may be read; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
