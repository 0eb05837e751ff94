"""``config/postgresql/by-day.sql`` on tables of ``trashbin collect`` in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.fleet.postgres import Server
from tests.support_events import an_event
from trashbin import resources
from trashbin.events import new_event_id, timestamp
from trashbin.fleet.postgres import Postgres
from trashbin.fleet.rows import Batch, Row, read

pytestmark = pytest.mark.fleet

STORE = "0190a1c0-0000-4000-8000-000000000001"
BY_DAY = resources.root() / "config" / "postgresql" / "by-day.sql"


@pytest.fixture
def sink(server: Server) -> Iterator[Postgres]:
    with closing(Postgres(server.url)) as made:
        yield made


def rows(*moments: datetime) -> list[Row]:
    """An event at each moment."""
    found = []
    for seq, at in enumerate(moments, 1):
        ids = {"event_id": new_event_id(at), "store_id": STORE}
        event = an_event(at, **ids, ts=timestamp(at), seq=seq)
        row = read(f"trashbin/{event.device_id}/event", event.to_json().encode(), 0.0)
        assert isinstance(row, Row)
        found.append(row)
    return found


def batch(events: list[Row]) -> Batch:
    last = events[-1].head
    return Batch(events, [], [], {(last.device_id, str(last.store_id)): last.seq})


def apply(server: Server, user: str = "test") -> None:
    with psycopg.connect(server.url, user=user, autocommit=True) as db:
        db.execute(BY_DAY.read_text(encoding="utf-8").encode())


def tables(server: Server) -> list[str]:
    return [
        name
        for (name,) in server.query(
            "SELECT tableoid::regclass::text FROM trashbin.event ORDER BY ts"
        )
    ]


def test_collect_goes_on_by_day_each_event_once(server: Server, sink: Postgres) -> None:
    now = datetime.now(UTC)
    tomorrow = now + timedelta(days=1)
    before, later = rows(now), rows(now, tomorrow, now + timedelta(days=2), now + timedelta(days=9))
    sink.write(batch(before))
    apply(server)
    sink.write(batch([*before, *later]))
    sink.write(batch(later))  # sent again
    day = f"trashbin.event_{tomorrow:%Y_%m_%d}"
    found = tables(server)
    other = "trashbin.event_other"
    assert (found[:3], found[4]) == ([other, other, day], other)
    (kept,) = server.query("SELECT count(*), count(DISTINCT event_id) FROM trashbin.event")
    assert kept == (5, 5)


def test_a_day_is_forgotten_and_not_asked_for_again(server: Server, sink: Postgres) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    list(sink.load())
    apply(server)
    sink.write(batch(rows(tomorrow, tomorrow)))
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f"DROP TABLE trashbin.event_{tomorrow:%Y_%m_%d}".encode())
    assert tables(server) == []
    ((_, _, complete, above),) = sink.load()
    assert (complete, above) == (2, [])


def test_days_are_added_once(server: Server, sink: Postgres) -> None:
    list(sink.load())
    apply(server)
    for _ in range(2):
        server.query("SELECT trashbin.add_day(current_date + 40)")
    ((days,),) = server.query(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'trashbin.event'::regclass"
    )
    assert days == 1 + 7 + 1


def test_whoever_may_write_or_read_events_still_may(server: Server) -> None:
    roles = ("CREATE ROLE admin SUPERUSER LOGIN", "CREATE ROLE collector LOGIN", "CREATE ROLE eye")
    for role in (*roles, "GRANT CREATE ON DATABASE postgres TO collector"):
        server.do(role)
    with closing(Postgres(f"{server.url}?user=collector")) as sink:
        list(sink.load())
        server.do("GRANT USAGE ON SCHEMA trashbin TO eye")
        server.do("GRANT SELECT ON ALL TABLES IN SCHEMA trashbin TO eye")
        apply(server, "admin")
        sink.write(batch(rows(datetime.now(UTC) + timedelta(days=1))))
    with psycopg.connect(server.url) as db:
        db.execute("SET ROLE eye")
        assert db.execute("SELECT count(*) FROM trashbin.event").fetchone() == (1,)
