"""A person's answer: what we hold and lies there still is sorted; anything else only labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon.rig import LABELS, UNSURE, Rig, holding, sure
from trashbin import events
from trashbin.events import Answer, Event
from trashbin.looking import Sight
from trashbin.status import Status
from trashbin.types import Reason, Source, Thresholds


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """It holds a can."""
    return holding(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Rig]:
    return lambda **changes: holding(tmp_path, **changes)


def ask(rig: Rig, verb: str = "resolve", **data: Any) -> Mapping[str, Any]:
    rig.request(verb, **data)
    rig.go(10)
    return rig.told.answers[-1][1]


def state(rig: Rig) -> Mapping[str, Any]:
    return rig.told.topics["state"]


def item(rig: Rig) -> Event:
    return next(event for event in rig.events() if event.event_type in events.ITEM_EVENTS)


def test_what_is_laid_beside_what_is_held_is_another_item_and_asked_about(rig: Rig) -> None:
    first = item(rig)
    rig.network.usual = sure("paper")  # of the two of them
    rig.drop("letter", 110, 70)
    rig.go(5)
    assert rig.kinds() == ["uncertain"] * 2 and rig.events()[-1].reason is Reason.DISAGREE
    assert state(rig)["waiting"]["event_id"] == rig.events()[-1].event_id
    assert ask(rig, event_id=first.event_id, label="glass")["data"]["bin"] is None
    rig.signal()  # somebody passes by
    rig.go(5)
    assert rig.kinds() == ["uncertain", "uncertain", "resolved"] and rig.servo.visited == []
    rig.tray.clear()
    rig.go(5)
    rig.sorts_the_next()


def test_an_answer_moves_nothing_where_something_was_laid_beside_it_unnoticed(rig: Rig) -> None:
    rig.tray.put("letter", 110, 70)
    assert ask(rig, event_id=item(rig).event_id, label="glass")["data"]["bin"] is None
    assert rig.kinds() == ["uncertain", "resolved", "uncertain"] and rig.servo.visited == []


def test_what_is_held_is_sorted_by_the_answer_and_told_before_it_moves(rig: Rig) -> None:
    on_disk: list[int] = []
    rig.servo.on_sort = lambda bin: (on_disk.append(rig.outbox.last_seq()), rig.tray.clear())[0]
    told = ask(rig, event_id=item(rig).event_id, label="paper", way="page")
    held, answered = rig.events()
    assert told["status"] == "ok"
    assert told["data"] == {
        "event_id": answered.event_id,
        "resolves": held.event_id,
        "label": "paper",
        "bin": "paper",
    }
    assert (answered.event_type, answered.resolves) == ("resolved", held.event_id)
    assert answered.answer == Answer("paper", "page")
    assert (answered.bin, answered.actuation) == ("paper", ["servo", "lamps"])
    assert rig.servo.visited == ["paper"] and on_disk == [2]
    assert rig.daemon.status is Status.IDLE
    assert state(rig)["counts"]["total"] == {"paper": 1}
    assert state(rig)["last"]["event_id"] == held.event_id, "an answer is no new item"
    assert state(rig)["last_answer"]["answer"] == {"label": "paper", "way": "page"}


def test_state_tells_what_waits_for_an_answer_and_until_when(rig: Rig) -> None:
    waits = state(rig)["waiting"]
    assert waits["event_id"] == item(rig).event_id
    assert (waits["label"], waits["reason"]) == ("metal", "low_gap")
    assert waits["image_id"] == waits["event_id"], "the picture to show"
    assert set(waits["scores"]) == set(LABELS)
    rig.signal()
    rig.go(3)
    assert state(rig)["waiting"] == waits, "a passer-by changes nothing"
    rig.tray.clear()
    rig.go(3)
    assert state(rig)["waiting"] is None


def test_an_answer_after_the_time_to_hold_still_sorts_what_lies_there(rig: Rig) -> None:
    rig.go(90)
    assert rig.daemon.status is Status.IDLE and state(rig)["waiting"] is None
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.servo.visited == ["rest"]


@pytest.mark.parametrize("then", ["taken out", "exchanged", "dark", "paused", "camera gone"])
def test_an_answer_only_labels_where_the_item_is_not_seen_as_it_was(rig: Rig, then: str) -> None:
    if then == "taken out":
        rig.tray.clear()
    elif then == "exchanged":
        rig.tray.clear()
        rig.tray.put("letter", 10, 70)
    elif then == "dark":
        rig.tray.light = 0.02
    elif then == "paused":
        ask(rig, "mode", mode="paused")
    else:
        rig.tray.broken = "the ribbon is loose"
    told = ask(rig, event_id=item(rig).event_id, label="glass")
    assert told["status"] == "ok" and told["data"]["bin"] is None
    resolved = [event for event in rig.events() if event.event_type == "resolved"]
    assert [event.answer for event in resolved] == [Answer("glass", "request")]
    assert (resolved[0].bin, resolved[0].actuation) == (None, None)
    assert rig.servo.visited == []
    assert state(rig)["counts"]["total"] == {}


def rolling(folder: Path) -> Rig:
    rig = Rig(folder)
    rig.network.usual = UNSURE
    rig.roll()
    return rig


def test_what_still_rolled_as_it_was_judged_is_judged_once_more_at_rest(tmp_path: Path) -> None:
    rig = rolling(tmp_path)
    rig.go(10)
    first, again = rig.events()
    assert (first.event_type, again.event_type) == ("uncertain", "uncertain")
    assert again.trigger is Source.MOTION
    assert state(rig)["waiting"]["event_id"] == again.event_id
    ask(rig, event_id=again.event_id, label="glass")
    assert rig.servo.visited == ["rest"]


def test_what_moves_whenever_it_is_looked_at_is_not_judged_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = UNSURE
    looker = rig.daemon.parts.looker
    assert looker is not None
    look = looker.look

    def flutters(thresholds: Thresholds) -> Sight:
        for frame in range(60):
            place = partial(rig.tray.put, "bag", 10 + 40 * (frame % 2), 40)
            rig.clock.at(rig.clock.elapsed + 0.05 * frame, place)
        return look(thresholds)

    monkeypatch.setattr(looker, "look", flutters)
    rig.signal()
    rig.go(55)
    assert rig.kinds() == ["uncertain", "uncertain"]


def test_what_rolled_as_the_store_failed_is_judged_once_that_is_over(tmp_path: Path) -> None:
    rig = rolling(tmp_path)
    rig.go(3)
    most = rig.outbox._max_bytes
    rig.outbox._max_bytes, rig.outbox._drop_undelivered, rig.outbox._room = 1, False, 0
    assert ask(rig, event_id=item(rig).event_id, label="glass")["status"] == "error"
    assert rig.daemon.status is Status.FAULT
    rig.outbox._max_bytes, rig.outbox._room = most, 0
    rig.go(40)
    assert rig.daemon.status is Status.HOLDING
    assert rig.kinds() == ["uncertain", "fault", "uncertain"]


def test_an_answer_about_what_rolled_moves_nothing_else(tmp_path: Path) -> None:
    rig = rolling(tmp_path)
    rig.clock.at(3.1, rig.tray.clear)
    rig.clock.at(3.1, partial(rig.tray.put, "letter", 60, 20))  # no sensor sees it
    rig.go(3.2)
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.servo.visited == []
    assert rig.kinds()[-1] == "uncertain", "the letter is judged for itself"


def test_what_an_answer_was_not_of_is_judged_anew(rig: Rig) -> None:
    rig.tray.clear()
    rig.tray.put("letter", 10, 70)
    ask(rig, event_id=item(rig).event_id, label="glass")
    _, answered, another = rig.events()
    assert (answered.event_type, another.event_type) == ("resolved", "uncertain")
    assert another.trigger is Source.MOTION
    assert state(rig)["waiting"]["event_id"] == another.event_id
    ask(rig, event_id=another.event_id, label="paper")
    assert rig.servo.visited == ["paper"]


def test_in_the_dark_it_waits_on_until_it_sees_again(rig: Rig) -> None:
    rig.tray.light = 0.02
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.kinds() == ["uncertain", "resolved"]
    assert rig.daemon.status is Status.HOLDING
    rig.tray.light = 1.0
    rig.go(3)
    assert rig.daemon.status is Status.HOLDING
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.servo.visited == ["rest"]


def test_where_no_empty_tray_is_known_an_answer_to_another_view_asks_nothing_new(
    make: Callable[..., Rig],
) -> None:
    rig = make(look={"empty_tray": "none"})
    rig.tray.clear()
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.kinds() == ["uncertain", "resolved"]
    assert rig.daemon.status is Status.HOLDING


def test_a_wrong_sort_is_corrected_without_a_move(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.drop()
    rig.go()
    assert rig.servo.visited == ["rest"]
    told = ask(rig, event_id=item(rig).event_id, label="paper", way="homeassistant")
    assert told["data"]["bin"] is None
    assert rig.events()[-1].answer == Answer("paper", "homeassistant")
    assert rig.servo.visited == ["rest"]
    rig.start()  # also of an item before a restart
    assert ask(rig, event_id=item(rig).event_id, label="glass")["status"] == "ok"
    assert state(rig)["counts"]["total"] == {"metal": 1}, "it counts what was moved"


def test_advisory_lights_the_bin_of_the_answer_and_moves_nothing(make: Callable[..., Rig]) -> None:
    rig = make(device={"id": "rig", "mode": "advisory"})
    ask(rig, event_id=item(rig).event_id, label="paper")
    assert rig.servo.visited == []
    assert rig.lamps.shown[-1] == (Status.SORTING, "paper")
    assert rig.events()[-1].actuation == ["lamps"]


def test_a_move_that_fails_after_an_answer_is_a_fault_about_it(rig: Rig) -> None:
    rig.servo.broken = "no power"
    ask(rig, event_id=item(rig).event_id, label="paper")
    _, answered, fault, *_ = rig.events()
    assert (fault.event_type, fault.about) == ("fault", answered.event_id)


def test_an_answer_that_cannot_be_written_moves_nothing(rig: Rig) -> None:
    held = item(rig).event_id
    rig.outbox._max_bytes, rig.outbox._drop_undelivered, rig.outbox._room = 1, False, 0
    told = ask(rig, event_id=held, label="paper")
    assert told["status"] == "error" and "full" in told["error"]
    assert rig.servo.visited == []
    assert rig.daemon.status is Status.FAULT


# refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"event_id": "0198c0de-0000-7000-8000-000000000000"}, "another bin's"),
        ({"label": "gold"}, "there is no label 'gold'; there are cardboard, glass"),
        ({"label": None}, "label"),
        ({"way": "button"}, "way: input should be 'page'"),
        ({"more": 1}, "unknown key 'more'"),
        ({"expires": "2026-11-23T11:00:00Z"}, "expired"),
    ],
)
def test_a_refusal_says_why_and_moves_nothing(
    rig: Rig, change: Mapping[str, Any], says: str
) -> None:
    told = ask(rig, **({"event_id": item(rig).event_id, "label": "glass"} | change))
    assert told["status"] == "refused" and says in told["error"]
    assert rig.servo.visited == [] and rig.kinds() == ["uncertain"]
    assert rig.daemon.status is Status.HOLDING, "it still waits for an answer"


def test_only_an_item_can_be_answered(rig: Rig) -> None:
    ask(rig, event_id=item(rig).event_id, label="glass")
    told = ask(rig, event_id=rig.events()[-1].event_id, label="glass")
    assert told["status"] == "refused" and "is resolved" in told["error"]


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.just("the item's") | ANYTHING,
        "label": st.sampled_from(LABELS) | ANYTHING,
        "way": st.sampled_from(["page", "button", "request"]) | ANYTHING,
        "expires": st.sampled_from(["2026-11-23T11:00:00Z", "2099-01-01T00:00:00Z"]) | ANYTHING,
        "transaction": ANYTHING,
        "servo": ANYTHING,
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS, st.booleans())
def test_no_refused_request_moves_anything(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Any], retained: bool
) -> None:
    rig = holding(tmp_path_factory.mktemp("bin"))
    if keys.get("event_id") == "the item's":
        keys["event_id"] = item(rig).event_id
    rig.daemon.request("resolve", json.dumps(keys).encode(), retained)
    rig.go(10)
    ((_, told),) = rig.told.answers
    if told["status"] == "ok":
        assert rig.servo.visited and rig.kinds() == ["uncertain", "resolved"]
    else:
        assert told["error"]
        assert rig.servo.visited == [] and rig.kinds() == ["uncertain"]


# what the network saw is kept with the item


def test_the_features_of_every_item_are_kept_and_only_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.network.usual, rig.network.features = UNSURE, np.arange(4, dtype=np.float32)
    rig.drop()
    rig.go(5)
    ask(rig, event_id=item(rig).event_id, label="glass")
    assert rig.kinds() == ["uncertain", "resolved"]
    with rig.outbox._file.reading() as db:
        kept = [row[0] for row in db.execute("SELECT features FROM event ORDER BY seq")]
    assert kept[1] is None
    assert np.frombuffer(kept[0], "<f2").tolist() == [0, 1, 2, 3]
