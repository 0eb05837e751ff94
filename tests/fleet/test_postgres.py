"""What is written into a real PostgreSQL: all of a batch or nothing, and nothing twice."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.fleet.postgres import Server
from tests.fleet.test_collect import STORE, of
from tests.support_processes import wait_until
from trashbin.errors import ConfigError, StoreError
from trashbin.fleet import postgres
from trashbin.fleet.holes import Lost
from trashbin.fleet.postgres import LOCK, Postgres
from trashbin.fleet.rows import Batch, Refused, Row, read

pytestmark = pytest.mark.fleet

NEWER = "0190a1c0-0000-4000-8000-000000000002"


@pytest.fixture
def sink(server: Server) -> Iterator[Postgres]:
    with closing(Postgres(server.url)) as made:
        yield made


def spoilt(row: Row) -> Row:
    """An event that the database cannot hold."""
    body = json.dumps(json.loads(row.body) | {"top1": "x"})
    found = read(f"trashbin/{row.head.device_id}/event", body.encode(), 0.0)
    assert isinstance(found, Row)
    return found


def counts(server: Server) -> list[int]:
    names = ("event", "lost", "refused", "store")
    return [server.query(f"SELECT count(*) FROM trashbin.{name}")[0][0] for name in names]


def test_what_comes_again_changes_nothing(server: Server, sink: Postgres) -> None:
    first, second, third, fifth = of("hall", 1, 2, 3, 5)
    assert sink.write(Batch([first, third, fifth], complete={("hall", STORE): 1})) == []
    sink.write(Batch([second], lost=[Lost("hall", STORE, 4, 4)], complete={("hall", STORE): 5}))
    sink.write(Batch([third], lost=[Lost("hall", STORE, 4, 4)], complete={("hall", STORE): 3}))
    assert counts(server) == [4, 1, 0, 1]
    sink.write(Batch(complete={("hall", NEWER): 0}))
    assert sink.load() == [("hall", STORE, 5, []), ("hall", NEWER, 0, [])], "the newest last"
    sink.write(Batch(of("yard", 9, 7, 8), complete={("yard", STORE): 7}))
    assert ("yard", STORE, 7, [8, 9]) in sink.load()


def test_what_it_does_not_take_is_kept_as_refused_and_all_else_written(
    server: Server, sink: Postgres
) -> None:
    first, second, third = of("hall", 1, 2, 3)
    no_event = Refused("trashbin/hall/event", b"\xff", "no text")
    lost = [Lost("hall", STORE, 4, 6)]
    batch = Batch([first, spoilt(second), third], [no_event], lost, {("hall", STORE): 6})
    (refused,) = sink.write(batch)
    assert refused.why == 'invalid input syntax for type double precision: "x"'
    assert refused.payload == spoilt(second).body.encode()
    assert counts(server) == [2, 1, 2, 1]
    assert server.query("SELECT topic, payload, why FROM trashbin.refused ORDER BY id") == [
        (no_event.topic, no_event.payload, no_event.why),
        (refused.topic, refused.payload, refused.why),
    ]


def test_of_what_is_no_event_the_newest_are_kept(
    server: Server, sink: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "KEEP_REFUSED", 3)
    for number in range(3):
        sink.write(Batch(refused=[Refused("trashbin/a/event", b"%d" % number, "no text")] * 2))
    sink.write(Batch(of("hall", 1)))
    kept = server.query("SELECT payload FROM trashbin.refused ORDER BY id")
    assert kept == [(b"1",), (b"2",), (b"2",)]


def test_all_of_a_batch_or_nothing(server: Server, sink: Postgres) -> None:
    with pytest.raises(StoreError, match="out of range"):
        sink.write(Batch(of("hall", 1), complete={("hall", STORE): 2**64}))
    assert counts(server) == [0, 0, 0, 0]


def test_a_server_that_died_is_told_in_a_line_and_connected_to_anew(
    server: Server, sink: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trashbin")
    sink.write(Batch(of("hall", 1)))
    sink.write(Batch(of("hall", 2)))
    assert caplog.text.count("Writing into PostgreSQL on 127.0.0.1, database postgres") == 1
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreError) as told:
            sink.write(Batch(of("hall", 3)))
        assert str(told.value).startswith("PostgreSQL on 127.0.0.1, database postgres cannot be")
        assert "\n" not in str(told.value)
    server.start()
    sink.write(Batch(of("hall", 3)))
    assert counts(server)[0] == 3


def test_one_collector_at_a_time_makes_the_tables(server: Server) -> None:
    with psycopg.connect(server.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        waits = Postgres(f"{server.url}?options=-c%20lock_timeout%3D50")
        with closing(waits), pytest.raises(StoreError, match="lock timeout"):
            waits.load()


def test_the_url_says_otherwise(server: Server) -> None:
    """And who it is: an administrator sees it beside the server's other sessions."""
    named = "SELECT application_name FROM pg_stat_activity WHERE application_name <> ''"
    for url, name in ((server.url, "trashbin collect"), (f"{server.url}?application_name=b", "b")):
        with closing(Postgres(url)) as sink:
            sink.load()
            assert (name,) in server.query(named)
        assert wait_until(lambda name=name: (name,) not in server.query(named))


def test_a_schema_of_its_own_is_all_that_its_role_needs(server: Server) -> None:
    with psycopg.connect(server.url) as db:
        db.execute("CREATE ROLE collector LOGIN")
        db.execute("CREATE SCHEMA trashbin AUTHORIZATION collector")
    with closing(Postgres(server.url.replace("test@", "collector@"))) as sink:
        sink.write(Batch(of("hall", 1)))
        assert sink.load() == []


@pytest.mark.parametrize("url", ["x", "mysql://a@b/c", "postgresql://a@b/c?d=e"])
def test_a_url_that_is_none_is_a_mistake_of_the_command_line(url: str) -> None:
    with pytest.raises(ConfigError, match="such as postgresql://collector"):
        Postgres(url)


@pytest.mark.parametrize("password", ["se cret", "se%cret"])
def test_a_password_in_a_url_that_is_none_is_told_to_nobody(password: str) -> None:
    with pytest.raises(ConfigError) as told:
        Postgres(f"postgresql://collector:{password}@localhost/trashbin")
    assert "cret" not in str(told.value)
