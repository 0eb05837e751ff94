"""Brokers that do not say what is wrong: one acknowledges nothing, one takes no large message."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.fleet.test_refused import Sink
from tests.support import FakeClock
from tests.support_processes import WAIT_S, Broker, Listener, running, wait_until
from tests.support_publisher import ROOT, Make, ignore, tell
from trashbin import mqtt_access
from trashbin.clock import SystemClock
from trashbin.dashboard import watch
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.devices import mqtt, mqtt_ear
from trashbin.devices.mqtt_retained import SOON_S, Kept, PictureSize
from trashbin.fleet import collector
from trashbin.fleet.collector import Collector
from trashbin.outbox import Outbox
from trashbin.settings import MqttPublisher

PUBACK, SUBACK = 4, 9  # the packets' types, MQTT 3.1.1 section 2.2.1


class Swallower:
    """Between bin and broker: passes everything on but, while ``swallows``, one kind of packet.

    A SUBACK that it passes on says of those subscriptions that it ``refuses`` that none was made.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.swallows: int | None = PUBACK
        self.refuses: slice | None = None
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                bin_, _ = self._listener.accept()
                self.connections += 1
                broker = socket.create_connection(("127.0.0.1", self._to))
                for pass_on, a, b in ((self._up, bin_, broker), (self._down, broker, bin_)):
                    threading.Thread(target=pass_on, args=(a, b), daemon=True).start()

    def _up(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError), source, to:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_RDWR)

    def _down(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError), source.makefile("rb") as packets:
            while first := packets.read(1):
                length, coded = 0, b""
                while not coded or coded[-1] & 0x80:
                    coded += packets.read(1)
                    length |= (coded[-1] & 0x7F) << 7 * (len(coded) - 1)
                body = packets.read(length)
                if self.refuses and first[0] >> 4 == SUBACK:
                    codes = [*body[2:]]
                    codes[self.refuses] = [0x80] * len(codes[self.refuses])
                    body = body[:2] + bytes(codes)
                if first[0] >> 4 != self.swallows:
                    to.sendall(first + coded + body)
            to.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def swallower(broker: Broker) -> Iterator[Swallower]:
    with closing(Swallower(broker.port)) as between:
        yield between


def test_a_broker_that_acknowledges_nothing_is_told_and_tried_anew(
    swallower: Swallower,
    broker: Broker,
    outbox: Outbox,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "UNHEARD_S", 0.3)
    monkeypatch.setattr(mqtt, "PULSE_S", 0.1)
    monkeypatch.setattr(mqtt_ear, "JITTER_S", 0.0)
    listener = Listener(broker, f"{ROOT}/#")
    publisher = make(host="127.0.0.1", port=swallower.port)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    assert publisher.problem is None
    tell(outbox, publisher, 3)
    assert wait_until(lambda: swallower.connections > 1)
    assert "has acknowledged none of our events" in str(publisher.problem)
    assert listener.wait_for(f"{ROOT}/availability", b"offline"), "the will: this was no goodbye"
    assert outbox.depth() == 3
    swallower.swallows = None
    assert publisher.drain(WAIT_S)
    assert wait_until(lambda: publisher.problem is None)
    assert wait_until(lambda: {event["seq"] for event in listener.events()} == {1, 2, 3})
    listener.close()


def test_a_broker_that_says_nothing_to_a_subscription_is_told_and_asked_again(
    swallower: Swallower,
    outbox: Outbox,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The bin waited for ever, and told nobody that its events did not leave it."""
    monkeypatch.setattr(mqtt, "ECHO_S", 0.2)
    monkeypatch.setattr(mqtt_ear, "JITTER_S", 0.0)
    monkeypatch.setattr(mqtt_access, "PROOF", 0.1)
    publisher = make(host="127.0.0.1", port=swallower.port)
    for connection in (1, 2):
        swallower.swallows = SUBACK
        (publisher._client.hang_up if connection == 2 else partial(publisher.open, ignore))()
        assert wait_until(lambda: "does not pass on what we say" in str(publisher.problem))
        swallower.swallows = None
        tell(outbox, publisher)
        assert publisher.drain(WAIT_S)
        assert wait_until(lambda: publisher.problem is None)
        assert swallower.connections == connection
    assert "does not let us hear requests" not in caplog.text


@pytest.mark.parametrize(
    ("refused", "told"),
    [(slice(None), 1), (slice(0, 1), 1), (slice(2, None), 0)],
    ids=["everything", "requests", "what it kept of us, which we can do without"],
)
def test_a_broker_that_lets_us_hear_no_requests_is_told_once(
    refused: slice,
    told: int,
    swallower: Swallower,
    outbox: Outbox,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Events go out, and requests were unheard without a word."""
    monkeypatch.setattr(mqtt_ear, "JITTER_S", 0.0)
    swallower.swallows, swallower.refuses = None, refused
    publisher = make(host="127.0.0.1", port=swallower.port)
    publisher.open(ignore)
    tell(outbox, publisher)
    assert publisher.drain(WAIT_S)
    publisher._client.hang_up()
    assert wait_until(lambda: swallower.connections == 2 and publisher.connected)
    assert caplog.text.count("does not let us hear requests") == told


@pytest.mark.parametrize("which", ["page", "collect"])
def test_page_and_collector_ask_again_where_they_may_hear_nothing(
    which: str, swallower: Swallower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They said that they would, and waited for a restart of theirs or of the broker."""
    for module in (watch, collector):
        monkeypatch.setattr(module, "AGAIN_S", 0.1)
    swallower.swallows, swallower.refuses = None, slice(None)
    section = MqttPublisher(kind="mqtt", host="127.0.0.1", port=swallower.port)
    clock = SystemClock()
    with closing(Archive(tmp_path / NAME)) as archive, ExitStack() as stack:
        page, collects = Watch(archive, section), Collector(section, Sink(), clock)
        thread = threading.Thread(target=collects.run)
        if which == "page":
            page.open()
            stack.callback(page.close)
        else:
            thread.start()
            stack.callback(thread.join)
            stack.callback(clock.stop)
        told = page if which == "page" else collects
        assert wait_until(lambda: "check its access rules" in str(told.problem))
        assert not page.connected and not collects.listening
        swallower.refuses = None
        assert wait_until(lambda: page.connected or collects.listening)
        assert swallower.connections == 1


def test_a_picture_that_the_broker_does_not_take_keeps_no_event_back(
    tmp_path: Path,
    outbox: Outbox,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mqtt_access, "PROOF", 0.5)
    monkeypatch.setattr(mqtt_ear, "JITTER_S", 0.0)
    with running(tmp_path, "allow_anonymous true", "max_packet_size 30000") as broker:
        listener = Listener(broker, f"{ROOT}/#")
        publisher = make(broker)
        publisher.announce("image/last", bytes(40_000))
        tell(outbox, publisher, 3)
        publisher.open(ignore)
        assert wait_until(lambda: "takes no message so large" in caplog.text)
        assert "a picture of 40 KB" in caplog.text
        tell(outbox, publisher, 2)
        assert publisher.drain(WAIT_S)
        assert wait_until(lambda: {e["seq"] for e in listener.events()} == {1, 2, 3, 4, 5})
        assert wait_until(lambda: publisher.problem is None)
        publisher.announce("image/last", bytes(20_000))
        assert listener.wait_for(f"{ROOT}/image/last", bytes(20_000))
        answer = {"status": "ok", "data": {"jpeg": "a" * 40_000}, "error": None, "transaction": "t"}
        publisher.respond("image", answer)
        assert wait_until(lambda: listener.on(f"{ROOT}/response/image"))
        (told,) = listener.on(f"{ROOT}/response/image")
        said = json.loads(told.payload)
        assert "the answer has 40 KB" in said.pop("error")
        assert said == {"status": "error", "data": None, "transaction": "t"}
        tell(outbox, publisher, 1)
        assert publisher.drain(WAIT_S) and publisher.connected, "no connection was lost for it"
        listener.close()


def picture(size: int) -> Kept:
    return Kept(f"{ROOT}/image/last", bytes(size), 0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_three_connections_that_end_at_a_picture_say_that_it_is_too_large(
    clock: FakeClock,
) -> None:
    sizes = PictureSize(clock.monotonic)
    for told in (None, None, 500):
        assert sizes.may(picture(500))
        clock.advance(SOON_S)
        assert sizes.ended() == told
    assert not sizes.may(picture(501)) and not sizes.may(picture(500))
    assert sizes.may(picture(499)) and sizes.may(picture(0)), "no bytes take it away"


@pytest.mark.parametrize("between", ["late", "without a picture", "picture cleared"])
def test_a_connection_that_ends_otherwise_clears_the_picture_of_it(
    between: str, clock: FakeClock
) -> None:
    sizes = PictureSize(clock.monotonic)

    def ends_at_it() -> int | None:
        assert sizes.may(picture(500))
        return sizes.ended()

    assert (ends_at_it(), ends_at_it()) == (None, None)
    if between == "late":
        sizes.may(picture(500))
        clock.advance(SOON_S + 0.01)
    elif between == "picture cleared":
        sizes.may(picture(0))
    assert sizes.ended() is None
    assert (ends_at_it(), ends_at_it(), ends_at_it()) == (None, None, 500)
