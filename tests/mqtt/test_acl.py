"""The broker as shipped in config/mosquitto: who gets in, and who may say what to whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support_cli import spawn
from tests.support_processes import Broker, Listener, Start, config, wait_until
from trashbin.outbox import Outbox


def password(broker: Broker, user: str) -> str:
    return (broker.folder / f"{user}.password").read_text().strip()


@pytest.fixture
def join(shipped: Broker) -> Iterator[Callable[..., Listener]]:
    """Connect with a user's own credentials."""
    made: list[Listener] = []

    def join(user: str, *filters: str, will: str | None = None, client_id: str = "") -> Listener:
        def secure(client: Client) -> None:
            if will is not None:
                client.will_set(will, "forged by bin-2", 1, True)
            client.tls_set(str(shipped.folder / "ca.crt"))
            client.username_pw_set(user, password(shipped, user))

        made.append(Listener(shipped, *filters, secure=secure, client_id=client_id))
        return made[-1]

    yield join
    for listener in made:
        listener.close()


def publisher(broker: Broker, **changes: Any) -> dict[str, Any]:
    """The section of a bin that is to use the shipped broker."""
    return {
        "kind": "mqtt",
        "host": "localhost",
        "port": broker.port,
        "username": "demo",
        "password_file": str(broker.folder / "demo.password"),
        "tls": {"ca": str(broker.folder / "ca.crt")},
    } | changes


def let_in(broker: Broker, user: str | None, word: str | None = None) -> bool:
    """What the broker answers to one attempt to connect."""
    answers: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.on_connect = lambda c, u, f, reason, p: answers.append(not reason.is_failure)
    client.tls_set(str(broker.folder / "ca.crt"))
    if user is not None:
        client.username_pw_set(user, word)
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert wait_until(lambda: bool(answers))
    client.disconnect()
    client.loop_stop()
    return answers[0]


def test_only_who_has_the_password_gets_in(shipped: Broker) -> None:
    right = password(shipped, "demo")
    assert let_in(shipped, "demo", right)
    assert not let_in(shipped, "demo", password(shipped, "bin-2"))
    assert not let_in(shipped, "nobody", right)
    for user, word in ((None, None), ("demo", None), ("demo", ""), ("", ""), ("+", right)):
        assert not let_in(shipped, user, word), user


def test_a_bin_is_alone_with_its_own_topics(
    shipped: Broker,
    join: Callable[..., Listener],
    tmp_path: Path,
    start: Start,
) -> None:
    operator = join("operator", "trashbin/#", "homeassistant/#")
    process = start(config(tmp_path, shipped, publisher=publisher(shipped)))
    process.wait_ready()
    # with the right credentials: online, events, an answer
    assert operator.wait_for("trashbin/demo/availability", b"online")
    assert wait_until(lambda: bool(operator.on("trashbin/demo/event")))
    stranger = join("bin-2", "#", "trashbin/demo/#", "trashbin/demo/request/+")  # retained too

    def ask(verb: str, **keys: Any) -> dict[str, Any]:
        topic = f"trashbin/demo/response/{verb}"
        before = len(operator.on(topic))
        operator.send(f"trashbin/demo/request/{verb}", json.dumps(keys))
        assert wait_until(lambda: len(operator.on(topic)) > before)
        return operator.told(topic)[-1]

    assert ask("mode", mode="advisory", transaction="1")["transaction"] == "1"

    # another bin's: cannot ask, cannot pose as it
    forged = b"forged by bin-2"
    stranger.send("trashbin/demo/request/mode", '{"mode": "paused"}')
    tells = ("event", "event/backlog", "availability", "info", "state", "health", "response/mode")
    for topic in tells:
        stranger.send(f"trashbin/demo/{topic}", forged, retain=True)
    stranger.send("trashbin/demo/image/last", forged)
    stranger.send("homeassistant/device/demo/config", forged)
    stranger.send("homeassistant/status", forged)
    stranger.send("trashbin/bin-2/request/look", forged)  # not even to itself
    dying = join("bin-2", "trashbin/bin-2/request/+", will="trashbin/demo/availability")
    dying.drop()
    stranger.send("trashbin/bin-2/event", b"the last of them")
    assert operator.wait_for("trashbin/bin-2/event", b"the last of them")  # order is kept
    assert not [message for message in operator.seen if message.payload == forged]
    assert ask("identify")["status"] == "ok"
    assert len(operator.on("trashbin/demo/response/mode")) == 1
    assert operator.told("trashbin/demo/state")[-1]["mode"] == "advisory"

    # nor can it read
    operator.send("trashbin/bin-2/request/look", b"to bin-2")
    assert stranger.wait_for("trashbin/bin-2/request/look", b"to bin-2")
    assert {message.topic for message in stranger.seen} == {"trashbin/bin-2/request/look"}

    # Home Assistant finds the bin, is told again when it starts, and may let it be forgotten
    discovery = "homeassistant/device/demo/config"
    home = join("homeassistant", "homeassistant/#", "trashbin/#")
    assert wait_until(lambda: len(home.on(discovery)) == 1)
    home.send("homeassistant/status", b"online")
    assert wait_until(lambda: len(home.on(discovery)) == 2)
    home.send(discovery, b"", retain=True)
    assert home.wait_for(discovery, b"")
    operator.send(discovery, forged)
    home.send("trashbin/demo/event", forged)
    home.send("trashbin/demo/request/mode", '{"mode": "advisory"}')
    assert wait_until(lambda: len(operator.on("trashbin/demo/response/mode")) == 2)
    assert not [message for message in home.seen if message.payload == forged]

    # a screen sees all and asks nothing
    screen = join("dashboard", "trashbin/#")
    screen.send("trashbin/demo/request/mode", '{"mode": "paused"}')
    assert wait_until(lambda: bool(screen.on("trashbin/demo/event")))
    assert not screen.on("trashbin/demo/request/mode")

    # and the password went nowhere
    assert process.stop() == 0
    secret = password(shipped, "demo")
    assert secret not in process.log.read_text()
    assert not [message for message in operator.seen if secret.encode() in message.payload]
    assert operator.on("trashbin/demo/info")


def test_who_takes_a_bins_client_id_gets_none_of_its_rights_and_loses_it_nothing(
    shipped: Broker,
    join: Callable[..., Listener],
    tmp_path: Path,
    start: Start,
) -> None:
    operator = join("operator", "trashbin/demo/#")
    process = start(config(tmp_path, shipped, publisher=publisher(shipped)))
    process.wait_ready()
    assert operator.wait_for("trashbin/demo/availability", b"online")
    thief = join(
        "bin-2", "trashbin/demo/request/+", client_id="trashbin-demo"
    )  # the broker drops the bin
    assert operator.wait_for("trashbin/demo/availability", b"offline")  # by the bin's own will
    thief.send("trashbin/demo/event", b"forged by bin-2")
    thief.close()

    def answered() -> bool:
        operator.send("trashbin/demo/request/identify", "{}")
        return bool(operator.on("trashbin/demo/response/identify"))

    assert wait_until(answered)
    assert operator.on("trashbin/demo/availability")[-1].payload == b"online"
    assert not [m for m in thief.seen if m.topic.startswith("trashbin/demo")]
    assert b"forged by bin-2" not in {message.payload for message in operator.seen}

    def whole() -> bool:
        seqs = {event["seq"] for event in operator.events()}
        return bool(seqs) and seqs == set(range(1, max(seqs) + 1))

    assert wait_until(whole)
    assert process.stop() == 0


def test_with_anothers_credentials_nothing_is_sent_and_nothing_lost(
    shipped: Broker,
    tmp_path: Path,
    join: Callable[..., Listener],
    start: Start,
) -> None:
    operator = join("operator", "trashbin/#")
    wrong = {"username": "bin-2", "password_file": str(shipped.folder / "bin-2.password")}
    process = start(config(tmp_path, shipped, publisher=publisher(shipped, **wrong)))
    process.wait_ready()
    assert wait_until(lambda: "device.id (demo)" in process.log.read_text())
    assert process.stop() == 0
    log = process.log.read_text()
    assert "Traceback" not in log and password(shipped, "bin-2") not in log
    with closing(Outbox(tmp_path / "store" / "events.sqlite")) as outbox:
        assert outbox.depth() == outbox.last_seq() > 0

    (tmp_path / "notify").unlink()
    process = start(config(tmp_path, shipped, publisher=publisher(shipped)))
    assert wait_until(lambda: 1 in {event["seq"] for event in operator.events()})
    assert process.stop() == 0


def test_a_password_in_the_wrong_place_is_not_told_either(
    shipped: Broker,
    tmp_path: Path,
    join: Callable[..., Listener],
    start: Start,
) -> None:
    operator = join("operator", "trashbin/#")
    wrong = config(tmp_path, shipped, publisher=publisher(shipped))
    wrong["store"] |= {"password": "hunter2-in-yaml", "history_days": "many"}
    process = start(wrong)
    process.wait_ready()
    assert wait_until(
        lambda: any(b"mistake(s)" in m.payload for m in operator.on("trashbin/demo/state"))
    )
    assert process.stop() == 0
    checked = spawn("check-config", tmp_path / "trashbin.yaml")
    assert checked.returncode == 2 and "password" in checked.stdout + checked.stderr
    said = process.log.read_text() + checked.stdout + checked.stderr
    said += "".join(str(message.payload) for message in operator.seen)
    for secret in ("hunter2", password(shipped, "demo")):
        assert secret not in said
