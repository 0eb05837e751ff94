"""The page's own memory of events: one SQLite file, bounded, repeats dropped by event id.

The bins keep what matters; this file may be deleted, and fills again from them. So it is
written without waiting for the disk, and a damaged one is set aside.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from trashbin import database
from trashbin.errors import StoreError
from trashbin.events import Event, EventType, timestamp

NAME = "page.db"
VERSION = 1
KEEP = 100_000  # events, about 1.5 KB each
SLACK = 1.02  # more than KEEP by this, and the oldest go
BUSY_S = 5.0

TABLES = f"""
CREATE TABLE event (
    number INTEGER PRIMARY KEY,  -- order of arrival
    event_id TEXT NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    store_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    ts TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT,
    reason TEXT,
    total_ms REAL,               -- signal to decision
    think_ms REAL,               -- of these, preprocess, network and rules
    resolves TEXT,
    json TEXT NOT NULL
);
CREATE INDEX event_ts ON event (ts);
CREATE INDEX event_kind ON event (kind, ts);
CREATE INDEX event_device ON event (device_id, ts);
CREATE INDEX event_seq ON event (device_id, store_id, seq);
CREATE INDEX event_resolves ON event (resolves) WHERE resolves IS NOT NULL;
-- what a bin was asked for and does not have
CREATE TABLE gone (
    device_id TEXT NOT NULL,
    store_id TEXT NOT NULL,
    up_to INTEGER NOT NULL,
    PRIMARY KEY (device_id, store_id)
);
PRAGMA user_version = {VERSION};
"""
# items whose bin takes no answer: it does not keep them any more
DISMISSED = "CREATE TABLE IF NOT EXISTS dismissed (event_id TEXT PRIMARY KEY) WITHOUT ROWID"

# of an event: what a person said, what of the bin it is about, and what is searched for a text, its
# time in this machine's zone
ANSWERED = "json_extract(json, '$.answer.label')"
PART = "json_extract(json, '$.detail.part')"
TEXTS = " || ' ' || ".join(
    f"coalesce({each}, '')"
    for each in (
        "strftime('%Y-%m-%d %H:%M:%S', ts, 'localtime')",
        *("event_id", "device_id", "kind", "label", "reason", ANSWERED, PART),
        *(f"json_extract(json, '$.{key}')" for key in ("bin", "detail.message")),
    )
)

ITEMS = (EventType.SORTED, EventType.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: of one bin, of kinds, of a label, holding a text, since a moment (UTC).

    ``meant`` is what the text stands for in somebody's language: a column -> its values.
    """

    device: str | None = None
    kinds: Sequence[str] = ()
    label: str | None = None
    text: str = ""
    meant: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: datetime | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        terms: list[str] = ["1"]
        values: list[Any] = []
        if self.device is not None:
            terms.append("device_id = ?")
            values.append(self.device)
        if self.kinds:
            terms.append(f"kind IN ({', '.join('?' * len(self.kinds))})")
            values += [str(kind) for kind in self.kinds]
        if self.label is not None:
            terms.append(f"(label = ? OR kind = 'resolved' AND {ANSWERED} = ?)")
            values += [self.label] * 2
        if self.text:
            among = [f"instr(lower({TEXTS}), lower(?)) > 0"]
            values.append(self.text)
            for column, keys in self.meant.items():
                among.append(f"{column} IN ({', '.join('?' * len(keys))})")
                values += keys
            terms.append(f"({' OR '.join(among)})")
        if self.since is not None:
            terms.append("ts >= ?")
            values.append(timestamp(self.since))
        return " AND ".join(terms), values


class Archive:
    """Events as they came, for several threads. StoreError where the file cannot be used."""

    def __init__(self, path: Path, keep: int = KEEP) -> None:
        self.path = path
        self.keep = keep
        self._lock = threading.RLock()
        with database.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = _opened(path)
            except sqlite3.Error as exc:
                if not database.is_damaged(exc):
                    raise
                database.moved_aside(path)
                self._db = _opened(path)
            (self._count,) = self._db.execute("SELECT count(*) FROM event").fetchone()

    def close(self) -> None:
        """Close the file; safe twice."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock, database.told(self.path):
            yield self._db

    def add(self, events: Iterable[Event]) -> list[Event]:
        """Keep events in one transaction; those that were not here yet."""
        new = []
        with self._using() as db, db:
            db.execute("BEGIN")
            for event in events:
                row = _row(event)
                marks = ", ".join("?" * len(row))
                done = db.execute(f"INSERT OR IGNORE INTO event VALUES (NULL, {marks})", row)
                if done.rowcount:
                    new.append(event)
            self._count += len(new)
            if self._count > self.keep * SLACK:
                self._forget(db, self._count - self.keep)
        return new

    def _forget(self, db: sqlite3.Connection, count: int) -> None:
        oldest = "SELECT number FROM event ORDER BY ts LIMIT ?"
        # what is forgotten must not be asked for again
        db.execute(
            "INSERT INTO gone SELECT device_id, store_id, max(seq) FROM event"
            f" WHERE number IN ({oldest}) GROUP BY device_id, store_id"
            " ON CONFLICT DO UPDATE SET up_to = max(up_to, excluded.up_to)",
            (count,),
        )
        gone = db.execute(f"DELETE FROM event WHERE number IN ({oldest})", (count,))
        self._count -= gone.rowcount

    # what is there

    def newest(self, limit: int, which: Filter = Filter(), offset: int = 0) -> list[Event]:
        """The newest first."""
        where, values = which.where()
        query = (
            f"SELECT json FROM event WHERE {where} ORDER BY ts DESC, number DESC LIMIT ? OFFSET ?"
        )
        with self._using() as db:
            rows = db.execute(query, (*values, limit, offset)).fetchall()
        return [Event.from_json(text) for (text,) in rows]

    def read(self, which: Filter) -> Iterator[Event]:
        """All that match, oldest first, on a connection of its own: they may be many."""
        where, values = which.where()
        with database.told(self.path), closing(sqlite3.connect(self.path, timeout=BUSY_S)) as db:
            for (text,) in db.execute(f"SELECT json FROM event WHERE {where} ORDER BY ts", values):
                yield Event.from_json(text)

    def count(self, which: Filter = Filter()) -> int:
        """How many match."""
        where, values = which.where()
        query = f"SELECT count(*) FROM event WHERE {where}"
        with self._using() as db:
            return int(db.execute(query, values).fetchone()[0])

    def find(self, event_id: str) -> Event | None:
        """One event, or None."""
        with self._using() as db:
            row = db.execute("SELECT json FROM event WHERE event_id = ?", (event_id,)).fetchone()
        return Event.from_json(row[0]) if row else None

    _WAITING = (
        "kind = 'uncertain' AND NOT EXISTS"
        " (SELECT 1 FROM event AS answer WHERE answer.resolves = event.event_id)"
        " AND event_id NOT IN (SELECT event_id FROM dismissed)"
    )

    def waiting(self, limit: int, device: str | None = None) -> list[Event]:
        """Uncertain items that nobody answered, newest first."""
        where, values = Filter(device).where()
        query = f"SELECT json FROM event WHERE {where} AND {self._WAITING} ORDER BY ts DESC LIMIT ?"
        with self._using() as db:
            rows = db.execute(query, (*values, limit)).fetchall()
        return [Event.from_json(text) for (text,) in rows]

    def waiting_count(self, device: str | None = None) -> int:
        """How many uncertain items nobody answered."""
        where, values = Filter(device).where()
        query = f"SELECT count(*) FROM event WHERE {where} AND {self._WAITING}"
        with self._using() as db:
            return int(db.execute(query, values).fetchone()[0])

    def dismiss(self, event_id: str) -> None:
        """Ask nobody about this item any more."""
        with self._using() as db:
            db.execute("INSERT OR IGNORE INTO dismissed VALUES (?)", (event_id,))

    def answers(self, event_ids: Sequence[str]) -> dict[str, Event]:
        """The newest ``resolved`` event of each item that has one."""
        marks = ", ".join("?" * len(event_ids))
        query = f"SELECT resolves, json FROM event WHERE resolves IN ({marks}) ORDER BY ts"
        with self._using() as db:
            rows = db.execute(query, event_ids).fetchall()
        return {about: Event.from_json(text) for about, text in rows}

    # figures

    def by_hour(self, since: datetime, device: str | None = None) -> list[tuple[str, str, int]]:
        """``(YYYY-MM-DD HH`` in this machine's zone``, label or "uncertain", items)``."""
        where, values = Filter(device, ITEMS, since=since).where()
        query = (
            "SELECT strftime('%Y-%m-%d %H', ts, 'localtime'),"
            " CASE kind WHEN 'sorted' THEN label ELSE 'uncertain' END, count(*)"
            f" FROM event WHERE {where} GROUP BY 1, 2 ORDER BY 1"
        )
        with self._using() as db:
            return db.execute(query, values).fetchall()

    def latencies(
        self, since: datetime, device: str | None = None, limit: int = 2000
    ) -> list[tuple[str, float, float]]:
        """``(ts, total, think)`` in milliseconds of the newest items, oldest first."""
        where, values = Filter(device, ITEMS, since=since).where()
        query = (
            f"SELECT ts, total_ms, think_ms FROM event WHERE {where} AND total_ms IS NOT NULL"
            " ORDER BY ts DESC LIMIT ?"
        )
        with self._using() as db:
            return db.execute(query, (*values, limit)).fetchall()[::-1]

    def labels(self) -> list[str]:
        """Every label that an event or a person named."""
        with self._using() as db:
            rows = db.execute(
                "SELECT DISTINCT label FROM event WHERE label IS NOT NULL"
                f" UNION SELECT {ANSWERED} FROM event WHERE kind = 'resolved' AND {ANSWERED} > ''"
                " ORDER BY 1 LIMIT 200"
            ).fetchall()
        return [label for (label,) in rows]

    # holes in seq

    def stores(self) -> list[tuple[str, str]]:
        """Each ``(device, store)`` that events came from."""
        with self._using() as db:
            return db.execute(
                "SELECT device_id, store_id FROM event GROUP BY device_id, store_id"
            ).fetchall()

    def seqs(self, device: str, store: str, after: int, limit: int) -> list[int]:
        """The numbers that are here, ascending."""
        with self._using() as db:
            rows = db.execute(
                "SELECT seq FROM event WHERE device_id = ? AND store_id = ? AND seq > ?"
                " ORDER BY seq LIMIT ?",
                (device, store, after, limit),
            ).fetchall()
        return [seq for (seq,) in rows]

    def gone(self, device: str, store: str) -> int | None:
        """Up to which number nothing more is asked for; None where that was never settled."""
        with self._using() as db:
            row = db.execute(
                "SELECT up_to FROM gone WHERE device_id = ? AND store_id = ?", (device, store)
            ).fetchone()
        return row[0] if row else None

    def set_gone(self, device: str, store: str, up_to: int) -> None:
        """Ask no more for what is missing up to this number."""
        with self._using() as db:
            db.execute(
                "INSERT INTO gone VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET up_to = max(up_to, excluded.up_to)",
                (device, store, up_to),
            )


def _row(event: Event) -> tuple[Any, ...]:
    timing = event.timing_ms or {}
    think = [timing[key] for key in ("preprocess", "invoke", "decide") if key in timing]
    return (
        event.event_id,
        event.device_id,
        event.store_id,
        event.seq,
        event.ts,
        str(event.event_type),
        event.label,
        event.reason,
        timing.get("total"),
        sum(think) / max(1, sum(event.votes.values())) if think else None,
        event.resolves,
        event.to_json(),
    )


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(f"{path}: written by a newer trashbin; name another --store")
        if version == 0:
            db.executescript(TABLES)
        db.execute(DISMISSED)
    except BaseException:
        db.close()
        raise
    return db
