"""What the training's commands share: how they read numbers, and how they end."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from collections.abc import Callable

from trashbin.errors import TrashbinError

AGAIN_S = 0.1


def count(least: int) -> Callable[[str], int]:
    """Reads a whole number that is at least so large."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return read


def share(text: str) -> float:
    """Reads a share of the steps: above 0, and 1 for all of them."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _heard(lost: sys.UnraisableHookArgs) -> None:
    """Tell a Ctrl-C once more that came where no exception leads out.

    jax, which converts the network, calls back whenever Python collects garbage.
    """
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    # SIGTERM, as SIGINT may be ignored; after this call, out of which no exception leads either
    main = threading.main_thread().ident
    assert main is not None
    again = threading.Timer(AGAIN_S, signal.pthread_kill, [main, signal.SIGTERM])
    again.daemon = True
    again.start()


def plainly(work: Callable[[], int]) -> int:
    """The exit status of what is done; what stops it is told without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the workers are ended as well
    sys.unraisablehook = _heard
    try:
        return work()
    except KeyboardInterrupt:
        print("\nStopped. What is done is kept; the same command goes on there.", file=sys.stderr)
        return 130
    except OSError as error:  # a folder that cannot be written, a full disk
        why = error.strerror or f"cannot be written whole {error.args}"  # NumPy's own
        print(f"error: {error.filename or 'the disk'}: {why}", file=sys.stderr)
        return 1
    except TrashbinError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
