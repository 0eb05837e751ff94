"""A broker that lets us in and ends each connection soon is left alone for longer and longer."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import FakeClock
from tests.support_processes import Broker, running, wait_until
from tests.support_publisher import Make, ignore
from trashbin.clock import SystemClock
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.fleet.collector import Collector, Sink
from trashbin.mqtt_access import PROOF_S, Sessions
from trashbin.settings import MqttPublisher


class Paho(Client):
    """Notes the pauses that it is told."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2)
        self.pauses: list[int] = []

    def reconnect_delay_set(self, min_delay: int = 1, max_delay: int = 120) -> None:
        self.pauses.append(min_delay)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client() -> Paho:
    return Paho()


@pytest.fixture
def sessions(client: Paho, clock: FakeClock) -> Sessions:
    return Sessions(client, (1, 60), clock.monotonic)


def connect(sessions: Sessions, clock: FakeClock, lasts_s: float) -> bool | None:
    sessions.began()
    clock.advance(lasts_s)
    return sessions.ended()


def test_pauses_grow_to_the_longest_and_begin_anew_after_a_connection_that_lasted(
    client: Paho, sessions: Sessions, clock: FakeClock
) -> None:
    assert [connect(sessions, clock, 1.0) for _ in range(8)] == [True] * 8
    for pause, most in zip(client.pauses, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert most / 2 <= pause <= most
    assert connect(sessions, clock, PROOF_S) is False and client.pauses[-1] == 1
    assert connect(sessions, clock, 3600) is False and client.pauses[-1] == 1


def test_a_broker_that_goes_down_each_time_is_awaited_as_ever(
    client: Paho, sessions: Sessions, clock: FakeClock
) -> None:
    for _ in range(8):
        connect(sessions, clock, 1.0)
        sessions.none_made()
    assert set(client.pauses) == {1}


def test_a_connection_is_believed_at_once_unless_the_ones_before_it_ended_soon(
    sessions: Sessions, clock: FakeClock
) -> None:
    assert not sessions.lasts and sessions.ended() is None, "there is none"
    for _ in range(2):  # one that ends soon may do so by chance
        sessions.began()
        assert sessions.lasts
        sessions.ended()
    sessions.began()
    assert not sessions.lasts
    clock.advance(sessions.proof_s)
    assert sessions.lasts


def test_twins_come_ever_more_rarely_and_log_little(
    broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trashbin")
    twins = make(broker), make(broker)
    for twin in twins:
        twin.open(ignore)
    text = "another client has our id trashbin-bin-1"
    log = (broker.folder / "mosquitto.log").read_text
    assert wait_until(lambda: log().count("already connected, closing old") >= 6), log()
    assert all(text in str(twin.problem) for twin in twins), "also of the one that is let in now"
    assert caplog.text.count(text) <= 4 and caplog.text.count("Connected to") <= 4


def test_a_broker_that_ends_connections_for_what_we_say(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trashbin")
    with running(tmp_path, "allow_anonymous true", "max_packet_size 600") as broker:
        publisher = make(broker)
        publisher.open(ignore)
        log = (broker.folder / "mosquitto.log").read_text
        assert wait_until(lambda: log().count("as trashbin-bin-1") >= 4), log()
    assert caplog.text.count("soon after it was made") <= 2
    assert "KB; publisher.discovery: false leaves it out)" in caplog.text
    assert caplog.text.count("Connected to") <= 2


@pytest.mark.parametrize("which", ["page", "collect"])
def test_page_and_collector_say_it_once_too(
    which: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        section = MqttPublisher(kind="mqtt", host="127.0.0.1", port=server.getsockname()[1])
        archive, nowhere = Archive(tmp_path / NAME), None
        sink: Sink = nowhere  # type: ignore[assignment]  # nothing is written
        client = (
            Watch(archive, section)._client
            if which == "page"
            else Collector(section, sink, SystemClock())._client
        )
        client.connect_async("127.0.0.1", section.port)
        client.loop_start()
        for _ in range(4):
            asked, _ = server.accept()
            with asked:
                asked.recv(4096)
                asked.sendall(bytes([0x20, 2, 0, 0]))  # MQTT 3.1.1's CONNACK: come in
        client.disconnect()
        client.loop_stop()
        archive.close()
    assert caplog.text.count("was lost") <= 2
