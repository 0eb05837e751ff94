"""The events of all bins in PostgreSQL: schema ``trashbin``, made and brought up to date here."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources

import psycopg
from psycopg.conninfo import conninfo_to_dict

from trashbin.errors import ConfigError, StoreError
from trashbin.fleet.rows import Batch, Refused, Row

log = logging.getLogger(__name__)

VERSION = 2
# a server that hangs or a cable that is cut is noticed in seconds, unless the URL says otherwise
TIMES = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "trashbin collect",
}
LOCK = 7241962  # any number that no other program takes: one makes the tables at a time

EVENT = """
INSERT INTO trashbin.event (event_id, device_id, store_id, seq, ts, historical, body)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
REFUSED = "INSERT INTO trashbin.refused (topic, payload, why) VALUES (%s, %s, %s)"
# anybody who may publish can send what is no event, as fast as the broker takes it
FORGET = "DELETE FROM trashbin.refused WHERE id <= (SELECT max(id) - %s FROM trashbin.refused)"
KEEP_REFUSED = 10_000  # of 64 KB at most; one that is an event but for a word has about one
LOST = """
INSERT INTO trashbin.lost (device_id, store_id, first_seq, last_seq)
VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
# two collectors may write: neither sets back what the other knows
STORE = """
INSERT INTO trashbin.store (device_id, store_id, complete) VALUES (%s, %s, %s)
ON CONFLICT (device_id, store_id)
DO UPDATE SET complete = greatest(store.complete, excluded.complete)
"""
# Copies of one card begin with one store. Version 1 had one number for all of them: what is missing
# of theirs is asked for anew, by which nothing comes twice.
TO_2 = """
DELETE FROM trashbin.store WHERE EXISTS (
    SELECT FROM trashbin.event
    WHERE event.store_id = store.store_id AND event.device_id <> store.device_id
);
ALTER TABLE trashbin.store DROP CONSTRAINT store_pkey, ADD PRIMARY KEY (device_id, store_id);
ALTER TABLE trashbin.lost
    DROP CONSTRAINT lost_pkey, ADD PRIMARY KEY (device_id, store_id, first_seq);
UPDATE trashbin.version SET number = 2;
"""


class Postgres:
    """Satisfies ``collector.Sink``. ConfigError where the URL is none; connects when needed."""

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as exc:
            told = re.sub('"[^"]*"', '"..."', str(exc).strip())  # it may be the password
            raise ConfigError(
                f"--database: {told}; expected a URL such as "
                "postgresql://collector@localhost/trashbin"
            ) from None
        self._parameters = {**TIMES, **given}
        at = given.get("host") or "localhost"
        self._at = f"PostgreSQL on {at}, database {given.get('dbname') or given.get('user') or '?'}"
        self._db: psycopg.Connection | None = None

    def load(self) -> Iterable[tuple[str, str, int, list[int]]]:
        """What is here of each store, the newest store of a bin last."""
        with self._using() as db:
            return db.execute(
                """
                SELECT device_id, store_id::text, complete, array(
                    SELECT seq FROM trashbin.event
                    WHERE event.store_id = store.store_id AND event.device_id = store.device_id
                    AND seq > complete ORDER BY seq
                ) FROM trashbin.store ORDER BY begun
                """
            ).fetchall()

    def write(self, batch: Batch) -> list[Refused]:
        """One transaction. What the database does not take as an event becomes refused."""
        with self._using() as db:
            try:
                self._write(db, batch.rows, batch)
                return []
            except psycopg.DataError:
                pass
            sound, unsound = self._tried(db, batch.rows)
            refused = [
                Refused(f"trashbin/{row.head.device_id}/event", row.body.encode(), why)
                for row, why in unsound
            ]
            later = Batch((), [*batch.refused, *refused], batch.lost, batch.complete)
            self._write(db, sound, later)
            return refused

    def close(self) -> None:
        """Leave; the next use connects again."""
        if self._db is not None:
            with suppress(psycopg.Error):
                self._db.close()
        self._db = None

    def _write(self, db: psycopg.Connection, rows: Iterable[Row], batch: Batch) -> None:
        with db.transaction(), db.cursor() as cursor:
            cursor.executemany(EVENT, [_values(row) for row in rows])
            cursor.executemany(REFUSED, [(no.topic, no.payload, no.why) for no in batch.refused])
            if batch.refused:
                cursor.execute(FORGET, (KEEP_REFUSED,))
            cursor.executemany(
                LOST,
                [(gone.device_id, gone.store_id, gone.first, gone.last) for gone in batch.lost],
            )
            # in one order, so that two collectors never wait for each other
            cursor.executemany(STORE, [(*key, to) for key, to in sorted(batch.complete.items())])

    def _tried(
        self, db: psycopg.Connection, rows: Iterable[Row]
    ) -> tuple[list[Row], list[tuple[Row, str]]]:
        """Which rows the database takes, and why not the others."""
        sound: list[Row] = []
        unsound: list[tuple[Row, str]] = []
        for row in rows:
            try:
                with db.transaction(force_rollback=True):
                    db.execute(EVENT, _values(row))
                sound.append(row)
            except psycopg.DataError as exc:
                unsound.append((row, str(exc).splitlines()[0]))
        return sound, unsound

    @contextmanager
    def _using(self) -> Iterator[psycopg.Connection]:
        """The connection for one use; what fails is told as StoreError, and the next reconnects."""
        try:
            yield self._connection()
        except psycopg.Error as exc:
            self.close()
            lines = str(exc).strip().splitlines() or [type(exc).__name__]
            raise StoreError(f"{self._at} cannot be used: {lines[0]}") from exc

    def _connection(self) -> psycopg.Connection:
        """One that is open, with tables of this version."""
        if self._db is None or self._db.closed:
            db = psycopg.connect(**self._parameters, autocommit=True)  # type: ignore[arg-type]
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
            log.info("Writing into %s", self._at)
        return self._db

    def _prepare(self, db: psycopg.Connection) -> None:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            found = db.execute("SELECT to_regclass('trashbin.version')").fetchone()
            if found == (None,):
                sql = resources.files("trashbin.fleet").joinpath("schema.sql").read_text("utf-8")
                db.execute(sql.encode())
            row = db.execute("SELECT number FROM trashbin.version").fetchone()
            if row == (1,):
                db.execute(TO_2)
        if row is None or row[0] > VERSION:
            raise ConfigError(
                f"{self._at}: its tables were made by a newer trashbin; update this one"
            )


def _values(row: Row) -> tuple[object, ...]:
    head = row.head
    ids = (head.event_id, head.device_id, head.store_id)
    return (*ids, head.seq, head.ts, head.historical, row.body)
