"""Pure: which of a bin's events are missing, and when to ask for them.

A store counts its events from 1. What is missing between those that came is asked for
with ``request/events``; what does not come after some tries is gone, and asked for no more.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

GRACE_S = 1.5  # before a hole is one: a backlog may be on its way
QUIET_S = 6.0  # without an event on the way, an answer is over
TRIES = 3
LIMIT = 500  # events that one request may ask for
HISTORY = 2000  # how far back a bin that was never seen is asked


@dataclass
class Holes:
    """Of one store. Times are monotonic seconds.

    ``floor`` is the number up to which nothing is missing, or nothing is to be asked for.
    """

    floor: int | None = None
    last: int = 0
    _above: list[int] = field(default_factory=list)  # what came above the floor, ascending
    _since: float = 0.0
    _tries: int = 0
    _asked_to: int = 0  # the end of what was asked for last

    def came(self, seq: int, now: float) -> None:
        """An event of this number is here."""
        self.expect(seq, now)
        assert self.floor is not None
        if seq <= self.floor:
            return
        at = bisect.bisect_left(self._above, seq)
        missed = at == len(self._above) or self._above[at] != seq
        if missed:
            self._above.insert(at, seq)
        answers = missed and self._tries > 0 and seq <= self._asked_to  # not one of today's items
        if self._close_up() or answers:
            self._since = now  # something moves: wait on

    def expect(self, seq: int, now: float) -> None:
        """The bin says that it has an event of this number."""
        if self.floor is None:
            self.floor = max(0, seq - HISTORY)
        if seq > self.last:
            if self.last <= self.floor:
                self._since = now
            self.last = seq

    def due(self, now: float) -> tuple[int, int] | None:
        """``(after_seq, limit)`` to ask now, or None. Counts as a try."""
        if self.floor is None or self.last <= self.floor:
            self._tries = 0
            return None
        if now - self._since < (QUIET_S if self._tries else GRACE_S):
            return None
        if self._tries >= TRIES:
            self._give_up()
            return self.due(now)
        self._tries += 1
        self._since = now
        end = self._above[0] - 1 if self._above else self.last
        limit = min(LIMIT, end - self.floor)
        self._asked_to = self.floor + limit
        return self.floor, limit

    def again(self, now: float) -> None:
        """The bin came back: what was asked of it may be asked anew."""
        self._tries = 0
        self._since = now

    def _close_up(self) -> bool:
        """Raise the floor over what is there; True where it rose."""
        assert self.floor is not None
        start = self.floor
        count = 0
        for seq in self._above:
            if seq != self.floor + 1:
                break
            self.floor = seq
            count += 1
        del self._above[:count]
        if self.floor > start:
            self._tries = 0
        return self.floor > start

    def _give_up(self) -> None:
        """The next hole's end becomes the floor."""
        self.floor = self._above[0] - 1 if self._above else self.last
        self._close_up()
