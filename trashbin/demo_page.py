"""The page beside the demo: a process of its own, so that it takes nothing from the bin's time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from trashbin.address import free_port

PORT = 8080  # where it is free
STOP_S = 5.0
SAYS = "The page is at "


class DemoPage:
    """Runs ``trashbin dashboard`` while the ``with`` block lasts.

    ``told`` is called once with its address, or with why there is none. A page that does not
    start ends nothing: the demo goes on without it.
    """

    def __init__(self, broker: str, store: Path, told: Callable[[str], None]) -> None:
        self._broker = broker
        self._store = store
        self._told = told
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> DemoPage:
        """Start it; it is there a second or two later."""
        if importlib.util.find_spec("nicegui") is None:
            self._told("no page: pip install 'trashbin[dashboard]'")
            return self
        command = [sys.executable, "-m", "trashbin", "dashboard", "--broker", self._broker]
        command += ["--listen", f"127.0.0.1:{free_port(PORT)}", "--store", str(self._store)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=[self._process], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith(SAYS):
                address = line.removeprefix(SAYS).strip()
                self._told(address)
                open_browser(address)
        if self._process is not None:  # it ended, and not because we ended it
            why = process.stderr.read().strip().splitlines() or ["it ended"]
            self._told(f"no page: {why[-1]}")


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
