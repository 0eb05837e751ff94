"""The publisher against a real Mosquitto: what a consumer sees when things go wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTErrorCode

from tests.support_events import an_event
from tests.support_processes import WAIT_S, Broker, Listener, wait_until
from tests.support_publisher import ROOT, Make, context, ignore, tell
from trashbin import devices, requests
from trashbin.devices import mqtt, mqtt_client
from trashbin.devices.mqtt import MqttPublisher
from trashbin.devices.mqtt_client import BeatingClient
from trashbin.errors import StoreError
from trashbin.outbox import Outbox
from trashbin.settings import Config
from trashbin.settings import MqttPublisher as MqttSettings

ONLINE, OFFLINE = b"online", b"offline"


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker, f"{ROOT}/#")
    yield listener
    listener.close()


@pytest.fixture
def may_come(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is cleared the bin does not connect: a listener is to be there first."""
    may_come = threading.Event()
    may_come.set()
    connect = BeatingClient.reconnect

    def once_it_may(client: BeatingClient) -> MQTTErrorCode:
        may_come.wait(WAIT_S)
        return connect(client)

    monkeypatch.setattr(BeatingClient, "reconnect", once_it_may)
    yield may_come
    may_come.set()


@pytest.mark.parametrize("kind", ["mqtt", "none"])
def test_contract(kind: str, broker: Broker, outbox: Outbox) -> None:
    section = {"kind": kind} | (
        {"host": broker.host, "port": broker.port} if kind == "mqtt" else {}
    )
    config = Config.model_validate(
        context(outbox).config.model_dump(mode="json") | {"publisher": section}
    )
    adapter = devices.load("publisher", kind)
    adapter(config.publisher, context(outbox)).close()  # never opened
    publisher = adapter(config.publisher, context(outbox))
    assert not publisher.connected
    publisher.announce("info", {"version": "1"})
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected == (kind == "mqtt"))
    tell(outbox, publisher, 3)
    publisher.announce("state", {"mode": "auto"})
    publisher.respond("look", requests.answer("ok", {}, None, None))
    assert publisher.drain(WAIT_S)
    assert outbox.depth() == (0 if kind == "mqtt" else 3)
    assert publisher.resend(0, 2) == (2 if kind == "mqtt" else 0)
    assert publisher.problem is None
    publisher.close()
    publisher.close()
    assert not publisher.connected


def test_what_a_consumer_sees_of_a_good_day(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    publisher = make(broker)
    publisher.announce("info", {"version": "1"})
    publisher.announce("health", {"outbox_depth": 0})
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    publisher.announce("state", {"mode": "auto"})
    tell(outbox, publisher, 3)
    assert publisher.drain(WAIT_S)
    publisher.close()
    assert listener.wait_for(f"{ROOT}/availability", OFFLINE)
    assert [m.payload for m in listener.on(f"{ROOT}/availability")] == [ONLINE, OFFLINE]
    live = listener.told(f"{ROOT}/event")
    assert [event["seq"] for event in live] == [1, 2, 3]
    assert not any(event["historical"] for event in live)
    assert all(m.qos == 1 for m in listener.on(f"{ROOT}/event"))
    assert listener.on(f"{ROOT}/event/backlog") == []
    order = [m.topic.removeprefix(f"{ROOT}/") for m in listener.seen]
    assert order[:3] == ["availability", "info", "health"]
    assert order.index("state") < order.index("event")

    late = Listener(broker, f"{ROOT}/#")  # sees what the broker retained
    assert late.wait_for(f"{ROOT}/state", b'{"mode":"auto"}')
    assert {m.topic for m in late.seen if m.retain} == {
        f"{ROOT}/{name}" for name in ("availability", "info", "state", "health")
    }
    late.close()


def test_a_killed_broker_loses_nothing_and_hears_requests_again(
    broker: Broker,
    outbox: Outbox,
    make: Make,
    may_come: threading.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[tuple[str, bytes, bool]] = []
    publisher = make(broker, backlog_rate=1000)
    publisher.announce("state", {"mode": "auto"})
    publisher.open(lambda *request: asked.append(request))
    assert wait_until(lambda: publisher.connected)
    tell(outbox, publisher, 2)
    assert publisher.drain(WAIT_S)
    may_come.clear()
    broker.kill()
    assert wait_until(lambda: not publisher.connected)
    tell(outbox, publisher, 300)
    assert "lost" in (publisher.problem or "") or "reached" in (publisher.problem or "")

    broker.start()
    listener = Listener(broker, f"{ROOT}/#")
    may_come.set()
    assert wait_until(lambda: publisher.connected)
    tell(outbox, publisher)
    assert publisher.drain(WAIT_S)
    assert wait_until(lambda: {e["seq"] for e in listener.events()} >= set(range(3, 304)))
    late = listener.told(f"{ROOT}/event/backlog")
    live = listener.told(f"{ROOT}/event")
    assert [e["seq"] for e in late] == list(range(3, 303))
    assert all(e["historical"] for e in late)
    assert [(e["seq"], e["historical"]) for e in live] == [(303, False)]
    assert publisher.problem is None
    assert listener.on(f"{ROOT}/state")

    after = Listener(broker, f"{ROOT}/#")  # no automation of its fires for what was long ago
    assert after.wait_for(f"{ROOT}/state", b'{"mode":"auto"}')
    assert after.events() == []
    after.close()

    listener.send(f"{ROOT}/request/look", b'{"transaction": "7"}')
    assert wait_until(lambda: bool(asked))
    assert asked == [("look", b'{"transaction": "7"}', False)]
    listener.close()
    assert not [record for record in caplog.records if record.exc_info]


def test_what_was_in_flight_comes_late_and_never_as_live(
    broker: Broker, outbox: Outbox, make: Make, may_come: threading.Event
) -> None:
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)  # takes the events, and never answers
    tell(outbox, publisher, 20)  # more than may be in flight
    assert not publisher.drain(0.1)
    may_come.clear()
    broker.kill()
    assert wait_until(lambda: not publisher.connected)
    broker.start()
    listener = Listener(broker, f"{ROOT}/#")
    may_come.set()
    assert publisher.drain(WAIT_S)
    assert wait_until(lambda: len(listener.on(f"{ROOT}/event/backlog")) == 20)
    assert [event["seq"] for event in listener.events()] == list(range(1, 21))
    listener.close()


def test_live_events_do_not_wait_behind_the_backlog(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    for _ in range(200):
        outbox.append(an_event())
    publisher = make(broker, backlog_rate=2)  # a hundred seconds of backlog
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    tell(outbox, publisher)
    assert wait_until(lambda: bool(listener.on(f"{ROOT}/event")))
    assert wait_until(lambda: len(listener.on(f"{ROOT}/event/backlog")) >= 2)
    assert outbox.depth() > 100


def test_a_span_comes_again_when_asked_for(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    tell(outbox, publisher, 5)
    assert publisher.drain(WAIT_S)
    assert publisher.resend(after_seq=2, limit=2) == 2
    assert wait_until(lambda: len(listener.on(f"{ROOT}/event/backlog")) == 2)
    again = listener.told(f"{ROOT}/event/backlog")
    first = listener.told(f"{ROOT}/event")
    assert again == [event | {"historical": True} for event in first[2:4]]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kept", ["health", "state"])
def test_an_older_copy_of_the_store_gives_no_number_twice(
    broker: Broker,
    outbox: Outbox,
    make: Make,
    tmp_path: Path,
    kept: str,
    full: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A card from a copy of last month: a consumer would take its new events for known ones."""
    publisher = make(broker)
    publisher.open(ignore)
    tell(outbox, publisher, 2)
    assert publisher.drain(WAIT_S)
    with sqlite3.connect(outbox.path) as db, closing(sqlite3.connect(tmp_path / "copy")) as copy:
        db.backup(copy)
    tell(outbox, publisher, 3)
    last = next(iter(outbox.span(4, 1)))
    told = {"store_id": outbox.store_id, "last_seq": 5}
    publisher.announce(kept, told if kept == "health" else {"last": last.sent()})
    assert publisher.drain(WAIT_S)
    publisher.close()
    (tmp_path / "restored").mkdir()
    (tmp_path / "copy").rename(tmp_path / "restored" / "events.sqlite")
    with closing(Outbox(tmp_path / "restored" / "events.sqlite")) as restored:
        section = MqttSettings(kind="mqtt", host=broker.host, port=broker.port)
        again = MqttPublisher(section, context(restored))
        monkeypatch.setattr(mqtt, "STORE_RETRY_S", 0.05)
        failures = [StoreError("The disk is full.")] * full

        def go_on_after(seq: int) -> None:
            if failures:
                raise failures.pop()
            Outbox.go_on_after(restored, seq)

        monkeypatch.setattr(restored, "go_on_after", go_on_after)
        asked: list[str] = []
        again.open(lambda verb, payload, retained: asked.append(verb))
        assert wait_until(lambda: restored.last_seq() == 5)
        assert "is an older copy of itself: it ends with event 2" in (restored.lost_file or "")
        restored.append_lost_file(an_event())
        tell(restored, again)
        assert again.drain(WAIT_S)
        again.close()
        assert [event.seq for event in restored.span(0, 9)] == [1, 2, 6, 7]
        assert asked == [], "what it hears of itself asks for nothing"


def test_a_bin_under_a_new_name_tells_its_earlier_events_under_it(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    """Its store stays; consumers refuse what names another bin than its topic, and ask for ever."""
    events = [outbox.append(an_event(device_id="the-old-name")) for _ in range(3)]
    outbox.acknowledge([events[0].event_id])
    publisher = make(broker)
    publisher.open(ignore)
    assert publisher.drain(WAIT_S)
    assert publisher.resend(after_seq=0, limit=1) == 1
    assert wait_until(lambda: len(listener.events()) == 3)
    told = listener.told(f"{ROOT}/event/backlog")
    kept = [json.loads(events[number].to_json()) for number in (1, 2, 0)]
    new = {"device_id": ROOT.split("/")[1], "historical": True}
    assert told == [event | new for event in kept]


def test_of_a_huge_request_only_its_beginning_is_held(
    broker: Broker, listener: Listener, make: Make
) -> None:
    """MQTT allows 256 MB, which were held three times."""
    asked: list[tuple[str, int]] = []
    publisher = make(broker)
    publisher.open(lambda verb, payload, retained: asked.append((verb, len(payload))))
    assert wait_until(lambda: publisher.connected)
    listener.send(f"{ROOT}/request/look", b" " * 5_000_000)
    listener.send(f"{ROOT}/request/mode", b"{}")
    assert wait_until(lambda: len(asked) == 2)
    assert asked[0][0] == "look" and requests.MAX_BYTES < asked[0][1] < mqtt_client.READ_BYTES
    assert asked[1] == ("mode", 2)


def test_a_will_that_comes_late_is_answered(broker: Broker, listener: Listener, make: Make) -> None:
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    listener.send(f"{ROOT}/availability", OFFLINE, retain=True)
    assert wait_until(
        lambda: (
            [m.payload for m in listener.on(f"{ROOT}/availability")] == [ONLINE, OFFLINE, ONLINE]
        )
    )


def test_who_says_without_end_that_it_is_offline_is_answered_once_a_second(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    """Each was: the answers grew in memory, and no event came past them."""
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    began = time.monotonic()
    for _ in range(500):
        listener.client.publish(f"{ROOT}/availability", OFFLINE)
    listener.send(f"{ROOT}/availability", OFFLINE)
    tell(outbox, publisher)
    assert publisher.drain(WAIT_S)

    def told() -> list[bytes]:
        return [message.payload for message in listener.on(f"{ROOT}/availability")]

    assert wait_until(lambda: told().count(OFFLINE) == 501 and told()[-1] == ONLINE)
    assert told().count(ONLINE) <= 3 + (time.monotonic() - began) / mqtt.DENY_S


def test_a_killed_bin_is_offline(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    bin = textwrap.dedent(f"""
        import signal
        from pathlib import Path
        from tests.support_publisher import context, ignore
        from trashbin.devices.mqtt import MqttPublisher
        from trashbin.outbox import Outbox
        from trashbin.settings import MqttPublisher as MqttSettings
        section = MqttSettings(kind="mqtt", host="{broker.host}", port={broker.port})
        outbox = Outbox(Path("{tmp_path}/killed.sqlite"))
        MqttPublisher(section, context(outbox)).open(ignore)
        signal.pause()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", bin], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    try:
        assert listener.wait_for(f"{ROOT}/availability", ONLINE)
        process.send_signal(signal.SIGKILL)
        assert listener.wait_for(f"{ROOT}/availability", OFFLINE)
    finally:
        process.kill()
        process.wait()


def test_it_comes_under_its_own_id_and_without_a_session(broker: Broker, make: Make) -> None:
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    publisher.close()
    with closing(Listener(broker, f"{ROOT}/#")) as other:
        other.send(
            f"{ROOT}/request/identify", b"{}"
        )  # while the bin is away: it must not move it later
        heard: list[str] = []
        again = make(broker)
        again.open(lambda verb, payload, retained: heard.append(verb))
        assert wait_until(lambda: again.connected)
        other.send(f"{ROOT}/request/selftest", b"{}")
        assert wait_until(lambda: bool(heard))
    assert heard == ["selftest"]
    log = (broker.folder / "mosquitto.log").read_text()
    assert log.count(" as trashbin-bin-1 (p2, c1,") == 2, "MQTT 3.1.1, a clean session"


def test_closing_is_bounded_where_the_broker_is_gone(
    broker: Broker, outbox: Outbox, make: Make
) -> None:
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    tell(outbox, publisher, 3)
    began = time.monotonic()
    publisher.close()
    assert time.monotonic() - began < 8
    assert outbox.depth() == 3


def test_the_last_picture_is_retained_and_cleared_where_it_may_leave_no_more(
    broker: Broker, listener: Listener, make: Make
) -> None:
    jpeg = b"\xff\xd8 a picture \xff\xd9"
    first = make(broker)
    first.announce("image/last", jpeg)
    first.open(ignore)
    assert listener.wait_for(f"{ROOT}/image/last", jpeg)
    late = Listener(broker, f"{ROOT}/image/last")
    assert late.wait_for(f"{ROOT}/image/last", jpeg) and late.seen[0].retain
    late.close()
    first.close()
    second = make(broker)  # another start, with pictures: publish set back to false
    second.announce("image/last", b"")
    second.open(ignore)
    assert listener.wait_for(f"{ROOT}/image/last", b"")
    late = Listener(broker, f"{ROOT}/image/last", f"{ROOT}/availability")
    assert late.wait_for(f"{ROOT}/availability", ONLINE)
    assert late.on(f"{ROOT}/image/last") == []
    late.close()
