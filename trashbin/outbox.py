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
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TypeVar

from trashbin import database
from trashbin.database import COLUMNS, Row
from trashbin.errors import StoreError
from trashbin.events import Event, timestamp
from trashbin.store_file import StoreFile
from trashbin.tally import Tally

log = logging.getLogger(__name__)

T = TypeVar("T")

GROWTH = 16 * 4096  # bytes that no event adds to the file besides its own: pages that split
AT_ONCE = 16  # events dropped at a time: about four pages
MOST_BACK = 10_000_000  # events that a copy of the store may be older; more is no truth
AT_ONCE_WHERE_FULL = 64  # and where the disk is full, so that room lasts for a while


@dataclass(frozen=True, slots=True)
class Dropped:
    """Events that were dropped undelivered: how many, and the first and last ``seq``."""

    events: int
    first: int
    last: int


class Outbox:
    """One SQLite file of events; safe to use from several threads.

    ``zone`` is where days begin and end, the system's where None. A damaged file is set
    aside under a dated name, ``lost_file`` tells which, and a new store begins with a
    ``store_id`` of its own. ``max_bytes`` is the cap, None for none; with ``drop_undelivered``
    False, ``append`` fails instead of dropping what the broker does not have.
    StoreError from any method where the disk or the file fails; the next call tries again.
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
        self._file = StoreFile(path)
        self._max_bytes = max_bytes
        self._drop_undelivered = drop_undelivered
        self._delivering = False  # has the broker acknowledged anything since the last drop?
        self._delivered_from = 0  # no event with a smaller seq is delivered and still kept
        # of the open file, so that it need not be asked for each event: nobody else writes to it
        self._zone = zone
        self._known: Tally | None = None
        self._room = 0  # bytes below the cap that are surely free

    def open(self) -> None:
        """Open the file, as every other method does where it is not open."""
        self._file.open()

    def close(self) -> None:
        """Close the file; safe twice."""
        self._file.close()

    @property
    def store_id(self) -> str:
        """Of the file that is open or was last; empty where none was yet."""
        return self._file.store_id

    @property
    def lost_file(self) -> str | None:
        """What became of a file that was damaged or removed, where no event has told of it."""
        return self._file.lost

    # events

    def append(self, event: Event, features: bytes | None = None, *, moving: bool = False) -> Event:
        """Commit an event with its ``store_id`` and the next ``seq``; the event as stored.

        ``features`` are kept beside it. ``moving`` says that something will move now:
        ``cut_off`` names the event until ``moved`` is called, or a fault is appended about it.
        """
        return self._append(event, features=features, moving=moving)

    def append_dropped(self, notice: Event) -> Event:
        """Commit the event that tells of ``dropped``; from now on nothing is untold."""
        return self._append(notice, "DELETE FROM meta WHERE key = 'dropped'")

    def append_damaged(self, fault: Event, seqs: Iterable[int]) -> Event:
        """Commit the event that tells of the damaged events ``seqs``; they are told from now on."""
        among = ", ".join(str(int(seq)) for seq in seqs)
        return self._append(fault, f"UPDATE damaged SET told = 1 WHERE seq IN ({among})")

    def append_lost_file(self, fault: Event) -> Event:
        """Commit the event that tells of ``lost_file``."""
        stored = self._append(fault)
        self._file.lost = None
        return stored

    def moved(self) -> None:
        """What the last event planned has been done."""
        self._write(lambda db: db.execute("DELETE FROM meta WHERE key = 'moving'"))

    def cut_off(self) -> str | None:
        """The id of the event whose move was begun and not ended, by power or by process."""
        return self._text("SELECT value FROM meta WHERE key = 'moving'")

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

    def find(self, event_id: str) -> Event | None:
        """The event of this id; None where it is not kept, or damaged."""
        query = f"SELECT {COLUMNS} FROM event WHERE event_id = ?"
        return next(iter(self._events(query, (event_id,))), None)

    def missing(self, event_ids: Iterable[str]) -> list[str]:
        """Those of the ids whose events are no longer kept."""
        query = "SELECT 1 FROM event WHERE event_id = ?"
        with self._file.reading() as db:
            return [name for name in event_ids if db.execute(query, (name,)).fetchone() is None]

    def acknowledge(self, event_ids: Iterable[str]) -> None:
        """The broker has these. Not synced: one that a power cut undoes is merely sent twice."""

        def acknowledge(db: sqlite3.Connection) -> None:
            for event_id in event_ids:
                found = db.execute(
                    "DELETE FROM pending WHERE seq = "
                    "(SELECT seq FROM event WHERE event_id = ?) RETURNING seq",
                    (event_id,),
                ).fetchone()
                self._delivering = True
                if found is not None:
                    self._delivered_from = min(self._delivered_from, found[0])

        event_ids = list(event_ids)
        self._write(acknowledge, synced=False)

    def depth(self) -> int:
        """The number of events that no broker has acknowledged."""
        with self._file.reading() as db:
            (waiting,) = db.execute("SELECT count(*) FROM pending").fetchone()
        return int(waiting)

    def oldest(self) -> str | None:
        """The ``ts`` of the oldest event that no broker has acknowledged; None where none waits."""
        return self._text("SELECT ts FROM event WHERE seq = (SELECT min(seq) FROM pending)")

    def last_seq(self) -> int:
        """The newest event's ``seq``; 0 in a new store."""
        with self._file.reading() as db:
            return database.last_seq(db)

    def go_on_after(self, seq: int) -> None:
        """Number the next event after ``seq``, of which others know: a copy may be older than that.

        ``lost_file`` tells of it. A number that is absurd, or no newer than ours, changes nothing.
        """

        def go_on(db: sqlite3.Connection) -> int:
            tally = self._tally(db)
            mine = tally.last_seq
            if mine < seq <= mine + MOST_BACK:
                tally.last_seq = seq
                tally.write()
            return mine

        with self._file.lock:
            mine = self._write(go_on)
            if self.last_seq() > mine:
                self._file.lost = (
                    f"the event store {self.path} is an older copy of itself: it ends with event "
                    f"{mine}, and {seq} was told before; what happens now counts on from there"
                )

    def prune(self, now: datetime, history_days: float, *, delivered: bool = True) -> int:
        """Forget events older than ``history_days``, only delivered ones or all; how many."""
        before = timestamp(now - timedelta(days=history_days))

        def prune(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM damaged WHERE told = 1 AND ts < ?", (before,))
            old = database.newest_before(db, before, timestamp(now))
            tally = self._tally(db)
            if not delivered:
                db.execute("DELETE FROM pending WHERE seq <= ?", (old,))
            gone = db.execute(
                "DELETE FROM event WHERE seq <= ? AND seq NOT IN (SELECT seq FROM pending)", (old,)
            ).rowcount
            if gone:  # else nothing is written: a full disk may have no room for it
                tally.write()
            return gone

        forgotten = self._write(prune)
        self.keep_reserve()
        return forgotten

    def keep_reserve(self) -> None:
        """Take room again that a full disk had to be given."""
        self._file.keep_reserve()

    # what was lost

    def dropped(self) -> Dropped | None:
        """The undelivered events that the cap cost and that no event has told of yet."""
        with self._file.reading() as db:
            return _dropped(db)

    @property
    def delivering(self) -> bool:
        """True where the broker has acknowledged something since an event was dropped."""
        return self._delivering

    def damaged(self) -> list[int]:
        """The ``seq`` of damaged events that were found and that no event has told of yet."""
        with self._file.reading() as db:
            return [seq for (seq,) in db.execute("SELECT seq FROM damaged WHERE told = 0")]

    # counts

    def sorted_on(self, day: date) -> dict[str, int]:
        """Label to number of items sorted on a local day, kept when events are pruned.

        A held item has no sure label, and is counted once an answer lets it be sorted; a
        label that did not occur is left out.
        """
        with self._file.reading() as db:
            return self._tally(db).on(day.isoformat())

    def sorted_in_all(self) -> dict[str, int]:
        """The same since the store began."""
        with self._file.reading() as db:
            return self._tally(db).in_all()

    # settings

    def get(self, key: str) -> str | None:
        """A runtime setting, or None where nobody set it."""
        return self._text("SELECT value FROM setting WHERE key = ?", key)

    def set(self, key: str, value: str | None, *, synced: bool = True) -> None:
        """Keep a runtime setting through restarts; None forgets it.

        One that is not ``synced`` outlives the process, and the power from the next commit on.
        """
        change, values = "INSERT OR REPLACE INTO setting VALUES (?, ?)", [key, value]
        if value is None:
            change, values = "DELETE FROM setting WHERE key = ?", [key]
        self._write(lambda db: db.execute(change, values), synced=synced)
        self._room = 0

    # how it is done

    def _text(self, query: str, *values: str) -> str | None:
        """The one value that the query finds; None where it finds none."""
        with self._file.reading() as db:
            row = db.execute(query, values).fetchone()
        return None if row is None else str(row[0])

    def _write(self, action: Callable[[sqlite3.Connection], T], *, synced: bool = True) -> T:
        """One transaction; on a full disk, delivered events give way to it."""
        with self._file.lock:
            try:
                return self._file.write(action, self._forget_delivered, synced=synced)
            except BaseException:
                self._known, self._delivered_from = None, 0  # what they stood on is not so
                raise

    def _append(
        self,
        event: Event,
        closing: str | None = None,
        *,
        features: bytes | None = None,
        moving: bool = False,
    ) -> Event:
        """Insert an event, and run ``closing`` in the same transaction."""

        def append(db: sqlite3.Connection) -> Event:
            if closing is not None:
                db.execute(closing)
            tally = self._tally(db)
            if tally.is_long:
                tally.write()
            stored = event.stored_as(self.store_id, tally.last_seq + 1)
            text = stored.to_json()
            self._make_room(db, len(text) + len(features or b""))
            db.execute(
                "INSERT INTO event (seq, event_id, ts, json, crc, features) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (stored.seq, stored.event_id, stored.ts, text, database.checksum(text), features),
            )
            db.execute("INSERT INTO pending (seq) VALUES (?)", (stored.seq,))
            if moving:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('moving', ?)", (stored.event_id,))
            elif stored.about is not None:
                db.execute("DELETE FROM meta WHERE key = 'moving' AND value = ?", (stored.about,))
            return stored

        with self._file.lock:
            stored = self._write(append)
            assert self._known is not None
            self._known.add(stored)
        return stored

    def _tally(self, db: sqlite3.Connection) -> Tally:
        if self._known is None or self._known.db is not db:
            self._known, self._room, self._delivered_from = Tally(self._zone, db), 0, 0
        return self._known

    def _forget(self, db: sqlite3.Connection, seqs: list[int]) -> None:
        """Delete events, delivered or not; what was sorted stays counted."""
        if seqs:
            self._tally(db).write()
        for table in ("pending", "event"):
            db.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in seqs])

    def _make_room(self, db: sqlite3.Connection, coming: int) -> None:
        """Drop the oldest events until ``coming`` bytes fit below the cap."""
        if self._max_bytes is None or self._room >= coming + GROWTH:
            self._room -= coming + GROWTH
            return
        while (room := self._max_bytes - database.used(db)) < coming:
            if self._drop_delivered(db, AT_ONCE):
                continue
            if db.execute("DELETE FROM damaged WHERE told = 1").rowcount:
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
            self._forget(db, seqs)
            before = _dropped(db) or Dropped(0, seqs[0], seqs[-1])
            tally = Dropped(
                before.events + len(seqs), min(before.first, seqs[0]), max(before.last, seqs[-1])
            )
            db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('dropped', ?)", (json.dumps(asdict(tally)),)
            )
            self._delivering = False
        self._room = room - coming - GROWTH

    def _drop_delivered(self, db: sqlite3.Connection, limit: int) -> int:
        """Drop the oldest events that the broker has; how many."""
        found = db.execute(
            "SELECT seq FROM event WHERE seq >= ? AND seq NOT IN (SELECT seq FROM pending) "
            "ORDER BY seq LIMIT ?",
            (self._delivered_from, limit),
        )
        seqs = [seq for (seq,) in found]
        # else every event of a long outage would be read again for each one appended
        self._delivered_from = seqs[-1] + 1 if seqs else self._tally(db).last_seq + 1
        self._forget(db, seqs)
        return len(seqs)

    def _forget_delivered(self, db: sqlite3.Connection) -> None:
        gone = self._drop_delivered(db, AT_ONCE_WHERE_FULL)
        log.warning("%s: the disk is full; %d delivered events were dropped", self.path, gone)

    def _events(self, query: str, values: tuple[int | str, ...]) -> list[Event]:
        """What the query finds; damaged rows are set aside, and others take their places."""
        while True:
            with self._file.reading() as db:
                rows: list[Row] = db.execute(query, values).fetchall()
            read = [(row, database.decoded(row)) for row in rows]
            damaged = [row for row, event in read if event is None]
            if not damaged:
                return [event for _, event in read if event is not None]
            self._set_aside(damaged)

    def _set_aside(self, rows: list[Row]) -> None:
        """Keep damaged rows where nobody takes them for events; nothing is thrown away."""
        seqs = [row[0] for row in rows]
        log.error("%s: damaged events, set aside: seq %s", self.path, seqs)

        def set_aside(db: sqlite3.Connection) -> None:
            database.keep_damaged(db, seqs)
            self._forget(db, seqs)
            self._room = 0

        self._write(set_aside)


def _dropped(db: sqlite3.Connection) -> Dropped | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'dropped'").fetchone()
    try:
        return None if row is None else Dropped(**json.loads(row[0]))
    except (ValueError, TypeError):
        return None  # the card has altered it
