"""Files that are in place whole or not at all, through a full disk, a kill and a power cut too."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

WRITTEN_S = 60.0  # another's file of a hundred megabytes on a slow card
AGAIN_S = 0.02


@contextmanager
def writing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` as the block ends; it is on the disk by then.

    Where the block fails, what was there before stays. ``mode`` are its permissions from the first
    byte on; None: those of any new file. OSError where it cannot be written. Of two processes that
    write it at once, the second begins as the first is done; TimeoutError where it does not get so
    far, as one that was stopped.
    """
    if path.exists() and not path.is_file():  # root would put a file in place of a device
        why = "Is a directory" if path.is_dir() else "Is no regular file"
        raise OSError(errno.EINVAL, why, str(path))
    part = path.with_name(f".{path.name}.part")
    try:
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
    except OSError as error:
        # of a descriptor, or of a file that nobody named
        if error.filename is None or str(error.filename) == str(part):
            error.filename = str(path)
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
            lock(descriptor, part, WRITTEN_S)
            with suppress(FileNotFoundError):  # the other's has got its place by now
                if os.path.samestat(os.fstat(descriptor), part.stat()):
                    os.ftruncate(descriptor, 0)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock(descriptor: int, path: Path, seconds: float) -> None:
    """Have the lock of an open file until it is closed, once no other process has it.

    TimeoutError where one has it for longer than ``seconds``; it says which.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                told = f"{_holder(descriptor)} has had it for {seconds:g} s: continue or end that"
                raise TimeoutError(errno.ETIMEDOUT, told, str(path)) from None
        except OSError:
            return  # not every file system has locks
        time.sleep(AGAIN_S)


def _holder(descriptor: int) -> str:
    """Who has the lock of an open file, in words."""
    ending = f":{os.fstat(descriptor).st_ino}"
    with suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            # such as: 1: FLOCK  ADVISORY  WRITE 1234 b3:02:5678 0 EOF
            _, kind, _, _, process, file, *_ = line.split()
            if kind == "FLOCK" and file.endswith(ending):
                return f"process {process}"
    return "another process"


def write(path: Path, text: str, mode: int | None = None) -> None:
    """A whole text, in UTF-8; otherwise as ``writing``."""
    with writing(path, mode) as file:
        file.write(text.encode())
