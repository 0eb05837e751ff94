"""What a script plays on: one bin, its broker, proxy and subscriber; and what else a bin may have.

The harness is systemd to the bin: it starts it again where it ends, and ends it where it does not
feed its watchdog. It does nothing else; what recovers, recovers without a person.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

from tests.faults.bin import Bin
from tests.faults.kills import BROKER
from tests.faults.proxy import Proxy
from tests.faults.subscriber import Subscriber
from tests.support_processes import Broker
from trashbin import resources
from trashbin.model.manifest import DEFAULT_MODEL

LIMIT_S = 120.0  # for anything that must happen; many times what it takes on a busy machine
WATCHDOG_S = 30.0  # the unit has 90; a busy machine alone must not use it up
MOST_ENDS = 20  # by itself, until it is plain that no bin of this script can start
STILL_S = 0.5  # how long nothing may move once a fault is told that stops the bin
AFTER = ("sort", "rest")
PROMPT = {"publisher": {"keepalive_s": 5}}  # to notice sooner that a broker says nothing
CLOCK, MODEL = "clock", "model"  # in a bin's folder


class Bench:
    """One bin under systemd's eyes, with a broker, a proxy between them, and a subscriber."""

    def __init__(self, folder: Path, setting: Setting, watchdog_s: float = WATCHDOG_S) -> None:
        self.folder = folder
        self._watchdog_s = watchdog_s
        self.broker = Broker(folder, "\n".join(BROKER))
        self.proxy = Proxy(self.broker.port)
        self.bin = Bin(folder, folder.name, self.proxy.port, **PROMPT | setting.changes)
        self.subscriber = Subscriber(self.broker.port, folder.name)
        self.ended: list[int] = []  # with what it ended by itself
        self.silenced = 0  # how often its watchdog was not fed
        self.told_s = float("nan")
        self.at_rest = False
        self._environment = setting.environment
        self._since = 0.0
        self._closing = threading.Event()
        self._held = threading.Lock()  # while a script has stopped the bin on purpose
        self._manager = threading.Thread(target=self._manage, daemon=True)

    def open(self) -> None:
        self.broker.start()
        self.subscriber.start()
        self.bin.start(**self._environment)
        self._manager.start()

    def close(self) -> None:
        self._closing.set()
        self._manager.join()
        self.subscriber.close()
        self.bin.close()
        self.proxy.close()
        self.broker.kill()

    def _manage(self) -> None:
        """Restart=always and WatchdogSec=, no more."""
        while not self._closing.wait(0.02):
            with self._held:
                status = self.bin.status()
                if status is not None:
                    self.ended.append(status)
                    self.bin.start(**self._environment)
                elif self.bin.silent_for() > self._watchdog_s:
                    self.silenced += 1
                    self.bin.kill()
                    self.bin.start(**self._environment)

    @contextmanager
    def power_cut(self) -> Iterator[None]:
        """The bin dies, and starts again where the block ends."""
        with self._held:
            self.bin.kill()
            yield
            self.breaks()
            self.bin.start(**self._environment)

    # what a script waits for

    def wait(self, true: Callable[[], Any], what: str, limit: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit
        while not true():
            late = time.monotonic() > deadline
            if late or len(self.ended) > MOST_ENDS:
                why = f"not within {limit:g} s" if late else f"it ended with {self.ended}"
                raise AssertionError(f"{why}: {what}\n{self._so_far()}")
            time.sleep(0.02)

    def _so_far(self) -> str:
        """What each side has, for whoever reads of a failure on a machine that is gone."""
        try:
            kept = str(dict(Counter(json.loads(text)["event_type"] for text in self.bin.stored())))
        except Exception as error:  # a damaged store is among the faults
            kept = repr(error)
        told = Counter(
            (event["event_type"], "late" if event["historical"] else "live")
            for _, event in list(self.subscriber.arrived)
        )
        broker = (self.folder / "mosquitto.log").read_text(errors="replace")
        return (
            f"the bin keeps {kept}, the subscriber was told {dict(told)} and last\n"
            f"{self.subscriber.state}\n"
            f"the broker says\n{broker[-1500:]}\nthe bin says\n{self.bin.log()[-2000:]}"
        )

    def sorts(self, since: float = 0.0) -> None:
        """Wait for an item that is sorted, and told as it happens, after that time."""
        self.wait(
            lambda: any(
                at >= since and event["event_type"] == "sorted" and not event["historical"]
                for at, event in list(self.subscriber.arrived)
            ),
            "an item sorted, and told live",
        )

    def breaks(self) -> None:
        """From here on the fault is there."""
        self._since = time.monotonic()

    def told(
        self, part: str, words: str = "", meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for the fault event in the store; then the bin has to be at rest."""

        def found() -> bool:
            meanwhile()
            with suppress(Exception):  # a damaged store, until it is set aside
                return any(
                    event["event_type"] == "fault"
                    and event["detail"]["part"] == part
                    and words in event["detail"]["message"]
                    and event["uptime_ms"] / 1e3 >= self._since - 1e-3
                    for event in map(json.loads, self.bin.stored())
                )
            return False

        self.wait(found, f"a fault event of {part}")
        self.told_s = time.monotonic() - self._since

    def rests(self, still: float = STILL_S) -> None:
        """Wait until no actuator is driven; then nothing may begin to move for so long."""
        self.wait(lambda: not self.driven(), "no actuator is driven")
        moves = len(self.moves())
        time.sleep(still)
        more = self.moves()[moves:]
        assert not [line for line in more if line["moves"] == "sort"], more
        assert not self.driven()
        self.at_rest = True

    def rested(self) -> None:
        """Since it was started, nothing moved before the fault was told."""
        lines = self.bin.witness()
        start = max(number for number, line in enumerate(lines) if "begins" in line)
        kinds = ["event" if "event" in line else line.get("moves") for line in lines[start:]]
        assert "sort" not in kinds or kinds.index("event") < kinds.index("sort"), kinds
        self.at_rest = True

    def moves(self) -> list[dict[str, Any]]:
        return [line for line in self.bin.witness() if "moves" in line]

    def driven(self) -> bool:
        """Is the servo's drive on? A process that is gone drives nothing."""
        lines = [line for line in self.bin.witness() if "moves" in line or "begins" in line]
        last = lines[-1] if lines else {}
        return bool(last.get("driven", last.get("moves") in AFTER))


@dataclass(frozen=True)
class Setting:
    """What a script's bin differs by: sections of its configuration, and its environment."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def usual(folder: Path) -> Iterator[Setting]:
    yield Setting()


@contextmanager
def long_moves(folder: Path) -> Iterator[Setting]:
    yield Setting({"sorting": {"move_s": 0.02, "dwell_s": 1.0, "jam_retries": 0}})


@contextmanager
def small_disk(folder: Path) -> Iterator[Setting]:
    """Its store on a tmpfs of some megabytes. PermissionError where we may mount none."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f"a small disk needs root, to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield Setting({"store": {"path": str(disk)}, "pictures": {"keep": "none"}})
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def own_clock(folder: Path) -> Iterator[Setting]:
    """Its time of day is libfaketime's; its monotonic clock stays the kernel's, as it would."""
    (folder / CLOCK).write_text("+0s")
    yield Setting(
        environment={
            "LD_PRELOAD": faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(folder / CLOCK),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )


@contextmanager
def own_model(folder: Path) -> Iterator[Setting]:
    copytree(resources.root() / "models" / DEFAULT_MODEL, folder / MODEL)
    yield Setting({"model": {"name": str(folder / MODEL)}})


def faketime() -> str:
    """The path of libfaketime: $LIBFAKETIME ($FAKETIME is its own), or where Debian has it."""
    installed = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    found = os.environ.get("LIBFAKETIME") or next(map(str, installed), None)
    if not found:
        raise FileNotFoundError("libfaketime is needed: sudo apt-get install libfaketime")
    return found
