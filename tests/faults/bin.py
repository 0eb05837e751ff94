"""One simulated bin as systemd runs it: started, watched by a real NOTIFY_SOCKET, started again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.faults import daemon
from trashbin import database, resources

# as long as a working daemon is forked from a process that has imported it, one can be killed
# twice a second, and most of its life is the daemon's own and not Python's imports
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.daemon"])

# the demo's bin, with every wait as short as it may be
SHORT: dict[str, Any] = {
    "camera": {"kind": "simulated", "fps": 100},
    "rules": {"gap": 0.05, "top1": 0.2},  # to hold an item takes longer than to sort it
    "look": {"settle_s": 0.05, "refractory_s": 0, "hold_s": 0.5, "retries": 0, "burst": 1},
    "sorting": {"move_s": 0.02, "dwell_s": 0.03, "jam_retries": 0},
    "triggers": [{"kind": "simulated", "every_s": 0.02}, {"kind": "mqtt"}],
    "actuators": [
        {"kind": "simulated", "person_s": 0.02},
        {"kind": "servo", "pin": 18},
        {"kind": "lamps", "uncertain": 19},
    ],
    "pictures": {"keep": "uncertain", "max_mb": 20},
    "watch": {"restarts": 100_000, "broker_away_s": 1, "camera_tries": 2},
}


class Bin:
    """A bin in a folder of its own. ``start`` may be called again once its process is gone."""

    def __init__(self, folder: Path, name: str, port: int, **changes: Any) -> None:
        self.folder = folder
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)
        content = SHORT | changes
        content["device"] = {"id": name}
        content["store"] = {"path": str(folder / "store")} | changes.get("store", {})
        publisher = {"kind": "mqtt", "host": "127.0.0.1", "port": port, "backlog_rate": 1000}
        content["publisher"] = publisher | changes.get("publisher", {})
        base = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
        (folder / daemon.CONFIG).write_text(yaml.safe_dump(base | content))
        self.store = Path(content["store"]["path"]) / database.NAME
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / daemon.NOTIFY))
        self.fed_at = 0.0  # monotonic, when the watchdog was last fed
        self.ready_s: list[float] = []  # from each start to READY
        self.starts = 0
        self._started = 0.0
        self._ready = threading.Event()
        self._process: Any = None
        threading.Thread(target=self._listen, daemon=True).start()

    # the process

    def start(self, **environment: str) -> None:
        """Start it: by a fork, or where it needs an environment of its own from nothing."""
        self._ready.clear()
        self.starts += 1
        self._started = time.monotonic()
        if environment:
            command = [sys.executable, "-m", daemon.__name__, str(self.folder)]
            with (self.folder / daemon.LOG).open("ab") as log:  # what it says before it is ours
                self._process = subprocess.Popen(
                    command, env=os.environ | environment, stdout=log, stderr=log
                )
        else:
            self._process = _forks.Process(target=daemon.main, args=(str(self.folder),))
            self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def runs(self) -> bool:
        """True while the process is alive."""
        return self.status() is None

    def status(self) -> int | None:
        """What the process ended with; None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return None if self._process is None else self._process.exitcode

    def ready_within(self, limit: float) -> bool:
        """Wait for READY=1; False where it does not come."""
        return self._ready.wait(limit)

    def wait_ready(self, limit: float = 30.0) -> None:
        if not self.ready_within(limit):
            raise AssertionError(f"{self.name} was not ready within {limit:g} s:\n{self.log()}")

    def kill(self) -> None:
        """As the power does."""
        if self._process is not None:
            self._process.kill()
            self._wait()

    def stop(self) -> int | None:
        """As systemd does; its status."""
        os.kill(self.pid, signal.SIGTERM)
        self._wait()
        return self.status()

    def ended(self, limit: float) -> bool:
        """Wait for it to end by itself."""
        self._wait(limit)
        return not self.runs()

    def close(self) -> None:
        self.kill()
        self.socket.close()

    def _wait(self, limit: float | None = 20.0) -> None:
        if isinstance(self._process, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(limit)
        else:
            self._process.join(limit)

    def _listen(self) -> None:
        with suppress(OSError):
            while message := self.socket.recv(4096):
                now = time.monotonic()
                if b"WATCHDOG=1" in message or b"READY=1" in message:
                    self.fed_at = now
                if b"READY=1" in message:
                    self.ready_s.append(now - self._started)
                    self._ready.set()

    # troubles, and what it left behind

    def silent_for(self) -> float:
        """Seconds since its watchdog was fed, as systemd counts them: from READY on."""
        return time.monotonic() - self.fed_at if self._ready.is_set() else 0.0

    def trouble(self, what: str | None) -> None:
        """Let a driver fail as ``daemon`` says (``camera hangs``); None: no longer."""
        path = self.folder / daemon.TROUBLE
        if what is None:
            path.unlink(missing_ok=True)
        else:
            new = path.with_suffix(".new")
            new.write_text(what)
            new.replace(path)

    def log(self) -> str:
        with suppress(OSError):
            return (self.folder / daemon.LOG).read_text(errors="replace")
        return ""

    def witness(self) -> list[dict[str, Any]]:
        """What the drivers and the store wrote down, in order."""
        with suppress(OSError):
            return [json.loads(n) for n in (self.folder / daemon.WITNESS).read_text().splitlines()]
        return []

    def checkpoint(self) -> None:
        """Let all of the store be in its one file; only while the bin is down."""
        with closing(sqlite3.connect(self.store)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def stored(self, first: int = 0) -> list[str]:
        """Each event that the store holds, oldest first, as it is stored; the last ones of -n."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)) as db:
            query = "SELECT json FROM event ORDER BY seq DESC LIMIT ?"
            return [text for (text,) in db.execute(query, (-first or -1,))][::-1]

    def store_id(self) -> str:
        return str(json.loads(self.stored(-1)[0])["store_id"])
