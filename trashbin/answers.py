"""What people said of a bin's items, with what its network saw of them: examples to learn from.

Reads the event store while the daemon writes it, and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trashbin import database
from trashbin.events import ITEM_EVENTS, Event
from trashbin.types import Features

ANSWERS = f'SELECT {database.COLUMNS} FROM event WHERE json LIKE \'%"event_type":"resolved"%\''
ITEM = f"SELECT {database.COLUMNS}, features FROM event WHERE event_id = ?"
COUNT = 'SELECT count(*) FROM event WHERE seq > ? AND json LIKE \'%"event_type":"resolved"%\''
STORE = "SELECT 1 FROM meta WHERE key = 'store_id' AND value = ?"


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """An item event, the label that a person gave it last, and the ``seq`` of that answer.

    ``features`` (C,) is None where the network that saw it gave none.
    """

    item: Event
    label: str
    seq: int
    features: Features | None


def read(store: Path, most: int | None = None) -> list[Answered]:
    """The answered items of a store, by when they were answered last. StoreError if none is read.

    An answer whose item is no longer kept is left out, and so is what the card has altered. Only
    the newest ``most``, and no other item is read: a full store is larger than a Pi's memory.
    """
    found: list[Answered] = []
    seen: set[str] = set()
    with _opened(store) as db:
        for row in db.execute(f"{ANSWERS} ORDER BY seq DESC"):
            event = database.decoded(row)
            if event is None or event.answer is None or event.resolves is None:
                continue
            if event.resolves in seen:
                continue
            seen.add(event.resolves)
            for *of_item, blob in db.execute(ITEM, (event.resolves,)).fetchall():
                item = database.decoded((of_item[0], of_item[1], of_item[2]))
                if item is not None and item.event_type in ITEM_EVENTS:
                    found.append(Answered(item, event.answer.label, event.seq, _features(blob)))
            if len(found) == most:
                break
    return found[::-1]


def count_since(store: Path, seq: int, of: str) -> int:
    """How many answers a store has after the event ``seq`` of the store with the id ``of``.

    All, where it is another one. StoreError if none is read.
    """
    with _opened(store) as db:
        same = not of or db.execute(STORE, (of,)).fetchone() is not None
        (count,) = db.execute(COUNT, (seq if same else 0,)).fetchone()
    return int(count)


@contextmanager
def _opened(store: Path) -> Iterator[sqlite3.Connection]:
    file = store / database.NAME
    with closing(database.opened_to_read(file)) as db, database.told(file):
        yield db


def examples(answered: Sequence[Answered], network: str, width: int) -> list[Answered]:
    """Those that this network (by digest) saw, with ``width`` features, all numbers."""
    return [
        each
        for each in answered
        if each.features is not None
        and each.features.shape == (width,)
        and np.isfinite(each.features).all()
        and each.item.model is not None
        and each.item.model.sha256 == network
    ]


def _features(blob: object) -> Features | None:
    if not isinstance(blob, bytes) or len(blob) % 2:
        return None
    return np.frombuffer(blob, "<f2").astype(np.float32)
