"""``config/grafana/dashboard.json``: its queries on ``trashbin collect``'s tables, as a reader.

No Grafana runs here. Its macros and its list variable are replaced as its documentation of the
PostgreSQL data source says: ``$__timeFilter(x)`` is a BETWEEN, ``$bin`` a list of quoted names.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
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


def story() -> list[Event]:
    """Two sorted, two held of which one is answered, one fault; one sorted long ago."""

    def event(minutes: int, made: Any = an_event, **keys: Any) -> Event:
        at = NOW - timedelta(minutes=minutes)
        ids = {"event_id": new_event_id(at), "store_id": STORE, "ts": timestamp(at)}
        made_event: Event = made(**ids, **keys)
        return made_event

    held = {"event_type": EventType.UNCERTAIN, "decision": Action.HOLD, "reason": Reason.LOW_GAP}
    held |= {"bin": None, "actuation": []}
    first, second = event(20, **held), event(15, **held)
    answer = event(
        10,
        event_type=EventType.RESOLVED,
        resolves=first.event_id,
        answer=Answer("glass", "page"),
    )
    return [
        event(3 * 24 * 60),
        event(90),
        event(30),
        first,
        second,
        answer,
        event(5, a_fault),
    ]


@pytest.fixture
def filled(server: Server) -> Server:
    rows = []
    for seq, event in enumerate(story(), 1):
        payload = json.dumps(json.loads(event.to_json()) | {"seq": seq}).encode()
        row = read(f"trashbin/{event.device_id}/event", payload, 0.0)
        assert isinstance(row, Row), row
        rows.append(row)
    with closing(Postgres(server.url)) as sink:
        sink.write(Batch(rows, [], [Lost("bin-1", STORE, 8, 10)], {("bin-1", STORE): 10}))
    assert ROLE
    with psycopg.connect(server.url, autocommit=True) as db:
        if not db.execute("SELECT FROM pg_roles WHERE rolname = 'grafana'").fetchone():
            db.execute(ROLE[1].encode())
        else:
            db.execute(ROLE[1].split(";", 1)[1].encode())
    return server


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
