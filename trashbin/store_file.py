"""The store's file as the daemon holds it: open, locked, and mended where that needs no person.

A file that cannot be opened now is tried again with every use, so that a disk which is full or
gone for a while ends nothing. A damaged file is set aside, also in the middle of the day, and the
next use begins a new one; so it does where somebody removed the file. Where the disk is full, a
reserve gives way: SQLite needs room even to forget.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from trashbin import database
from trashbin.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

RESERVE = "reserve"  # a file of nothing beside the store
RESERVE_BYTES = 2**20  # more than the write-ahead log and one transaction that forgets events
FREE_PAGES = 16  # of the file; fewer are made more where the disk is full


class StoreFile:
    """One connection behind a lock, for several threads. StoreError where the file fails."""

    def __init__(self, path: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.path = path
        self.store_id = ""  # of the file that is open, or was last
        self.lost: str | None = None  # what became of the last file, until an event tells it
        self._db: sqlite3.Connection | None = None
        self._inode = (0, 0)  # of the open file: its device and number
        self._closed = False
        self.lock = threading.RLock()
        self._reserve = path.with_name(RESERVE)
        self._reserve_bytes = reserve_bytes

    def open(self) -> None:
        """Open the file now. StoreError where that fails; the next use tries again."""
        with self.reading():
            pass

    def close(self) -> None:
        """Close the file for good; safe twice."""
        with self.lock:
            self._closed = True
            self._leave()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone while the block lasts."""
        with self.lock:
            try:
                yield self._connection()
            except database.FAILURES as exc:
                self._tell(exc)

    def write(
        self,
        action: Callable[[sqlite3.Connection], T],
        forget: Callable[[sqlite3.Connection], object],
        *,
        synced: bool = True,
    ) -> T:
        """``action`` as one transaction: all of it is on the disk at the end, or none of it.

        Where the disk is full, again after ``forget`` has given up rows. Without ``synced`` a
        power cut may undo it.
        """
        with self.lock:
            try:
                return self._transaction(action, synced)
            except StoreError as exc:
                if not database.is_full(exc.__cause__, self.path):
                    raise
            self._make_room(forget)
            return self._transaction(action, synced)

    def keep_reserve(self) -> None:
        """Take room for the reserve again, where it had to give way and there is room."""
        with self.lock:
            self._keep_reserve()

    def _transaction(self, action: Callable[[sqlite3.Connection], T], synced: bool) -> T:
        try:  # as ``reading`` does it, at a third of its price: an item waits for this
            db = self._connection()
            if not synced:
                db.execute("PRAGMA synchronous = NORMAL")
            try:
                db.execute("BEGIN IMMEDIATE")
                with db:
                    return action(db)
            finally:
                if not synced:
                    db.execute("PRAGMA synchronous = FULL")
        except database.FAILURES as exc:
            self._tell(exc)

    def _make_room(self, forget: Callable[[sqlite3.Connection], object]) -> None:
        """Room inside the files that there are; for as long as that takes, the reserve gives way.

        What the log holds is written into the file, so that its space may be used again, and
        the file gets free pages, so that it need not grow.
        """
        self._reserve.unlink(missing_ok=True)
        try:
            with self.reading() as db:
                db.execute("PRAGMA wal_checkpoint(RESTART)")
                (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free < FREE_PAGES:
                self._transaction(forget, True)
        finally:
            self._keep_reserve()

    def _keep_reserve(self) -> None:
        """As much of it as there is room for."""
        with suppress(OSError):
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                for part in (1, 2, 4):
                    with suppress(OSError):
                        os.posix_fallocate(descriptor, 0, self._reserve_bytes // part)
                        break
            finally:
                os.close(descriptor)

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None and self._is_gone():
            log.error("%s was removed or replaced while it was open", self.path)
            self._leave()  # or what is written would go with it
            self.lost = (
                f"the event store {self.path} was removed or replaced; the one there now goes on"
            )
        if self._db is None:
            self._db = self._opened()
        return self._db

    def _tell(self, exc: Exception) -> NoReturn:
        """Raise StoreError; where the file is damaged, the next use begins a new one."""
        with database.told(self.path):
            if isinstance(exc, sqlite3.Error) and database.is_damaged(exc):
                self._move_aside(exc)
            raise exc

    def _opened(self) -> sqlite3.Connection:
        """A connection to a sound store, whatever has to give way for it."""
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._was_emptied():
            self._move_aside(sqlite3.DatabaseError("the file is empty"))
        try:
            db = database.opened(self.path)
        except sqlite3.Error as exc:
            if database.is_full(exc, self.path):
                self._reserve.unlink(missing_ok=True)
            elif database.is_damaged(exc):
                self._move_aside(exc)
            else:
                raise
            db = database.opened(self.path)
        self._inode = _inode(self.path)
        (self.store_id,) = db.execute(  # a flipped bit makes a BLOB of it
            "SELECT CAST(value AS TEXT) FROM meta WHERE key = 'store_id'"
        ).fetchone()
        self._keep_reserve()
        return db

    def _is_gone(self) -> bool:
        """True where the file of this name is no longer the one that is open."""
        try:
            return _inode(self.path) != self._inode
        except OSError as exc:
            return isinstance(exc, FileNotFoundError)

    def _was_emptied(self) -> bool:
        """A power cut may leave a file of no bytes, which SQLite takes for a new store.

        Where the reserve holds room, there was a store; one that a full disk kept from being
        begun is empty too, and so is the reserve.
        """
        with suppress(FileNotFoundError):
            if self.lost is None and self.path.stat().st_size == 0:
                return self._reserve.stat().st_size > 0
        return False

    def _move_aside(self, exc: sqlite3.Error) -> None:
        self._leave()
        aside = database.moved_aside(self.path)
        log.error("%s is damaged (%s): kept as %s", self.path, exc, aside)
        self.lost = f"the event store was damaged; it lies in {aside}, and a new one began"

    def _leave(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
