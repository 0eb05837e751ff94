"""Which events go when: what is asked for has a bound, and a new store's events are live ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import damage
from tests.support_events import an_event
from trashbin.devices.mqtt_flow import MAX_ASKED, EventFlow
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
