"""What it costs to commit an event: against a bare SQLite commit of the same bytes, and in bytes.

Both write to the same file system with the same settings, turn by turn, so that whatever else
the machine does falls on both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from uuid import uuid4

from tests.support_events import an_event
from trashbin import database
from trashbin.bench.cycle import bare_commit, bare_store
from trashbin.events import Event
from trashbin.outbox import Outbox
from trashbin.settings import Store

RATIO = 2.0  # what must hold
FEATURES = bytes(range(256)) * 4 + bytes(896)  # as long as the shipped network's, float16
CAP = int(Store.model_fields["max_mb"].default) * 2**20  # as a bin has it
WARM_UP = 20


@dataclass(frozen=True)
class Cost:
    """Medians over many commits, and bytes an event."""

    commits: int
    ours_ms: float
    bare_ms: float
    event_bytes: int
    written_bytes: float
    bare_written_bytes: float

    @property
    def ratio(self) -> float:
        """How many bare commits one of ours costs."""
        return self.ours_ms / self.bare_ms

    def problems(self) -> list[str]:
        """What is not as it must be, in words."""
        told = f"a commit costs {self.ratio:.2f} bare ones"
        return [told] if self.ratio > RATIO else []

    def __str__(self) -> str:
        return (
            f"commit of an event ({self.event_bytes:,} bytes): {self.ours_ms:.2f} ms, a bare "
            f"SQLite commit {self.bare_ms:.2f} ms ({self.ratio:.2f} x); bytes written to the "
            f"card: {self.written_bytes:,.0f} an event, with its acknowledgement, bare "
            f"{self.bare_written_bytes:,.0f} (medians of {self.commits} turns)"
        )


def cost(folder: Path, commits: int = 300) -> Cost:
    """Commit events and bare rows in turn, in two files of a folder."""
    folder.mkdir(parents=True)
    outbox = Outbox(folder / database.NAME, max_bytes=CAP)
    outbox.open()
    with closing(outbox), closing(bare_store(folder / "bare.sqlite")) as bare:
        ours: list[float] = []
        other: list[float] = []
        for number in range(WARM_UP + commits):
            event = _new()
            text = event.stored_as(outbox.store_id, number + 1).to_json()  # the same bytes
            mine = partial(_append, outbox, event)
            bares = partial(bare_commit, bare, text, FEATURES)
            turns: list[tuple[list[float], Callable[[], object]]] = [(ours, mine), (other, bares)]
            for times, action in turns if number % 2 else reversed(turns):
                times.append(_timed(action))
        written = _written(lambda: _acknowledged(outbox, _append(outbox, _new())), commits)
        bare_written = _written(lambda: bare_commit(bare, _new().to_json(), FEATURES), commits)
    size = len(text) + len(FEATURES)
    return Cost(
        commits, median(ours[WARM_UP:]), median(other[WARM_UP:]), size, written, bare_written
    )


def _new() -> Event:
    return replace(an_event(), event_id=str(uuid4()))


def _append(outbox: Outbox, event: Event) -> Event:
    return outbox.append(event, FEATURES)


def _acknowledged(outbox: Outbox, event: Event) -> None:
    outbox.acknowledge([event.event_id])


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def _written(action: Callable[[], object], times: int) -> float:
    """Bytes that this process handed to the disk for one of so many actions, checkpoints and all.

    /proc counts whole pages as they become dirty; what the disk makes of them is its own matter.
    """
    before = _io()
    for _ in range(times):
        action()
    return (_io() - before) / times


def _io() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])
