"""What the doctor says where the broker's TLS, login, rules or silence keep the bin out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support_processes import Broker, running
from trashbin.doctor import network
from trashbin.doctor.network import Heard
from trashbin.doctor.report import Finding, Level
from trashbin.errors import ExitCode
from trashbin.settings import MqttPublisher


def checked(port: int, host: str = "localhost", **keys: Any) -> dict[str, Finding]:
    section = MqttPublisher(kind="mqtt", host=host, port=port, **keys)
    return {each.check: each for each in network.check(section, "bin-1", False, Heard())}


def last(found: dict[str, Finding]) -> Finding:
    """The stage that failed: none comes after it."""
    assert [each.check for each in found.values() if each.level is Level.BAD] == [[*found][-1]]
    return [*found.values()][-1]


@contextmanager
def secured(folder: Path, days: int, *more: str) -> Iterator[Broker]:
    """With a certificate that ends in so many days, of the authority in ca.pem."""
    ca, now = trustme.CA(), datetime.now(UTC)
    ends = {"not_before": now - timedelta(days=99), "not_after": now + timedelta(days=days)}
    made = ca.issue_cert("localhost", **ends)
    ca.cert_pem.write_to_path(folder / "ca.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    files = [f"{what}file {folder}/{what}.pem" for what in ("cert", "key")]
    with running(
        folder, "allow_anonymous true", f"cafile {folder}/ca.pem", *files, *more
    ) as broker:
        yield broker


@pytest.mark.parametrize(("days", "level"), [(99, Level.GOOD), (9, Level.WARNING)])
def test_a_certificate_that_soon_ends_is_told_while_all_is_well(
    tmp_path: Path, days: int, level: Level
) -> None:
    with secured(tmp_path, days) as broker:
        found = checked(broker.port, tls={"ca": tmp_path / "ca.pem"})
    assert found["broker tls"].level is level
    assert f"{days - 1} " in found["broker tls"].found
    assert found["broker publish"].level is Level.GOOD


def test_a_broker_that_cannot_show_that_it_is_the_one_is_not_spoken_to(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with secured(tmp_path, 99) as broker:
        for host, ca in (("localhost", "other.pem"), ("127.0.0.1", "ca.pem")):
            told = last(checked(broker.port, host, tls={"ca": tmp_path / ca}))
            assert (told.check, told.exit_code) == ("broker tls", ExitCode.UNREACHABLE)
            assert "not trusted" in told.found
        told = last(checked(broker.port, tls={"ca": tmp_path / "none.pem"}))
        assert (told.check, told.exit_code) == ("broker tls", ExitCode.BAD_USAGE)
        assert "none.pem" in told.found
    (tmp_path / "over").mkdir()
    with secured(tmp_path / "over", -1) as broker:
        told = last(checked(broker.port, tls={"ca": tmp_path / "over/ca.pem"}))
        assert "expired" in told.found


def test_the_systems_authorities_are_trusted_where_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with secured(tmp_path, 99) as broker:
        assert checked(broker.port, tls={})["broker publish"].level is Level.GOOD
        told = last(checked(broker.port, tls={"ca": tmp_path / "other.pem"}))
        assert "not trusted" in told.found


def test_what_a_broker_may_want_that_ends_each_connection_fits_what_it_has(
    tmp_path: Path, broker: Broker
) -> None:
    told = last(checked(broker.port, tls={}))
    assert "no TLS at this port" in told.found and "port" in told.do
    with secured(tmp_path, 99, "require_certificate true") as secure:
        told = last(checked(secure.port))
        assert told.check == "broker mqtt" and "It may want TLS" in told.do
        told = last(checked(secure.port, tls={"ca": tmp_path / "ca.pem"}))
        assert told.check == "broker mqtt" and "certificate of the bin's" in told.do


def test_a_wrong_login_is_told_as_one(tmp_path: Path, locked_broker: Broker) -> None:
    (tmp_path / "password").write_text("wrong")
    keys = {"username": "bin", "password_file": tmp_path / "password"}
    told = last(checked(locked_broker.port, **keys))
    assert told.check == "broker mqtt" and "username" in told.do
    (tmp_path / "password").unlink()
    told = last(checked(locked_broker.port, **keys))
    assert (told.check, told.exit_code) == ("broker mqtt", ExitCode.BAD_USAGE)
    assert "password_file" in told.found and "sudo" in told.do


def answering(server: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    """Take connections, and answer each packet."""
    with suppress(OSError):  # the test is over
        while True:
            asked, _ = server.accept()
            with asked:
                while packet := asked.recv(4096):
                    asked.sendall(answer(packet))


@pytest.mark.parametrize(
    ("codes", "check", "told"),
    [
        (None, "broker mqtt", "no answer"),
        ([128, 1, 1, 1, 1], "broker subscribe", "refused: trashbin/bin-1/request/+"),
        ([1, 128, 1, 1, 1], "broker subscribe", "refused: trashbin/bin-1/availability"),
        ([1, 1, 128, 128, 128], "broker publish", "availability did not come back"),
        ([], "broker subscribe", "no answer"),
    ],
)
def test_a_broker_that_says_nothing_or_lets_us_hear_or_say_nothing(
    monkeypatch: pytest.MonkeyPatch, codes: list[int] | None, check: str, told: str
) -> None:
    def answer(packet: bytes) -> bytes:
        if packet[0] == 0x10 and codes is not None:  # CONNECT: come in
            return bytes([0x20, 2, 0, 0])
        if packet[0] == 0x82 and codes:  # SUBSCRIBE
            return bytes([0x90, 2 + len(codes), *packet[2:4], *codes])
        return b""

    monkeypatch.setattr(network, "ANSWER_S", 2.0 if codes is not None else 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answering, args=[server, answer], daemon=True).start()
        found = last(checked(server.getsockname()[1], "127.0.0.1"))
        server.shutdown(socket.SHUT_RDWR)
    assert (found.check, found.exit_code) == (check, ExitCode.UNREACHABLE)
    assert told in found.found
