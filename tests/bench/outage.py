"""The broker away for 10,000 events: does memory grow, is the bin slower, does it catch up?

The daemon runs as a process against a real Mosquitto. Its items fall as fast as they can be
sorted; so that the outage lasts a minute and not an hour, most of its events are committed at
once, in the daemon, as copies of the last item's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from tests.faults.bin import Bin
from tests.faults.kills import BROKER
from tests.faults.subscriber import Subscriber
from tests.soak.samples import take
from tests.support_processes import Broker
from trashbin.settings import MqttPublisher

LIMIT_S = 600.0
SHIPPED_RATE = float(MqttPublisher.model_fields["backlog_rate"].default)
LIFTED_RATE = 100_000.0
MEMORY_MB, CYCLE, DRAIN, LIVE_S = 20.0, 1.1, 500.0, 1.0  # what must hold


@dataclass(frozen=True)
class Outage:
    """What was measured with one limit of the backlog's rate; ``rate`` is events a second."""

    limit: float
    waiting: int
    grown_mb: float
    cycle_there_ms: float
    cycle_away_ms: float
    rate: float
    live: int
    live_s: float

    @property
    def cycle(self) -> float:
        """How much longer an item takes with the broker away."""
        return self.cycle_away_ms / self.cycle_there_ms

    def problems(self) -> list[str]:
        """What is not as it must be, in words."""
        least = min(DRAIN, 0.9 * self.limit)
        wrong = {
            f"memory grew by {self.grown_mb:.1f} MB": self.grown_mb >= MEMORY_MB,
            f"an item takes {self.cycle:.2f} x as long": self.cycle > CYCLE,
            f"the backlog drained at {self.rate:.0f} events a second": self.rate < least,
            f"a live event took {self.live_s:.2f} s": self.live_s > LIVE_S,
            "no live event came meanwhile": not self.live,
        }
        return [what for what, is_so in wrong.items() if is_so]

    def __str__(self) -> str:
        named = "shipped limit" if self.limit == SHIPPED_RATE else "limit lifted"
        return (
            f"broker away for {self.waiting:,} events, {named} ({self.limit:g} a second): memory "
            f"+{self.grown_mb:.1f} MB, item {self.cycle_there_ms:.0f} ms with the broker and "
            f"{self.cycle_away_ms:.0f} ms without ({self.cycle:.2f} x), drained at "
            f"{self.rate:.0f} a second, {self.live} live events meanwhile, the slowest after "
            f"{self.live_s:.2f} s"
        )


def outage(folder: Path, events: int, limit: float, items: int) -> Outage:
    """Measure ``items`` cycles before, during and after an outage of so many events."""
    folder.mkdir(parents=True)
    broker = Broker(folder, "\n".join(BROKER))
    bin = Bin(folder, "bench", broker.port, publisher={"backlog_rate": limit}, store={})
    subscriber = Subscriber(broker.port, "bench")
    try:
        broker.start()
        subscriber.start()
        bin.start(PYTHONHASHSEED="0")  # an environment of its own: a process from nothing
        bin.wait_ready()
        _fall(bin, items)  # until all is loaded
        before, own_mb = _fall(bin, items)
        broker.kill()
        first = _last_seq(bin)
        bin.trouble(f"trigger floods {events}")
        _until(lambda: _last_seq(bin) >= first + events)
        away, grown_mb = _fall(bin, items)
        back = time.monotonic()
        broker.start()
        _until(lambda: subscriber.ask("events", after_seq=0, limit=1) is not None)
        last = _last_seq(bin)
        _until(lambda: not any(subscriber.holes(last, bin.store_id())))
        after, _ = _fall(bin, items)
    finally:
        subscriber.close()
        bin.close()
        broker.kill()
    late = [at for at, event in subscriber.arrived if at >= back and event["historical"]]
    live = [
        at - event["uptime_ms"] / 1e3
        for at, event in subscriber.arrived
        if late[0] <= at <= late[-1] and not event["historical"]
    ]
    return Outage(
        limit,
        len(late),
        grown_mb - own_mb,
        mean((before, after)),
        away,
        (len(late) - 1) / (late[-1] - late[0]),
        len(live),
        max(live, default=0.0),
    )


def _fall(bin: Bin, items: int) -> tuple[float, float]:
    """Let so many items be sorted: medians of their milliseconds, and of the daemon's own MB.

    An item's time is from the beginning of the look at it to the end of its move.
    """
    start, began = len(bin.witness()), time.monotonic() * 1e3
    own_mb: list[float] = []

    def cycles() -> list[float]:
        own_mb.append(take(bin.pid, 0.0).own_mb)
        released = [n["at"] * 1e3 for n in bin.witness()[start:] if n.get("moves") == "release"]
        events = [json.loads(text) for text in bin.stored(-2 * items)]
        decided = [e for e in events if e["event_type"] == "sorted" and e["uptime_ms"] >= began]
        ends = [next((at for at in released if at >= e["uptime_ms"]), None) for e in decided]
        return [
            end - event["uptime_ms"] + event["timing_ms"]["total"]
            for event, end in zip(decided, ends, strict=True)
            if end is not None
        ]

    _until(lambda: len(cycles()) >= items)
    return median(cycles()), median(own_mb)


def _last_seq(bin: Bin) -> int:
    return int(json.loads(bin.stored(-1)[0])["seq"])


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.5)
