"""The event store's file: its tables, opening it, a damaged one moved aside, rows read with care.

``store_file.py`` keeps it open for the daemon, what the rows mean is ``outbox.py``'s matter;
``history.py`` reads the same file while the daemon writes it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from trashbin.errors import NewerStoreError, NoStoreError, OlderStoreError, StoreError
from trashbin.events import Event

NAME = "events.sqlite"  # in the folder that the configuration names
VERSION = 4
LOG_PAGES = 128  # of the write-ahead log before it is written into the file: half a megabyte
NO_SEQ = 2**62  # and above: no bin lives so long, the card has altered it
FIRST_DATE = "2026"  # no clock that shows an earlier year is right: the Pi's starts in 1970
NEARLY_FULL = 64 * 1024  # bytes free on a disk below which SQLite's vaguer errors mean "full"
WHERE_NOT_ALLOWED = (
    ". Its folder belongs to the bin's user: use sudo. Where that user may not write to it "
    "either, the disk may have become read-only (dmesg tells): take another card."
)
WHERE_BROKEN = (
    ". Its disk may be broken, or have become read-only (dmesg tells): take another disk or card."
)
DAMAGED_KEPT = 3  # files: each may be as large as the store's cap, and a dying card damages more
BUSY_S = 5.0  # how long to wait for another process that reads the store, or makes it
AGAIN_S = 0.01

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- up to which seq ``sorted`` counts; no event after it was ever forgotten
INSERT INTO meta VALUES ('counted', '0');
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    ts TEXT NOT NULL,
    json TEXT NOT NULL,
    crc INTEGER,  -- of json; NULL in rows of version 1
    -- of an item event: float16, little-endian, what the network's pooling layer gave
    features BLOB
);
CREATE TABLE pending (seq INTEGER PRIMARY KEY);
CREATE TABLE sorted (
    day TEXT NOT NULL,
    label TEXT NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (day, label)
) WITHOUT ROWID;
CREATE TABLE damaged (
    seq INTEGER PRIMARY KEY,
    json BLOB NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    ts TEXT  -- the event's
);
PRAGMA user_version = 4;
COMMIT;
"""

# what each version adds to the one before; the first had neither ``crc`` and ``features`` nor
# ``damaged``, and AUTOINCREMENT, which stays in its stores and costs them a page an event
CHANGES = {
    2: """
BEGIN IMMEDIATE;
ALTER TABLE event ADD COLUMN crc INTEGER;
CREATE TABLE damaged (seq INTEGER PRIMARY KEY, json BLOB NOT NULL, told INTEGER NOT NULL DEFAULT 0);
PRAGMA user_version = 2;
COMMIT;
""",
    3: """
BEGIN IMMEDIATE;
ALTER TABLE event ADD COLUMN features BLOB;
ALTER TABLE damaged ADD COLUMN ts TEXT;
UPDATE damaged SET ts = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
PRAGMA user_version = 3;
COMMIT;
""",
    4: """
BEGIN IMMEDIATE;
INSERT OR REPLACE INTO meta SELECT 'counted', max(
    coalesce((SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = 'event'), 0),
    coalesce((SELECT max(seq) FROM event), 0)
);
PRAGMA user_version = 4;
COMMIT;
""",
}

SHAPE = (
    "key, value FROM meta",
    "key, value FROM setting",
    "seq, event_id, ts, json, crc, features FROM event",
    "seq FROM pending",
    "day, label, items FROM sorted",
    "seq, json, told, ts FROM damaged",
)

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


def counted(db: sqlite3.Connection) -> int:
    """Up to which ``seq`` the file counts what was sorted."""
    row = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'counted'").fetchone()
    return _newest(db) if row is None else int(row[0])


def last_seq(db: sqlite3.Connection) -> int:
    """The newest event's ``seq``, also where it is no longer kept; 0 in a new store."""
    seq = max(counted(db), _newest(db))
    if not 0 <= seq < NO_SEQ:
        raise _Corrupt(f"{seq} is no seq")
    return seq


def _newest(db: sqlite3.Connection) -> int:
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    return int(seq)


def newest_before(db: sqlite3.Connection, moment: str, now: str) -> int:
    """The last ``seq`` that is older than a moment; 0 where none is.

    The clock may be wrong: an event dated before there was this program is as old as the
    next one with a possible date, and one dated after ``now`` ages no other.
    """
    (young,) = db.execute(  # as events lie by age, this reads but a few rows
        "SELECT coalesce((SELECT seq FROM event WHERE ts BETWEEN ? AND ? ORDER BY seq LIMIT 1), ?)",
        (moment, now, NO_SEQ),
    ).fetchone()
    (old,) = db.execute(
        "SELECT coalesce(max(seq), 0) FROM event WHERE seq < ? AND ts BETWEEN ? AND ?",
        (young, FIRST_DATE, moment),
    ).fetchone()
    return int(old)


def keep_damaged(db: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Copy damaged events to where nobody takes them for events."""
    db.executemany(
        "INSERT OR IGNORE INTO damaged (seq, json, ts) "
        "SELECT seq, CAST(json AS BLOB), ts FROM event WHERE seq = ?",
        [(seq,) for seq in seqs],
    )


def used(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; both figures stand in its header."""
    (size,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def opened(path: Path) -> sqlite3.Connection:
    """A connection to a sound store, made where there is none."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    try:
        _keep_log(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _Corrupt(verdict)
        _bring_up(db, path)
        for columns in SHAPE:
            db.execute(f"SELECT {columns} LIMIT 0")
        db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (str(uuid4()),))
    except BaseException as exc:
        db.close()
        if isinstance(exc, sqlite3.OperationalError) and "no such " in str(exc):
            raise _Corrupt(str(exc)) from exc  # a flipped byte in a name
        if isinstance(exc, UnicodeDecodeError):  # of SQLite's message, which quotes such a name
            raise _Corrupt("a name in it is no text") from exc
        raise
    return db


def _keep_log(db: sqlite3.Connection) -> None:
    """Write ahead into a log; the one thing for which SQLite waits for no other process."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if _code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_S)


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or change those of an older version; another process may do it meanwhile."""
    while (version := _version(db, path)) < VERSION:
        try:
            db.executescript(CHANGES[max(2, version + 1)] if version else TABLES)
        except sqlite3.Error:
            db.rollback()
            if _version(db, path) == version:
                raise


def opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also while the daemon writes.

    NoStoreError where no store was made yet, StoreError where it cannot be read.
    """
    with told(path):
        is_there = path.is_file()
    if not is_there:
        if blocked := in_the_way(path):
            raise StoreError(f"The event store {path} cannot be there: {blocked}.")
        raise NoStoreError(path.parent)
    uri = path.absolute().as_uri()
    with told(path):
        # a folder that we may not write to, and no daemon at work: there is no log to read
        alone = not path.with_name(f"{path.name}-wal").exists()
        for query in ("mode=ro", "mode=ro&immutable=1")[: 1 + alone]:
            db = sqlite3.connect(f"{uri}?{query}", uri=True, timeout=BUSY_S, isolation_level=None)
            db.text_factory = _text
            try:
                version = _version(db, path)
                if version == 0:
                    raise NoStoreError(path.parent)  # it is only being made
                if version < VERSION:
                    raise OlderStoreError(f"{path}: of an older trashbin; start the daemon once")
            except sqlite3.OperationalError as exc:
                db.close()
                failed = exc
            except BaseException:
                db.close()
                raise
            else:
                return db
        raise failed


def _text(content: bytes) -> str:
    """Text as it is stored; a flipped byte in it is no error here."""
    return content.decode(errors="replace")


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerStoreError(
            f"{path}: written by a newer trashbin (store version {version}); update this one, or "
            "move the file away"
        )
    return int(version)


class _Corrupt(sqlite3.DatabaseError):
    """The file opens, and what is in it is broken."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def is_damaged(exc: sqlite3.Error) -> bool:
    """True where the file is no sound database."""
    return _code(exc) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


def is_full(exc: BaseException | None, path: Path) -> bool:
    """True where an operation failed for want of room on the disk of ``path``."""
    if _code(exc) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):  # of a journal's first page
        with suppress(OSError):
            disk = os.statvfs(path.parent)
            return disk.f_bavail * disk.f_frsize < NEARLY_FULL
    return _code(exc) == sqlite3.SQLITE_FULL or getattr(exc, "errno", None) == errno.ENOSPC


def _is_not_allowed(exc: BaseException) -> bool:
    """True where the file's folder, or its disk, does not let us."""
    if _code(exc) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return True
    return getattr(exc, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS)


def _is_broken(exc: BaseException) -> bool:
    """True where the disk does not read or write, as one that turns read-only under open files."""
    return _code(exc) == sqlite3.SQLITE_IOERR or getattr(exc, "errno", None) == errno.EIO


def _code(exc: BaseException | None) -> int:
    """What SQLite says went wrong: the low byte, the rest says it more closely."""
    return getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF


def moved_aside(path: Path) -> Path:
    """Rename a damaged file and its journals; of earlier ones only the newest are kept."""
    date = f".damaged-{datetime.now():%Y%m%dT%H%M%S}"
    suffix = date
    for number in count(2):
        if not path.with_name(path.name + suffix).exists():
            break
        suffix = f"{date}-{number}"
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm")
    for name in names:
        file = path.with_name(name)
        if file.exists():
            file.rename(path.with_name(name + suffix))
    aside = path.with_name(path.name + suffix)
    # never this one, though the clock may have been set back since the others
    others = sorted(set(path.parent.glob(f"{path.name}.damaged-*")) - {aside})
    for old in others[: 1 - DAMAGED_KEPT]:
        for name in names:
            with suppress(OSError):
                path.with_name(name + old.suffix).unlink(missing_ok=True)
    return aside


def in_the_way(path: Path) -> str:
    """What stands where a file or its folder should be, in words; nothing where none does."""
    for place in (path, *path.parents):
        with suppress(OSError):
            if place.exists():
                if place.is_dir() is (place == path):
                    return f"{place} is {'a' if place == path else 'no'} folder"
            elif place.is_symlink():
                away = place.readlink()
                return f"{place} leads to {away}, which is not there (a disk not mounted?)"
    return ""


FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)  # what ``told`` turns into StoreError


@contextmanager
def told(path: Path, option: str = "") -> Iterator[None]:
    """Turn what SQLite and the disk report into StoreError, with what to do.

    ``option`` is how a file that is no bin's is named on the command line.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        if is_full(exc, path):
            raise StoreError(
                f"No room for events: the disk of {path} is full. Free some space on it, "
                f"or set {option or 'store: path'} to a folder on another disk."
            ) from exc
        if blocked := in_the_way(path):
            raise StoreError(
                f"The event store {path} cannot be there: {blocked}. "
                f"Name another folder with {option or 'store: path'}, or put this right."
            ) from exc
        elsewhere = f". Name another folder with {option}." if option else WHERE_NOT_ALLOWED
        broken = WHERE_BROKEN if _is_broken(exc) else ""
        advice = elsewhere if _is_not_allowed(exc) else broken
        raise StoreError(f"The event store {path} failed: {exc}{advice}") from exc
    except UnicodeDecodeError as exc:  # Python's, of a message that quotes what is damaged
        raise StoreError(f"The event store {path} is damaged: a name in it is no text.") from exc
