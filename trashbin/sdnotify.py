"""Tell systemd how the bin is: READY, STATUS, WATCHDOG, STOPPING; nothing without NOTIFY_SOCKET."""

from __future__ import annotations

import logging
import os
import socket

from trashbin.status import Status

log = logging.getLogger(__name__)

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

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_LIMIT_S)
                sender.sendto(state.encode(), self._address)
        except OSError as error:  # the bin must not stop because nobody listens
            log.warning("systemd cannot be told %r: %s", state, error)
