"""A process full of simulated bins: items fall in as the parent wants, requests are answered."""

from __future__ import annotations

import heapq
import logging
import queue
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from trashbin.errors import StoreError, TrashbinError
from trashbin.fleet.bins import SimulatedBin
from trashbin.settings import MqttPublisher

HEALTH_S = 60.0  # as a real bin
REPORT_S = 0.5
AT_ONCE = 16  # bins opened or closed: a new store waits for the disk a dozen times
DRIFT_S = 5.0  # an item that is later than this has no place to fall any more: the clock is ahead

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """Which bins a process has, and what falls into them: ``rate`` items a minute each."""

    names: Sequence[str]
    folder: Path
    broker: MqttPublisher
    rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells: event ids with the monotonic time of their commit, and how it is."""

    committed: Sequence[tuple[str, float]]
    connected: int
    depth: int | None  # None: not counted
    cpu_s: float
    rss_mb: float


# a terminal tells every process; the parent decides
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Order = Literal["begin", "hold", "count", "end"]  # from the parent: let items fall, stop that, ...


def run(task: Task, parent: Connection) -> None:
    """The process: until the parent says ``end`` or is gone."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("trashbin").setLevel(logging.CRITICAL)  # a thousand lines a killed broker
    _allow_files()
    try:
        with ExitStack() as stack:
            _Worker(task, parent, stack).run()
    except TrashbinError as error:  # such as a folder that cannot be written
        print(f"trashbin: {error}", file=sys.stderr, flush=True)


class _Worker:
    def __init__(self, task: Task, parent: Connection, stack: ExitStack) -> None:
        self._parent = parent
        self._inbox: queue.SimpleQueue[SimulatedBin | Order] = queue.SimpleQueue()
        self._mean_s = 60 / task.rate
        self._random = random.Random(f"{task.seed} {task.names[0]}")
        self._committed: list[tuple[str, float]] = []
        self._bins = [
            SimulatedBin(name, task.folder / name, task.broker, task.seed) for name in task.names
        ]
        stack.callback(self._each, lambda bin: bin.close())
        self._each(lambda bin: bin.open(self._inbox.put))
        # when what is to be done with which bin, soonest first
        self._due: list[tuple[float, int, str]] = []
        self._ended = False

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        now = time.monotonic()
        for n in range(len(self._bins)):
            heapq.heappush(self._due, (now + self._random.uniform(0, HEALTH_S), n, "health"))
        self._report(now + REPORT_S)
        while not self._ended:
            try:
                self._handle(self._inbox.get(timeout=max(0.0, self._due[0][0] - time.monotonic())))
            except queue.Empty:
                self._do(*heapq.heappop(self._due))

    def _each(self, action: Callable[[SimulatedBin], None]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(action, self._bins))

    def _listen(self) -> None:
        """Orders, on a thread of its own: the parent's end is one too."""
        try:
            while True:
                self._inbox.put(self._parent.recv())
        except (EOFError, OSError):
            self._inbox.put("end")

    def _handle(self, what: Any) -> None:
        match what:
            case "begin":
                now = time.monotonic()
                for n in range(len(self._bins)):
                    heapq.heappush(self._due, (now + self._pause(), n, "item"))
            case "hold":
                self._due = [entry for entry in self._due if entry[2] != "item"]
                heapq.heapify(self._due)
            case "count":
                self._send(sum(bin.depth() for bin in self._bins))
            case "end":
                self._ended = True
            case bin:
                bin.desk.answer_next()

    def _do(self, when: float, n: int, what: str) -> None:
        if what == "report":
            self._report(when + REPORT_S)
            return
        bin = self._bins[n]
        if what == "health":
            bin.tell_health()
            heapq.heappush(self._due, (when + HEALTH_S, n, what))
            return
        try:
            event = bin.drop()
            self._committed.append((event.event_id, bin.committed_at))
        except StoreError as error:
            log.error("%s", error)
        # not from now on: else a slow machine would lower the rate
        following = max(when + self._pause(), time.monotonic() - DRIFT_S)
        heapq.heappush(self._due, (following, n, what))

    def _pause(self) -> float:
        """Seconds to the next item: people come at random."""
        return self._random.expovariate(1 / self._mean_s)

    def _report(self, following: float) -> None:
        heapq.heappush(self._due, (following, -1, "report"))
        self._send(None)

    def _send(self, depth: int | None) -> None:
        connected = sum(bin.publisher.connected for bin in self._bins)
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        committed, self._committed = self._committed, []
        try:
            self._parent.send(Report(committed, connected, depth, time.process_time(), rss_mb))
        except OSError:
            self._ended = True  # the parent is gone


def _allow_files() -> None:
    """A bin takes six files, and many a shell allows but 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
