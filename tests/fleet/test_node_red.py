"""``config/node-red/flow.json`` in a real Node-RED, fed by real bins, seen in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_events import NOON, an_event
from tests.support_processes import Broker, Listener, wait_until

if TYPE_CHECKING:  # imports playwright, which only make test-fleet installs
    from tests.fleet.node_red import NodeRed

pytestmark = pytest.mark.fleet

SOON_MS = 60_000


@pytest.fixture
def red(tmp_path: Path) -> Iterator[NodeRed]:
    from tests.fleet import node_red

    with node_red.started(tmp_path) as made:
        yield made


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    heard = Listener(broker, "trashbin/#")
    yield heard
    heard.close()


def test_the_flow_imports_and_shows_the_events_of_the_demo_bin(
    red: NodeRed, broker: Broker, listener: Listener
) -> None:
    from tests.fleet.node_red import looking

    flow = red.take_flow(broker)
    known = {kind for entry in red.ask("/nodes") for kind in entry["types"]}
    assert {node["type"] for node in flow} - {"tab"} <= known
    assert {node["id"] for node in red.ask("/flows")} == {node["id"] for node in flow}
    at = f"127.0.0.1:{broker.port}"
    demo = subprocess.Popen(
        [sys.executable, "-m", "trashbin", "demo", "--items", "4", "--broker", at],
        stdout=subprocess.DEVNULL,
    )
    problems: list[str] = []
    try:
        with looking(red.url) as page:
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: said.type == "error" and problems.append(said.text))
            page.on("request", lambda request: _outside(request.url, red.url, problems))
            events = page.locator("tbody tr", has_text="demo")
            events.nth(4).wait_for(timeout=2 * SOON_MS)  # the bin's own row, and four events
            items = [event for event in listener.events() if event["label"]]
            for event in items:
                row = events.filter(has_text=event["label"]).filter(has_text=f"{event['gap']:.2f}")
                row.first.wait_for(timeout=SOON_MS)
            last = page.locator(".trash-last")
            what = last.locator(".trash-what")
            assert wait_until(
                lambda: what.inner_text() in {event["label"] for event in listener.events()}
            )
            assert last.locator(".trash-row").count() == 6
    finally:
        demo.terminate()  # its page ends with it
        demo.wait()
    assert problems == []
    assert not red.said("[error]")


def test_a_person_answers_and_asks_from_it(
    red: NodeRed, broker: Broker, listener: Listener
) -> None:
    from tests.fleet.node_red import looking, simulated

    red.take_flow(broker)
    with looking(red.url) as page, simulated(broker, "--bins", "2", "--rate", "20"):
        page.locator(".trash-wait").first.wait_for(timeout=SOON_MS)
        page.locator(".trash-wait").first.get_by_role("button", name="glass").click()
        assert wait_until(lambda: bool(_of_type(listener, "resolved")))
        (resolved,) = _of_type(listener, "resolved")
        assert resolved["answer"]["label"] == "glass"
        asked = {e["event_id"] for e in _of_type(listener, "uncertain")}
        assert resolved["resolves"] in asked
        # without a bin nothing is asked of any
        page.get_by_role("button", name="Look now").click()
        page.get_by_text("Choose a bin first").wait_for(timeout=SOON_MS)
        page.get_by_label("Bin", exact=True).first.click()
        page.get_by_role("option", name="sim-2").click()
        page.get_by_role("button", name="advisory").click()
        page.get_by_text("sim-2: mode ok").wait_for(timeout=SOON_MS)
        page.reload()  # who comes later has the bins to choose from at once
        page.get_by_label("Bin", exact=True).first.click()
        page.get_by_role("option", name="sim-1").wait_for(timeout=5_000)
        assert wait_until(lambda: _state(listener, "sim-2").get("mode") == "advisory")
        assert _state(listener, "sim-1")["mode"] == "auto"


def test_what_is_no_event_harms_nothing(red: NodeRed, broker: Broker, listener: Listener) -> None:
    from tests.fleet.node_red import looking, simulated

    red.take_flow(broker)
    assert wait_until(lambda: red.said("Connected to broker"))
    for bin in ("odd", "__proto__"):
        for topic in ("event", "state", "availability", "response/look"):
            for payload in ("", "null", "[]", "{", '{"event_id": {}}', "\x00" * 100):
                listener.send(f"trashbin/{bin}/{topic}", payload)
    listener.send("trashbin/__proto__/availability", "online")
    listener.send("trashbin/away/state", "{}")
    with looking(red.url) as page, simulated(broker, "--bins", "2", "--rate", "60"):
        page.locator("tbody tr", has_text="sim-2").nth(2).wait_for(timeout=SOON_MS)
        away = page.locator("tbody tr", has_text="away")
        assert away.get_by_text("offline").count() == 1, "one bin's presence is no other's"
    assert not red.said("[error]")


def test_no_counts_of_another_day_are_todays_and_a_removed_bin_goes(
    red: NodeRed, broker: Broker, listener: Listener
) -> None:
    from tests.fleet.node_red import looking

    now = datetime.now(timezone(timedelta(hours=7)))
    for name, day in (("old", now - timedelta(days=1)), ("new", now), ("gone", now)):
        counts = {"day": day.date().isoformat(), "utc_offset": "+0700", "today": {"glass": 42}}
        state = json.dumps({"status": "idle", "mode": "auto", "counts": counts})
        listener.send(f"trashbin/{name}/state", state, retain=True)
        listener.send(f"trashbin/{name}/availability", "online", retain=True)
    red.take_flow(broker)
    with looking(red.url) as page:
        rows = page.locator("tbody tr")
        rows.filter(has_text="gone").wait_for(timeout=SOON_MS)
        rows.filter(has_text="new").filter(has_text="42").wait_for(timeout=SOON_MS)
        assert rows.filter(has_text="old").filter(has_text="42").count() == 0
        for topic in ("availability", "state"):
            listener.send(f"trashbin/gone/{topic}", "", retain=True)
        rows.filter(has_text="gone").wait_for(state="detached", timeout=SOON_MS)
    assert not red.said("[error]")


def test_what_comes_late_stands_where_its_time_puts_it(
    red: NodeRed, broker: Broker, listener: Listener
) -> None:
    """Some other consumer may ask a bin for old events at any time: everybody gets them again."""
    from tests.fleet.node_red import looking

    red.take_flow(broker)
    assert wait_until(lambda: red.said("Connected to broker"))
    events = [
        an_event(NOON - timedelta(hours=hours), seq=9 - hours, store_id="s", label=label)
        for hours, label in enumerate(("glass", "metal", "trash"))
    ]
    late = [replace(event, historical=True) for event in events[1:]]
    with looking(red.url) as page:
        rows = page.locator("tbody tr", has_text="bin-1").filter(has_text="sorted")

        def all_there() -> bool:  # what came before it listened is lost, and repeats are dropped
            listener.send("trashbin/bin-1/event", events[0].to_json())
            for event in late:
                listener.send("trashbin/bin-1/event/backlog", event.to_json())
            page.wait_for_timeout(500)
            return rows.count() == 3

        assert wait_until(all_there), page.locator("tbody").all_inner_texts()
        shown = [re.search("glass|metal|trash", text) for text in rows.all_inner_texts()]
        assert [found and found[0] for found in shown] == ["glass", "metal", "trash"]
        assert page.locator(".trash-what").inner_text() == "glass"


def _outside(url: str, own: str, problems: list[str]) -> None:
    if not url.startswith((own, own.replace("http", "ws"), "data:", "blob:")):
        problems.append(f"it asks for {url}")


def _of_type(listener: Listener, kind: str) -> list[dict[str, Any]]:
    return [event for event in listener.events() if event.get("event_type") == kind]


def _state(listener: Listener, name: str) -> dict[str, Any]:
    seen = listener.on(f"trashbin/{name}/state")
    found: dict[str, Any] = json.loads(seen[-1].payload) if seen else {}
    return found
