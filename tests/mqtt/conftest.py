"""A real Mosquitto on a loopback port of its own, which tests may kill and start again."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

WAIT_S = 15.0


def mosquitto() -> str:
    """The broker's path: $MOSQUITTO, or one that is installed."""
    found = os.environ.get("MOSQUITTO") or shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if not found:
        pytest.fail("these tests need a Mosquitto broker: sudo apt-get install mosquitto")
    return found


def run(*command: str, **variables: str) -> None:
    """Run one of Mosquitto's or the system's tools; ``variables`` are its environment's."""
    broker = Path(mosquitto()).parent  # in a folder of its own where there was no root
    path = f"{os.environ.get('PATH', '')}:/usr/bin:{broker}:{broker.parent}/bin:{broker}/usr/bin"
    done = subprocess.run(
        command, env=os.environ | {"PATH": path} | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"


def wait_until(true: Callable[[], bool]) -> bool:
    """Look often until it is true; False after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


class Broker:
    """One Mosquitto: ``kill`` takes it away as a power cut does, ``start`` brings it back.

    Its configuration is ``text``, with a free loopback port in place of ``listener 8883``.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.host = "localhost"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        # as root it would change to its own user, who cannot read the test's files
        user = ["user root"] if os.geteuid() == 0 else []
        assert "listener 8883" in text
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        self.config.write_text("\n".join([*user, text]))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [mosquitto(), "-c", str(self.config)], stdout=log, stderr=log
            )
        if not wait_until(self._listens):
            pytest.fail(f"Mosquitto did not start:\n{(self.folder / 'mosquitto.log').read_text()}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Listener:
    """A plain MQTT client beside the bin: sees topics, may send. ``secure`` sets TLS and user."""

    def __init__(
        self, broker: Broker, *filters: str, secure: Callable[[Client], None] = lambda client: None
    ) -> None:
        self.seen: list[MQTTMessage] = []
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._filters = filters
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self.client.on_connect = self._subscribe
        self.client.on_subscribe = lambda *_: self._ready.put(None)
        self.client.on_message = lambda client, userdata, message: self.seen.append(message)
        secure(self.client)
        self.client.connect_async(broker.host, broker.port)
        self.client.loop_start()
        self._ready.get(timeout=WAIT_S)

    def _subscribe(self, client: Client, *_: object) -> None:
        client.subscribe([(name, 1) for name in self._filters])

    def send(self, topic: str, payload: str | bytes, retain: bool = False) -> None:
        self.client.publish(topic, payload, 1, retain).wait_for_publish(WAIT_S)

    def on(self, topic: str) -> list[MQTTMessage]:
        return [message for message in self.seen if message.topic == topic]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in list(self.seen) if "/event" in m.topic]

    def wait_for(self, topic: str, payload: bytes) -> bool:
        return wait_until(lambda: any(m.payload == payload for m in self.on(topic)))

    def drop(self) -> None:
        """End without a goodbye, as a power cut does: the broker sends the will."""
        self.client.socket().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def running(folder: Path, *lines: str) -> Iterator[Broker]:
    broker = Broker(folder, "\n".join(["listener 8883", "set_tcp_nodelay true", *lines]))
    with started(broker):
        yield broker


@contextmanager
def started(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


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
