"""``trashbin simulate``: many bins on one broker, and the count of what arrived of what they did.

What was committed is read from the bins' stores on disk once they are closed; what arrived is
counted by a collector, which asks for holes as any consumer does. The two sets are compared.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import re
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from paho.mqtt.client import MQTTMessageInfo

from trashbin import app, database, homeassistant, logs, mqtt_access
from trashbin.clock import SystemClock
from trashbin.errors import BrokerError, ConfigError, ExitCode, StoreError
from trashbin.events import Topics
from trashbin.fleet import cost, worker
from trashbin.fleet.collector import Collector
from trashbin.fleet.rows import Batch, Refused
from trashbin.mqtt_access import BoundedClient
from trashbin.settings import ID_PATTERN, MqttPublisher

BINS_A_PROCESS = 150  # paho waits by select(), which takes no file above 1,023; a bin has six
CONNECT_S = 20.0  # and SET_UP_S more a bin
SET_UP_S = 0.5
SETTLE_S = 60.0  # for the last events to arrive, longer as long as some do
TELL_S = 10.0
END_S = 120.0  # for the goodbyes of a process's bins
COUNT_S = 1.0
FORGET_S = 10.0
READ_BYTES = 2**17  # nothing is read


@dataclass(slots=True)
class Tally:
    """Satisfies ``collector.Sink`` in memory: when each event came first, and how many again.

    Of the bins of ``names``: others may be on that broker.
    """

    names: Collection[str]
    came: dict[str, float] = field(default_factory=dict)
    repeats: int = 0
    refused: int = 0

    def load(self) -> Iterable[tuple[str, str, int, list[int]]]:
        """Nothing is kept from one run to the next."""
        return ()

    def write(self, batch: Batch) -> list[Refused]:
        """Count."""
        for row in batch.rows:
            if row.head.device_id not in self.names:
                continue
            event_id = str(row.head.event_id)
            self.repeats += event_id in self.came
            self.came.setdefault(event_id, row.received)
        self.refused += sum(one.topic.split("/")[1] in self.names for one in batch.refused)
        return []


@dataclass(frozen=True, slots=True)
class Result:
    """What a run measured; with --json its keys. ``lost`` events are on disk and never came."""

    bins: int
    rate_per_min: float
    seconds: float
    committed: int
    received: int
    lost: int
    repeats: int
    refused: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    broker_cores: float | None
    broker_mb: float | None
    bins_cores: float
    bins_mb: float
    processes: int

    def text(self) -> str:
        """For people."""
        each = f"{self.rate_per_min:g} item{'s' * (self.rate_per_min != 1)} a minute each"
        lines = [
            f"{self.bins} bins, {each}, {self.seconds:.0f} s",
            f"committed  {self.committed} events, read from the bins' stores on disk",
            f"received   {self.received} of them; lost {self.lost}; {self.repeats} came again",
        ]
        if self.p50_ms is not None:
            lines.append(
                f"latency    commit to subscriber: p50 {self.p50_ms:.1f} ms, "
                f"p99 {self.p99_ms:.1f} ms, longest {self.max_ms:.1f} ms"
            )
        lines.append(
            "broker     not on this machine, or another user's: its cost is not known"
            if self.broker_cores is None
            else f"broker     {100 * self.broker_cores:.1f} % of a core, {self.broker_mb:.1f} MB"
        )
        lines.append(
            f"bins       {100 * self.bins_cores:.0f} % of a core, {self.bins_mb:.0f} MB "
            f"in {self.processes} process{'es' * (self.processes != 1)}"
        )
        return "\n".join(lines)


def main(
    bins: int,
    rate: float,
    broker: MqttPublisher,
    minutes: float | None,
    store: Path | None,
    prefix: str,
    seed: int,
    *,
    as_json: bool,
) -> ExitCode:
    """Run until ``minutes`` are over, or Ctrl-C; BAD_INPUT where an event was lost.

    BrokerError where the bins cannot connect, ConfigError where ``prefix`` begins no id,
    StoreError where another run has these bins.
    """
    names = [f"{prefix}{number:0{len(str(bins))}d}" for number in range(1, bins + 1)]
    if not re.fullmatch(ID_PATTERN, names[0]):
        raise ConfigError(
            f"--prefix {prefix!r}: {names[0]!r} is no device id; expected at most 64 of the "
            "letters a-z, A-Z, digits, - and _"
        )
    logs.begin(logging.ERROR)
    clock = SystemClock()
    clock.stop_on_signals()
    with ExitStack() as stack:
        kept = store is not None
        if store is None:
            store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trashbin-sim-")))
        stack.enter_context(app.alone(store / names[0]))  # who runs the others, runs this one
        fleet = _Fleet(worker.Task(names, store, broker, rate, seed), quiet=as_json)
        with fleet.listening(), fleet.running():
            fleet.connect(clock)
            result = fleet.measure(clock, minutes)
        result = fleet.compared(result)
        if not kept:
            fleet.forget()
    print(json.dumps(asdict(result)) if as_json else result.text())
    return ExitCode.BAD_INPUT if result.lost else ExitCode.GOOD


@contextmanager
def _unheard() -> Iterator[None]:
    """A process that is started here never hears Ctrl-C, not even before it can say so itself.

    Blocked and not ignored: what comes meanwhile is ours to hear.
    """
    resource_tracker.ensure_running()  # it would be started in here, and end the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, worker.ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Fleet:
    def __init__(self, task: worker.Task, *, quiet: bool) -> None:
        self._task = task  # of all processes together
        self._names = task.names
        self._broker = task.broker
        self._quiet = quiet
        self._tally = Tally(frozenset(self._names))
        self._ear = SystemClock()
        self._collector = Collector(task.broker, self._tally, self._ear)
        self._pipes: list[Connection] = []
        self._last: dict[Connection, worker.Report] = {}
        self._depths: dict[Connection, int] = {}
        self._committed: dict[str, float] = {}
        self._began = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The consumer, on a thread of its own, before and after any bin is there."""
        thread = threading.Thread(target=self._collector.run, name="collector", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ear.stop()
            thread.join(10)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The bins, in processes of their own; all closed at the end."""
        spawn = multiprocessing.get_context("spawn")
        count = math.ceil(len(self._names) / BINS_A_PROCESS)
        processes: list[BaseProcess] = []
        try:
            for n in range(count):
                ours, theirs = spawn.Pipe()
                task = replace(self._task, names=self._names[n::count])
                process: BaseProcess = spawn.Process(
                    target=worker.run, args=(task, theirs), daemon=True
                )
                with _unheard():
                    process.start()
                theirs.close()
                self._pipes.append(ours)
                processes.append(process)
            yield
        finally:
            self._order("end")
            for process in processes:
                process.join(END_S)
                process.kill()

    def connect(self, clock: SystemClock) -> None:
        """Wait until every bin and the consumer are there; BrokerError where they can't.

        A broker that was there and went away may come back: all of them connect again.
        """
        deadline = clock.monotonic() + CONNECT_S + SET_UP_S * len(self._names)
        reached = False
        while not clock.stopped:
            self._hear(0.2)
            there = sum(report.connected for report in self._last.values())
            if there == len(self._names) and self._collector.listening:
                return
            reached = reached or there > 0 or self._collector.listening
            if clock.monotonic() > deadline or (self._collector.problem and not reached):
                told = self._collector.problem or f"only {there} of {len(self._names)} bins got in"
                raise BrokerError(f"{told}. Is a broker there, and may it have that many clients?")

    def measure(self, clock: SystemClock, minutes: float | None) -> Result:
        """Let items fall for so long, then wait for the last of them to arrive."""
        pid = cost.listening_on(self._broker.port)
        before, bins_before = cost.usage(pid), self._cpu_s()
        self._began = clock.monotonic()
        self._order("begin")
        end = math.inf if minutes is None else self._began + 60 * minutes
        told = self._began
        while clock.monotonic() < end and not clock.wait(0):
            self._hear(min(0.2, max(0.0, end - clock.monotonic())))
            if clock.monotonic() - told >= TELL_S:
                told = clock.monotonic()
                self._say(f"{told - self._began:5.0f} s")
        after, seconds = cost.usage(pid), clock.monotonic() - self._began
        bins_cores = (self._cpu_s() - bins_before) / seconds
        self._order("hold")
        self._settle(clock)
        delays = sorted(
            1e3 * max(0.0, came - self._committed[event_id])
            for event_id, came in dict(self._tally.came).items()
            if event_id in self._committed
        )
        return Result(
            bins=len(self._names),
            rate_per_min=self._task.rate,
            seconds=round(seconds, 1),
            committed=len(self._committed),
            received=0,
            lost=0,
            repeats=self._tally.repeats,
            refused=self._tally.refused,
            p50_ms=quantile(delays, 0.5),
            p99_ms=quantile(delays, 0.99),
            max_ms=quantile(delays, 1.0),
            broker_cores=None if not before or not after else round(after.cores_since(before), 4),
            broker_mb=None if after is None else round(after.rss_mb, 1),
            bins_cores=round(bins_cores, 3),
            bins_mb=round(sum(report.rss_mb for report in self._last.values()), 1),
            processes=len(self._pipes),
        )

    def compared(self, result: Result) -> Result:
        """What the stores on disk hold against what arrived."""
        kept = {event_id for name in self._names for event_id in stored(self._task.folder / name)}
        arrived = kept & self._tally.came.keys()
        return replace(
            result,
            committed=len(kept),
            received=len(arrived),
            lost=len(kept) - len(arrived),
            repeats=self._tally.repeats,
        )

    def forget(self) -> None:
        """Leave no bins at the broker, nor in Home Assistant, that nobody could ask to go."""
        client = BoundedClient(f"trashbin-simulate-{secrets.token_hex(4)}", READ_BYTES)
        mqtt_access.give(client, self._broker)
        told: MQTTMessageInfo | None = None
        with suppress(OSError, ValueError, RuntimeError):  # it went away: then that is that
            client.connect(self._broker.host, self._broker.port)
            client.loop_start()
            for name in self._names:
                topics = Topics(name)
                for topic in (
                    homeassistant.topic(self._broker.discovery_prefix, name),
                    *(topics.availability, topics.info, topics.state, topics.health),
                ):
                    told = client.publish(topic, b"", qos=1, retain=True)
            if told is not None:
                told.wait_for_publish(FORGET_S)
        client.disconnect()
        client.loop_stop()

    def _settle(self, clock: SystemClock) -> None:
        """Until every event that we know of has come, or nothing has for long."""
        counted, quiet_since = -1, clock.monotonic()
        while clock.monotonic() - quiet_since < SETTLE_S:
            self._depths.clear()
            self._order("count")
            self._hear(COUNT_S)
            came = self._tally.came.keys()
            delivered = len(self._depths) == len(self._pipes) and not any(self._depths.values())
            if delivered and self._committed.keys() <= came:
                return
            if len(came) != counted:
                counted, quiet_since = len(came), clock.monotonic()

    def _hear(self, seconds: float) -> None:
        """Take the processes' reports for so long. BrokerError where one has died."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            for pipe in wait(self._pipes, max(0.0, left)):
                assert isinstance(pipe, Connection)
                try:
                    report: worker.Report = pipe.recv()
                except (EOFError, OSError):
                    raise BrokerError("A process of bins has ended; its error is above.") from None
                self._last[pipe] = report
                if report.depth is not None:
                    self._depths[pipe] = report.depth
                self._committed |= dict(report.committed)
            if left <= 0:
                return

    def _order(self, order: worker.Order) -> None:
        for pipe in self._pipes:
            try:
                pipe.send(order)
            except OSError:
                continue  # it has ended

    def _cpu_s(self) -> float:
        return sum(report.cpu_s for report in self._last.values())

    def _say(self, when: str) -> None:
        if not self._quiet:
            there = sum(report.connected for report in self._last.values())
            came = len(self._tally.came)
            print(
                f"{when}  {there} bins connected, {len(self._committed)} events committed, "
                f"{came} received",
                flush=True,
            )


def stored(folder: Path) -> list[str]:
    """The ids of the events in a bin's store on disk."""
    try:
        with closing(database.opened_to_read(folder / database.NAME)) as db:
            return [event_id for (event_id,) in db.execute("SELECT event_id FROM event")]
    except StoreError:
        return []  # nothing was ever committed there


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Of sorted figures; None where there are none."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 2)
