"""A bin with a certificate of its own: its key is in no log, no message and no error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client

from tests.support_processes import Broker, Listener, Start, config, wait_until


@pytest.fixture
def operator(tls_broker: Broker) -> Iterator[Listener]:
    folder = tls_broker.folder

    def secure(client: Client) -> None:
        client.tls_set(str(folder / "ca.pem"), str(folder / "bin.pem"), str(folder / "bin.key"))

    with closing(Listener(tls_broker, "#", secure=secure)) as heard:
        yield heard


def secret_lines(key: Path) -> list[str]:
    """What only the key has: its lines without those that every key begins and ends with."""
    return [line for line in key.read_text().splitlines() if line and not line.startswith("-----")]


def publisher(broker: Broker, **tls: Path) -> dict[str, Any]:
    files = {"ca": broker.folder / "ca.pem"} | {
        name: broker.folder / f"bin.{suffix}" for name, suffix in (("cert", "pem"), ("key", "key"))
    }
    return {
        "kind": "mqtt",
        "host": "localhost",
        "port": broker.port,
        "tls": {name: str(path) for name, path in (files | tls).items()},
    }


def test_with_a_certificate_it_is_let_in_and_its_key_goes_nowhere(
    tls_broker: Broker,
    operator: Listener,
    tmp_path: Path,
    start: Start,
) -> None:
    process = start(config(tmp_path, tls_broker, publisher=publisher(tls_broker)))
    process.wait_ready()
    operator.send("trashbin/demo/request/selftest", '{"transaction": "t"}')
    assert wait_until(lambda: bool(operator.on("trashbin/demo/response/selftest")))
    assert wait_until(lambda: bool(operator.on("trashbin/demo/event")))
    assert process.stop() == 0
    said = process.log.read_text()
    said += "".join(str(message.payload) for message in operator.seen)
    assert "trashbin/demo/info" in {message.topic for message in operator.seen}
    assert not [line for line in secret_lines(tls_broker.folder / "bin.key") if line in said]


@pytest.mark.parametrize("place", ["ca", "cert", "password_file"])
def test_a_key_in_a_wrong_place_is_not_told_either(
    tls_broker: Broker,
    tmp_path: Path,
    place: str,
    start: Start,
) -> None:
    key = tls_broker.folder / "bin.key"
    if place == "password_file":
        section = publisher(tls_broker) | {"username": "demo", "password_file": str(key)}
    else:
        section = publisher(tls_broker, **{place: key})
    process = start(config(tmp_path, tls_broker, publisher=section))
    process.wait_ready()
    assert process.stop() == 0
    said = process.log.read_text()
    assert "Traceback" not in said
    assert not [line for line in secret_lines(key) if line in said]
