"""How a Home Assistant on the same broker finds a bin, and forgets it: seen with Mosquitto."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support_events import an_event
from tests.support_processes import WAIT_S, Broker, Listener, wait_until
from tests.support_publisher import ROOT, context, ignore, tell
from trashbin.devices import mqtt
from trashbin.devices.mqtt import MqttPublisher
from trashbin.outbox import Outbox
from trashbin.settings import MqttPublisher as MqttSettings

CONFIG = "homeassistant/device/bin-1/config"

Make = Callable[..., MqttPublisher]


@pytest.fixture
def make(broker: Broker, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(mqtt, "BIRTH_S", 0.2)
    made: list[MqttPublisher] = []

    def make(**keys: Any) -> MqttPublisher:
        keys = {"kind": "mqtt", "host": broker.host, "port": broker.port} | keys
        made.append(MqttPublisher(MqttSettings(**keys), context(outbox)))
        for topic in ("info", "state", "health"):
            made[-1].announce(topic, {"told": topic})
        made[-1].open(ignore)
        assert wait_until(lambda: made[-1].connected)
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker, "#")
    yield listener
    listener.close()


def retained(broker: Broker) -> dict[str, bytes]:
    """What the broker has kept."""
    late = Listener(broker, "#")
    late.send("mark", b"")  # comes after everything that was kept
    assert late.wait_for("mark", b"")
    late.close()
    return {message.topic: message.payload for message in late.seen if message.retain}


def test_the_order_on_connecting(listener: Listener, make: Make) -> None:
    make()
    assert wait_until(lambda: bool(listener.on(f"{ROOT}/health")))
    order = [message.topic for message in listener.seen]
    assert order == [
        f"{ROOT}/availability",
        CONFIG,
        f"{ROOT}/info",
        f"{ROOT}/state",
        f"{ROOT}/health",
    ]


def test_the_backlog_comes_last(listener: Listener, outbox: Outbox, make: Make) -> None:
    outbox.append(an_event())
    make()
    assert wait_until(lambda: bool(listener.on(f"{ROOT}/event/backlog")))
    order = [message.topic for message in listener.seen]
    assert order.index(CONFIG) < order.index(f"{ROOT}/state") < order.index(f"{ROOT}/event/backlog")


def test_it_is_kept_for_a_home_assistant_that_comes_later(broker: Broker, make: Make) -> None:
    make()
    assert wait_until(lambda: CONFIG in retained(broker))
    found = json.loads(retained(broker)[CONFIG])
    assert found["device"]["identifiers"] == ["trashbin-bin-1"]


def test_a_home_assistant_that_starts_is_told_again(listener: Listener, make: Make) -> None:
    make()
    assert wait_until(lambda: bool(listener.on(f"{ROOT}/health")))
    before = len(listener.seen)
    listener.send("homeassistant/status", b"offline")
    listener.send("homeassistant/status", b"online")
    assert wait_until(lambda: len(listener.on(f"{ROOT}/health")) == 2)
    again = [m.topic for m in listener.seen[before:] if m.topic != "homeassistant/status"]
    assert again == [
        f"{ROOT}/availability",
        CONFIG,
        f"{ROOT}/info",
        f"{ROOT}/state",
        f"{ROOT}/health",
    ]


def test_it_can_be_left_out_or_sent_elsewhere(broker: Broker, make: Make) -> None:
    make(discovery=False).close()
    make(discovery_prefix="ha/discovery").close()
    kept = [topic for topic in retained(broker) if not topic.startswith(ROOT)]
    assert kept == ["ha/discovery/device/bin-1/config"]


def test_what_an_earlier_configuration_said_elsewhere_is_taken_away(
    broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    make().close()
    make(discovery_prefix="ha/discovery").close()
    assert CONFIG not in retained(broker) and "ha/discovery/device/bin-1/config" in retained(broker)
    make(discovery=False).close()
    assert not [topic for topic in retained(broker) if not topic.startswith(ROOT)]
    listener.send(f"{ROOT}/mark", b"1")  # comes after all that was said
    assert listener.wait_for(f"{ROOT}/mark", b"1")
    listener.seen.clear()
    make(discovery=False).close()  # once: nobody knows what another broker says to it
    for never in ("homeassistant/device/another/config", "#/device/bin-1/config"):
        outbox.set("discovery", never)  # of the card's original, or altered
        make(discovery=False).close()
    listener.send(f"{ROOT}/mark", b"2")
    assert listener.wait_for(f"{ROOT}/mark", b"2")
    assert not [message for message in listener.seen if not message.topic.startswith(ROOT)]


@pytest.mark.parametrize("end", ["closed", "cut off"])
def test_a_removed_bin_leaves_nothing_however_it_ends(
    end: str, broker: Broker, listener: Listener, outbox: Outbox, make: Make
) -> None:
    publisher = make()
    assert wait_until(lambda: CONFIG in retained(broker))
    publisher.forget()
    cleared = f"{ROOT}/availability", b""  # before it goes, and once it is there without a will
    assert wait_until(lambda: [(m.topic, m.payload) for m in listener.seen].count(cleared) == 2)
    assert retained(broker) == {} and publisher.connected
    log_end = len((broker.folder / "mosquitto.log").read_bytes())
    publisher.announce("info", {"told": "later"})
    publisher.announce("state", {"told": "later"})
    tell(outbox, publisher, 2)  # events go on, for whoever listens
    assert publisher.drain(WAIT_S)
    assert wait_until(lambda: len(listener.on(f"{ROOT}/event")) == 2)
    assert listener.on(f"{ROOT}/state")[-1].payload == b'{"told":"later"}'
    listener.send("homeassistant/status", b"online")
    if end == "closed":
        publisher.close()
    else:
        socket = publisher._client.socket()
        assert socket is not None
        publisher._closing.set()  # it does not come back
        socket.shutdown(2)
    # of one that is cut off Mosquitto says, by what it was at, that it closed its connection or
    # that a write to it went wrong
    left = b"Client trashbin-bin-1 disconnected" if end == "closed" else b"lient trashbin-bin-1"
    assert wait_until(lambda: left in (broker.folder / "mosquitto.log").read_bytes()[log_end:])
    assert retained(broker) == {}


def test_a_removed_bin_that_ends_while_it_connects_anew_leaves_nothing(
    broker: Broker, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "RENEW_S", 0.0)
    publisher = make()
    assert wait_until(lambda: {f"{ROOT}/availability", CONFIG} <= retained(broker).keys())
    monkeypatch.setattr(publisher, "_connect", lambda: None)  # it never gets that far
    publisher.forget()
    assert wait_until(lambda: not publisher.connected)
    publisher.close()
    assert retained(broker) == {}


def test_a_removed_bin_is_there_again_after_its_next_start(broker: Broker, make: Make) -> None:
    removed = make()
    removed.forget()
    assert wait_until(lambda: not retained(broker))
    removed.close()
    make()
    assert wait_until(lambda: CONFIG in retained(broker))
