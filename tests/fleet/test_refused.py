"""What is no event is kept as refused, and is no hole that is asked for again and again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support_events import an_event
from trashbin.clock import SystemClock
from trashbin.fleet.collector import Collector, Received
from trashbin.fleet.rows import Batch, Refused
from trashbin.settings import MqttPublisher


class Sink:
    """A database in memory."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def load(self) -> Iterable[tuple[str, str, int, list[int]]]:
        return []

    def write(self, batch: Batch) -> list[Refused]:
        self.batches.append(batch)
        return []


@pytest.mark.parametrize(
    ("spoilt", "missing"),
    [
        (('"ts":"', '"ts":"never '), 0),  # where it belongs can be read nevertheless
        (('"seq":2', '"seq":null'), 1),
        (("{", ""), 1),
    ],
)
def test_a_refused_event_fills_its_hole_where_it_says_which(
    spoilt: tuple[str, str], missing: int
) -> None:
    sink = Sink()
    collector = Collector(MqttPublisher(kind="mqtt"), sink, SystemClock())
    event = an_event()
    topic = f"trashbin/{event.device_id}/event"
    for seq in (1, 2, 3):
        text = event.stored_as("0190a1c0-0000-4000-8000-000000000001", seq).to_json()
        text = text.replace(*spoilt, 1) if seq == 2 else text
        assert collector._take([Received(topic, text.encode(), 0, seq, 0, 0.0)])
    assert collector.counts.refused == 1
    assert collector.missing == missing
    assert list(sink.batches[-1].complete.values()) == [1 if missing else 3]
