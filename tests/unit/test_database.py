"""The store's file, altered where SQLite itself sees nothing wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support_events import an_event
from trashbin import database
from trashbin.errors import NoStoreError, StoreError
from trashbin.outbox import Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound store of three events."""
    path = tmp_path / database.NAME
    box = Outbox(path)
    for _ in range(3):
        box.append(an_event())
    box.close()
    return path


def changed(path: Path, statement: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()


def test_pages_that_contradict_each_other_are_damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[39] += 1  # how many pages are free: every query would still be answered
    path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        database.opened(path)
    assert database.is_damaged(raised.value)
    box = Outbox(path)
    assert box.append(an_event()).seq == 1
    assert box.lost_file is not None
    box.close()


@pytest.mark.parametrize("counted", [database.NO_SEQ, 2**63 - 1])
def test_a_count_that_no_bin_reaches_is_damage(path: Path, counted: int) -> None:
    changed(path, f"UPDATE meta SET value = '{counted}' WHERE key = 'counted'")
    box = Outbox(path)
    with pytest.raises(StoreError, match="is no seq"):
        box.append(an_event())
    assert box.append(an_event()).seq == 1
    box.close()


def test_a_lost_count_is_the_newest_event(path: Path) -> None:
    changed(path, "DELETE FROM meta WHERE key = 'counted'")
    box = Outbox(path)
    assert (box.last_seq(), box.append(an_event()).seq) == (3, 4)
    box.close()


def test_an_event_in_the_place_of_another_is_damaged(path: Path) -> None:
    changed(path, "UPDATE event SET seq = 9 WHERE seq = 2")
    box = Outbox(path)
    assert [event.seq for event in box.span(0, 10)] == [1, 3]
    box.close()


@pytest.mark.parametrize("older", [False, True])
def test_a_store_that_another_process_makes_meanwhile_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    path, real = tmp_path / database.NAME, database._version
    if older:
        database.opened(path).close()
        for table, columns in {
            "event": "seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id, ts, json, crc",
            "damaged": "seq INTEGER PRIMARY KEY, json, told",
        }.items():
            changed(path, f"DROP TABLE {table}")
            changed(path, f"CREATE TABLE {table} ({columns})")
        changed(path, "PRAGMA user_version = 2")

    def meanwhile(db: sqlite3.Connection, of: Path) -> int:
        found = real(db, of)
        monkeypatch.setattr(database, "_version", real)
        database.opened(path).close()
        return found

    monkeypatch.setattr(database, "_version", meanwhile)
    with closing(database.opened(path)) as db:
        assert database.last_seq(db) == 0 and not db.in_transaction
    assert database._version is real


def test_who_begins_a_store_waits_for_who_begins_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / database.NAME, sqlite3.connect
    with closing(real(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        class Second(sqlite3.Connection):
            def execute(self, *given: Any) -> sqlite3.Cursor:
                try:
                    return super().execute(*given)
                finally:
                    if other.in_transaction and "journal_mode" in given[0]:
                        other.rollback()

        monkeypatch.setattr(sqlite3, "connect", lambda *a, **keys: real(*a, **keys, factory=Second))
        with closing(database.opened(path)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_that_is_only_being_made_is_none_yet(tmp_path: Path) -> None:
    path = tmp_path / database.NAME
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        with pytest.raises(NoStoreError, match="Before its first start"):
            database.opened_to_read(path)


class Shut(sqlite3.Connection):
    """As who may not write to the folder has it: SQLite cannot make the files that it shares."""

    def execute(self, *_: Any) -> sqlite3.Cursor:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error


def read_by_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    real = sqlite3.connect

    def connect(name: str, **keys: Any) -> sqlite3.Connection:
        return real(name, factory=sqlite3.Connection if "immutable" in name else Shut, **keys)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", connect)
        with closing(database.opened_to_read(path)) as db:
            return database.last_seq(db)


def test_who_may_only_read_sees_what_a_stopped_bin_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_by_others(path, monkeypatch) == 3
    # a log that cannot be read may hold the newest events: better none than without those
    path.with_name(f"{path.name}-wal").touch()
    with pytest.raises(StoreError, match="use sudo"):
        read_by_others(path, monkeypatch)


CODES = {
    "full": sqlite3.SQLITE_FULL,
    "journal": sqlite3.SQLITE_IOERR,
    "shared memory": sqlite3.SQLITE_IOERR | 19 << 8,
    "no file": sqlite3.SQLITE_CANTOPEN,
    "read-only": sqlite3.SQLITE_READONLY,
    "busy": sqlite3.SQLITE_BUSY,
}


@pytest.mark.parametrize(
    ("what", "free_kb", "words"),
    [
        ("full", 10_000, "disk of .* is full"),
        ("journal", 0, "disk of .* is full"),
        ("journal", 63, "disk of .* is full"),
        ("journal", 65, "failed: why. .* become read-only"),
        ("shared memory", 0, "disk of .* is full"),
        ("no file", 0, "disk of .* is full"),
        ("no file", 10_000, "use sudo"),
        ("read-only", 10_000, "use sudo"),
        ("busy", 0, "failed: why$"),
    ],
)
def test_what_sqlite_reports_is_told_with_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, what: str, free_kb: int, words: str
) -> None:
    disk = SimpleNamespace(f_bavail=free_kb, f_frsize=1024)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    error = sqlite3.OperationalError("why")
    error.sqlite_errorcode = CODES[what]
    with pytest.raises(StoreError, match=words), database.told(path):
        raise error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EACCES, "use sudo"),
        (errno.EPERM, "use sudo"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "failed: .*why. .* become read-only"),
    ],
)
def test_what_the_disk_reports_is_told_with_what_to_do(path: Path, number: int, words: str) -> None:
    with pytest.raises(StoreError, match=words), database.told(path):
        raise OSError(number, "why")
