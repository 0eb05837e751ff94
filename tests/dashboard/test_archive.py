"""The page's own history: no repeats, bounded, there again after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support_events import NOON, an_event
from trashbin.dashboard.archive import ANSWERED, ITEMS, NAME, Archive, Filter
from trashbin.events import Answer, Event, EventType, new_event_id
from trashbin.types import Action, Reason

Opened = Callable[..., Archive]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made: list[Archive] = []

    def open(keep: int = 1000) -> Archive:
        made.append(Archive(tmp_path / NAME, keep))
        return made[-1]

    yield open
    for archive in made:
        archive.close()


def events(count: int, first: int = 1, **keys: object) -> list[Event]:
    moments = [NOON + timedelta(seconds=number) for number in range(first, first + count)]
    return [
        an_event(moment, seq=first + index, store_id="s", **keys)
        for index, moment in enumerate(moments)
    ]


def uncertain(event: Event) -> Event:
    return replace(
        event,
        event_type=EventType.UNCERTAIN,
        decision=Action.HOLD,
        reason=Reason.LOW_GAP,
        bin=None,
    )


def test_a_repeat_is_dropped_by_its_event_id(opened: Opened) -> None:
    archive = opened()
    (event,) = events(1)
    assert archive.add([event, event]) == [event]
    assert archive.add([replace(event, historical=True)]) == []
    assert archive.count() == 1


def test_history_is_there_after_a_restart(opened: Opened) -> None:
    first = opened()
    first.add(events(3))
    first.close()
    assert [event.seq for event in opened().newest(10)] == [3, 2, 1]


def test_it_stays_bounded_and_the_oldest_go(opened: Opened) -> None:
    archive = opened(keep=100)
    for first in range(1, 1001, 10):
        archive.add(events(10, first))
    assert archive.count() <= 102
    assert archive.newest(1)[0].seq == 1000
    # and what went is not asked for again
    assert (archive.gone("bin-1", "s") or 0) >= 898


def test_a_damaged_file_is_set_aside(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"this is no database, " * 100)
    archive = opened()
    archive.add(events(1))
    assert archive.count() == 1
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1


def test_an_uncertain_item_waits_until_somebody_answers(opened: Opened) -> None:
    archive = opened()
    first, second = (uncertain(event) for event in events(2))
    archive.add([first, second])
    assert archive.waiting_count() == 2
    told = an_event(seq=3, store_id="s", event_type=EventType.RESOLVED, resolves=first.event_id)
    archive.add([told])
    assert archive.waiting(10) == [second]
    assert archive.answers([first.event_id, second.event_id]) == {first.event_id: told}


def test_what_its_bin_does_not_keep_waits_no_longer(opened: Opened) -> None:
    archive = opened()
    first, second = (uncertain(event) for event in events(2))
    archive.add([first, second])
    for _ in range(2):
        archive.dismiss(first.event_id)
    assert archive.waiting(10) == [second] and archive.waiting_count() == 1
    archive.close()
    assert opened().waiting(10) == [second]


def test_filters_name_bin_kind_label_and_text(opened: Opened) -> None:
    archive = opened()
    archive.add(events(2))
    archive.add(events(1, 10, device_id="bin-2", label="glass", bin="the left one"))
    assert archive.count(Filter("bin-2")) == 1
    assert archive.count(Filter(kinds=[EventType.UNCERTAIN])) == 0
    assert archive.count(Filter(kinds=ITEMS, label="paper")) == 2
    assert archive.count(Filter(text="The LEFT")) == 1
    assert archive.count(Filter(text="%")) == 0
    assert archive.count(Filter(text="familiarity")) == 0, "a key of JSON is no text"
    assert archive.count(Filter(text="kaca", meant={"label": ["glass"], "reason": []})) == 1
    day = (NOON + timedelta(seconds=1)).astimezone()
    assert archive.count(Filter(text=f"{day:%Y-%m-%d %H:%M:%S}")) == 1
    assert [event.seq for event in archive.read(Filter())] == [1, 2, 10]


def test_an_answer_is_found_by_its_label(opened: Opened) -> None:
    archive = opened()
    (item,) = events(1)
    told = an_event(
        seq=2,
        store_id="s",
        event_type=EventType.RESOLVED,
        resolves=item.event_id,
        answer=Answer("glass", "page"),
        label=None,
    )
    archive.add([item, told])
    meant = {ANSWERED: ["glass"]}
    for which in (Filter(label="glass"), Filter(text="glass"), Filter(text="x", meant=meant)):
        assert archive.newest(9, which) == [told]
    assert archive.labels() == ["glass", "paper"]


def test_figures_count_by_hour_and_class(opened: Opened) -> None:
    archive = opened()
    archive.add(events(3))
    archive.add([uncertain(event) for event in events(1, 4)])
    counted = archive.by_hour(NOON)
    assert [(label, count) for _, label, count in counted] == [("paper", 3), ("uncertain", 1)]
    assert archive.latencies(NOON)[0][1] == 1.5


def test_a_stored_event_is_the_one_that_came(opened: Opened) -> None:
    archive = opened()
    (event,) = events(1)
    archive.add([event])
    assert archive.find(event.event_id) == event
    assert archive.find(new_event_id(NOON)) is None
