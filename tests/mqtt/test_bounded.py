"""MQTT allows messages of 256 MB: the page and ``collect`` hold no more of one than they take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.support_processes import Broker, wait_until
from trashbin.clock import SystemClock
from trashbin.dashboard import watch, wire
from trashbin.dashboard.archive import NAME, Archive
from trashbin.fleet import collector, rows
from trashbin.settings import MqttPublisher


@pytest.fixture(params=["page", "collect"])
def client(
    request: pytest.FixtureRequest, broker: Broker, tmp_path: Path
) -> Iterator[tuple[Client, int, int]]:
    """Connected to the broker; the longest message that is taken, and how much is read of one."""
    section = MqttPublisher(kind="mqtt", host="127.0.0.1", port=broker.port)
    archive = Archive(tmp_path / NAME)
    if request.param == "page":
        made = watch.Watch(archive, section)._client, wire.MAX_BYTES, watch.READ_BYTES
    else:
        sink: collector.Sink = None  # type: ignore[assignment]  # nothing is written
        of = collector.Collector(section, sink, SystemClock())
        made = of._client, rows.MAX_BYTES, collector.READ_BYTES
    made[0].loop_start()
    yield made
    made[0].loop_stop()
    archive.close()


def test_of_a_huge_message_only_its_beginning_is_held(
    client: tuple[Client, int, int], broker: Broker
) -> None:
    paho, taken, read = client
    sender = Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    seen: list[int] = []

    def on_message(_: Client, userdata: object, message: MQTTMessage) -> None:
        seen.append(len(message.payload))

    paho.on_message = on_message
    paho.connect("127.0.0.1", broker.port)

    def heard() -> bool:  # once it has subscribed
        sender.publish("trashbin/bin-1/event", b"{}")
        return bool(seen)

    assert wait_until(heard)
    sender.publish("trashbin/bin-1/event", b" " * 9_000_000, qos=1)
    sender.publish("trashbin/bin-1/event", b"[ ]", qos=1)
    assert wait_until(lambda: seen[-1] == 3)
    assert taken < seen[-2] < read
    sender.loop_stop()
