"""The real things as processes: Mosquitto, a client beside the bin, and the daemon itself."""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from trashbin import resources

WAIT_S = 60.0  # ends as soon as it may; so long only where a dozen processes want each core


def mosquitto() -> str:
    """The broker's path: $MOSQUITTO, or one that is installed."""
    found = os.environ.get("MOSQUITTO") or shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if not found:
        raise RuntimeError("a Mosquitto broker is needed: sudo apt-get install mosquitto")
    return found


def run(*command: str, **variables: str) -> None:
    """Run one of Mosquitto's or the system's tools; ``variables`` are its environment's."""
    broker = Path(mosquitto()).parent  # in a folder of its own where there was no root
    path = f"{os.environ.get('PATH', '')}:/usr/bin:{broker}:{broker.parent}/bin:{broker}/usr/bin"
    done = subprocess.run(
        command, env=os.environ | {"PATH": path} | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"


def as_from_a_terminal() -> None:
    """``preexec_fn``: hear Ctrl-C and a closed terminal, though nohup started the tests."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def end(process: subprocess.Popen[Any], patience_s: float = 10.0) -> None:
    """Ask a process to end; one that does not is killed."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], bool]) -> bool:
    """Look often until it is true; False after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def free_port() -> int:
    """A loopback port that stays free while a broker is away; no process gets one twice.

    The kernel gives those from 32768 on to whoever connects: to a client of the broker, too.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            # a process that another thread starts has this socket, too, for a moment
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            with _giving:
                if port not in _given:
                    _given.add(port)
                    return port


_giving, _given = threading.Lock(), set[int]()


class Broker:
    """One Mosquitto: ``kill`` takes it away as a power cut does, ``start`` brings it back.

    Its configuration is ``text``, with a free loopback port in place of ``listener 8883``.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.host = "localhost"
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        # as root it would change to its own user, who cannot read the test's files
        user = ["user root"] if os.geteuid() == 0 else []
        assert "listener 8883" in text
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        self.config.write_text("\n".join([*user, text]))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = self.folder / "mosquitto.log"
        with path.open("ab") as log:
            before = log.tell()  # it starts again and again
            process = self.process = subprocess.Popen(
                [mosquitto(), "-c", str(self.config)], stdout=log, stderr=log
            )

        def said() -> str:
            return path.read_bytes()[before:].decode(errors="replace")

        # that somebody listens at its port does not tell that this one does
        told = wait_until(lambda: " running" in said() or process.poll() is not None)
        if not told or process.poll() is not None or not self._listens():
            self.kill()
            raise RuntimeError(f"Mosquitto did not start:\n{said()}")

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
        self,
        broker: Broker,
        *filters: str,
        secure: Callable[[Client], None] = lambda client: None,
        client_id: str = "",
    ) -> None:
        self.seen: list[MQTTMessage] = []
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._filters = filters
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv311
        )
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

    def told(self, topic: str) -> list[dict[str, Any]]:
        """What the messages on a topic say in JSON."""
        return [json.loads(message.payload) for message in self.on(topic)]

    def events(self) -> list[dict[str, Any]]:
        """Every event as it came, a repeat too; ``request/events`` is none."""
        told = ("/event", "/event/backlog")
        return [json.loads(m.payload) for m in list(self.seen) if m.topic.endswith(told)]

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


def config(folder: Path, broker: Broker, **changes: Any) -> dict[str, Any]:
    """The demo's bin, publishing to the test's broker; ``changes`` replace whole sections."""
    text = (resources.root() / "config" / "demo.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    found["publisher"] = {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port}
    found["store"] = {"path": str(folder / "store")}
    return found | changes


class Process:
    """The daemon, as systemd would start it; ``program`` is the module that is run."""

    def __init__(self, folder: Path, text: str, program: str = "trashbin") -> None:
        path = folder / "trashbin.yaml"
        path.write_text(text)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(2 * WAIT_S)
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, "run", "--config", str(path)],
                stderr=log,
                stdout=log,
                env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify")},
            )

    def wait_ready(self) -> None:
        assert self._ready.wait(2 * WAIT_S), self.log.read_text()

    def _read(self) -> None:
        """From the start on, as systemd does: else the daemon waits a second at a full socket."""
        with suppress(OSError):
            while told := self.socket.recv(4096):
                if b"READY=1" in told:
                    self._ready.set()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        """As the power does; safe twice."""
        self.process.kill()
        self.process.wait()
        self.socket.close()


Start = Callable[[str | dict[str, Any]], Process]
