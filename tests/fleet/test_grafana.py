"""``config/grafana/dashboard.json``: its queries on ``trashbin collect``'s tables, as a reader.

No Grafana runs here. Its macros and its list variable are replaced as its documentation of the
PostgreSQL data source says: ``$__timeFilter(x)`` is a BETWEEN, ``$bin`` a list of quoted names.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import psycopg
import pytest

from tests.fleet.postgres import Server
from tests.support_events import a_fault, an_event
from trashbin import resources
from trashbin.events import Answer, Event, EventType, new_event_id, timestamp
from trashbin.fleet.holes import Lost
from trashbin.fleet.postgres import Postgres
from trashbin.fleet.rows import Batch, Row, read
from trashbin.types import Action, Reason

pytestmark = pytest.mark.fleet

STORE = "0190a1c0-0000-4000-8000-000000000001"
FOLDER = resources.root() / "config" / "grafana"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
ROLE = re.search(r"```sql\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)


def event(minutes: int, made: Any = an_event, **keys: Any) -> Event:
    """What happened so long before."""
    at = NOW - timedelta(minutes=minutes)
    ids = {"event_id": new_event_id(at), "store_id": STORE, "ts": timestamp(at)}
    found: Event = made(**ids, **keys)
    return found


def story() -> list[Event]:
    """Two sorted, two held of which one is answered, one fault; one sorted long ago."""
    held = {"event_type": EventType.UNCERTAIN, "decision": Action.HOLD, "reason": Reason.LOW_GAP}
    held |= {"bin": None, "actuation": []}
    first, second = event(20, **held), event(15, **held)
    answer = event(
        10,
        event_type=EventType.RESOLVED,
        resolves=first.event_id,
        answer=Answer("glass", "page"),
    )
    told = [event(3 * 24 * 60), event(90), event(30), first, second, answer, event(5, a_fault)]
    return [replace(event, seq=seq) for seq, event in enumerate(told, 1)]


def write(
    server: Server,
    events: Sequence[Event],
    complete: Mapping[tuple[str, str], int] = MappingProxyType({}),
    lost: Sequence[Lost] = (),
) -> None:
    """As the collector does."""
    rows = []
    for event in events:
        row = read(f"trashbin/{event.device_id}/event", event.to_json().encode(), 0.0)
        assert isinstance(row, Row), row
        rows.append(row)
    with closing(Postgres(server.url)) as sink:
        sink.write(Batch(rows, lost=lost, complete=complete))


@pytest.fixture
def filled(server: Server) -> Server:
    write(server, story(), {("bin-1", STORE): 10}, [Lost("bin-1", STORE, 8, 10)])
    grant(server)
    return server


def grant(server: Server) -> None:
    """As the README says."""
    assert ROLE
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(ROLE[1].encode())


def panel(title: str) -> str:
    (found,) = (panel for panel in DASHBOARD["panels"] if panel["title"] == title)
    return str(found["targets"][0]["rawSql"])


def asked(server: Server, sql: str, bins: str = "'bin-1', 'bin-2'") -> list[dict[str, Any]]:
    """What Grafana's user gets for a day."""
    begin, end = NOW - timedelta(hours=23), NOW + timedelta(hours=1)
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{begin}' AND '{end}'", sql)
    sql = sql.replace("$bin", bins)
    assert "$" not in sql
    with psycopg.connect(server.url) as db:
        db.execute("SET ROLE grafana")
        rows = db.execute(sql.encode())
        assert rows.description
        names = [column.name for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def test_every_panel_says_what_happened(filled: Server) -> None:
    found = {
        panel["title"]: asked(filled, panel["targets"][0]["rawSql"])
        for panel in DASHBOARD["panels"]
    }
    assert found["Items"] == [{"items": 4}]
    assert float(found["Held as uncertain"][0]["uncertain"]) == 0.5
    assert found["Waiting for an answer"] == [{"waiting": 1}]
    assert int(found["Events lost"][0]["lost"]) == 3
    by_class = [
        (row["time"].hour, row["metric"], row["items"]) for row in found["Items an hour, by class"]
    ]
    before, now = (NOW - timedelta(hours=1)).hour, NOW.hour
    assert by_class == [(before, "paper", 1), (now, "glass", 1), (now, "paper", 1)]
    held = found["Held as uncertain, an hour"]
    shares = [(row["metric"], float(row["uncertain"])) for row in held]
    assert shares == [("bin-1", 0.0), ("bin-1", pytest.approx(2 / 3))]
    assert {row["median"] for row in found["From trigger to decision"]} == {1.5}
    (of_bin,) = found["Bins"]
    assert (of_bin["items"], float(of_bin["uncertain, %"]), of_bin["faults"]) == (4, 50.0, 1)
    (fault,) = found["Faults"]
    assert fault["part"] == "camera" and fault["message"]


def test_an_item_that_was_corrected_is_one_item_of_its_last_label(filled: Server) -> None:
    """A person may correct a sort, and then again: each answer was one more item."""
    with psycopg.connect(filled.url) as db:
        found = db.execute(
            "SELECT event_id FROM trashbin.event WHERE event_type = 'sorted' ORDER BY ts DESC"
        ).fetchone()
    assert found
    said = {"event_type": EventType.RESOLVED, "label": None, "resolves": str(found[0])}
    write(
        filled,
        [
            event(25 - number, seq=20 + number, answer=Answer(label, "page"), **said)
            for number, label in enumerate(("metal", "plastic"))
        ],
    )
    counted = Counter[str]()
    for row in asked(filled, panel("Items an hour, by class")):
        counted[row["metric"]] += row["items"]
    assert counted == {"paper": 1, "glass": 1, "plastic": 1}


def test_a_bin_that_says_nothing_any_more_is_the_first_of_the_bins(filled: Server) -> None:
    write(filled, [event(9 * 24 * 60, seq=1, device_id="bin-2")], {("bin-2", STORE): 1})
    first, second = asked(filled, panel("Bins"))
    assert (first["bin"], first["items"]) == ("bin-2", 0)
    assert first["last event"] == NOW - timedelta(days=9) and first["uncertain, %"] is None
    assert (second["bin"], second["items"]) == ("bin-1", 4)


def test_where_nothing_was_collected_yet_no_panel_fails(server: Server) -> None:
    write(server, [])
    grant(server)
    found = {one["title"]: asked(server, panel(one["title"])) for one in DASHBOARD["panels"]}
    assert found["Items"] == [{"items": 0}] and found["Bins"] == []


def test_a_bin_that_is_not_chosen_is_not_shown(filled: Server) -> None:
    items = DASHBOARD["panels"][0]["targets"][0]["rawSql"]
    assert asked(filled, items, "'bin-2'") == [{"items": 0}]


def test_its_list_of_bins_and_its_panels_fit(filled: Server) -> None:
    variable = next(v for v in DASHBOARD["templating"]["list"] if v["name"] == "bin")
    assert asked(filled, variable["query"]) == [{"device_id": "bin-1"}]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) == 23
