"""Whatever comes from the broker: an event or an object that can be kept and drawn, or None."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage

from tests.support_events import NOON, an_event
from tests.support_processes import wait_until
from trashbin.dashboard import cards, wire
from trashbin.dashboard.bins import Bin
from trashbin.dashboard.watch import Watch
from trashbin.dashboard.words import Words

GOOD = an_event(seq=1, store_id="s")

ODD: dict[str, dict[str, Any]] = {
    "no number": {"top1": float("nan")},
    "endless": {"scores": {"paper": float("inf")}},
    "no number of a stage": {"timing_ms": {"total": float("nan")}},
    "more than can be counted": {"seq": 2**63},
    "more votes than that": {"votes": {"paper": 10**400}},
    "markup for an id": {"event_id": 'x" onclick="alert(1)'},
    "markup for a time": {"ts": '2026-11-23T12:00:00.000Z" onclick="alert(1)'},
    "no time": {"ts": "zzz"},
    "a time without a zone": {"ts": "2026-11-23T12:00:00.000"},
    "no day of the calendar": {"ts": "2026-02-30T12:00:00.000Z"},
    "sorted as nothing": {"label": None},
}


def written(**keys: Any) -> bytes:
    return json.dumps(json.loads(GOOD.to_json()) | keys).encode()


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_event_is_none(name: str) -> None:
    assert wire.event(written(**ODD[name])) is None


def test_keys_that_we_do_not_know_change_nothing() -> None:
    assert wire.event(written(colour="blue", schema="trashbin.event/9")) == GOOD


@pytest.mark.parametrize(
    "payload", [b"[" * 100_000, b'{"a": ' * 100_000, b'{"name": "\\ud800"}', b'{"a": NaN}', b"1"]
)
def test_what_is_no_object_is_none(payload: bytes) -> None:
    assert wire.mapping(payload) is None


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e400", "-1e300", "true", '"1"', "[]"])
def test_a_tile_is_drawn_whatever_a_bin_says_of_its_health(value: str) -> None:
    keys = ("uptime_s", "outbox_depth", "disk_free_mb", "temperature_c")
    told = ", ".join(f'"{key}": {value}' for key in keys)
    health = wire.mapping(f"{{{told}}}".encode())
    assert health is not None
    assert "hall" in cards.tile(Bin("hall", True, health=health), Words(), NOON)


def test_a_picture_is_none_but_a_bins() -> None:
    drawn = cards.article(an_event(image_id="../../logout"), "hall", None, Words())
    assert '"/picture/bin-1/..%2F..%2Flogout"' in drawn


def test_the_keeper_goes_on_after_whatever_came(watch: Watch) -> None:
    payloads = {
        "trashbin/bin-1/state": [b"[" * 100_000],
        "trashbin/bin-1/response/look": [b'{"transaction": {}}'],
        "trashbin/bin-1/event": [*(written(**keys) for keys in ODD.values()), written()],
    }
    watch._keeper.start()
    for topic, each in payloads.items():
        for payload in each:
            message = MQTTMessage(topic=topic.encode())
            message.payload = payload
            watch._inbox.put(message)
    assert wait_until(lambda: watch.archive.count() == 1)
    assert watch.ignored == len(ODD) + 1


def test_what_nobody_thought_of_ends_no_other_news(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = MQTTMessage(topic=b"trashbin/bin-1/state")
    first.payload = b"{}"
    second = MQTTMessage(topic=b"trashbin/bin-1/event")
    second.payload = written()

    def unforeseen(payload: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(wire, "mapping", unforeseen)
    watch._keeper.start()
    watch._inbox.put(first)
    watch._inbox.put(second)
    assert wait_until(lambda: watch.archive.count() == 1)
    assert watch.ignored == 1
