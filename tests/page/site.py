"""The page as people have it: bins, a real Mosquitto, ``trashbin dashboard`` and Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tests.support_processes import Broker, Process, config, end, free_port
from trashbin.demo_page import SAYS

if TYPE_CHECKING:  # playwright is installed by make test-page alone
    from playwright.sync_api import Browser, Page

DESKTOP = (1366, 900)
PHONE = (390, 844)
SOON_MS = 60_000
PAGES = ("/", "/queue", "/figures", "/events", "/replay", "/try", "/bins")
LOOK = {"settle_s": 1.0, "refractory_s": 0.2, "hold_s": 3600}
SORTING = {"move_s": 0.1, "dwell_s": 0.1}


def bin_config(folder: Path, broker: Broker, id: str, name: str, **changes: Any) -> dict[str, Any]:
    """The demo's bin, quick; a thing that is held lies there until somebody answers."""
    given = {
        "device": {"id": id, "name": name},
        "look": LOOK,
        "sorting": SORTING,
        "triggers": [{"kind": "simulated", "every_s": 2.0, "seed": 1}, {"kind": "mqtt"}],
        "actuators": [
            {"kind": "simulated", "person_s": 3600},
            {"kind": "servo", "pin": 18},
            {"kind": "lamps", "uncertain": 19},
        ],
    }
    return config(folder, broker, **(given | changes))


@contextmanager
def at_work(folder: Path, broker: Broker, id: str, name: str, **changes: Any) -> Iterator[Process]:
    """A bin that items fall into until the block ends."""
    folder.mkdir()
    process = Process(folder, yaml.safe_dump(bin_config(folder, broker, id, name, **changes)))
    try:
        process.wait_ready()
        yield process
    finally:
        process.kill()


class Dashboard:
    """``trashbin dashboard``, ready once it has printed its address."""

    def __init__(
        self,
        store: Path,
        broker: Broker,
        *options: str,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        port = port or free_port()
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "trashbin", "dashboard", "--store", str(store)),
                *("--broker", f"127.0.0.1:{broker.port}", "--listen", f"{host}:{port}", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith(SAYS), said + self.logged()
        self.url = said.removeprefix(SAYS).strip().rstrip("/")

    def logged(self) -> str:
        """What it wrote into its log so far."""
        self.log.seek(0)
        return self.log.read()

    def close(self) -> None:
        end(self.process)


@contextmanager
def shown(
    store: Path, broker: Broker, *options: str, host: str = "127.0.0.1", port: int = 0
) -> Iterator[str]:
    """The page's address, while the block lasts. A traceback in its log fails."""
    page = Dashboard(store, broker, *options, host=host, port=port)
    try:
        yield page.url
    finally:
        page.close()
    if found := re.search(r"Traceback|still being used", page.logged()):
        raise AssertionError(page.logged()[found.start() - 500 :][:5000])


def chromium() -> str:
    """The browser that is installed here."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RuntimeError("Chromium is needed: sudo apt-get install chromium")
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """Chromium, headless."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(
    browser: Browser,
    *,
    size: tuple[int, int] = DESKTOP,
    dark: bool = False,
    locale: str = "en-GB",
    scale: float = 1,
    zone: str | None = None,
    failure: str | None = None,
) -> Iterator[Page]:
    """A browser of its own. What asks beyond loopback or writes an error into the console fails.

    ``failure`` matches those that the test provokes: Chromium notes them in the console by itself.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale=locale,
        device_scale_factor=scale,
        timezone_id=zone,
        has_touch=size == PHONE,
        is_mobile=size == PHONE,
    )
    problems: list[str] = []

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            problems.append(f"it asks for {url}")

    def wrote(text: str) -> None:
        if failure is None or not re.search(failure, text):
            problems.append(text)

    page = context.new_page()
    page.set_default_timeout(SOON_MS)
    context.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("console", lambda said: said.type == "error" and wrote(said.text))
    try:
        yield page
    finally:
        context.close()
    if problems:
        raise AssertionError("\n".join(problems))


def ready(page: Page, address: str) -> None:
    """Open an address, and wait until the server draws on it."""
    page.goto(address, wait_until="domcontentloaded")  # pictures may take longer
    page.wait_for_function("() => window.socket && window.socket.connected")


def settled(page: Page) -> None:
    """Wait until nothing on the page moves.

    Not by the animations' promises: one whose element is drawn anew is cancelled, and rejects.
    """
    page.wait_for_function(
        "() => document.getAnimations().every(one => one.playState !== 'running')"
    )


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="trashbin-page-") as folder:
        yield Path(folder)
