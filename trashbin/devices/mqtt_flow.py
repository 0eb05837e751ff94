"""Which events go to the broker now: live ones at once, late ones oldest first and at their rate.

An event is delivered when the broker's PUBACK has come, and not before. What is not
acknowledged when a connection ends goes again as backlog on the next one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

from trashbin.events import Event, Topics
from trashbin.outbox import Outbox

MAX_IN_FLIGHT = 80  # events without their PUBACK; others may be in flight besides
MAX_LATE_IN_FLIGHT = 64  # the rest stays free for live events
CATCH_UP_S = 0.1  # how far a late event's turn may lie back, so that timers need not be exact
MAX_SEQ = 2**63 - 1  # SQLite's
BATCH = 100  # events read from the outbox at a time
MAX_ASKED = 2000  # events that wait because somebody asked for them; a request has at most 500

Publish = Callable[[str, Event], int]  # topic and event -> the message's id


class EventFlow:
    """Between the outbox and one connection; of the pump's thread alone."""

    def __init__(
        self,
        outbox: Outbox,
        topics: Topics,
        rate: float,
        publish: Publish,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._rate = rate
        self._publish = publish
        self._clock = clock
        self._in_flight: dict[int, Event] = {}  # by message id, of this connection only
        self._heard_at = 0.0  # monotonic: the last PUBACK, or the first event that waits for one
        self._acked: list[str] = []  # by the broker, not yet in the outbox
        self._late: deque[Event] = deque()  # read from the outbox, to be sent as backlog
        self._asked: deque[Event] = deque()  # somebody asked for them, as backlog as well
        self._askers_turn = False
        self._backlog_end: int | None = None  # up to here events are backlog, after it live
        self._backlog_seq = 0  # backlog is read up to here
        self._live_seq = 0  # live events are sent up to here
        self._late_due = 0.0  # monotonic time of the next late event
        self._store_id = ""

    @property
    def live(self) -> bool:
        """True once new events go out as live."""
        return self._backlog_end is not None

    @property
    def idle(self) -> bool:
        """True while nothing waits for its PUBACK."""
        return not self._in_flight

    @property
    def unheard_s(self) -> float:
        """For how long events have waited and no PUBACK of any has come."""
        return self._clock() - self._heard_at if self._in_flight else 0.0

    def connected(self) -> None:
        """A new connection knows nothing of the last one."""
        self._in_flight.clear()
        self._late.clear()
        self._asked.clear()

    def lost(self) -> None:
        """What comes from now on goes late."""
        self._backlog_end = None

    def acked(self, mid: int) -> None:
        """The broker has the message of this id, which may be no event."""
        event = self._in_flight.pop(mid, None)
        if event is not None:  # else an announcement or an answer
            self._acked.append(event.event_id)
            self._heard_at = self._clock()

    def resend(self, events: Iterable[Event]) -> None:
        """Send these once more, as backlog; what is too much for now is to be asked for again."""
        self._asked.extend(islice(events, MAX_ASKED - len(self._asked)))

    def acknowledge(self) -> bool:
        """Mark in the outbox what the broker has; True where there was any. StoreError."""
        if not self._acked:
            return False
        self._outbox.acknowledge(self._acked)
        self._acked.clear()
        return True

    def send(self) -> float | None:
        """Send what may go now; the seconds until more may, None where a message will tell."""
        if self._backlog_end is None:
            self._live_seq = self._outbox.last_seq()
            self._backlog_seq = 0
            self._backlog_end = self._live_seq
            self._store_id = self._outbox.store_id
        self.send_live()
        return self._send_late(self._backlog_end)

    def send_live(self) -> None:
        """Send what happened since the connection was made."""
        if self.live and self._outbox.store_id != self._store_id:
            self._store_id = self._outbox.store_id  # a damaged one gave way to it: all is new
            self._live_seq = self._backlog_seq = self._backlog_end = 0
        room = MAX_IN_FLIGHT - len(self._in_flight)
        for event in self._outbox.unacknowledged(self._live_seq, MAX_SEQ, room):
            self._send(self._topics.event, event)
            self._live_seq = event.seq

    def _send_late(self, end: int) -> float | None:
        now = self._clock()
        while len(self._in_flight) < MAX_LATE_IN_FLIGHT:
            waiting = self._next_late(end)
            if not waiting:
                return None
            if self._late_due > now:
                return self._late_due - now
            self._late_due = max(self._late_due, now - CATCH_UP_S) + 1 / self._rate
            self._askers_turn = not self._askers_turn
            self._send(self._topics.backlog, replace(waiting.popleft(), historical=True))
        return None

    def _next_late(self, end: int) -> deque[Event]:
        """Whose turn it is: whoever asks without end must not keep back what nobody has yet."""
        if not self._late and self._backlog_seq < end:
            self._late.extend(self._outbox.unacknowledged(self._backlog_seq, end, BATCH))
            self._backlog_seq = self._late[-1].seq if self._late else end
        if self._asked and (self._askers_turn or not self._late):
            return self._asked
        return self._late

    def _send(self, topic: str, event: Event) -> None:
        if event.device_id != self._topics.device_id:
            # of before the bin's name was changed, or its card copied: on these topics every
            # consumer believes this name alone
            event = replace(event, device_id=self._topics.device_id)
        if not self._in_flight:
            self._heard_at = self._clock()
        self._in_flight[self._publish(topic, event)] = event
