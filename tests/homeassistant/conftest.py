"""The three parties: a real Mosquitto, a real Home Assistant and the real daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.homeassistant.home import CLIENT, Home
from tests.support_processes import WAIT_S, Broker, Listener, Process, config, started

CLIENTS = {"home": CLIENT, "bin": "trashbin-demo"}  # who they are in the broker's log
IN_TIME_S = 5.0  # what is promised, from the last party's reconnection


class Bin:
    """The daemon, which may be killed and started again on its store."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.settings = settings
        self.process: Process | None = None

    def start(self) -> None:
        (self.folder / "notify").unlink(missing_ok=True)
        self.process = Process(self.folder, yaml.safe_dump(self.settings))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None


class Site:
    """All three. Each has ``kill`` and ``start``."""

    def __init__(self, folder: Path, broker: Broker, **changes: Any) -> None:
        self.broker = broker
        self.broker_log = broker.folder / "mosquitto.log"
        self._log_end = dict.fromkeys(CLIENTS, 0)
        self.home = Home(folder / "home", broker)
        self.bin = Bin(folder / "bin", config(folder, broker, **changes))

    def party(self, name: str) -> Any:
        return {"broker": self.broker, "home": self.home, "bin": self.bin}[name]

    def kill(self, name: str) -> None:
        self.party(name).kill()

    def start(self, name: str) -> None:
        end = self.broker_log.stat().st_size
        for client in CLIENTS if name == "broker" else (name,):
            self._log_end[client] = end
        self.party(name).start()

    def wait_connected(self) -> None:
        """Until both have connected to the broker, since it and they were started last."""
        within(WAIT_S, lambda: all(
            f" as {client} ".encode() in self.broker_log.read_bytes()[self._log_end[name] :]
            for name, client in CLIENTS.items()
        ))  # fmt: skip

    def told(self) -> dict[str, Any]:
        """What the broker keeps of the bin."""
        listener = Listener(self.broker, "trashbin/demo/#")
        listener.send("trashbin/demo/mark", b"")  # comes after everything that was kept
        within(WAIT_S, lambda: bool(listener.on("trashbin/demo/mark")))
        listener.close()
        return {
            m.topic.removeprefix("trashbin/demo/"): json.loads(m.payload)
            for m in listener.seen
            if m.retain and m.payload[:1] == b"{"
        }


def within(
    seconds: float, true: Callable[[], bool], why: Callable[[], object] = lambda: ""
) -> float:
    """Wait for something; how long it took. Fails, and says why, where it took ``seconds``."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {why()}"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site; its broker runs, the others are started by the test."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Site:
            folder = tmp_path / "broker"
            folder.mkdir()
            text = "listener 8883\nset_tcp_nodelay true\nallow_anonymous true"
            broker = stack.enter_context(started(Broker(folder, text)))
            made = Site(tmp_path, broker, **changes)
            stack.callback(made.home.kill)
            stack.callback(made.bin.kill)
            return made

        yield make
