"""The page beside the demo: a process of its own, so that it takes nothing from the bin's time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trashbin.address import free_port

PORT = 8080  # where it is free
STOP_S = 5.0
SAYS = "The page is at "


@contextmanager
def demo_page(broker: str, store: Path, told: Callable[[str], None]) -> Iterator[None]:
    """Run ``trashbin dashboard`` while the block lasts; it is there a second or two later.

    ``told`` is called once with its address, or with why there is none. A page that does not
    start ends nothing: the demo goes on without it.
    """
    if importlib.util.find_spec("nicegui") is None:
        told("no page: pip install 'trashbin[dashboard]'")
        yield
        return
    command = [sys.executable, "-m", "trashbin", "dashboard", "--broker", broker]
    command += ["--listen", f"127.0.0.1:{free_port(PORT)}", "--store", str(store)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ending = threading.Event()
    threading.Thread(target=_listen, args=[process, told, ending], daemon=True).start()
    try:
        yield
    finally:
        ending.set()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listen(
    process: subprocess.Popen[str], told: Callable[[str], None], ending: threading.Event
) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if line.startswith(SAYS):
            address = line.removeprefix(SAYS).strip()
            told(address)
            open_browser(address)
    if not ending.is_set():  # it ended, and not because we ended it
        why = process.stderr.read().strip().splitlines() or ["it ended"]
        told(f"no page: {why[-1]}")


def open_browser(address: str) -> None:
    """Open a window where there is a screen and somebody at the terminal; never fails."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not sys.stdout.isatty() or not (screen or sys.platform == "darwin"):
        return
    # in a process of its own: some browsers talk to the terminal, or stay
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
