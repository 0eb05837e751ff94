"""A real Mosquitto on a loopback port of its own, which tests may kill and start again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support_processes import Broker, run, running
from tests.support_publisher import Make, context
from trashbin.devices.mqtt import MqttPublisher
from trashbin.outbox import Outbox
from trashbin.settings import MqttPublisher as MqttSettings


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Lets anybody in."""
    with running(tmp_path, "allow_anonymous true") as broker:
        yield broker


@pytest.fixture
def locked_broker(tmp_path: Path) -> Iterator[Broker]:
    """Lets in only the user ``bin`` with the password ``right``."""
    passwords = tmp_path / "passwords"
    passwords.write_text("bin:right\n")
    run("mosquitto_passwd", "-U", str(passwords))
    with running(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        yield broker


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[Broker]:
    """Speaks TLS and asks for a client certificate; ca, cert and key lie in its folder."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, made in (("server", ca.issue_cert("localhost")), ("bin", ca.issue_cert("bin"))):
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    with running(
        tmp_path,
        "allow_anonymous true",
        "require_certificate true",
        f"cafile {tmp_path / 'ca.pem'}",
        f"certfile {tmp_path / 'server.pem'}",
        f"keyfile {tmp_path / 'server.key'}",
    ) as broker:
        yield broker


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "events.sqlite")
    yield box
    box.close()


@pytest.fixture
def make(outbox: Outbox) -> Iterator[Make]:
    """Make publishers for a broker; each is closed at the end."""
    made: list[MqttPublisher] = []

    def make(broker: Broker | None = None, **keys: Any) -> MqttPublisher:
        if broker is not None:
            keys = {"host": broker.host, "port": broker.port} | keys
        made.append(MqttPublisher(MqttSettings(kind="mqtt", **keys), context(outbox)))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()
