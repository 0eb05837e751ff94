"""The judgement of the kills, and some dozens of the real thing."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.faults.kills import Tally, compared, kill_on, unrecorded
from tests.faults.subscriber import Subscriber


def event(seq: int, bin: str = "paper", **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"id-{seq}",
        "event_type": "sorted",
        "store_id": "store",
        "seq": seq,
        "uptime_ms": seq * 1000,
        "historical": False,
        "bin": bin,
        "about": None,
    } | more


def judged(
    stored: list[dict[str, Any]], received: list[dict[str, Any]], *lines: dict[str, Any]
) -> Tally:
    """What is found where this is in the store and that came; ``lines`` were written down."""
    subscriber = Subscriber(1, "bin")  # which never connects
    for sent in received:
        subscriber.take(dict(sent))
    return compared([json.dumps(event) for event in stored], lines, subscriber)


EVENTS = [event(1), event(2), event(3)]


def test_all_there_is_good_in_any_order_and_twice() -> None:
    late = [event(3, historical=True), event(2), event(3), event(1)]
    tally = judged(EVENTS, late)
    assert tally.good and tally.repeats == 1 and tally.committed == 3 and tally.items == 3


def test_an_event_that_never_came_is_lost_and_a_hole() -> None:
    tally = judged(EVENTS, [event(1), event(3)])
    assert (tally.lost, tally.holes) == (1, 1) and not tally.good


def test_one_that_was_committed_and_is_in_no_store_is_lost() -> None:
    line = {"at": 4.0, "event": "id-4", "sha256": "0"}
    assert judged(EVENTS, EVENTS, line).lost == 1


def test_a_hole_in_the_store_itself_is_told() -> None:
    assert judged([event(1), event(3)], [event(1), event(3)]).holes == 2, "there, and here"


def test_what_says_something_else_is_altered() -> None:
    assert judged(EVENTS, [event(1), event(2, bin="glass"), event(3)]).altered == 1
    assert judged(EVENTS, [*EVENTS, event(2, bin="glass")]).altered == 1, "a repeat"
    assert judged(EVENTS, [*EVENTS, event(3, event_id="other")]).altered == 1, "a seq twice"
    digest = sha256(json.dumps(event(2)).encode()).hexdigest()
    written = {"at": 2.0, "event": "id-2", "sha256": digest}
    assert judged(EVENTS, EVENTS, written).altered == 0
    assert judged(EVENTS, EVENTS, written | {"sha256": "0"}).altered == 1


def test_each_move_has_an_event_of_its_own_before_it() -> None:
    def move(at: float, bin: str = "paper") -> dict[str, Any]:
        return {"at": at, "moves": "sort", "bin": bin}

    assert unrecorded([move(1.1), move(2.5), move(3.0)], EVENTS) == 0
    assert unrecorded([move(0.9)], EVENTS) == 1, "its event came later"
    assert unrecorded([move(1.1), move(1.5)], EVENTS) == 1, "one event, moved twice"
    assert unrecorded([move(2.1, "glass")], EVENTS) == 1, "to another bin than it says"


def test_some_dozens_of_kills(tmp_path: Path) -> None:
    tally = kill_on(tmp_path, kills=12, items=30, lanes=2, seed=1, life_s=3.0)
    assert tally.good, tally.rows()
    assert min(tally.daemon_kills, tally.broker_kills) >= 12 and tally.items >= 30


def test_a_run_cut_short_says_what_it_lacks() -> None:
    tally = Tally(daemon_kills=12, broker_kills=9, items=30)
    assert tally.lacks(12, 30) == ["9 SIGKILLs of the broker, 12 were asked for"]
    assert tally.lacks(9, 30) == []


def test_it_ends_when_time_is_up_and_judges_what_there_is(tmp_path: Path) -> None:
    tally = kill_on(tmp_path, kills=1000, items=1000, lanes=1, seed=1, limit_s=0.0)
    assert tally.good and tally.daemon_kills == tally.broker_kills == 0
