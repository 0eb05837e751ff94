"""What is no event is kept as refused, and is no hole that is asked for again and again."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support_events import an_event
from trashbin.clock import SystemClock
from trashbin.fleet.collector import Collector, Received
from trashbin.fleet.rows import MAX_BYTES, Batch, Refused, Row, read
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


STORE = "0190a1c0-0000-4000-8000-000000000001"
EVENT = json.loads(an_event(device_id="hall", store_id=STORE, seq=7).to_json())


def heard(event: dict[str, object]) -> Row | Refused:
    return read("trashbin/hall/event", json.dumps(event).encode(), 0.0)


@given(*[st.text(st.sampled_from('\0\\u0a"é'))] * 2)
@example(r"\u0000", "\0\0\\\0" + r"\\u0000")
def test_a_character_that_no_database_takes_is_all_that_is_replaced(key: str, text: str) -> None:
    row = heard(EVENT | {f"x{key}": {"y": text}})
    assert isinstance(row, Row)
    name, told = (each.replace("\0", "\ufffd") for each in (f"x{key}", text))
    assert json.loads(row.body) == EVENT | {name: {"y": told}}


def test_no_bin_speaks_for_another() -> None:
    refused = heard(EVENT | {"device_id": "yard"})
    assert isinstance(refused, Refused) and refused.why == "it says that it is of yard"
    assert refused.place is None, "or it would fill the hole of another's event"


def test_an_event_that_is_too_long_is_kept_as_far_as_it_is_read() -> None:
    room = MAX_BYTES - len(json.dumps(EVENT | {"x": ""}))
    assert isinstance(heard(EVENT | {"x": room * "y"}), Row)
    refused = heard(EVENT | {"x": (room + 1) * "y"})
    assert isinstance(refused, Refused) and "longer than 65536 bytes" in refused.why
    assert len(refused.payload) == MAX_BYTES
