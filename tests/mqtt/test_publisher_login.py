"""How the publisher comes to a real Mosquitto, by password or TLS, or says why it cannot."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support_processes import Broker, wait_until
from tests.support_publisher import Make, ignore
from trashbin.clock import SystemClock
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.errors import ConfigError
from trashbin.fleet.collector import Collector, Sink
from trashbin.settings import MqttPublisher


def test_a_password_from_a_file(locked_broker: Broker, tmp_path: Path, make: Make) -> None:
    file = tmp_path / "password"
    file.write_text("right\n")
    publisher = make(locked_broker, username="bin", password_file=file)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)


def test_a_refused_password_is_told_once_in_plain_words(
    locked_broker: Broker, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "password"
    file.write_text("s3cret-and-wrong")
    file.chmod(0o600)
    publisher = make(locked_broker, username="bin", password_file=file)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.problem is not None)
    assert "refuses us" in str(publisher.problem)
    assert "publisher.username" in str(publisher.problem)
    log = (locked_broker.folder / "mosquitto.log").read_text
    assert wait_until(lambda: log().count("not authorised") >= 2)  # it tries again
    assert len(caplog.records) == 1
    assert "s3cret" not in caplog.text
    assert not publisher.connected


def test_a_password_that_is_mended_holds_without_a_restart(
    locked_broker: Broker, tmp_path: Path, make: Make
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    file.chmod(0o600)
    publisher = make(locked_broker, username="bin", password_file=file)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.problem is not None)
    file.unlink()  # as an editor does; in between, it has what it had
    log = (locked_broker.folder / "mosquitto.log").read_text
    before = log().count("not authorised")
    assert wait_until(lambda: log().count("not authorised") > before)
    file.write_text("right")
    assert wait_until(lambda: publisher.connected)
    assert publisher.problem is None


@pytest.mark.parametrize(
    ("code", "says", "login"),
    [(2, "identifier", False), (3, "unavailable", False), (4, "password", True)],
)
def test_what_is_to_be_checked_fits_why_a_broker_refuses(
    code: int, says: str, login: bool, make: Make
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = make(host="127.0.0.1", port=server.getsockname()[1])
        publisher.open(ignore)
        asked, _ = server.accept()
        with asked:
            asked.recv(4096)
            asked.sendall(bytes([0x20, 2, 0, code]))  # MQTT 3.1.1's CONNACK
            assert wait_until(lambda: "refuses us" in str(publisher.problem))
        assert says in str(publisher.problem)
        assert ("publisher.username" in str(publisher.problem)) is login


def test_a_broker_that_no_longer_answers_is_told_by_what_it_does_now(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = make(host="127.0.0.1", port=server.getsockname()[1])
        publisher.open(ignore)
        for let_in in (True, False):  # as one that trusts our certificate, and then does not
            asked, _ = server.accept()
            with asked:
                asked.recv(4096)
                if let_in:
                    asked.sendall(bytes([0x20, 2, 0, 0]))
            told = "was lost soon" if let_in else "ended the connection without an answer"
            assert wait_until(lambda told=told: told in str(publisher.problem))  # type: ignore[misc]


def test_a_broker_that_lets_nobody_in_and_does_not_hang_up_is_told_to_hang(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = make(host="127.0.0.1", port=server.getsockname()[1])
        short = {"keepalive_s": 1}  # less than the YAML may say
        publisher._settings = publisher._settings.model_copy(update=short)
        publisher.open(ignore)
        asked, _ = server.accept()
        with asked:
            assert wait_until(lambda: "says nothing" in str(publisher.problem))


def test_two_bins_with_one_id_are_told_so(
    broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    for twin in (make(broker), make(broker)):
        twin.open(ignore)
    assert wait_until(lambda: caplog.text.count("another client has our id trashbin-bin-1") >= 2)
    assert "TLS" not in caplog.text


def test_an_unreachable_broker_is_told_and_tried_again(broker: Broker, make: Make) -> None:
    broker.kill()
    publisher = make(broker)
    publisher.open(ignore)
    assert wait_until(lambda: "refused" in str(publisher.problem))
    broker.start()
    assert wait_until(lambda: publisher.connected)
    assert publisher.problem is None


def test_tls_with_a_client_certificate(tls_broker: Broker, make: Make) -> None:
    folder = tls_broker.folder
    tls = {"ca": folder / "ca.pem", "cert": folder / "bin.pem", "key": folder / "bin.key"}
    publisher = make(tls_broker, tls=tls)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)


def test_tls_refuses_a_stranger(tls_broker: Broker, make: Make) -> None:
    publisher = make(tls_broker, tls={})  # the system's authorities do not know it
    publisher.open(ignore)
    assert wait_until(lambda: "certificate verify failed" in str(publisher.problem))


def test_tls_with_the_wrong_authority_is_told_once(
    tls_broker: Broker, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    publisher = make(tls_broker, tls={"ca": tmp_path / "other.pem"})
    publisher.open(ignore)
    assert wait_until(lambda: "check publisher.tls.ca" in str(publisher.problem))
    log = (tls_broker.folder / "mosquitto.log").read_text
    assert wait_until(lambda: log().lower().count("unknown ca") >= 2)  # it tries again
    assert len(caplog.records) == 1
    assert not publisher.connected


def test_certificates_that_are_exchanged_hold_without_a_restart(
    tls_broker: Broker, tmp_path: Path, make: Make
) -> None:
    folder, other = tls_broker.folder, trustme.CA()
    mine = {"ca": tmp_path / "my-ca.pem", "cert": tmp_path / "mine.pem", "key": tmp_path / "my.key"}
    stranger = other.issue_cert("bin")
    other.cert_pem.write_to_path(mine["ca"])
    stranger.cert_chain_pems[0].write_to_path(mine["cert"])
    stranger.private_key_pem.write_to_path(mine["key"])
    publisher = make(tls_broker, tls=mine)
    publisher.open(ignore)
    assert wait_until(lambda: "check publisher.tls.ca" in str(publisher.problem))
    mine["ca"].write_bytes((folder / "ca.pem").read_bytes())
    log = (folder / "mosquitto.log").read_text
    assert wait_until(lambda: "certificate verify failed" in log()), "that of the stranger, now"
    assert not publisher.connected
    mine["cert"].write_bytes((folder / "bin.pem").read_bytes())  # without its key for a moment
    mine["key"].write_bytes((folder / "bin.key").read_bytes())
    assert wait_until(lambda: publisher.connected)


def test_an_authority_that_is_taken_off_the_disk_is_trusted_no_more(
    tls_broker: Broker, tmp_path: Path, make: Make
) -> None:
    folder, trusted = tls_broker.folder, tmp_path / "ca.pem"
    trusted.write_bytes((folder / "ca.pem").read_bytes())
    keys = {"ca": trusted, "cert": folder / "bin.pem", "key": folder / "bin.key"}
    publisher = make(tls_broker, tls=keys)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    trustme.CA().cert_pem.write_to_path(trusted)
    tls_broker.kill()
    tls_broker.start()
    assert wait_until(lambda: "check publisher.tls.ca" in str(publisher.problem))
    assert not publisher.connected


@pytest.mark.parametrize("tls", [True, False], ids=["without-certificate", "without-tls"])
def test_a_broker_that_wants_a_certificate_is_told_once(
    tls: bool, tls_broker: Broker, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = make(tls_broker, tls={"ca": tls_broker.folder / "ca.pem"} if tls else None)
    publisher.open(ignore)
    assert wait_until(lambda: "publisher.tls.cert" in str(publisher.problem))
    log = (tls_broker.folder / "mosquitto.log").read_text
    assert wait_until(lambda: log().count("error:") >= 3)  # the fixture's own look, and two tries
    assert len(caplog.records) == 1
    assert not publisher.connected


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"username": "bin", "password_file": Path("/nowhere/secret")}, "/nowhere/secret"),
        ({"password_file": Path("/nowhere/secret")}, "/nowhere/secret.*needs a username"),
        ({"tls": {"ca": Path("/nowhere/ca.pem")}}, "/nowhere/ca.pem"),
        ({"tls": {"key": Path(__file__)}}, "without its cert"),
        ({"host": "no..host"}, "no..host"),
    ],
)
def test_what_cannot_work_is_told_at_once(make: Make, keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make(**keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"username": "bin", "password_file": Path("/nowhere")}, "--password-file /nowhere cannot"),
        ({"password_file": Path("/nowhere")}, r"needs a username \(--username\)"),
        ({"tls": {"ca": Path("/nowhere")}}, "--ca cannot be read: .*nowhere"),
        ({"tls": {"ca": Path(__file__)}}, r"TLS cannot be used \(ca .*must be PEM text"),
        ({"tls": {"key": Path(__file__)}}, "--key .*without its cert"),
        ({"host": "no..host"}, "--broker 'no..host' is no host name"),
    ],
)
@pytest.mark.parametrize("command", ["dashboard", "collect"])
def test_who_has_a_command_line_and_no_yaml_is_told_the_option(
    command: str, keys: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        listening(command, tmp_path, kind="mqtt", **keys)


@pytest.mark.parametrize("command", ["dashboard", "collect"])
@pytest.mark.parametrize(
    ("ca", "says"),
    [
        ("other.pem", "certificate verify failed.*; check --ca, --broker and the clock; trying"),
        ("ca.pem", r"ended the connection without an answer: .*TLS \(--ca\), or a client cert"),
        (None, r"ended the connection without an answer: .*TLS \(--ca\), or a client cert"),
    ],
)
def test_page_and_collector_say_once_what_the_broker_may_want(
    command: str,
    ca: str | None,
    says: str,
    tls_broker: Broker,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trustme.CA().cert_pem.write_to_path(tls_broker.folder / "other.pem")
    tls = {"ca": tls_broker.folder / ca} if ca else None
    client = listening(command, tmp_path, kind="mqtt", tls=tls)._client
    client.connect_async("localhost", tls_broker.port)
    client.loop_start()
    log = (tls_broker.folder / "mosquitto.log").read_text
    before = log().count("rror:")
    try:
        assert wait_until(lambda: log().count("rror:") >= before + 3)  # it tries again
    finally:
        client.loop_stop()
    (record,) = caplog.records
    assert re.search(says, record.message), record.message


@pytest.mark.parametrize("command", ["dashboard", "collect"])
def test_page_and_collector_say_once_that_their_password_is_refused(
    command: str, locked_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    (tmp_path / "wrong").chmod(0o600)
    user: dict[str, Any] = {"username": "bin", "password_file": tmp_path / "wrong"}
    client = listening(command, tmp_path, kind="mqtt", **user)._client
    client.connect_async("localhost", locked_broker.port)
    client.loop_start()
    log = (locked_broker.folder / "mosquitto.log").read_text
    try:
        assert wait_until(lambda: log().count("not authorised") >= 3)
    finally:
        client.loop_stop()
    (record,) = caplog.records
    assert "refuses" in record.message and "password" in record.message


def listening(command: str, folder: Path, **keys: Any) -> Watch | Collector:
    """What hears the bins for that command."""
    section = MqttPublisher(**keys)
    if command == "collect":
        sink: Sink = None  # type: ignore[assignment]  # nothing is written
        return Collector(section, sink, SystemClock())
    return Watch(Archive(folder / NAME), section)


def test_a_wrong_certificate_or_key_is_told_at_once(tmp_path: Path, make: Make) -> None:
    own, other = (trustme.CA().issue_cert("bin") for _ in range(2))
    cert, key, locked = (tmp_path / name for name in ("bin.pem", "other.key", "locked.key"))
    own.cert_chain_pems[0].write_to_path(cert)
    other.private_key_pem.write_to_path(key)
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    for wrong, says in (
        (tmp_path / "none.key", r"publisher\.tls\.key cannot be read: .*none\.key"),
        (cert, "the one that cert was made with"),
        (key, "the one that cert was made with"),
        (locked, "without a password"),
    ):
        with pytest.raises(ConfigError, match=says):
            make(tls={"cert": cert, "key": wrong})


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])  # as an editor of Windows begins it
def test_everybody_reading_the_password_is_warned_of(
    locked_broker: Broker,
    tmp_path: Path,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    bom: bytes,
) -> None:
    file = tmp_path / "password"
    file.write_bytes(bom + b"right\r\nand a note\n")
    file.chmod(0o604)
    publisher = make(locked_broker, username="bin", password_file=file)
    publisher.open(ignore)
    assert wait_until(lambda: publisher.connected)
    assert "can be read by every user" in caplog.text
    caplog.clear()
    file.chmod(0o640)
    make(locked_broker, username="bin", password_file=file)
    assert not caplog.records


def test_a_file_that_can_be_no_password_is_told_at_once(tmp_path: Path, make: Make) -> None:
    long, pipe = tmp_path / "long", tmp_path / "pipe"
    long.write_bytes(b"x" * 70_000)  # more than MQTT can say: it would end paho's thread
    os.mkfifo(pipe)
    for file, says in ((long, "too long for a password"), (pipe, "no regular file")):
        with pytest.raises(ConfigError, match=says):
            make(username="bin", password_file=file)


def test_a_password_that_is_no_text_is_not_told(tmp_path: Path, make: Make) -> None:
    (tmp_path / "password").write_bytes(b"s3cret\xff")
    with pytest.raises(ConfigError, match="not UTF-8 text") as told:
        make(username="bin", password_file=tmp_path / "password")
    assert told.value.__cause__ is None
