"""The page's own history: no repeats, bounded, there again after a restart."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from tests.support_events import NOON, an_event
from tests.support_processes import WAIT_S
from trashbin.dashboard.archive import NAME, Archive, _opened
from trashbin.dashboard.filter import ANSWERED, Filter
from trashbin.dashboard.live import OTHERS
from trashbin.errors import StoreError
from trashbin.events import ITEM_EVENTS, Answer, Event, EventType, new_event_id
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


def test_an_item_of_a_bin_whose_clock_is_years_ahead_is_not_the_newest_for_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trashbin.dashboard.archive.is_synchronized", lambda: True)
    moment = [NOON]
    archive = Archive(tmp_path / NAME, now=lambda: moment[0])
    ahead = an_event(NOON + timedelta(days=3650), seq=1)
    archive.add([ahead])
    moment[0] += timedelta(minutes=5)
    right = an_event(moment[0] + timedelta(seconds=20), seq=2)  # no two clocks are the same
    archive.add([right])
    assert archive.newest(2) == [right, ahead]
    assert sum(count for *_, count in archive.by_hour(NOON + timedelta(seconds=30))) == 1
    monkeypatch.setattr("trashbin.dashboard.archive.is_synchronized", lambda: False)
    archive.add([later := replace(ahead, event_id=new_event_id(NOON), seq=3)])
    assert archive.newest(1) == [later], "nobody knows whose clock is wrong"
    archive.close()


def test_a_repeat_is_dropped_by_its_event_id(opened: Opened) -> None:
    archive = opened()
    (event,) = events(1)
    archive.add([event, event])
    archive.add([replace(event, historical=True)])
    assert archive.count() == 1 and list(archive.read(Filter())) == [event]


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


def test_what_could_not_be_written_pushes_nothing_out(opened: Opened) -> None:
    archive = opened(keep=100)
    archive.add(events(50))
    assert archive._db is not None
    full = [True]

    def allowed(action: int, what: str | None, *_: object) -> int:
        commits = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if full and commits else sqlite3.SQLITE_OK

    archive._db.set_authorizer(allowed)
    for _ in range(20):  # as on a full disk, where the same events are tried again and again
        with pytest.raises(StoreError):
            archive.add(events(10, 51))
    full.clear()
    archive.add(events(50, 51))
    assert [event.seq for event in archive.read(Filter())] == list(range(1, 101))
    assert archive.gone("bin-1", "s") is None


def test_a_damaged_file_is_set_aside(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"this is no database, " * 100)
    archive = opened()
    archive.add(events(1))
    assert archive.count() == 1
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1


def closed_with(opened: Opened, count: int) -> None:
    archive = opened(keep=10_000)
    archive.add(events(count))
    archive.close()


def test_a_file_whose_damage_shows_later_is_set_aside_then(opened: Opened, tmp_path: Path) -> None:
    closed_with(opened, 300)
    content = bytearray((tmp_path / NAME).read_bytes())
    half = len(content) // 2 // 4096 * 4096
    content[half:] = bytes(len(content) - half)
    (tmp_path / NAME).write_bytes(content)
    archive = opened()
    assert len(archive.newest(1000)) + len(list(archive.read(Filter()))) == 0
    archive.add(events(1))
    assert archive.count() == 1
    assert archive.begun == 1
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1


def test_an_event_that_the_disk_altered_is_left_out(opened: Opened, tmp_path: Path) -> None:
    closed_with(opened, 3)
    content = (tmp_path / NAME).read_bytes()
    assert content.count(b'"seq":2,') == content.count(b'"seq":3,') == 1
    content = content.replace(b'"seq":2,', b'"sep":2,').replace(b'"seq":3,', b'"\xffeq":3,')
    (tmp_path / NAME).write_bytes(content)
    archive = opened()
    assert [event.seq for event in archive.newest(9)] == [1]
    assert [event.seq for event in archive.read(Filter())] == [1]


def test_an_item_that_the_disk_altered_hides_no_figures(opened: Opened, tmp_path: Path) -> None:
    closed_with(opened, 3)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE event SET ts = '2026-11-23T12:0p:02.000Z' WHERE seq = 2")
    archive = opened()
    assert sum(count for _, _, count in archive.by_hour(NOON)) == 2
    assert len(archive.latencies(NOON)) == 2


def test_json_that_the_disk_altered_ends_no_search(opened: Opened, tmp_path: Path) -> None:
    closed_with(opened, 3)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE event SET json = replace(json, '}', ']') WHERE seq = 2")
    archive = opened()
    assert archive.newest(9, Filter(text="left")) == []
    assert archive.begun == 1


def test_any_thread_may_read_on(opened: Opened) -> None:
    """A download is read by whichever thread is free; two at once were cut off."""
    archive = opened(keep=10_000)
    archive.add(events(1200))
    reading, found = archive.read(Filter()), list[int]()

    def read_on() -> None:
        found.extend(event.seq for event in islice(reading, 100))

    for _ in range(12):
        thread = threading.Thread(target=read_on)
        thread.start()
        thread.join()
    assert found == list(range(1, 1201))


def test_two_pages_may_begin_at_once(tmp_path: Path) -> None:
    made: list[Archive] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        made.append(Archive(tmp_path / NAME))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    for archive in made:
        archive.close()


def test_a_page_waits_for_the_one_that_makes_the_file(opened: Opened, tmp_path: Path) -> None:
    """SQLite refuses the change to a write-ahead log at once, however long it may wait."""
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.05, other.execute, ["COMMIT"])
    done.start()
    assert opened().count() == 0
    done.join()
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_tables_that_a_power_cut_left_half_made_are_finished(
    opened: Opened, tmp_path: Path
) -> None:
    archive = opened()
    archive.add(events(1))
    archive.close()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("DROP TABLE gone")
        db.execute("PRAGMA user_version = 0")
    archive = opened()
    archive.set_gone("bin-1", "s", 7)
    assert archive.count() == 1


def test_where_the_file_cannot_be_it_says_which_option_names_it(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(StoreError, match="Name another folder with --store"):
        Archive(tmp_path / NAME)


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
    """Nor what is older: of a month nobody would click through hundreds that cannot be answered."""
    archive = opened()
    old, first, second = (uncertain(event) for event in events(3))
    others = [uncertain(event) for event in events(1, device_id="bin-2")]
    others += [replace(uncertain(event), store_id="t") for event in events(1)]
    archive.add([old, first, second, *others])
    for _ in range(2):
        archive.dismiss(first)
    left = {event.event_id for event in (second, *others)}
    assert {event.event_id for event in archive.waiting(10)} == left
    assert archive.waiting_count() == 3
    archive.close()
    assert opened().waiting_count() == 3


def test_a_long_search_keeps_nobody_waiting(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    store.add(events(300))
    searching, go_on = threading.Event(), threading.Event()
    open_file = _opened

    def slow(path: Path) -> sqlite3.Connection:
        def step() -> None:
            searching.set()
            go_on.wait(WAIT_S)

        db = open_file(path)
        db.set_progress_handler(step, 500)
        return db

    monkeypatch.setattr("trashbin.dashboard.archive._opened", slow)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(store.count, Filter(text="zebra"))
        assert searching.wait(WAIT_S)
        assert len(store.newest(10)) == 10
        store.add(events(1, 301))
        go_on.set()
        assert found.result() == 0


def test_notes_of_what_is_forgotten_are_forgotten(opened: Opened, tmp_path: Path) -> None:
    archive = opened(keep=100)
    old = [uncertain(event) for event in events(10, device_id="old")]
    archive.add(old)
    archive.dismiss(old[0])
    archive.set_gone("old", "s", 3)
    for first in range(11, 300, 10):
        archive.add(events(10, first))
    assert archive.gone("old", "s") is None
    assert archive.gone("bin-1", "s") is not None
    with sqlite3.connect(tmp_path / NAME) as db:
        assert db.execute("SELECT count(*) FROM dismissed").fetchone() == (0,)


def test_filters_name_bin_kind_label_and_text(opened: Opened) -> None:
    archive = opened()
    archive.add(events(2))
    archive.add(events(1, 10, device_id="bin-2", label="glass", bin="the left one"))
    assert archive.count(Filter("bin-2")) == 1
    assert archive.count(Filter(kinds=[EventType.UNCERTAIN])) == 0
    assert archive.count(Filter(kinds=ITEM_EVENTS, label="paper")) == 2
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


@pytest.mark.parametrize("device", [None, "bin-1"])
def test_the_newest_of_several_kinds_cost_no_more_where_there_are_many(
    opened: Opened, device: str | None
) -> None:
    """The first page asks at each change; SQLite sorted all that was kept for ten."""
    archive, steps = opened(100_000), 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def asked() -> tuple[list[int], int]:
        nonlocal steps
        steps = 0
        items, others = (Filter(device, kinds) for kinds in (ITEM_EVENTS, OTHERS))
        found = archive.newest(3, items) + archive.newest(3, others)
        return [event.seq for event in found], steps

    def add(first: int) -> None:
        made = events(200, first)
        archive.add([uncertain(event) if event.seq % 3 == 0 else event for event in made])

    add(1)
    assert archive._db is not None
    archive._db.set_progress_handler(step, 10)
    few = asked()
    for first in range(201, 2000, 200):
        add(first)
    many = asked()
    assert (few[0], many[0]) == ([200, 199, 198], [2000, 1999, 1998])
    assert many[1] < 2 * few[1]


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
