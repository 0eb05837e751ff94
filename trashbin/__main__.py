"""``trashbin``, and ``python -m trashbin``."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run a command. Ctrl-C while its modules are still read ends it without a traceback, too."""
    try:
        _hang_up_as_ctrl_c()
        from trashbin.cli import main as commands
    except KeyboardInterrupt:
        sys.exit(130)
    commands(prog_name="trashbin")


def _hang_up_as_ctrl_c() -> None:
    """A terminal that is closed, or a connection that breaks off, ends each command as tidily.

    Not under nohup, nor where a shell in the background lets Ctrl-C pass it by.
    """
    if signal.SIG_IGN not in map(signal.getsignal, (signal.SIGHUP, signal.SIGINT)):
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGINT))


if __name__ == "__main__":
    main()
