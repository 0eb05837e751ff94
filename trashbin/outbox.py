"""The event store: every event on disk before anything moves, and which of them await the broker.

Rows of ``event`` are written once and never change; ``pending`` names those that no
broker has acknowledged. WAL with ``synchronous=FULL``, so that a commit outlives the plug
being pulled. One connection behind a lock serves the main and the network thread.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from uuid import uuid4

from trashbin.errors import StoreError
from trashbin.events import Event, EventType, timestamp

log = logging.getLogger(__name__)

VERSION = 1
BUSY_S = 5.0  # how long to wait for another process that reads the store

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- AUTOINCREMENT remembers the last seq even when every row was pruned
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    ts TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pending (seq INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sorted (
    day TEXT NOT NULL,
    label TEXT NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (day, label)
) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""


class Outbox:
    """One SQLite file of events; safe to use from several threads.

    ``zone`` is where days begin and end, the system's where None. A damaged file is set
    aside under a dated name, ``set_aside`` tells which, and a new store begins.
    StoreError from any method where the disk or the file fails.
    """

    def __init__(self, path: Path, zone: tzinfo | None = None) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._zone = zone
        self._lock = threading.Lock()
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = _opened(path)
            except sqlite3.DatabaseError as exc:
                if not _damaged(exc):
                    raise
                self.set_aside = _moved_aside(path)
                log.error("%s is damaged (%s): kept as %s", path, exc, self.set_aside)
                self._db = _opened(path)
        self.store_id = self._one("SELECT value FROM meta WHERE key = 'store_id'")

    def close(self) -> None:
        """Close the file; safe twice."""
        with self._lock:
            self._db.close()

    # events

    def append(self, event: Event) -> Event:
        """Commit an event with its ``store_id`` and the next ``seq``; the event as stored."""
        with self._writing() as db:
            event = replace(event, store_id=self.store_id, seq=_last_seq(db) + 1)
            db.execute(
                "INSERT INTO event (seq, event_id, ts, json) VALUES (?, ?, ?, ?)",
                (event.seq, event.event_id, event.ts, event.to_json()),
            )
            db.execute("INSERT INTO pending (seq) VALUES (?)", (event.seq,))
            if event.event_type is EventType.SORTED:
                db.execute(
                    "INSERT INTO sorted (day, label, items) VALUES (?, ?, 1) "
                    "ON CONFLICT (day, label) DO UPDATE SET items = items + 1",
                    (self._day(event.ts), event.label),
                )
        return event

    def unacknowledged(self, after_seq: int, up_to_seq: int, limit: int) -> list[Event]:
        """Events that no broker has acknowledged, oldest first, after_seq < seq <= up_to_seq."""
        return self._events(
            "SELECT json FROM pending JOIN event USING (seq) "
            "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after_seq, up_to_seq, limit),
        )

    def span(self, after_seq: int, limit: int) -> list[Event]:
        """Kept events with seq > after_seq, acknowledged or not, oldest first."""
        return self._events(
            "SELECT json FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
        )

    def acknowledge(self, event_ids: Iterable[str]) -> None:
        """The broker has these. Not synced: one that a power cut undoes is merely sent twice."""
        with self._writing(synced=False) as db:
            db.executemany(
                "DELETE FROM pending WHERE seq = (SELECT seq FROM event WHERE event_id = ?)",
                [(event_id,) for event_id in event_ids],
            )

    def depth(self) -> int:
        """The number of events that no broker has acknowledged."""
        return int(self._one("SELECT count(*) FROM pending"))

    def last_seq(self) -> int:
        """The newest event's ``seq``; 0 in a new store."""
        with self._reading() as db:
            return _last_seq(db)

    def prune(self, now: datetime, history_days: float) -> int:
        """Forget acknowledged events older than ``history_days``; how many."""
        before = timestamp(now - timedelta(days=history_days))
        with self._writing() as db:
            return db.execute(
                "DELETE FROM event WHERE ts < ? AND seq NOT IN (SELECT seq FROM pending)", (before,)
            ).rowcount

    # counts

    def sorted_on(self, day: date) -> dict[str, int]:
        """Label to number of ``sorted`` events on a local day, kept when events are pruned.

        A held item has no sure label and is not counted; a label that did not occur is
        left out.
        """
        return self._counts("SELECT label, items FROM sorted WHERE day = ?", (day.isoformat(),))

    def sorted_in_all(self) -> dict[str, int]:
        """The same since the store began."""
        return self._counts("SELECT label, sum(items) FROM sorted GROUP BY label")

    # settings

    def get(self, key: str) -> str | None:
        """A runtime setting, or None where nobody set it."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str | None) -> None:
        """Keep a runtime setting through restarts; None forgets it."""
        with self._writing() as db:
            if value is None:
                db.execute("DELETE FROM setting WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value))

    # the connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _told(self.path), self._lock:
            yield self._db

    @contextmanager
    def _writing(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk when the block ends, or none of it."""
        with self._reading() as db:
            if not synced:
                db.execute("PRAGMA synchronous = NORMAL")
            try:
                db.execute("BEGIN IMMEDIATE")
                with db:
                    yield db
            finally:
                if not synced:
                    db.execute("PRAGMA synchronous = FULL")

    def _events(self, query: str, values: tuple[int, ...]) -> list[Event]:
        with self._reading() as db:
            return [Event.from_json(text) for (text,) in db.execute(query, values)]

    def _counts(self, query: str, values: tuple[str, ...] = ()) -> dict[str, int]:
        with self._reading() as db:
            return dict(db.execute(query, values))

    def _one(self, query: str) -> str:
        with self._reading() as db:
            return str(db.execute(query).fetchone()[0])

    def _day(self, ts: str) -> str:
        return datetime.fromisoformat(ts).astimezone(self._zone).date().isoformat()


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a sound store, made where there is none."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _Corrupt(verdict)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(f"{path}: written by a newer trashbin (store version {version})")
        if version == 0:
            db.executescript(TABLES)
        db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (str(uuid4()),))
    except BaseException:
        db.close()
        raise
    return db


class _Corrupt(sqlite3.DatabaseError):
    """The file opens, and what is in it is broken."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _damaged(exc: sqlite3.DatabaseError) -> bool:
    # the low byte; the rest says more closely what is corrupt
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _moved_aside(path: Path) -> Path:
    """Rename a damaged file and its journals; nothing of it is thrown away."""
    suffix = f".damaged-{datetime.now():%Y%m%dT%H%M%S}"
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        if file.exists():
            file.rename(path.with_name(name + suffix))
    return path.with_name(path.name + suffix)


def _last_seq(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return 0 if row is None else int(row[0])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise StoreError(f"The event store {path} failed: {exc}") from exc
