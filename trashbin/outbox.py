"""The event store: every event on disk before anything moves, and which of them await the broker.

Rows of ``event`` are written once and never change; ``pending`` names those that no
broker has acknowledged. WAL with ``synchronous=FULL``, so that a commit outlives the plug
being pulled. One connection behind a lock serves the main and the network thread.

The store never outgrows its cap: before an event is written, the oldest ones that the broker
has are dropped, and only where there are none, the oldest that it does not have. How many of
those and which is counted in the same transaction (``dropped``), until an event tells it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path

from trashbin import database
from trashbin.database import COLUMNS, Row
from trashbin.errors import StoreError
from trashbin.events import Event, EventType, timestamp

log = logging.getLogger(__name__)

AT_ONCE = 16  # events dropped at a time: about four pages
AT_ONCE_WHERE_FULL = 256  # and where the disk is full, so that room lasts for a while


@dataclass(frozen=True, slots=True)
class Dropped:
    """Events that were dropped undelivered: how many, and the first and last ``seq``."""

    events: int
    first: int
    last: int


class Outbox:
    """One SQLite file of events; safe to use from several threads.

    ``zone`` is where days begin and end, the system's where None. A damaged file is set
    aside under a dated name, ``set_aside`` tells which, and a new store begins. ``max_bytes``
    is the cap, None for none; with ``drop_undelivered`` False, ``append`` fails instead of
    dropping what the broker does not have.
    StoreError from any method where the disk or the file fails.
    """

    def __init__(
        self,
        path: Path,
        zone: tzinfo | None = None,
        *,
        max_bytes: int | None = None,
        drop_undelivered: bool = True,
    ) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._zone = zone
        self._max_bytes = max_bytes
        self._drop_undelivered = drop_undelivered
        self._delivering = False  # has the broker acknowledged anything since the last drop?
        self._delivered_from = 0  # no event with a smaller seq is delivered and still kept
        self._lock = threading.Lock()
        with database.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = database.opened(path)
            except sqlite3.DatabaseError as exc:
                if not database.is_damaged(exc):
                    raise
                self.set_aside = database.moved_aside(path)
                log.error("%s is damaged (%s): kept as %s", path, exc, self.set_aside)
                self._db = database.opened(path)
        self.store_id = self._one("SELECT value FROM meta WHERE key = 'store_id'")

    def close(self) -> None:
        """Close the file; safe twice."""
        with self._lock:
            self._db.close()

    # events

    def append(self, event: Event) -> Event:
        """Commit an event with its ``store_id`` and the next ``seq``; the event as stored."""
        return self._append(event)

    def append_dropped(self, notice: Event) -> Event:
        """Commit the event that tells of ``dropped``; from now on nothing is untold."""
        return self._append(notice, "DELETE FROM meta WHERE key = 'dropped'")

    def append_damaged(self, fault: Event, seqs: Iterable[int]) -> Event:
        """Commit the event that tells of the damaged events ``seqs``; they are told from now on."""
        among = ", ".join(str(int(seq)) for seq in seqs)
        return self._append(fault, f"UPDATE damaged SET told = 1 WHERE seq IN ({among})")

    def unacknowledged(self, after_seq: int, up_to_seq: int, limit: int) -> list[Event]:
        """Events that no broker has acknowledged, oldest first, after_seq < seq <= up_to_seq."""
        return self._events(
            f"SELECT {COLUMNS} FROM pending JOIN event USING (seq) "
            "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after_seq, up_to_seq, limit),
        )

    def span(self, after_seq: int, limit: int) -> list[Event]:
        """Kept events with seq > after_seq, acknowledged or not, oldest first."""
        return self._events(
            f"SELECT {COLUMNS} FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
        )

    def acknowledge(self, event_ids: Iterable[str]) -> None:
        """The broker has these. Not synced: one that a power cut undoes is merely sent twice."""
        with self._writing(synced=False) as db:
            for event_id in event_ids:
                found = db.execute(
                    "DELETE FROM pending WHERE seq = "
                    "(SELECT seq FROM event WHERE event_id = ?) RETURNING seq",
                    (event_id,),
                ).fetchone()
                self._delivering = True
                if found is not None:
                    self._delivered_from = min(self._delivered_from, found[0])

    def depth(self) -> int:
        """The number of events that no broker has acknowledged."""
        return int(self._one("SELECT count(*) FROM pending"))

    def last_seq(self) -> int:
        """The newest event's ``seq``; 0 in a new store."""
        with self._reading() as db:
            return _last_seq(db)

    def prune(self, now: datetime, history_days: float, *, delivered: bool = True) -> int:
        """Forget events older than ``history_days``, only delivered ones or all; how many."""
        before = timestamp(now - timedelta(days=history_days))
        with self._writing() as db:
            if not delivered:
                db.execute(
                    "DELETE FROM pending WHERE seq IN (SELECT seq FROM event WHERE ts < ?)",
                    (before,),
                )
            return db.execute(
                "DELETE FROM event WHERE ts < ? AND seq NOT IN (SELECT seq FROM pending)", (before,)
            ).rowcount

    # what was lost

    def dropped(self) -> Dropped | None:
        """The undelivered events that the cap cost and that no event has told of yet."""
        with self._reading() as db:
            return _dropped(db)

    @property
    def delivering(self) -> bool:
        """True where the broker has acknowledged something since an event was dropped."""
        return self._delivering

    def damaged(self) -> list[int]:
        """The ``seq`` of damaged events that were found and that no event has told of yet."""
        with self._reading() as db:
            return [seq for (seq,) in db.execute("SELECT seq FROM damaged WHERE told = 0")]

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
        with database.told(self.path), self._lock:
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
            except BaseException:
                self._delivered_from = 0  # what it stood on was rolled back
                raise
            finally:
                if not synced:
                    db.execute("PRAGMA synchronous = FULL")

    # writing

    def _append(self, event: Event, closing: str = "") -> Event:
        """Insert an event, and run ``closing`` in the same transaction."""
        try:
            return self._insert(event, closing)
        except StoreError as exc:
            if database.code(exc.__cause__) != sqlite3.SQLITE_FULL:
                raise
            self._make_room_on_disk()
            return self._insert(event, closing)

    def _insert(self, event: Event, closing: str) -> Event:
        with self._writing() as db:
            if closing:
                db.execute(closing)
            event = replace(event, store_id=self.store_id, seq=_last_seq(db) + 1)
            text = event.to_json()
            self._make_room(db, len(text))
            db.execute(
                "INSERT INTO event (seq, event_id, ts, json, crc) VALUES (?, ?, ?, ?, ?)",
                (event.seq, event.event_id, event.ts, text, database.checksum(text)),
            )
            db.execute("INSERT INTO pending (seq) VALUES (?)", (event.seq,))
            if event.event_type is EventType.SORTED:
                db.execute(
                    "INSERT INTO sorted (day, label, items) VALUES (?, ?, 1) "
                    "ON CONFLICT (day, label) DO UPDATE SET items = items + 1",
                    (self._day(event.ts), event.label),
                )
        return event

    def _make_room(self, db: sqlite3.Connection, coming: int) -> None:
        """Drop the oldest events until ``coming`` bytes fit below the cap."""
        while self._max_bytes is not None and _used(db) + coming > self._max_bytes:
            if self._drop_delivered(db, AT_ONCE):
                continue
            oldest = db.execute("SELECT seq FROM pending ORDER BY seq LIMIT ?", (AT_ONCE,))
            seqs = [seq for (seq,) in oldest]
            if not seqs:
                break  # there is nothing to drop: a cap below what an empty store takes
            if not self._drop_undelivered:
                raise StoreError(
                    f"The event store {self.path} is full of events that the broker does not "
                    "have (store: max_mb). Bring the broker back, or raise store: max_mb."
                )
            _forget(db, seqs)
            before = _dropped(db) or Dropped(0, seqs[0], seqs[-1])
            tally = Dropped(
                before.events + len(seqs), min(before.first, seqs[0]), max(before.last, seqs[-1])
            )
            db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('dropped', ?)", (json.dumps(asdict(tally)),)
            )
            self._delivering = False

    def _drop_delivered(self, db: sqlite3.Connection, limit: int) -> int:
        """Drop the oldest events that the broker has; how many."""
        found = db.execute(
            "SELECT seq FROM event WHERE seq >= ? AND seq NOT IN (SELECT seq FROM pending) "
            "ORDER BY seq LIMIT ?",
            (self._delivered_from, limit),
        )
        seqs = [seq for (seq,) in found]
        # else every event of a long outage would be read again for each one appended
        self._delivered_from = seqs[-1] + 1 if seqs else _last_seq(db) + 1
        _forget(db, seqs)
        return len(seqs)

    def _make_room_on_disk(self) -> None:
        """The disk is full: let the log's space be used again, and drop what was delivered."""
        with suppress(StoreError), self._reading() as db:
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        with self._writing() as db:
            gone = self._drop_delivered(db, AT_ONCE_WHERE_FULL)
        log.warning("%s: the disk is full; %d delivered events were dropped", self.path, gone)

    def _events(self, query: str, values: tuple[int, ...]) -> list[Event]:
        """What the query finds; damaged rows are set aside, and others take their places."""
        while True:
            with self._reading() as db:
                rows: list[Row] = db.execute(query, values).fetchall()
            read = [(row, database.decoded(row)) for row in rows]
            damaged = [row for row, event in read if event is None]
            if not damaged:
                return [event for _, event in read if event is not None]
            self._set_aside(damaged)

    def _set_aside(self, rows: list[Row]) -> None:
        """Keep damaged rows where nobody takes them for events; nothing is thrown away."""
        log.error("%s: damaged events, set aside: seq %s", self.path, [row[0] for row in rows])
        with self._writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO damaged (seq, json) VALUES (?, ?)",
                [(seq, text) for seq, text, _ in rows],
            )
            _forget(db, [row[0] for row in rows])

    def _counts(self, query: str, values: tuple[str, ...] = ()) -> dict[str, int]:
        with self._reading() as db:
            return dict(db.execute(query, values))

    def _one(self, query: str) -> str:
        with self._reading() as db:
            return str(db.execute(query).fetchone()[0])

    def _day(self, ts: str) -> str:
        return datetime.fromisoformat(ts).astimezone(self._zone).date().isoformat()


def _last_seq(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return 0 if row is None else int(row[0])


def _used(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; both figures stand in its header."""
    (size,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def _forget(db: sqlite3.Connection, seqs: Iterable[int]) -> None:
    for table in ("pending", "event"):
        db.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in seqs])


def _dropped(db: sqlite3.Connection) -> Dropped | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'dropped'").fetchone()
    return None if row is None else Dropped(**json.loads(row[0]))
