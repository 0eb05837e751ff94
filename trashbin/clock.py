"""The real clock: every wait of the main thread goes through here, so every wait can be ended."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

DEAF_S = 1.0  # the longest that a call to stop may go unheard
TIMEX_BYTES = 512  # struct timex has 208 bytes on 64-bit Linux; zeroed, it asks and sets nothing
TIME_ERROR = 5
TIMESYNCD = Path("/run/systemd/timesync/synchronized")
KEPT_S = 32_000.0  # by the kernel's count: 16 s, at 500 ppm, after which it says TIME_ERROR
_adjtimex = ctypes.CDLL(None).adjtimex


class SystemClock:
    """Satisfies ``ports.Clock``; ``stop`` may be called from a signal handler."""

    def __init__(self) -> None:
        self.stopped = False
        # a Condition's lock is re-entrant: a signal handler runs on the thread that may hold it
        self._changed = threading.Condition()

    def monotonic(self) -> float:
        """Seconds since boot, never set back."""
        return time.monotonic()

    def now(self) -> datetime:
        """The kernel's time of day, UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Wait, or less where ``until()`` comes true or ``stop`` is called; True when stopped."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (self.stopped or (until is not None and until())):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                # a signal handler that runs just before the wait begins is not heard by it
                self._changed.wait(min(left, DEAF_S))
        return self.stopped

    def notify(self) -> None:
        """Look again at what a wait is for."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End this wait and every later one."""
        self.stopped = True
        self.notify()

    def stop_on_signals(self) -> None:
        """Stop once the process is told to end, by SIGTERM or Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())


def is_synchronized() -> bool:
    """True where this machine's time of day follows a time server.

    adjtimex(2) with nothing to set returns TIME_ERROR (5) while the kernel says that it does not.
    Our systemd unit refuses that call, with all others that could set a clock; there the file
    tells it that systemd-timesyncd(8) touches whenever a server has answered.
    """
    state = _adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if state >= 0:
        return bool(state != TIME_ERROR)
    try:
        return 0 <= time.time() - TIMESYNCD.stat().st_mtime < KEPT_S
    except OSError:
        return False
