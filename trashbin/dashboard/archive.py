"""The page's own memory of events: one SQLite file, bounded, repeats dropped by event id.

The bins keep what matters; this file may be deleted, and fills again from them. So it is
written without waiting for the disk, and a damaged one is set aside, whenever that shows.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from trashbin import database
from trashbin.clock import is_synchronized
from trashbin.dashboard.filter import ANSWERED, EVERY, Filter
from trashbin.errors import StoreError
from trashbin.events import ITEM_EVENTS, Event, timestamp

log = logging.getLogger(__name__)

NAME = "page.db"
OPTION = "--store"  # where it is to be, on the command line
VERSION = 1
KEEP = 100_000  # events, about 1.5 KB each
SLACK = 1.02  # more than KEEP by this, and the oldest go
BUSY_S = 5.0
AHEAD = timedelta(minutes=1)  # more than this after our own clock is a bin's whose clock is wrong
CHUNK = 500  # events that are read at once where all are wanted

_utc = partial(datetime.now, UTC)

# two pages may begin at once, and a power cut may fall between two of these
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY,  -- order of arrival
    event_id TEXT NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    store_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    ts TEXT NOT NULL,            -- of the event, but that of arrival where it was far ahead
    kind TEXT NOT NULL,
    label TEXT,
    reason TEXT,
    total_ms REAL,               -- signal to decision
    think_ms REAL,               -- of these, preprocess, network and rules
    resolves TEXT,
    json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS event_ts ON event (ts);
CREATE INDEX IF NOT EXISTS event_device ON event (device_id, ts);
CREATE INDEX IF NOT EXISTS event_seq ON event (device_id, store_id, seq);
CREATE INDEX IF NOT EXISTS event_resolves ON event (resolves) WHERE resolves IS NOT NULL;
-- what a bin was asked for and does not have
CREATE TABLE IF NOT EXISTS gone (
    device_id TEXT NOT NULL,
    store_id TEXT NOT NULL,
    up_to INTEGER NOT NULL,
    PRIMARY KEY (device_id, store_id)
);
PRAGMA user_version = {VERSION};
COMMIT;
"""
# what files that are older than these lines lack
ADDED = """
-- items whose bin takes no answer: it does not keep them any more
CREATE TABLE IF NOT EXISTS dismissed (event_id TEXT PRIMARY KEY) WITHOUT ROWID;
-- what waits is counted each second, and no row is read for it
CREATE INDEX IF NOT EXISTS event_waits ON event (kind, ts, device_id, event_id);
DROP INDEX IF EXISTS event_kind;
"""


class Archive:
    """Events as they came, for several threads. StoreError where the file cannot be used."""

    def __init__(self, path: Path, keep: int = KEEP, now: Callable[[], datetime] = _utc) -> None:
        self.path = path
        self._now = now
        self.keep = keep
        self.begun = 0  # rises where a damaged file is set aside: all that it held is missing
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        with database.told(path, OPTION):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._count = self.count()

    def close(self) -> None:
        """Close the file; safe twice."""
        with self._lock:
            if self._db is not None:
                self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The file. Where it turns out to be damaged this use fails, and the next has a new one."""
        with self._lock, database.told(self.path, OPTION):
            try:
                if self._db is None:
                    self._db = _opened(self.path)
                yield self._db
            except sqlite3.Error as exc:
                self._judge(exc, self.begun)
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The same by a connection of its own: nobody waits while a long query runs."""
        begun = self.begun
        with database.told(self.path, OPTION):
            try:
                with closing(_opened(self.path)) as db:
                    yield db
            except sqlite3.Error as exc:
                self._judge(exc, begun)
                raise

    def _judge(self, error: sqlite3.Error, begun: int) -> None:
        """Set the file aside where it is damaged, and is still the one that was read."""
        with self._lock:
            damaged = database.is_damaged(error) or "malformed JSON" in str(error)
            if damaged and self.begun == begun:
                self._set_aside()

    def _set_aside(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db, self._count = None, 0
        self.begun += 1
        aside = database.moved_aside(self.path)
        log.warning("%s is damaged: set aside as %s, and begun anew", self.path, aside.name)

    def _rows(self, query: str, values: Sequence[Any] = (), *, long: bool = False) -> list[Any]:
        """What a query finds; in the new file where the old one turns out to be damaged."""
        begun, use = self.begun, self._reading if long else self._using
        try:
            with use() as db:
                return db.execute(query, values).fetchall()
        except StoreError:
            if self.begun == begun:
                raise
        with use() as db:
            return db.execute(query, values).fetchall()

    def add(self, events: Iterable[Event]) -> None:
        """Keep events in one transaction; those that are here already change nothing."""
        now = self._now()
        arrived, latest = timestamp(now), timestamp(now + AHEAD)
        ours_is_right = is_synchronized()
        with self._using() as db:
            count = self._count
            with db:
                db.execute("BEGIN")
                for event in events:
                    # one of next year would be the newest for a year
                    ahead = ours_is_right and event.ts > latest
                    row = _row(event, arrived if ahead else event.ts)
                    marks = ", ".join("?" * len(row))
                    insert = f"INSERT OR IGNORE INTO event VALUES (NULL, {marks})"
                    count += db.execute(insert, row).rowcount
                if count > self.keep * SLACK:
                    count -= self._forget(db, count - self.keep)
            self._count = count  # not before it is committed, which a full disk refuses

    def _forget(self, db: sqlite3.Connection, count: int) -> int:
        """Delete so many of the oldest; how many went."""
        oldest = "SELECT number FROM event ORDER BY ts LIMIT ?"
        # what is forgotten must not be asked for again
        db.execute(
            "INSERT INTO gone SELECT device_id, store_id, max(seq) FROM event"
            f" WHERE number IN ({oldest}) GROUP BY device_id, store_id"
            " ON CONFLICT DO UPDATE SET up_to = max(up_to, excluded.up_to)",
            (count,),
        )
        gone = db.execute(f"DELETE FROM event WHERE number IN ({oldest})", (count,)).rowcount
        # and what was noted about events and stores of which none is left
        db.execute(
            "DELETE FROM dismissed WHERE NOT EXISTS"
            " (SELECT 1 FROM event WHERE event.event_id = dismissed.event_id)"
        )
        db.execute(
            "DELETE FROM gone WHERE NOT EXISTS (SELECT 1 FROM event WHERE"
            " event.device_id = gone.device_id AND event.store_id = gone.store_id)"
        )
        return gone

    # what is there; what is ``long`` takes up to seconds, and is for a thread

    def newest(
        self, limit: int, which: Filter = EVERY, offset: int = 0, *, long: bool = False
    ) -> list[Event]:
        """The newest first."""
        order = "ORDER BY ts DESC, number DESC LIMIT ?"
        parts, values = [], []
        for each in which.by_kind():  # of several kinds at once SQLite would sort all there are
            where, wanted = each.where()
            parts.append(
                f"SELECT * FROM (SELECT json, ts, number FROM event WHERE {where} {order})"
            )
            values += [*wanted, limit + offset]
        query = f"SELECT json FROM ({' UNION ALL '.join(parts)}) {order} OFFSET ?"
        rows = self._rows(query, (*values, limit, offset), long=long)
        return _events(rows)

    def read(self, which: Filter) -> Iterator[Event]:
        """All that match, oldest first; some at a time, as who wants them may be slow.

        Any thread may ask for the next.
        """
        where, values = which.where()
        query = (
            f"SELECT json, ts, number FROM event WHERE {where} AND (ts, number) > (?, ?)"
            f" ORDER BY ts, number LIMIT {CHUNK}"
        )
        after: tuple[str, int] | None = ("", 0)
        while after is not None and (rows := self._rows(query, (*values, *after), long=True)):
            yield from _events(rows)
            last = rows[-1][1:]
            after = last if last != after else None  # a damaged time, which is less than itself

    def count(self, which: Filter = EVERY) -> int:
        """How many match; long."""
        where, values = which.where()
        query = f"SELECT count(*) FROM event WHERE {where}"
        return int(self._rows(query, values, long=True)[0][0])

    def find(self, event_id: str) -> Event | None:
        """One event, or None."""
        found = _events(self._rows("SELECT json FROM event WHERE event_id = ?", (event_id,)))
        return found[0] if found else None

    _WAITING = (
        "kind = 'uncertain' AND NOT EXISTS"
        " (SELECT 1 FROM event AS answer WHERE answer.resolves = event.event_id)"
        " AND event_id NOT IN (SELECT event_id FROM dismissed)"
    )

    def waiting(self, limit: int, device: str | None = None) -> list[Event]:
        """Uncertain items that nobody answered, newest first."""
        where, values = Filter(device).where()
        query = f"SELECT json FROM event WHERE {where} AND {self._WAITING} ORDER BY ts DESC LIMIT ?"
        rows = self._rows(query, (*values, limit))
        return _events(rows)

    def waiting_count(self, device: str | None = None) -> int:
        """How many uncertain items nobody answered."""
        where, values = Filter(device).where()
        query = f"SELECT count(*) FROM event WHERE {where} AND {self._WAITING}"
        return int(self._rows(query, values)[0][0])

    def dismiss(self, event: Event) -> None:
        """Ask nobody about this item any more, nor about older ones of its store, gone as well."""
        self._dismiss("store_id = ? AND seq <= ?", event.device_id, event.store_id, event.seq)

    def dismiss_others(self, device: str, store: str) -> None:
        """Ask nobody about what a bin held in earlier stores: in this one it has none of it."""
        self._dismiss("store_id != ?", device, store)

    def _dismiss(self, which: str, device: str, *values: Any) -> None:
        with self._using() as db:
            db.execute(
                # that index: a page that begins asks so of each of a thousand bins
                "INSERT OR IGNORE INTO dismissed SELECT event_id FROM event INDEXED BY event_seq"
                f" WHERE device_id = ? AND {which} AND kind = 'uncertain'",
                (device, *values),
            )

    def answers(self, event_ids: Sequence[str]) -> dict[str, Event]:
        """The newest ``resolved`` event of each item that has one."""
        marks = ", ".join("?" * len(event_ids))
        query = f"SELECT json FROM event WHERE resolves IN ({marks}) ORDER BY ts"
        rows = self._rows(query, event_ids)
        return {event.resolves: event for event in _events(rows) if event.resolves}

    # figures

    def by_hour(self, since: datetime, device: str | None = None) -> list[tuple[str, str, int]]:
        """``(YYYY-MM-DD HH`` in this machine's zone``, label or "uncertain", items)``; long."""
        where, values = Filter(device, ITEM_EVENTS, since=since).where()
        query = (
            "SELECT strftime('%Y-%m-%d %H', ts, 'localtime'),"
            " CASE kind WHEN 'sorted' THEN label ELSE 'uncertain' END, count(*)"
            f" FROM event WHERE {where} GROUP BY 1, 2 ORDER BY 1"
        )
        return self._rows(query, values, long=True)

    def latencies(
        self, since: datetime, device: str | None = None, limit: int = 2000
    ) -> list[tuple[str, float, float]]:
        """``(ts, total, think)`` in milliseconds of the newest items, oldest first; long."""
        where, values = Filter(device, ITEM_EVENTS, since=since).where()
        query = (
            f"SELECT ts, total_ms, think_ms FROM event WHERE {where} AND total_ms IS NOT NULL"
            " ORDER BY ts DESC LIMIT ?"
        )
        return self._rows(query, (*values, limit), long=True)[::-1]

    def labels(self) -> list[str]:
        """Every label that an event or a person named; long."""
        rows = self._rows(
            "SELECT DISTINCT label FROM event WHERE label IS NOT NULL"
            f" UNION SELECT {ANSWERED} FROM event WHERE kind = 'resolved' AND {ANSWERED} > ''"
            " ORDER BY 1 LIMIT 200",
            long=True,
        )
        return [label for (label,) in rows]

    # holes in seq

    def seqs(self, device: str, store: str, after: int, limit: int) -> list[int]:
        """The numbers that are here, ascending."""
        rows = self._rows(
            "SELECT seq FROM event WHERE device_id = ? AND store_id = ? AND seq > ?"
            " ORDER BY seq LIMIT ?",
            (device, store, after, limit),
        )
        return [seq for (seq,) in rows]

    def gone(self, device: str, store: str) -> int | None:
        """Up to which number nothing more is asked for; None where that was never settled."""
        rows = self._rows(
            "SELECT up_to FROM gone WHERE device_id = ? AND store_id = ?", (device, store)
        )
        return rows[0][0] if rows else None

    def set_gone(self, device: str, store: str, up_to: int) -> None:
        """Ask no more for what is missing up to this number."""
        with self._using() as db:
            db.execute(
                "INSERT INTO gone VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET up_to = max(up_to, excluded.up_to)",
                (device, store, up_to),
            )


def _events(rows: Iterable[Sequence[Any]]) -> list[Event]:
    """Of each row's JSON its event; one that the disk has altered is left out."""
    found = []
    for row in rows:
        with suppress(ValueError, KeyError, TypeError):
            found.append(Event.from_json(row[0]))
    return found


def _row(event: Event, ts: str) -> tuple[Any, ...]:
    return (
        event.event_id,
        event.device_id,
        event.store_id,
        event.seq,
        ts,
        str(event.event_type),
        event.label,
        event.reason,
        (event.timing_ms or {}).get("total"),
        event.think_ms,
        event.resolves,
        event.to_json(),
    )


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(f"{path}: written by a newer trashbin; name another --store")
        if version == 0:
            db.executescript(TABLES)
        db.executescript(ADDED)
    except BaseException:
        db.close()
        raise
    return db


def _write_ahead(db: sqlite3.Connection) -> None:
    """Have the file written by a log. Where two begin one at once SQLite refuses one, unwaited."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        db.executescript("BEGIN IMMEDIATE; COMMIT")  # this waits until the other is done
        db.execute("PRAGMA journal_mode = WAL")
