"""A real Mosquitto on a loopback port of its own, which tests may kill and start again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.support_processes import Broker, Listener, Process, Start, run, running, started
from tests.support_publisher import Make, context
from trashbin import resources
from trashbin.devices.mqtt import MqttPublisher
from trashbin.outbox import Outbox
from trashbin.settings import MqttPublisher as MqttSettings

SHIPPED = resources.root() / "config" / "mosquitto"
USERS = ("operator", "homeassistant", "dashboard", "demo", "bin-2")


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


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker set up by the README's own commands; only its folder and port are others."""
    folder = tmp_path_factory.mktemp("mosquitto")
    for name in ("trashbin.conf", "acl"):
        shutil.copy(SHIPPED / name, folder)
    blocks = re.findall(r"```bash\n(.*?)```", (SHIPPED / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        script = f"set -eu; cd {folder}\n{block}"
        run("bash", "-c", script, HOST="localhost", USERS=" ".join(USERS))
    text = (folder / "trashbin.conf").read_text()
    with started(Broker(folder, text.replace("/etc/mosquitto/trashbin", str(folder)))) as broker:
        yield broker


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    """Hears all that the bins say."""
    heard = Listener(broker, "trashbin/#")
    yield heard
    heard.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start daemons in the test's folder, one after another; each is killed at the end."""
    made: list[Process] = []

    def begin(content: str | dict[str, Any]) -> Process:
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        made.append(Process(tmp_path, text))
        return made[-1]

    yield begin
    for process in made:
        process.kill()


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
