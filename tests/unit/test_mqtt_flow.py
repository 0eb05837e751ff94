"""Which events go when: what is asked for has a bound, and a new store's events are live ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support import FakeClock, connection, damage
from tests.support_events import an_event
from trashbin.devices.mqtt_flow import (
    CATCH_UP_S,
    MAX_ASKED,
    MAX_IN_FLIGHT,
    MAX_LATE_IN_FLIGHT,
    EventFlow,
)
from trashbin.errors import StoreError
from trashbin.events import Event, Topics
from trashbin.outbox import Outbox


class Wire:
    """What was published, each message acknowledged at once."""

    def __init__(self, outbox: Outbox) -> None:
        self.sent: list[tuple[str, int]] = []
        self.flow = EventFlow(outbox, Topics("bin"), 1e6, self.publish)
        self.flow.connected()
        self.go()

    def publish(self, topic: str, event: Event) -> int:
        self.sent.append((topic.removeprefix("trashbin/bin/"), event.seq))
        return len(self.sent)

    def go(self) -> None:
        before = -1
        while len(self.sent) > before:
            before = len(self.sent)
            self.flow.send()
            for mid in range(1, len(self.sent) + 1):
                self.flow.acked(mid)
        self.flow.acknowledge()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "events.sqlite")
    yield box
    box.close()


def test_the_events_of_a_store_that_a_damaged_one_gave_way_to_are_live(outbox: Outbox) -> None:
    for _ in range(3):
        outbox.append(an_event())
    wire = Wire(outbox)
    assert wire.sent == [("event/backlog", seq) for seq in (1, 2, 3)]
    before = outbox.store_id
    damage(outbox)
    with pytest.raises(StoreError):
        outbox.append(an_event())
    assert outbox.last_seq() == 0 and outbox.store_id != before
    outbox.append(an_event())
    wire.sent.clear()
    wire.go()
    outbox.append(an_event())
    wire.go()
    assert wire.sent == [("event", 1), ("event", 2)] and outbox.depth() == 0


def test_who_asks_for_events_again_and_again_takes_no_more_memory(outbox: Outbox) -> None:
    wire = Wire(outbox)
    event = outbox.append(an_event())
    wire.go()
    wire.sent.clear()
    for _ in range(100):
        wire.flow.resend([event] * 500)
    wire.go()
    assert len(wire.sent) == MAX_ASKED


def test_who_asks_without_end_does_not_keep_back_what_no_broker_has(outbox: Outbox) -> None:
    had = [outbox.append(an_event()) for _ in range(100)]
    outbox.acknowledge([event.event_id for event in had])
    for _ in range(100):
        outbox.append(an_event())
    sent: list[int] = []

    def publish(topic: str, event: Event) -> int:
        sent.append(event.seq)
        return len(sent)

    flow = EventFlow(outbox, Topics("bin"), 1e6, publish)
    flow.connected()
    for _ in range(4):
        flow.resend(had)
        flow.send()
        for mid in range(1, len(sent) + 1):
            flow.acked(mid)
    flow.acknowledge()
    assert [seq for seq in sent if seq > 100] == list(range(101, 201))
    assert outbox.depth() == 0


def test_any_acknowledgement_shows_that_the_broker_hears(outbox: Outbox) -> None:
    sent: list[int] = []
    clock = FakeClock()

    def publish(topic: str, event: Event) -> int:
        sent.append(event.seq)
        return event.seq

    flow = EventFlow(outbox, Topics("bin"), 1e6, publish, clock.monotonic)
    flow.send()
    clock.advance(1000)
    assert flow.unheard_s == 0, "nothing waits"
    for _ in range(3):
        outbox.append(an_event())
        clock.advance(10)
        flow.send()
    assert (sent, flow.unheard_s) == ([1, 2, 3], 20), "since the first"
    flow.acked(99)  # an announcement's
    assert flow.unheard_s == 20
    flow.acked(3)
    clock.advance(7)
    assert flow.unheard_s == 7
    flow.connected()
    assert flow.unheard_s == 0


RATE = 40.0  # late events a second


class Flow(RuleBasedStateMachine):
    """Connections come and go, and a broker acknowledges what it likes when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name) / "events.sqlite")
        self.flow = EventFlow(self.outbox, Topics("bin"), RATE, self.publish, lambda: self.now)
        self.now = 1000.0
        self.connected = False
        self.appended = self.mid = 0
        self.seqs: dict[str, int] = {}
        self.under_way: dict[int, Event] = {}
        self.acked: list[str] = []  # and the store not yet told
        self.has: set[int] = set()  # the broker, and the store knows it
        self.begin()

    def begin(self) -> None:
        self.end_of_backlog = self.appended
        self.live, self.late = self.appended, 0
        self.asked: list[int] = []
        self.under_way.clear()
        self.late_at: list[float] = []

    def publish(self, topic: str, event: Event) -> int:
        assert self.connected
        late = topic == "trashbin/bin/event/backlog"
        assert late or topic == "trashbin/bin/event"
        assert (event.historical, event.device_id) == (late, "bin")
        if late:
            assert len(self.under_way) < MAX_LATE_IN_FLIGHT
            self.late_at.append(self.now)
            for many, begun in enumerate(reversed(self.late_at), 1):
                assert many <= 1 + RATE * (self.now - begun + CATCH_UP_S) + 1e-3
            if event.seq in self.asked:
                self.asked.remove(event.seq)
            else:
                assert self.late < event.seq <= self.end_of_backlog, "oldest first, and once"
                self.late = event.seq
        else:
            assert len(self.under_way) < MAX_IN_FLIGHT
            assert event.seq == self.live + 1, "in order, and once"
            self.live = event.seq
        self.mid += 1
        self.under_way[self.mid] = event
        return self.mid

    @rule(count=st.sampled_from([1, 1, 2, 30, 90]))
    def happens(self, count: int) -> None:
        for _ in range(count):
            self.seqs[self.outbox.append(an_event()).event_id] = self.appended = self.appended + 1

    @rule()
    @precondition(lambda self: not self.connected)
    def connects(self) -> None:
        self.connected = True
        self.begin()
        self.flow.connected()
        self.flow.send()
        assert self.flow.live

    @rule()
    @precondition(lambda self: self.connected)
    def connection_is_lost(self) -> None:
        self.flow.lost()
        self.connected = False
        assert not self.flow.live

    @rule()
    @precondition(lambda self: self.connected)
    def sends(self) -> None:
        self.flow.send()

    @rule(count=st.sampled_from([1, 3, 70, 200]), newest=st.booleans())
    def broker_acknowledges(self, count: int, newest: bool) -> None:
        mids = list(self.under_way)
        for mid in mids[-count:] if newest else mids[:count]:
            self.flow.acked(mid)
            self.acked.append(self.under_way.pop(mid).event_id)
        self.flow.acked(0)  # of an answer

    @rule()
    def store_is_told(self) -> None:
        assert self.flow.acknowledge() is bool(self.acked)
        self.has |= {self.seqs[event_id] for event_id in self.acked}
        self.acked.clear()

    @rule(after=st.integers(0, 300), limit=st.integers(1, 40))
    @precondition(lambda self: self.connected)
    def somebody_asks(self, after: int, limit: int) -> None:
        events = self.outbox.span(after, limit)
        self.asked += [event.seq for event in events]
        self.flow.resend(events)

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.5, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_taken_for_delivered_that_is_not(self) -> None:
        waiting = connection(self.outbox).execute("SELECT seq FROM pending")
        assert {seq for (seq,) in waiting} == set(range(1, self.appended + 1)) - self.has
        assert self.flow.idle is (not self.under_way)

    def teardown(self) -> None:
        """With a connection that lasts, all of it arrives, and what was asked for too."""
        try:
            if not self.connected:
                self.connects()
            for _ in range(2 * (self.appended + len(self.asked)) + 2):
                self.broker_acknowledges(200, False)
                self.store_is_told()
                pause = self.flow.send()
                if pause is None and not self.under_way:
                    break
                assert pause is None or 0 < pause <= 1 / RATE + 1e-9
                self.now += pause or 0.0
            assert self.outbox.depth() == 0 and self.asked == []
        finally:
            self.outbox.close()
            self.folder.cleanup()


TestFlow = Flow.TestCase
TestFlow.settings = hypothesis_settings(max_examples=15, stateful_step_count=20, deadline=None)
