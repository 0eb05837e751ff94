"""``trashbin collect`` into a real PostgreSQL: exactly what the bins committed, whatever dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fleet.postgres import Server
from tests.support_events import an_event
from tests.support_processes import WAIT_S, Broker, Listener, wait_until
from trashbin import database
from trashbin.fleet.holes import Lost
from trashbin.fleet.postgres import Postgres
from trashbin.fleet.rows import Batch, Row, read
from trashbin.fleet.simulate import stored
from trashbin.outbox import Outbox

pytestmark = pytest.mark.fleet

STORE = "0190a1c0-0000-4000-8000-000000000001"


class Command:
    """``trashbin`` as a process whose errors can be read."""

    def __init__(self, folder: Path, name: str, broker: Broker, *options: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "trashbin", name),
                    *("--broker", f"127.0.0.1:{broker.port}", *options),
                ],
                stdout=subprocess.PIPE if name == "simulate" else log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=120)
        return (out or b"").decode()

    def said(self, text: str) -> bool:
        return text in self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    made: list[Command] = []

    def begin(name: str, broker: Broker, *options: str) -> Command:
        made.append(Command(tmp_path, name, broker, *options))
        return made[-1]

    yield begin
    for command in made:
        command.kill()


@contextmanager
def listening(broker: Broker, *filters: str) -> Iterator[Listener]:
    listener = Listener(broker, *filters)
    try:
        yield listener
    finally:
        listener.close()


def collected(server: Server) -> dict[str, dict[str, Any]]:
    """Event id to event, without the one key that says how it came."""
    rows = server.query("SELECT event_id::text, body FROM trashbin.event")
    return {
        event_id: {k: v for k, v in body.items() if k != "historical"} for event_id, body in rows
    }


def committed(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of what lies in the bins' stores on disk."""
    found: dict[str, dict[str, Any]] = {}
    for store in folder.iterdir():
        db = database.opened_to_read(store / database.NAME)
        for event_id, text in db.execute("SELECT event_id, json FROM event"):
            found[event_id] = {k: v for k, v in json.loads(text).items() if k != "historical"}
        db.close()
    return found


def grows(server: Server, by: int = 40) -> None:
    before = len(collected(server))
    assert wait_until(lambda: len(collected(server)) >= before + by)


def tables(server: Server) -> bool:
    return server.query("SELECT to_regclass('trashbin.refused')") != [(None,)]


def test_exactly_what_the_bins_committed_through_a_killed_broker_collector_and_database(
    broker: Broker, server: Server, start: Callable[..., Command], tmp_path: Path
) -> None:
    stores = tmp_path / "stores"
    stores.mkdir()
    bins = start("simulate", broker, "--bins", "20", "--rate", "120", "--store", str(stores))
    collector = start("collect", broker, "--database", server.url)

    assert wait_until(lambda: tables(server))
    grows(server)
    broker.kill()
    time.sleep(2)  # events are committed meanwhile, and nobody can hear of them
    broker.start()
    grows(server)
    collector.kill()
    time.sleep(3)
    collector = start("collect", broker, "--database", server.url)
    grows(server)
    server.kill()
    time.sleep(3)
    server.start()
    grows(server)
    for thing in (broker, server):  # both, and the collector while both are away
        thing.kill()
    collector.kill()
    time.sleep(1)
    for thing in (server, broker):
        thing.start()
    collector = start("collect", broker, "--database", server.url)
    grows(server)
    told = bins.stop()
    assert "lost 0" in told, told
    # the bins are closed: what lies on disk now is what they committed
    expected = committed(stores)
    assert len(expected) > 300
    # and what was still missing as they went is asked for once they are back
    bins = start("simulate", broker, "--bins", "20", "--rate", "0.001", "--store", str(stores))
    while not (had := collected(server).keys()) >= expected.keys():  # for as long as some come
        assert wait_until(lambda had=had: collected(server).keys() > had), collector.log.read_text()
    bins.stop()
    assert collected(server) == committed(stores)
    assert server.query("SELECT count(*) FROM trashbin.lost") == [(0,)]
    assert server.query("SELECT count(*) FROM trashbin.refused") == [(0,)]
    assert collector.process.poll() is None
    collector.stop()
    assert collector.process.returncode == 0


def test_a_collector_that_comes_late_gets_all_that_is_kept_and_tells_what_is_not(
    broker: Broker, server: Server, start: Callable[..., Command], tmp_path: Path
) -> None:
    """700 events, more than one answer holds, of which the bin has forgotten the first 100."""
    name = "sim-1"
    stores = tmp_path / "stores"
    box = Outbox(stores / name / database.NAME)
    events = [box.append(an_event(device_id=name)) for _ in range(700)]
    box.acknowledge(event.event_id for event in events)
    box._file.write(lambda db: db.execute("DELETE FROM event WHERE seq <= 100"), lambda db: None)
    box.close()
    start("simulate", broker, "--bins", "1", "--rate", "0.001", "--store", str(stores))
    start("collect", broker, "--database", server.url)
    assert wait_until(lambda: tables(server))
    had = 0
    while had < 600:  # at the rate at which a bin sends what is late
        assert wait_until(lambda had=had: len(collected(server)) > had)
        had = len(collected(server))
    assert set(collected(server)) == set(stored(stores / name))
    assert server.query("SELECT device_id, first_seq, last_seq FROM trashbin.lost") == [
        (name, 1, 100)
    ]


def test_what_is_no_event_is_kept_as_refused_and_holds_nothing_up(
    broker: Broker, server: Server, start: Callable[..., Command]
) -> None:
    start("collect", broker, "--database", server.url)
    assert wait_until(lambda: tables(server))
    good = an_event(store_id=STORE, seq=1)
    odd = json.loads(an_event(store_id=STORE, seq=2).to_json())
    with listening(broker, "trashbin/#") as sender:
        assert wait_until(lambda: server.query("SELECT 1") == [(1,)])
        topic = "trashbin/bin-1/event"
        wanted = {
            topic: [
                b"",
                b"\xff\xfe",
                b"[" * 10_000,
                b'{"event_id": "1"}',
                json.dumps(odd | {"gap": "wide"}).encode(),  # the database finds this one
                b"x" * 100_000,
            ],
            "trashbin/bin-2/event": [good.to_json().encode()],  # another bin's
            "trashbin/bin-1/event/backlog": [b"null"],
        }

        def heard() -> bool:  # the collector's session is up once this one comes through
            sender.send(topic, good.to_json())
            return bool(server.query("SELECT 1 FROM trashbin.event"))

        assert wait_until(heard)
        for where, payloads in wanted.items():
            for payload in payloads:
                sender.send(where, payload)
        told = json.dumps(odd | {"event_id": odd["event_id"], "label": "a\x00b"})
        sender.send(topic, told)
    count = sum(map(len, wanted.values()))
    assert wait_until(lambda: server.query("SELECT count(*) FROM trashbin.refused") == [(count,)])
    query = "SELECT seq, label FROM trashbin.event ORDER BY seq"  # the last may come by itself
    assert wait_until(lambda: server.query(query) == [(1, good.label), (2, "a\ufffdb")])


def test_events_are_acknowledged_only_once_they_are_committed(
    broker: Broker, server: Server, start: Callable[..., Command]
) -> None:
    """With the database away, the broker keeps them, and the collector asks no bin."""
    start("collect", broker, "--database", server.url)
    assert wait_until(lambda: tables(server))
    server.kill()
    sent = [an_event(store_id=STORE, seq=seq) for seq in range(1, 101)]
    with listening(broker, "trashbin/+/request/#") as sender:
        for event in sent:
            sender.send("trashbin/bin-1/event", event.to_json())
        server.start()
        assert wait_until(lambda: len(collected(server)) == len(sent))
        assert set(collected(server)) == {event.event_id for event in sent}
        assert not sender.on("trashbin/bin-1/request/events")


def test_newer_tables_are_left_alone(
    broker: Broker, server: Server, start: Callable[..., Command]
) -> None:
    first = start("collect", broker, "--database", server.url)
    assert wait_until(lambda: tables(server))
    first.stop()
    server.query("UPDATE trashbin.version SET number = 99 RETURNING number")
    second = start("collect", broker, "--database", server.url)
    assert second.process.wait(2 * WAIT_S) == 2
    assert second.said("newer trashbin")
    assert not second.said("Traceback")


def of(device_id: str, *seqs: int) -> list[Row]:
    rows = []
    for seq in seqs:
        event = an_event(device_id=device_id, store_id=STORE, seq=seq)
        row = read(f"trashbin/{device_id}/event", event.to_json().encode(), 0.0)
        assert isinstance(row, Row)
        rows.append(row)
    return rows


def test_bins_whose_cards_are_copies_of_one_are_told_apart(server: Server) -> None:
    """They begin with the same store; what is missing of one is not here by the other's."""
    rows = [*of("hall", 1, 2), *of("yard", 1, 2, 3, 5)]
    lost = [Lost("hall", STORE, 3, 4), Lost("yard", STORE, 3, 3)]
    with closing(Postgres(server.url)) as sink:
        sink.write(Batch(rows, [], lost, {("hall", STORE): 2, ("yard", STORE): 3}))
        assert sorted(sink.load()) == [("hall", STORE, 2, []), ("yard", STORE, 3, [5])]
    assert server.query("SELECT count(*) FROM trashbin.lost") == [(2,)]


def test_tables_of_version_1_are_brought_up_to_date_and_their_copies_asked_anew(
    server: Server,
) -> None:
    alone = "0190a1c0-0000-4000-8000-000000000002"
    with closing(Postgres(server.url)) as sink:
        complete = {("hall", STORE): 3, ("hut", alone): 9}
        sink.write(Batch([*of("hall", 1), *of("yard", 1, 2, 3)], [], [], complete))
    with psycopg.connect(server.url) as db:
        db.execute(
            """
            ALTER TABLE trashbin.store DROP CONSTRAINT store_pkey, ADD PRIMARY KEY (store_id);
            ALTER TABLE trashbin.lost
                DROP CONSTRAINT lost_pkey, ADD PRIMARY KEY (store_id, first_seq);
            UPDATE trashbin.version SET number = 1;
            """
        )
    for _ in range(2):
        with closing(Postgres(server.url)) as sink:
            assert sink.load() == [("hut", alone, 9, [])]
            sink.write(Batch(complete={("hut", alone): 9}))
    assert server.query("SELECT number FROM trashbin.version") == [(2,)]


def test_it_says_what_is_wrong_and_goes_on_where_broker_and_database_are_away(
    broker: Broker, server: Server, start: Callable[..., Command]
) -> None:
    broker.kill()
    server.kill()
    collector = start("collect", broker, "--database", server.url)
    assert wait_until(lambda: collector.said("PostgreSQL on 127.0.0.1, database postgres cannot"))
    server.start()
    assert wait_until(lambda: collector.said(f"The broker 127.0.0.1:{broker.port} cannot"))
    broker.start()
    assert wait_until(lambda: collector.said("Listening to"))
    assert not collector.said("Traceback")
