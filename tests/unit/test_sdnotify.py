"""What systemd reads from the daemon, at a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from trashbin.sdnotify import Notifier
from trashbin.status import Status


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    abstract = request.param == "abstract"
    name = f"trashbin-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name if abstract else name)
        receiver.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        yield receiver


def test_every_word_arrives_and_a_status_is_told_once(systemd: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready()
    notifier.progress(Status.IDLE)
    notifier.progress(Status.IDLE)
    notifier.progress(Status.HOLDING)
    notifier.stopping()
    assert [systemd.recv(200) for _ in range(5)] == [
        b"READY=1",
        b"WATCHDOG=1\nSTATUS=idle",
        b"WATCHDOG=1",
        b"WATCHDOG=1\nSTATUS=holding",
        b"STOPPING=1",
    ]


def test_without_systemd_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", None)  # to use it would raise
    notifier = Notifier()
    notifier.ready()
    notifier.progress(Status.IDLE)
    notifier.stopping()
    assert not caplog.records


def test_a_manager_that_is_gone_is_logged_and_survived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Notifier().ready()
    assert "READY=1" in caplog.text
