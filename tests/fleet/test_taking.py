"""What the collector makes of what it hears: no message ends it, and none is acknowledged early."""

from __future__ import annotations

import json
import logging
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTMessage

from tests.fleet.test_refused import Sink
from tests.support import FakeClock
from tests.support_events import an_event
from trashbin.clock import SystemClock
from trashbin.errors import StoreError
from trashbin.fleet import collector as module
from trashbin.fleet.collector import ASK_AT_ONCE, RETRY_S, SPREAD_S, Collector, Received
from trashbin.fleet.holes import ANSWER_S, GRACE_S, Lost
from trashbin.fleet.rows import Batch, Refused
from trashbin.settings import MqttPublisher

STORE = "0190a1c0-0000-4000-8000-000000000001"
EVENT = "trashbin/bin-1/event"


class Database(Sink):
    """One that may be away for some tries, and knows what was acknowledged by then."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        self.acked: list[int] = []
        self.acked_early: list[int] = []

    def write(self, batch: Batch) -> list[Refused]:
        self.acked_early += self.acked
        if self.away:
            self.away -= 1
            raise StoreError("PostgreSQL cannot be used")
        return super().write(batch)


class Bench:
    def __init__(self) -> None:
        self.database, self.clock = Database(), FakeClock()
        clock = cast(SystemClock, self.clock)
        self.collector = Collector(MqttPublisher(kind="mqtt"), self.database, clock)
        self.mid = 0
        client: Any = self.collector._client
        self.asked: list[str] = []
        self.question: dict[str, Any] = {}
        client.publish = self.ask
        client.ack = lambda mid, qos: self.database.acked.append(mid)

    def ask(self, topic: str, payload: str, qos: int) -> None:
        self.asked.append(topic)
        self.question = json.loads(payload)

    def take(self, *messages: tuple[str, bytes], connection: int = 0) -> bool:
        received = []
        for topic, payload in messages:
            self.mid += 1
            at = self.clock.monotonic()
            received.append(Received(topic, payload, 1, self.mid, connection, at))
        return self.collector._take(received)


def told(seq: int) -> tuple[str, bytes]:
    return EVENT, an_event(store_id=STORE, seq=seq).to_json().encode()


ANYTHING = st.tuples(
    st.tuples(
        st.sampled_from(["trashbin/bin-1", "trashbin/bin-2", "trashbin/", "trashbin/a b", "", "x"]),
        st.sampled_from(["", "/event", "/event/backlog", "/availability", "/response/events"]),
    ).map("".join),
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"online", b"offline", b"[]", b"{}", b'{"data": []}', b"[" * 5000]),
    ),
)


@given(st.lists(ANYTHING, max_size=8))
def test_no_message_ends_it_and_what_is_no_event_is_kept(messages: list[tuple[str, bytes]]) -> None:
    bench = Bench()
    assert bench.take(told(1))
    assert bench.take(*messages)
    assert bench.take(told(2))
    kept = [one for batch in bench.database.batches for one in batch.refused]
    assert [(one.topic, one.payload) for one in kept] == [
        (topic, payload)
        for topic, payload in messages
        if "/event" in topic[len("trashbin/") :] and "response" not in topic
    ]
    assert [row.head.seq for batch in bench.database.batches for row in batch.rows] == [1, 2]
    assert bench.database.acked == [*range(1, len(messages) + 3)]
    bench.collector.listening = True
    for _ in range(2):
        bench.collector._ask()
        bench.clock.advance(1e6)
    bins = {f"trashbin/bin-{number}/request/events" for number in (1, 2)}
    assert set(bench.asked) <= bins, "what has no bin's id is no bin"


def test_it_acknowledges_once_all_is_committed_and_to_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.database.away = len(RETRY_S) + 2
    caplog.set_level(logging.INFO, "trashbin")
    assert bench.take(told(1), told(2))
    assert not bench.database.acked_early
    assert bench.database.acked == [1, 2]
    assert bench.clock.elapsed == sum(RETRY_S) + 2 * RETRY_S[-1]
    assert caplog.text.count("cannot be used") == caplog.text.count("is written") == 1
    # what came meanwhile may be lost at the broker: every bin is asked soon
    [watch] = bench.collector._watches.values()
    assert GRACE_S <= watch.due - bench.clock.monotonic() <= GRACE_S + SPREAD_S
    # of a connection that is no more, the broker may have given the number to another message
    assert bench.take(told(3), connection=7)
    assert bench.database.acked == [1, 2]


def test_told_to_stop_while_the_database_is_away_it_acknowledges_nothing() -> None:
    bench = Bench()
    bench.database.away = 1000
    bench.clock.at(20.0, bench.clock.stop)
    assert not bench.take(told(1))
    assert not bench.database.acked
    assert bench.collector.counts.events == 0


def test_after_a_new_connection_every_bin_is_asked_a_few_at_a_time() -> None:
    """Their ``online`` may have overflowed the broker's queue."""
    bench = Bench()
    bins = [f"bin-{number}" for number in range(2 * ASK_AT_ONCE + 2)]
    for bin in bins:
        event = an_event(device_id=bin, store_id=STORE, seq=1)
        assert bench.take((f"trashbin/{bin}/event", event.to_json().encode()))
    bench.collector._connection = 1
    bench.collector.listening = True
    bench.collector._ask()
    bench.clock.advance(GRACE_S + SPREAD_S)
    bench.collector.listening = False
    bench.collector._ask()
    assert not bench.asked, "nobody could hear the answer"
    bench.collector.listening = True
    counts = []
    for _ in range(4):
        before = len(bench.asked)
        bench.collector._ask()
        counts.append(len(bench.asked) - before)
    assert counts[0] == ASK_AT_ONCE and counts[-1] == 0
    everybody = sorted(f"trashbin/{bin}/request/events" for bin in bins)
    assert sorted(bench.asked) == everybody
    bench.clock.advance(ANSWER_S - 1)
    bench.collector._ask()
    assert sorted(bench.asked) == everybody, "once for each connection, and they may be answering"


def test_that_a_bin_does_not_send_what_is_missing_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    assert bench.take(told(1), told(3))
    bench.collector.listening = True
    data = {"events": 1, "first_seq": 2, "last_seq": 3, "store_id": STORE}
    for status, error in (("ok", None), ("error", "its store fails"), ("error", "its store fails")):
        bench.clock.advance(1e6)
        bench.collector._ask()
        answer = {"status": status, "data": data, "error": error}
        answer["transaction"] = bench.question["transaction"]
        assert bench.take(("trashbin/bin-1/response/events", json.dumps(answer).encode()))
    assert caplog.text.count("does not send") == 1
    assert "bin-1 does not send what is missing: its store fails" in caplog.text


def test_an_answer_that_comes_late_is_none_to_what_was_asked_since() -> None:
    bench = Bench()
    assert bench.take(told(1), told(3), told(5))
    bench.collector.listening = True
    asked = []
    for _ in range(2):  # for the first hole, and as no answer comes, for the second
        bench.clock.advance(1e6)
        bench.collector._ask()
        asked.append(bench.question)
    assert [question["after_seq"] for question in asked] == [1, 3]
    data = {"events": 0, "first_seq": 5, "last_seq": 5, "store_id": STORE}
    late, now = ({"status": "ok", "data": data, **question} for question in asked)
    topic = "trashbin/bin-1/response/events"
    assert bench.take((topic, json.dumps(late).encode()))
    assert bench.collector.counts.lost == 0
    assert bench.take((topic, json.dumps(now).encode()))
    assert bench.collector.counts.lost == 1


def test_a_bin_is_asked_once_it_is_there_and_what_it_has_no_more_is_written_as_lost() -> None:
    bench = Bench()
    assert bench.take(told(1), told(4))
    assert bench.take(("trashbin/bin-1/availability", b"offline"))
    bench.collector.listening = True
    bench.clock.advance(1e6)
    bench.collector._ask()
    assert not bench.asked
    assert bench.take(("trashbin/bin-1/availability", b"online"))
    bench.clock.advance(GRACE_S - 0.1)
    bench.collector._ask()
    assert not bench.asked, "what it tells late by itself comes first"
    bench.clock.advance(SPREAD_S + 0.1)
    bench.collector._ask()
    assert bench.asked == ["trashbin/bin-1/request/events"]
    assert (bench.question["after_seq"], bench.question["limit"]) == (1, 2)
    data = {"events": 0, "first_seq": 4, "last_seq": 4, "store_id": STORE}
    answer = {"status": "ok", "data": data, "transaction": bench.question["transaction"]}
    assert bench.take(("trashbin/bin-1/response/events", json.dumps(answer).encode()))
    written = bench.database.batches[-1]
    assert written.lost == [Lost("bin-1", STORE, 2, 3)]
    assert written.complete == {("bin-1", STORE): 4}
    assert (bench.collector.counts.lost, bench.collector.missing) == (2, 0)


def test_of_a_flood_without_acknowledgement_a_bounded_part_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the database was away, ten seconds of it took two gigabytes."""
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    collector = Bench().collector
    for qos in [0] * 5 + [1] * 2:  # the bins' own are never left out
        message = MQTTMessage(mid=qos, topic=EVENT.encode())
        message.payload, message.qos = b"{}", qos
        collector._client.on_message(collector._client, None, message)  # type: ignore[misc]
    assert [one.qos for one in collector._received()] == [0, 0, 0, 1, 1]
