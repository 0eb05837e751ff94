"""The store: whatever is cut off, seq has no hole and nothing unacknowledged is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support import connection
from tests.support_events import NOON, a_fault, an_event, events
from trashbin import database, tally
from trashbin.errors import StoreError
from trashbin.events import Event, EventType
from trashbin.outbox import Outbox

EVERYTHING = (0, 2**63 - 1, 10_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "events.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    box = Outbox(path)
    yield box
    box.close()


class Store(RuleBasedStateMachine):
    """Append, acknowledge, prune and reopen in any order, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name) / "events.sqlite")
        self.outbox.open()
        self.store_id = self.outbox.store_id
        self.written: list[str] = []
        self.dates: list[str] = []
        self.gone: set[int] = set()
        self.waiting: list[Event] = []
        self.ids: dict[str, int] = {}
        self.sorted: Counter[str] = Counter()
        self.often = mock.patch.object(tally, "AT_ONCE", 3)
        self.often.start()

    @rule(event=events())
    def append(self, event: Event) -> None:
        stored = self.outbox.append(event)
        assert (stored.store_id, stored.seq) == (self.store_id, len(self.written) + 1)
        self.written.append(stored.to_json())
        self.dates.append(stored.ts)
        self.waiting.append(Event.from_json(stored.to_json()))
        self.ids[stored.event_id] = stored.seq
        if event.sorted_as is not None:
            self.sorted[event.sorted_as] += 1

    @rule(event=events())
    def fail_to_append(self, event: Event) -> None:
        if not self.written or len(self.written) in self.gone:
            return
        again = Event.from_json(self.written[-1]).event_id
        with pytest.raises(StoreError):
            self.outbox.append(replace(event, event_id=again))

    @rule(count=st.integers(0, 4), data=st.data())
    def acknowledge(self, count: int, data: st.DataObject) -> None:
        some = data.draw(st.permutations(self.waiting))[:count]
        self.outbox.acknowledge([event.event_id for event in some])
        self.waiting = [event for event in self.waiting if event not in some]

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.outbox.path)
        self.outbox.open()
        assert self.outbox.store_id == self.store_id
        assert self.outbox.lost_file is None

    @rule()
    def prune_all_that_may_go(self) -> None:
        self.outbox.prune(NOON + timedelta(days=365 * 200), 1)
        dated = [seq for seq, ts in enumerate(self.dates, start=1) if ts >= "2026"]
        waiting = {event.seq for event in self.waiting}
        self.gone |= set(range(1, max(dated, default=0) + 1)) - waiting

    @invariant()
    def nothing_is_lost_or_altered(self) -> None:
        assert self.outbox.unacknowledged(*EVERYTHING) == self.waiting
        assert self.outbox.depth() == len(self.waiting)
        assert self.outbox.last_seq() == len(self.written)
        assert self.outbox.sorted_in_all() == self.sorted
        kept = [event.to_json() for event in self.outbox.span(0, 10_000)]
        assert kept == [
            text for seq, text in enumerate(self.written, start=1) if seq not in self.gone
        ]

    def teardown(self) -> None:
        self.often.stop()
        self.outbox.close()
        self.folder.cleanup()


TestStore = Store.TestCase
TestStore.settings = hypothesis_settings(max_examples=15, stateful_step_count=15, deadline=None)


def test_what_was_appended_is_there_without_a_close(path: Path) -> None:
    first = Outbox(path)
    stored = first.append(an_event())
    second = Outbox(path)  # as after a power cut: the first was never closed
    assert second.span(0, 10) == [stored]
    assert second.append(an_event()).seq == 2
    first.close()
    second.close()


def test_every_commit_reaches_the_disk_but_for_what_may_be_undone(outbox: Outbox) -> None:
    db = connection(outbox)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL, from the first event on"
    level, levels = "FULL", []  # as each commit was made

    def trace(statement: str) -> None:
        nonlocal level
        if statement.startswith("PRAGMA synchronous = "):
            level = statement.rpartition(" ")[2]
        elif statement == "COMMIT":
            levels.append(level)

    db.set_trace_callback(trace)
    stored = outbox.append(an_event(), moving=True)
    outbox.moved()
    outbox.append_dropped(a_fault())
    outbox.append_damaged(a_fault(), [7])
    outbox.append_lost_file(a_fault())
    outbox.set("mode", "paused")
    outbox.prune(NOON, 30)
    assert levels == ["FULL"] * 7
    levels.clear()
    outbox.acknowledge([stored.event_id])  # is sent twice where a power cut undoes it
    outbox.set("tray", "", synced=False)
    assert levels == ["NORMAL"] * 2
    outbox.append(an_event())
    assert levels[2:] == ["FULL"]


def test_a_start_counts_few_events_and_an_event_costs_no_count(outbox: Outbox) -> None:
    behind = []
    for _ in range(3 * tally.AT_ONCE):
        last_seq = outbox.append(an_event()).seq
        behind.append(last_seq - database.counted(connection(outbox)))
    assert max(behind) == tally.AT_ONCE, "what a start has to read"
    assert behind.count(1) == 3, "written once for so many"


def test_an_event_that_cannot_be_written_leaves_no_hole(outbox: Outbox) -> None:
    event = outbox.append(an_event())
    with pytest.raises(StoreError):
        outbox.append(event)  # the same id twice
    assert outbox.append(an_event()).seq == 2


def test_what_a_stranger_wrote_to_the_file_costs_one_event_and_not_all(
    path: Path, outbox: Outbox
) -> None:
    outbox.append(an_event())
    stranger = Outbox(path)
    stranger.append(an_event())
    assert outbox.last_seq() == 2
    stranger.close()
    with pytest.raises(StoreError):
        outbox.append(an_event())
    assert outbox.append(an_event()).seq == 3


def test_a_span_and_what_waits_are_bounded(outbox: Outbox) -> None:
    for _ in range(5):
        outbox.append(an_event())
    assert [event.seq for event in outbox.span(1, 2)] == [2, 3]
    assert [event.seq for event in outbox.unacknowledged(1, 4, 10)] == [2, 3, 4]


def test_counts_are_of_local_days_and_outlive_their_events(path: Path) -> None:
    jakarta = timezone(timedelta(hours=7))
    outbox = Outbox(path, zone=jakarta)
    late = NOON.replace(hour=16, minute=59)  # 23:59 there
    for now, label in [(late, "paper"), (late, "paper"), (late + timedelta(minutes=1), "glass")]:
        outbox.append(an_event(now, label=label))
    outbox.append(a_fault())
    outbox.acknowledge([event.event_id for event in outbox.span(0, 10)])
    assert outbox.prune(NOON + timedelta(days=40), history_days=30) == 4
    outbox.close()
    outbox = Outbox(path, zone=jakarta)
    assert outbox.sorted_on(date(2026, 11, 23)) == {"paper": 2}
    assert outbox.sorted_on(date(2026, 11, 24)) == {"glass": 1}
    assert outbox.sorted_in_all() == {"paper": 2, "glass": 1}
    outbox.close()


def test_counts_outlive_a_kill(path: Path) -> None:
    boxes = []
    for _ in range(3):  # as after a kill: none is ever closed
        boxes.append(Outbox(path, zone=UTC))
        for _ in range(tally.AT_ONCE // 2 + 5):
            boxes[-1].append(an_event())
        items = {"paper": boxes[-1].last_seq()}
        assert boxes[-1].sorted_in_all() == boxes[-1].sorted_on(NOON.date()) == items
    assert items == {"paper": 3 * (tally.AT_ONCE // 2 + 5)}
    for box in boxes:
        box.close()


def test_an_item_that_was_held_is_not_counted(outbox: Outbox) -> None:
    outbox.append(an_event(event_type=EventType.UNCERTAIN))
    assert outbox.sorted_in_all() == {}


def test_young_events_are_kept(outbox: Outbox) -> None:
    stored = outbox.append(an_event())
    outbox.acknowledge([stored.event_id])
    assert outbox.prune(NOON + timedelta(days=29), history_days=30) == 0
    assert outbox.span(0, 10) == [stored]


@pytest.mark.parametrize("delivered", [True, False])
def test_a_wrong_clock_costs_no_history(outbox: Outbox, delivered: bool) -> None:
    """1970 until the network told the time, and once far ahead: neither says an event's age."""
    days = [timedelta(days=number) for number in range(4)]
    start, ahead = datetime(1970, 1, 1, 0, 1, tzinfo=UTC), NOON + timedelta(days=9000)
    for now in (start, NOON, start, NOON + days[1], ahead, start, NOON + days[2]):
        outbox.append(an_event(now))
    outbox.acknowledge([event.event_id for event in outbox.span(0, 10)] if delivered else [])

    def kept(after: timedelta) -> list[int]:
        outbox.prune(NOON + after, history_days=1.5, delivered=delivered)
        return [event.seq for event in outbox.span(0, 10)]

    assert kept(days[1]) == [1, 2, 3, 4, 5, 6, 7]
    assert kept(days[2]) == [3, 4, 5, 6, 7]
    assert kept(days[3]) == [5, 6, 7]
    assert kept(timedelta(days=30)) == []
    assert outbox.append(an_event()).seq == 8


def test_features_are_kept_with_their_event(outbox: Outbox) -> None:
    vector = bytes(range(256)) * 7
    outbox.append(an_event(), vector)
    outbox.append(a_fault())
    kept = connection(outbox).execute("SELECT features FROM event ORDER BY seq").fetchall()
    assert kept == [(vector,), (None,)]


def test_a_move_that_was_cut_off_is_known_after_a_restart(path: Path, outbox: Outbox) -> None:
    outbox.append(an_event(), moving=True)
    outbox.moved()
    assert outbox.cut_off() is None
    outbox.append(an_event())  # in advisory mode nothing moves
    assert outbox.cut_off() is None
    moving = outbox.append(an_event(), moving=True)
    again = Outbox(path)
    assert again.cut_off() == moving.event_id
    again.append(a_fault(about="another"))
    assert again.cut_off() == moving.event_id
    again.append(a_fault(about=moving.event_id))
    again.append_dropped(an_event())  # what only tells moves nothing
    again.append_damaged(a_fault(), [])
    again.append_lost_file(a_fault())
    assert again.cut_off() is None
    again.close()


def test_settings_outlive_a_restart(path: Path, outbox: Outbox) -> None:
    assert outbox.get("mode") is None
    outbox.set("mode", "paused")
    outbox.set("gap", "0.3")
    outbox.set("gap", None)
    other = Outbox(path)
    assert (other.get("mode"), other.get("gap")) == ("paused", None)
    other.close()


def test_two_threads_at_once(outbox: Outbox) -> None:
    """The main thread appends while the network thread reads and acknowledges."""
    done = threading.Event()
    sent: list[int] = []

    def deliver() -> None:
        while not done.is_set() or outbox.depth():
            waiting = outbox.unacknowledged(sent[-1] if sent else 0, 2**62, 10)
            sent.extend(event.seq for event in waiting)
            outbox.acknowledge([event.event_id for event in waiting])

    network = threading.Thread(target=deliver)
    network.start()
    for _ in range(60):
        outbox.append(an_event())
    done.set()
    network.join(20)
    assert sent == list(range(1, 61))
