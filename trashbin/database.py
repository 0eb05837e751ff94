"""The event store's file: its tables, opening it, a damaged one set aside, rows read with care.

What the rows mean is ``outbox.py``'s matter; ``history.py`` reads the same file while the
daemon writes it.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from trashbin.errors import StoreError
from trashbin.events import Event

log = logging.getLogger(__name__)

NAME = "events.sqlite"  # in the folder that the configuration names
VERSION = 2
BUSY_S = 5.0  # how long to wait for another process that reads the store

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- AUTOINCREMENT remembers the last seq even when every row was pruned
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    ts TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE pending (seq INTEGER PRIMARY KEY);
CREATE TABLE sorted (
    day TEXT NOT NULL,
    label TEXT NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (day, label)
) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""

# what each version adds to the one before
CHANGES = {
    2: """
BEGIN IMMEDIATE;
ALTER TABLE event ADD COLUMN crc INTEGER;  -- of json; NULL in rows of version 1
CREATE TABLE damaged (seq INTEGER PRIMARY KEY, json BLOB NOT NULL, told INTEGER NOT NULL DEFAULT 0);
PRAGMA user_version = 2;
COMMIT;
"""
}

# as bytes: a flipped one may be no UTF-8, and must not end the query
COLUMNS = "seq, CAST(json AS BLOB), crc"
Row = tuple[int, bytes, int | None]


def checksum(text: str) -> int:
    """The CRC-32 that stands beside an event's JSON."""
    return zlib.crc32(text.encode())


def decoded(row: Row) -> Event | None:
    """The event of a row, or None where the card has altered it since it was written."""
    seq, text, crc = row
    if crc is not None and zlib.crc32(text) != crc:
        return None
    try:
        event = Event.from_json(text)
    except (ValueError, KeyError, TypeError):
        return None  # a row of version 1, without a checksum
    return event if event.seq == seq else None


def opened(path: Path) -> sqlite3.Connection:
    """A connection to a sound store, made where there is none."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _Corrupt(verdict)
        version = _version(db, path)
        if version == 0:
            db.executescript(TABLES)
        for change in range(max(2, version + 1), VERSION + 1):
            db.executescript(CHANGES[change])
        db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (str(uuid4()),))
    except BaseException:
        db.close()
        raise
    return db


def opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also while the daemon writes. StoreError where none is."""
    if not path.is_file():
        raise StoreError(
            f"No event store in {path.parent}: name its folder with --store, "
            "or the bin's YAML with --config."
        )
    uri = path.absolute().as_uri()
    with told(path):
        # a folder that we may not write to, and no daemon at work: there is no log to read
        alone = not path.with_name(f"{path.name}-wal").exists()
        for query in ("mode=ro", "mode=ro&immutable=1")[: 1 + alone]:
            db = sqlite3.connect(f"{uri}?{query}", uri=True, timeout=BUSY_S, isolation_level=None)
            try:
                if _version(db, path) < VERSION:
                    raise StoreError(f"{path}: of an older trashbin; start the daemon once")
            except sqlite3.OperationalError as exc:
                db.close()
                failed = exc
            except BaseException:
                db.close()
                raise
            else:
                return db
        raise failed


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(f"{path}: written by a newer trashbin (store version {version})")
    return int(version)


class _Corrupt(sqlite3.DatabaseError):
    """The file opens, and what is in it is broken."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def code(exc: BaseException | None) -> int:
    """What SQLite says went wrong: the low byte, the rest says it more closely."""
    return getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF


def is_damaged(exc: sqlite3.DatabaseError) -> bool:
    """True where the file is no sound database."""
    return code(exc) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def moved_aside(path: Path) -> Path:
    """Rename a damaged file and its journals; nothing of it is thrown away."""
    suffix = f".damaged-{datetime.now():%Y%m%dT%H%M%S}"
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        if file.exists():
            file.rename(path.with_name(name + suffix))
    return path.with_name(path.name + suffix)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk report into StoreError, with what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        if code(exc) == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"No room for events: the disk of {path} is full. Free some space on it, "
                "or set store: path to a folder on another disk."
            ) from exc
        raise StoreError(f"The event store {path} failed: {exc}") from exc
