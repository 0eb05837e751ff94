"""Daemon and broker killed at random points, over and over: is any event lost, altered, or missing?

Several lanes run side by side, each a bin, a broker and a subscriber of its own. What must be
there afterwards is what the store holds, and what was written down as each commit returned.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.faults.bin import SHORT, Bin
from tests.faults.subscriber import PATIENCE, Subscriber
from tests.support_processes import Broker
from trashbin.events import ITEM_EVENTS

LIFE_S = 10.0  # the longest that the broker lives, and the daemon once it is ready
START_S = 120.0  # then it is killed in its start all the same
IN_START = 0.25  # of the daemon's kills: before it is ready
BROKER = ("listener 8883", "set_tcp_nodelay true", "allow_anonymous true")
KILLS_HEAD = """| daemon and broker killed at random points | |
|---|---|"""


@dataclass
class Tally:
    """What the kills did; tallies of several lanes add up."""

    daemon_kills: int = 0
    broker_kills: int = 0
    items: int = 0
    committed: int = 0
    repeats: int = 0
    asked_for: int = 0
    moves: int = 0
    cut_off: int = 0
    lost: int = 0
    altered: int = 0
    holes: int = 0
    unrecorded: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))

    def rows(self) -> list[tuple[str, int]]:
        """In words, in the order of the table."""
        return [
            ("SIGKILLs of the daemon", self.daemon_kills),
            ("SIGKILLs of the broker", self.broker_kills),
            ("items", self.items),
            ("events committed", self.committed),
            ("repeats dropped by the subscriber", self.repeats),
            ("events it had to ask for again", self.asked_for),
            ("moves", self.moves),
            ("moves cut off, each told by a fault event", self.cut_off),
            ("events lost", self.lost),
            ("events altered", self.altered),
            ("holes in seq", self.holes),
            ("items acted on without an event", self.unrecorded),
        ]

    def lacks(self, kills: int, items: int) -> list[str]:
        """What it is short of what was asked for, in words."""
        wanted = {"SIGKILLs of the daemon": kills, "SIGKILLs of the broker": kills, "items": items}
        had = dict(self.rows())
        return [
            f"{had[what]} {what}, {many} were asked for"
            for what, many in wanted.items()
            if had[what] < many
        ]

    @property
    def good(self) -> bool:
        """True where nothing was lost, altered, missing or unrecorded."""
        return not (self.lost or self.altered or self.holes or self.unrecorded)


class Lane:
    """A bin, its broker and its subscriber, until each was killed so often, over so many items."""

    def __init__(
        self,
        folder: Path,
        number: int,
        kills: int,
        items: int,
        life_s: float,
        end: float,
        seed: int,
    ) -> None:
        name = f"bin-{number}"
        (folder / name).mkdir(parents=True)
        self.broker = Broker(folder / name, "\n".join(BROKER))
        # a camera that is late on a busy machine is no end: only the kills end this bin
        watch = SHORT["watch"] | {"camera_tries": 1000}
        self.bin = Bin(folder / name, name, self.broker.port, watch=watch)
        self.subscriber = Subscriber(self.broker.port, name)
        self.tally = Tally()
        self.error: BaseException | None = None
        self._kills, self._items, self._life_s, self._end = kills, items, life_s, end
        self._rng = {what: random.Random(f"{seed} {name} {what}") for what in ("daemon", "broker")}
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,))
            for work in (self._kill_daemon, self._kill_broker)
        ]

    def start(self) -> None:
        self.broker.start()
        self.subscriber.start()
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def so_far(self) -> Tally:
        """Kills, and the items that have come to the subscriber."""
        return replace(self.tally, items=self.subscriber.items)

    def end(self) -> None:
        """Nothing is left running, whatever happened; safe twice."""
        self.error = self.error or RuntimeError("another lane failed")
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self.subscriber.close()
        self.bin.close()
        self.broker.kill()

    def judge(self) -> Tally:
        """After the last kill: let the subscriber ask for what it lacks, then compare."""
        if self.error is not None:
            raise self.error
        asked = (self.subscriber.ask("mode", mode="paused") for _ in range(PATIENCE))
        assert next(filter(None, asked), None), self.bin.log()[-2000:]  # no further item falls
        self.subscriber.complete()
        assert self.bin.stop() == 0, self.bin.log()[-2000:]
        assert "Traceback" not in self.bin.log(), self.bin.log()
        texts, witness = self.bin.stored(), self.bin.witness()
        return self.tally + compared(texts, witness, self.subscriber)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # told by the main thread
            self.error = error

    def _enough(self) -> bool:
        tally = self.tally
        return (
            self.error is not None
            or time.monotonic() > self._end
            or (
                min(tally.daemon_kills, tally.broker_kills) >= self._kills
                and self.subscriber.items >= self._items
            )
        )

    def _kill_daemon(self) -> None:
        self.bin.start()
        while not self._enough():
            self._let_live(self._rng["daemon"])
            assert self.bin.runs(), f"it ended by itself:\n{self.bin.log()[-2000:]}"
            self.bin.kill()
            self.tally.daemon_kills += 1
            self.bin.start()
        self.bin.wait_ready(START_S)

    def _let_live(self, rng: random.Random) -> None:
        """Its start takes seconds on a busy machine: lives counted from there would see no item."""
        if rng.random() < IN_START and self.bin.ready_s:
            time.sleep(rng.uniform(0, self.bin.ready_s[-1]))
        else:
            self.bin.ready_within(START_S)
            time.sleep(rng.uniform(0, self._life_s))

    def _kill_broker(self) -> None:
        while not self._enough():
            time.sleep(self._rng["broker"].uniform(0, self._life_s))
            self.broker.kill()
            self.tally.broker_kills += 1
            self.broker.start()


def compared(
    texts: Sequence[str], witness: Sequence[dict[str, Any]], subscriber: Subscriber
) -> Tally:
    """What the store holds and what was written down, against what the subscriber has."""
    had, stored = subscriber.events, [json.loads(text) for text in texts]
    witnessed = {line["event"]: line["sha256"] for line in witness if "event" in line}
    committed = witnessed.keys() | {event["event_id"] for event in stored}
    altered = subscriber.altered
    for text, event in zip(texts, stored, strict=True):
        del event["historical"]  # which says how it was sent, not what happened
        name, digest = event["event_id"], sha256(text.encode()).hexdigest()
        altered += had.get(name, event) != event or witnessed.get(name, digest) != digest
    last = max((event["seq"] for event in stored), default=0)
    store_id = stored[0]["store_id"] if stored else ""
    moves = [line for line in witness if line.get("moves") == "sort"]
    return Tally(
        items=sum(event["event_type"] in ITEM_EVENTS for event in stored),
        committed=len(committed),
        repeats=subscriber.repeats,
        asked_for=subscriber.asked_for,
        moves=len(moves),
        cut_off=sum(e["event_type"] == "fault" and e["about"] is not None for e in stored),
        lost=len(committed - had.keys()),
        altered=altered,
        holes=last - len(stored) + sum(n for _, n in subscriber.holes(last, store_id)),
        unrecorded=unrecorded(moves, stored),
    )


def unrecorded(moves: Sequence[dict[str, Any]], events: Sequence[Any]) -> int:
    """How many moves the newest event before each does not tell of: that bin, and that once."""
    planned = sorted(
        (e["uptime_ms"] / 1e3, e["seq"], e["bin"]) for e in events if e["event_type"] == "sorted"
    )
    used: set[int] = set()
    found = 0
    for move in sorted(moves, key=lambda move: move["at"]):
        before = [entry for entry in planned if entry[0] <= move["at"]]
        _, seq, bin = before[-1] if before else (0.0, -1, None)
        found += bin != move["bin"] or seq in used
        used.add(seq)
    return found


def kill_on(
    folder: Path,
    kills: int,
    items: int,
    lanes: int,
    seed: int,
    show: Callable[[Tally], None] = lambda tally: None,
    life_s: float = LIFE_S,
    limit_s: float = math.inf,
) -> Tally:
    """Each killed so often, over so many items, all lanes together; fewer once time is up."""
    share = (-(-kills // lanes), -(-items // lanes))
    end = time.monotonic() + limit_s
    made = [Lane(folder, number, *share, life_s, end, seed) for number in range(1, lanes + 1)]
    try:
        for lane in made:
            lane.start()
        while any(lane.alive() for lane in made):
            time.sleep(1)
            show(sum((lane.so_far() for lane in made), Tally()))
        return sum((lane.judge() for lane in made), Tally())
    finally:
        for lane in made:
            lane.end()
