"""Pure: which events of a bin are here, which are missing, and when to ask for them.

``seq`` counts the events of a store from 1 without a hole. So whoever keeps the events knows
what is missing, and asks the bin with ``request/events``. Times are monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from trashbin.requests import MAX_EVENTS

GRACE_S = 2.0  # for what is under way: a bin that is back sends its own backlog first
ANSWER_S = 30.0  # for an answer, then it is asked again
CHECK_S = 300.0  # between questions to a bin of which nothing is known to be missing
MAX_SEQ = 2**62  # no bin lives so long
PATIENCE_S = 300.0  # the longest pause before a question that brought nothing is asked again


class Ledger:
    """The events of one store: all up to ``complete`` are settled, and some above it.

    Settled is what is here, be it as refused, and what the bin says it does not have any more.
    Kept as runs: of what comes after a hole that nothing fills, there may be years.
    """

    def __init__(self, complete: int = 0, above: Iterable[int] = ()) -> None:
        self.last = complete  # the newest that is known to exist
        # runs of settled ones, ascending and apart; the first of them begins at 0
        self._firsts, self._lasts = [0], [complete]
        for seq in above:
            self.add(seq)

    @property
    def complete(self) -> int:
        """All up to there are settled."""
        return self._lasts[0]

    def add(self, seq: int) -> bool:
        """An event is here; True where it was missing."""
        self.last = max(self.last, seq)
        if self.missing(seq - 1).start > seq:
            return False
        self._fill(seq, seq)
        return True

    def settle(self, after: int, up_to: int) -> Iterator[range]:
        """The bin has none of what is missing after the one, up to the other; runs of those."""
        while (hole := self.missing(after)) and hole.start <= up_to:
            gone = range(hole.start, min(hole.stop, up_to + 1))
            self._fill(gone[0], gone[-1])
            yield gone

    def missing(self, after: int = 0) -> range:
        """The first hole, or what of one lies behind ``after``; empty where none is known."""
        start = after + 1
        at = bisect_right(self._firsts, start) - 1
        start = max(start, self._lasts[at] + 1)
        nearest = self._firsts[at + 1 : at + 2] or [self.last + 1]
        return range(start, nearest[0])

    def _fill(self, first: int, last: int) -> None:
        begin = bisect_left(self._lasts, first - 1)  # of the runs that it touches
        end = bisect_right(self._firsts, last + 1)
        touched = slice(begin, end)
        firsts, lasts = [*self._firsts[touched], first], [*self._lasts[touched], last]
        self._firsts[touched], self._lasts[touched] = [min(firsts)], [max(lasts)]


@dataclass(frozen=True, slots=True)
class Lost:
    """Events ``first`` to ``last`` of a store that neither we nor the bin have."""

    device_id: str
    store_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Question:
    """A ``request/events`` that waits for its answer."""

    transaction: str
    store_id: str | None
    after_seq: int


class Watch:
    """What is known of one bin's events, and when it is to be asked next (``due``)."""

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.ledgers: dict[str, Ledger] = {}
        self.store_id: str | None = None  # the one that the bin has now
        self.due = float("inf")
        self.refusal: str | None = None  # what it said in place of sending what was asked for last
        self._asked: Question | None = None
        self._asked_to = 0  # the last question's end: the next one is of what comes after it
        self._pause = GRACE_S

    def knows(self, store_id: str, ledger: Ledger) -> None:
        """What was kept before; of several stores, the newest comes last."""
        self.store_id = store_id
        self.ledgers[store_id] = ledger

    def here(self, store_id: str, seq: int, late: bool, now: float) -> None:
        """An event came and is kept; ``late`` is one that was sent again or after an outage."""
        self.store_id = store_id
        ledger = self.ledgers.setdefault(store_id, Ledger())
        hole, known = ledger.missing(), ledger.last
        if ledger.add(seq) and (seq <= known or not hole):
            self._pause = GRACE_S  # asking helps, or there was nothing to ask for
        if not ledger.missing():
            self.due = min(self.due, now + CHECK_S)
        elif late:
            self.due = now + self._pause  # more of them may follow
        else:
            self.due = min(self.due, now + self._pause)

    def online(self, after_s: float, now: float) -> None:
        """The bin is there: what it told while nobody listened shall be asked for soon."""
        self.due = min(self.due, now + after_s)
        self._pause = GRACE_S

    def offline(self) -> None:
        """Nobody is there to ask."""
        self.due = float("inf")

    def ask(self, transaction: str, now: float) -> Mapping[str, Any]:
        """The ``request/events`` that is due; asked again later where no answer comes.

        Each hole has its turn: what the bin cannot send, or we cannot keep, holds up no other.
        """
        ledger = self.ledgers.get(self.store_id or "", Ledger())
        if self._asked is not None:  # no answer came to the last one
            self._pause = min(2 * self._pause, PATIENCE_S)
        hole = ledger.missing(self._asked_to) or ledger.missing()
        after, limit = hole.start - 1, min(len(hole) or MAX_EVENTS, MAX_EVENTS)
        self._asked, self._asked_to = Question(transaction, self.store_id, after), after + limit
        self.due = now + max(ANSWER_S, self._pause)
        return {"after_seq": after, "limit": limit, "transaction": transaction}

    def answered(self, answer: Mapping[str, Any], now: float) -> list[Lost]:
        """What the bin answered, and so what it does not have any more.

        An answer to somebody else's question, or one that makes no sense, changes nothing.
        """
        asked, data = self._asked, answer.get("data")
        if asked is None or answer.get("transaction") != asked.transaction:
            return []
        ok = answer.get("status") == "ok"
        self.refusal = None if ok else str(answer.get("error"))[:200]
        if not ok or not isinstance(data, dict):
            return []  # asked again when its time is over
        store_id, last = _store(data.get("store_id")), _seq(data.get("last_seq"))
        first = _seq(data.get("first_seq"))
        has_none = "first_seq" in data and data["first_seq"] is None  # after ``after_seq``
        if store_id is None or last is None or (first is None and not has_none):
            return []  # a bin of an older version, or what no database could hold
        self._asked = None
        lost = []
        if asked.store_id is not None and asked.store_id != store_id:
            # the bin began a new store: what is missing of the old one stays so
            self._asked_to = 0
            lost += self._settled(asked.store_id, 0, self.ledgers[asked.store_id].last)
        self.store_id = store_id
        ledger = self.ledgers.setdefault(store_id, Ledger())
        ledger.last = max(ledger.last, last)
        if asked.store_id == store_id or asked.after_seq == 0:
            # of what came after after_seq, the bin has nothing before ``first``
            nearest = last + 1 if first is None else first
            lost += self._settled(store_id, asked.after_seq, nearest - 1)
        if ledger.missing():
            self.due = now + self._pause
            self._pause = min(2 * self._pause, PATIENCE_S)
        else:
            self.due = now + CHECK_S
            self._pause = GRACE_S
        return lost

    def _settled(self, store_id: str, after: int, up_to: int) -> list[Lost]:
        runs = self.ledgers[store_id].settle(after, up_to)
        return [Lost(self.device_id, store_id, gone[0], gone[-1]) for gone in runs]


def _store(told: object) -> str | None:
    """The id of a store as events have it, or None."""
    try:
        return str(UUID(told)) if isinstance(told, str) else None
    except ValueError:
        return None


def _seq(told: object) -> int | None:
    """A number of an event, or None."""
    return told if isinstance(told, int) and 0 <= told < MAX_SEQ else None
