"""How many items were sorted, by local day and label: kept when their events are forgotten.

A count that is written with each event costs a page of the card each time. So the file holds the
counts up to one event (``counted`` in ``meta``), newer ones are in memory, and a start takes them
from their events again. No event is forgotten before it is counted in the file, which is why
``counted`` also remembers the last ``seq`` of a store that no longer keeps any event. What the
card damages before it is counted, and before the next start, is not counted.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import suppress
from datetime import datetime, tzinfo

from trashbin import database
from trashbin.events import Event

AT_ONCE = 64  # events that are counted in the file at a time; the most that a start reads


class Tally:
    """Counts of one open file; not safe by itself to use from several threads."""

    def __init__(self, zone: tzinfo | None, db: sqlite3.Connection) -> None:
        self.db = db
        self.last_seq = database.last_seq(db)
        self._zone = zone
        self._new: dict[int, tuple[str, str] | None] = {}  # seq to ts and label, of any event
        query = f"SELECT {database.COLUMNS} FROM event WHERE seq > ? ORDER BY seq"
        for row in db.execute(query, (database.counted(db),)):
            event = database.decoded(row)
            self._new[row[0]] = None if event is None else _item(event)

    def add(self, event: Event) -> None:
        """The next event was committed."""
        if self.is_long:
            with suppress(sqlite3.Error):  # of no matter to the event: later, then
                counted = database.counted(self.db)
                self._new = {seq: item for seq, item in self._new.items() if seq > counted}
        self._new[event.seq] = _item(event)
        self.last_seq = event.seq

    @property
    def is_long(self) -> bool:
        """Whether it is time to ``write``."""
        return len(self._new) >= AT_ONCE

    def write(self) -> None:
        """Count all events in the file, in the transaction that is open.

        What is in memory stays until that is committed.
        """
        self.db.executemany(
            "INSERT INTO sorted (day, label, items) VALUES (?, ?, ?) "
            "ON CONFLICT (day, label) DO UPDATE SET items = items + excluded.items",
            [(*key, items) for key, items in self._after().items()],
        )
        self.db.execute("INSERT OR REPLACE INTO meta VALUES ('counted', ?)", (str(self.last_seq),))

    def on(self, day: str) -> dict[str, int]:
        """Label to items of a day."""
        query = "SELECT label, CAST(items AS INTEGER) FROM sorted WHERE day = ?"
        found = Counter(dict(self.db.execute(query, (day,))))
        found.update({label: n for (at, label), n in self._after().items() if at == day})
        return dict(found)

    def in_all(self) -> dict[str, int]:
        """Label to items since the store began."""
        query = "SELECT label, CAST(sum(items) AS INTEGER) FROM sorted GROUP BY label"
        found = Counter(dict(self.db.execute(query)))
        for (_, label), items in self._after().items():
            found[label] += items
        return dict(found)

    def _after(self) -> Counter[tuple[str, str]]:
        """What the file does not count, by day and label."""
        counted = database.counted(self.db)
        items = [item for seq, item in self._new.items() if seq > counted and item is not None]
        return Counter((self._day(ts), label) for ts, label in items)

    def _day(self, ts: str) -> str:
        return datetime.fromisoformat(ts).astimezone(self._zone).date().isoformat()


def _item(event: Event) -> tuple[str, str] | None:
    label = event.sorted_as
    return None if label is None else (event.ts, label)
