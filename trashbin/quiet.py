"""Keeping native libraries' chatter off the standard error of one-shot commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptor 2 nowhere for a while.

    libjpeg, libpng and the network's runtime write to it directly. The whole process
    is silenced: for one-shot commands around a single call, never for the daemon.
    """
    kept = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
