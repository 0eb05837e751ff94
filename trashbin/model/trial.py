"""A network from elsewhere first runs in a child process, which may crash in the bin's stead.

The native runtimes trust a file's structure: where an offset or a shape in it lies, they end
the process, and no exception tells. The digest in the manifest finds accidents, not lies.
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

from trashbin import resources
from trashbin.errors import ModelError, TrashbinError
from trashbin.model.manifest import ModelFile

LIMIT_S = 20.0  # for Python's start, the load and a few runs on the slowest board
MEMORY = 4 * 2**30  # bytes of address space; the shipped networks take half of one GB


def try_out(file: ModelFile, kernels: str, threads: int, runtime: str) -> None:
    """Load, check and run a network that is not one of the shipped ones in a child process.

    ModelError where the child crashes or does not end. What it finds wrong in an orderly
    way is not told here: whoever loads the network next finds it too.
    """
    if file.path.resolve().is_relative_to(resources.root().resolve() / "models"):
        return
    code = child([str(file.path), kernels, str(threads), runtime])
    if code is None:
        raise ModelError(
            f"{file.path}: does not load and run within {LIMIT_S:g} s; it was stopped. "
            "The file is damaged, or too large for this machine."
        )
    if code < 0:
        raise ModelError(
            f"{file.path}: crashes the runtime ({signal.Signals(-code).name}, in a process of "
            "its own). The file is damaged, or too large for this machine."
        )


def child(arguments: list[str]) -> int | None:
    """How a process that tries the network out ends: its status, or None after the limit."""
    command = [sys.executable, "-P", "-m", "trashbin.model.trial", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def main(path: str, kernels: Any, threads: str, runtime: str) -> None:
    """The child: open the network as the bin will, in as much memory as it may take."""
    from trashbin.model import tflite
    from trashbin.model.manifest import find

    with suppress(OSError, ValueError):  # systemd's filter of system calls may forbid it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        tflite.TFLiteClassifier(
            find(path), threads=int(threads), kernels=kernels, prefer=runtime, tried=True
        )
    except TrashbinError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
