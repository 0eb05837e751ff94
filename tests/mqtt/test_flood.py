"""A thousand requests a second at a whole bin, through a real Mosquitto."""

from __future__ import annotations

import itertools
import json
import re
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from tests.support_processes import WAIT_S, Broker, Listener, Process, Start, config, wait_until
from trashbin.events import ITEM_EVENTS

FLOOD = (
    ("look", b"not json"),
    ("look", b"\xff\xfe\x00"),
    ("look", b"[" * 4000),
    ("dance", b"{}"),
    ("x" * 300, b"{}"),
    ("\u00a0 \u2028", b"{}"),
    ("", b"{}"),
    ("look/again", b"{}"),  # no topic of the bin's
)
SECONDS = 6  # at least, and until so many items were sorted
ITEMS = 3
ASK = "trashbin/demo/request/"


def memory_mb(process: Process) -> float:
    """What the process holds: pages of mapped files come and go as the machine likes."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def items(listener: Listener) -> list[dict[str, Any]]:
    return [e for e in listener.events() if e["event_type"] in ITEM_EVENTS]


def seconds_an_item(events: list[dict[str, Any]]) -> float:
    return statistics.median(event["timing_ms"]["total"] for event in events) / 1000


def test_a_flood_is_refused_and_the_bin_sorts_on(
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    process = start(config(tmp_path, broker))
    process.wait_ready()
    assert wait_until(lambda: len(items(listener)) >= 3)
    # frames come and go within an item: its most before is compared with its most meanwhile
    before: list[float] = []

    def six() -> bool:
        before.append(memory_mb(process))
        return len(items(listener)) >= 6

    assert wait_until(six)
    calm = items(listener)

    sender = Listener(broker, "nothing")
    sender.send(f"{ASK}look", b" " * 1_000_000)
    meanwhile: list[float] = []
    during: list[dict[str, Any]] = []
    flood = itertools.cycle(FLOOD)
    began, sent, lasted = time.monotonic(), 0, 0.0
    # a busy machine sorts fewer items in a second
    while lasted < SECONDS or (len(during) < ITEMS and lasted < WAIT_S):
        for verb, payload in itertools.islice(flood, 50):
            if (late := began + sent / 1000 - time.monotonic()) > 0:
                threading.Event().wait(late)
            sender.client.publish(f"{ASK}{verb}", payload, 0)
            sent += 1
        meanwhile.append(memory_mb(process))
        during = items(listener)[len(calm) :]
        lasted = time.monotonic() - began
    assert sent > 500 * lasted, "this machine cannot make such a flood"
    assert len(during) >= ITEMS, "hardly anything was sorted meanwhile"
    assert seconds_an_item(during) < 2 * seconds_an_item(calm)
    grown = max(meanwhile) - max(before)
    assert grown < 20
    print(
        f"{sent} requests in {lasted:.1f} s; an item took {seconds_an_item(calm):.2f} s before and "
        f"{seconds_an_item(during):.2f} s meanwhile; memory {grown:+.1f} MB"
    )

    # it is itself again, and has counted
    def healthy() -> bool:
        listener.send(f"{ASK}threshold", b'{"gap": null, "transaction": "after"}')
        return any(b'"after"' in m.payload for m in listener.on("trashbin/demo/response/threshold"))

    assert wait_until(healthy)

    def counted() -> int:
        return int(listener.told("trashbin/demo/health")[-1]["requests_refused"])

    assert wait_until(lambda: counted() > 0.5 * sent)
    refusals = [
        json.loads(message.payload)
        for message in listener.seen
        if "/response/" in message.topic and b'"refused"' in message.payload
    ]
    assert {message.topic for message in listener.seen if "/response/" in message.topic} <= {
        f"trashbin/demo/response/{verb}" for verb in ("look", "dance", "unknown", "threshold")
    }
    assert any("Too many requests" in refusal["error"] for refusal in refusals)
    assert len(refusals) < 12 * (lasted + 5) + 10
    assert process.stop() == 0
    assert "Traceback" not in process.log.read_text()
    sender.close()
