"""Fakes that the tests share: each keeps state, none records calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trashbin.outbox import Outbox


def connection(box: Outbox) -> sqlite3.Connection:
    """The store's own connection: what is done to it, the store meets as its disk's doing."""
    with box._file.reading() as db:
        return db


def damage(box: Outbox) -> None:
    """Alter the store's file as a card does; the next use notices it."""
    db = connection(box)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = box.path.read_bytes()
    box.path.write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))
    db.execute("PRAGMA shrink_memory")


class FakeClock:
    """A clock that moves only when it is waited on or advanced."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)) -> None:
        self.start = start
        self.elapsed = 0.0
        self.stopped = False
        self.due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something ``seconds`` after the start, as the clock passes there."""
        self.due.append((seconds, action))
        self.due.sort(key=lambda entry: entry[0])

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        if not self.stopped:
            self._pass(seconds, lambda: self.stopped or bool(until and until()))
        return self.stopped

    def _pass(self, seconds: float, enough: Callable[[], bool]) -> None:
        end = self.elapsed + seconds
        while not enough():
            if not self.due or self.due[0][0] > end:
                self.elapsed = end
                break
            when, action = self.due.pop(0)
            self.elapsed = max(self.elapsed, when)
            action()

    def notify(self) -> None:
        """Nobody waits in another thread."""

    def advance(self, seconds: float) -> None:
        """Time passes whether or not anybody was told to stop: a camera still takes its frame."""
        self._pass(seconds, lambda: False)

    def stop(self) -> None:
        self.stopped = True
