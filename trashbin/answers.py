"""What people said of a bin's items, with what its network saw of them: examples to learn from.

Reads the event store while the daemon writes it, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trashbin import database
from trashbin.events import ITEM_EVENTS, Event, EventType
from trashbin.types import Features

QUERY = (
    f"SELECT {database.COLUMNS}, features FROM event "
    'WHERE json LIKE \'%"event_type":"resolved"%\' OR features IS NOT NULL ORDER BY seq'
)
COUNT = 'SELECT count(*) FROM event WHERE seq > ? AND json LIKE \'%"event_type":"resolved"%\''
MOST = 2000  # answers; older ones say less of how the tray looks now


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """An item event, the label that a person gave it last, and the ``seq`` of that answer.

    ``features`` (C,) is None where the network that saw it gave none.
    """

    item: Event
    label: str
    seq: int
    features: Features | None


def read(store: Path) -> list[Answered]:
    """The answered items of a store, by when they were answered last. StoreError if none is read.

    An answer whose item is no longer kept is left out, and so is what the card has altered.
    """
    file = store / database.NAME
    items: dict[str, tuple[Event, Features | None]] = {}
    answers: dict[str, Event] = {}
    with closing(database.opened_to_read(file)) as db, database.told(file):
        for *row, blob in db.execute(QUERY):
            event = database.decoded((row[0], row[1], row[2]))
            if event is None:
                continue
            if event.event_type in ITEM_EVENTS:
                items[event.event_id] = event, _features(blob)
            elif event.event_type is EventType.RESOLVED and event.resolves is not None:
                answers.pop(event.resolves, None)
                answers[event.resolves] = event
    found = [
        Answered(items[about][0], event.answer.label, event.seq or 0, items[about][1])
        for about, event in answers.items()
        if about in items and event.answer is not None
    ]
    return found[-MOST:]


def count_since(store: Path, seq: int) -> int:
    """How many answers a store has after the event ``seq``. StoreError if none is read."""
    file = store / database.NAME
    with closing(database.opened_to_read(file)) as db, database.told(file):
        (count,) = db.execute(COUNT, (seq,)).fetchone()
    return int(count)


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
