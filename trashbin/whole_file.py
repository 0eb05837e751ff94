"""Files that are in place whole or not at all, through a full disk, a kill and a power cut too."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def writing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` as the block ends; it is on the disk by then.

    Where the block fails, what was there before stays. ``mode`` are its permissions from the first
    byte on; None: those of any new file. OSError where it cannot be written. Of two processes that
    write it at once, the second begins as the first is done.
    """
    part = path.with_name(f".{path.name}.part")
    descriptor = _alone(part, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:  # in place, or gone, before another has it
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)  # one that a kill left keeps its own otherwise
            yield file
            file.flush()
            os.fsync(descriptor)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    with suppress(OSError):  # some file systems know no such thing
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power cut may bring the old one back
        finally:
            os.close(folder)


def _alone(part: Path, mode: int) -> int:
    """Open the half file, empty, once no other process writes it."""
    while True:
        # no link: root writes into folders of others, too
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, mode)
        try:
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):  # the other's has got its place by now
                if os.path.samestat(os.fstat(descriptor), part.stat()):
                    os.ftruncate(descriptor, 0)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def write(path: Path, text: str, mode: int | None = None) -> None:
    """A whole text, in UTF-8; otherwise as ``writing``."""
    with writing(path, mode) as file:
        file.write(text.encode())
