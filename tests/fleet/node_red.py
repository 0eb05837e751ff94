"""A real Node-RED with our flow, looked at in Chromium: for the tests, and for a picture.

``python -m tests.fleet.node_red FILE.png`` draws six simulated bins.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.page import site
from tests.support_processes import Broker, end, free_port, running, wait_until
from trashbin import resources

FLOW = resources.root() / "config" / "node-red" / "flow.json"
INSTALLED = Path(__file__).parents[2] / ".cache" / "node-red"  # by make test-fleet
SETTINGS = """
module.exports = {
    uiHost: "127.0.0.1",
    telemetry: { enabled: false, updateNotification: false },
    externalModules: { palette: { allowInstall: false, allowUpload: false } },
};
"""


class NodeRed:
    """One Node-RED with an empty folder of its own."""

    def __init__(self, folder: Path) -> None:
        red = INSTALLED / "node_modules" / "node-red" / "red.js"
        if not red.is_file():
            raise RuntimeError("Node-RED is needed: make test-fleet installs it into .cache")
        self.log = folder / "node-red.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = folder / "settings.js"
        settings.write_text(SETTINGS)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["node", str(red), "-u", str(folder), "-p", str(port), "-s", str(settings)],
                stdout=log,
                stderr=log,
                cwd=folder,
            )

    def wait_ready(self) -> None:
        for _ in range(4):  # a minute: it loads a hundred nodes from many small files
            if wait_until(lambda: self.said("Started flows")):
                return
        raise RuntimeError(f"Node-RED did not start:\n{self.log.read_text()}")

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def ask(self, path: str, body: Any = None) -> Any:
        """The admin API; what it answers, None where that is nothing."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, data, headers), timeout=30
        ) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def take_flow(self, broker: Broker) -> list[dict[str, Any]]:
        """Import our flow, set the broker, deploy: what a person does in the editor."""
        flow: list[dict[str, Any]] = json.loads(FLOW.read_text(encoding="utf-8"))
        (entry,) = (node for node in flow if node["type"] == "mqtt-broker")
        entry["broker"], entry["port"] = "127.0.0.1", str(broker.port)
        self.ask("/flows", flow)
        return flow

    def close(self) -> None:
        end(self.process)


@contextmanager
def started(folder: Path) -> Iterator[NodeRed]:
    made = NodeRed(folder)
    try:
        made.wait_ready()
        yield made
    finally:
        made.close()


@contextmanager
def looking(url: str, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """The dashboard in a browser that reaches nothing but this machine."""
    with site.browsing() as browser:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(f"{url}/dashboard/bins")
        yield page


@contextmanager
def simulated(broker: Broker, *options: str) -> Iterator[None]:
    """Bins that go on until the block ends."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "trashbin", "simulate"),
            *("--broker", f"127.0.0.1:{broker.port}", *options),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        end(process, patience_s=30)


def draw(picture: Path) -> None:
    """The dashboard over six bins, once there is something on it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), "allow_anonymous true") as broker,
        started(Path(folder)) as red,
        simulated(broker, "--bins", "6", "--rate", "20"),
    ):
        red.take_flow(broker)
        with looking(red.url, height=860) as page:
            page.get_by_text("sim-6").first.wait_for(timeout=60_000)
            page.wait_for_timeout(60_000)  # for a minute of items
            page.locator(".trash-wait").first.wait_for(timeout=60_000)
            page.screenshot(path=picture)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
