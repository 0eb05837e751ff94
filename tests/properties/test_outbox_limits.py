"""The store's limits: the cap, the full disk, and rows that the card has altered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support import connection
from tests.support_events import NOON, an_event
from trashbin import database, tally
from trashbin.errors import StoreError
from trashbin.events import Event, EventType
from trashbin.outbox import AT_ONCE, Dropped, Outbox

CAP = 80_000  # an empty store takes about half of it
PAGE = 4096
ALL = (0, 2**63 - 1, 10_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    box = Outbox(path)
    yield box
    box.close()


def fill(box: Outbox, count: int) -> list[Event]:
    return [box.append(an_event()) for _ in range(count)]


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


class Capped(RuleBasedStateMachine):
    """Append, acknowledge, tell, prune and reopen at the cap, against plain sets."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.outbox = self.open()
        self.appended = self.items = 0
        self.ids: dict[int, str] = {}
        self.delivered: set[int] = set()
        self.told: set[int] = set()

    def open(self) -> Outbox:
        return Outbox(Path(self.folder.name) / "events.sqlite", max_bytes=CAP)

    def lost(self) -> set[int]:
        waiting = set(seqs(self.outbox.unacknowledged(*ALL)))
        return set(range(1, self.appended + 1)) - self.delivered - waiting

    def put(self, event: Event) -> None:
        before = self.lost()
        stored = self.outbox.append(event)
        self.count(stored, before)

    def count(self, stored: Event, before: set[int]) -> None:
        self.appended += 1
        self.items += stored.sorted_as is not None
        assert stored.seq == self.appended  # counted on, whatever was dropped
        self.ids[stored.seq] = stored.event_id
        if self.lost() != before:  # nothing else would have helped
            assert not self.delivered & set(seqs(self.outbox.span(0, 10_000)))

    @rule(count=st.integers(1, 30))
    def append(self, count: int) -> None:
        for _ in range(count):
            self.put(an_event())

    @rule(words=st.integers(1, 9000))
    def append_a_large_one(self, words: int) -> None:
        self.put(an_event(image_id="x" * words))

    @rule(count=st.integers(0, 20), newest=st.booleans())
    def acknowledge(self, count: int, newest: bool) -> None:
        waiting = self.outbox.unacknowledged(*ALL)
        some = waiting[-count:] if newest else waiting[:count]
        self.outbox.acknowledge([event.event_id for event in some])
        self.delivered |= set(seqs(some))

    @rule()
    def tell(self) -> None:
        before = self.lost()
        self.told |= before
        self.count(self.outbox.append_dropped(an_event(event_type=EventType.NOTICE)), before)

    @rule()
    def prune(self) -> None:
        self.outbox.prune(NOON + timedelta(days=9), 1)

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = self.open()

    @invariant()
    def what_is_kept_is_the_newest_and_what_is_lost_is_told(self) -> None:
        undelivered = [n for n in range(1, self.appended + 1) if n not in self.delivered]
        waiting = seqs(self.outbox.unacknowledged(*ALL))
        assert waiting == undelivered[len(undelivered) - len(waiting) :]
        untold = self.lost() - self.told
        assert self.outbox.dropped() == (
            Dropped(len(untold), min(untold), max(untold)) if untold else None
        )
        assert self.outbox.last_seq() == self.appended
        assert self.outbox.sorted_in_all().get("paper", 0) == self.items
        (size,) = connection(self.outbox).execute("PRAGMA page_count").fetchone()
        assert size * PAGE <= CAP + 4 * PAGE  # the file itself, not only what is used of it

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


TestCapped = Capped.TestCase
TestCapped.settings = hypothesis_settings(max_examples=12, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize("setting", ["", "x" * 920_000])
def test_the_cap_holds_though_room_is_not_measured_for_each_event(path: Path, setting: str) -> None:
    cap = 1_000_000
    box = Outbox(path, max_bytes=cap)
    with mock.patch.object(database, "used", wraps=database.used) as measured:
        for number in count(1):
            box.append(an_event(image_id="x" * (number * 997 % 9000)), bytes(1792))
            (pages,) = connection(box).execute("PRAGMA page_count").fetchone()
            assert pages * PAGE <= cap + 4 * PAGE
            if number == 1:
                box.set("mode", setting)
            if number == 20:
                assert setting or measured.call_count < 10
            if box.dropped() is not None:
                break
    box.close()


def test_the_cap_holds_for_events_of_any_size(path: Path) -> None:
    box = Outbox(path, max_bytes=CAP)
    for number in range(24):
        fill(box, number % 5 + 1)
        box.append(an_event(image_id="x" * 28_000))
        (pages,) = connection(box).execute("PRAGMA page_count").fetchone()
        assert pages * PAGE <= CAP + 4 * PAGE
    box.close()


def test_what_was_told_to_be_damaged_gives_way_before_an_undelivered_event(path: Path) -> None:
    box = Outbox(path, max_bytes=CAP)
    fill(box, 1)
    damaged = "INSERT INTO damaged (seq, json, told) VALUES (?, zeroblob(12000), ?)"
    connection(box).executemany(damaged, [(901, 1), (902, 0)])
    while kept_as_damaged(box) == [901, 902]:
        fill(box, 1)
        assert box.dropped() is None
    assert kept_as_damaged(box) == [902], "of which nobody was told yet"
    box.close()


def test_seq_goes_on_where_every_event_was_dropped(path: Path) -> None:
    box = Outbox(path, max_bytes=1)
    fill(box, 3)
    box.close()
    box = Outbox(path, max_bytes=1)
    assert seqs(box.span(0, 10)) == [3]
    assert fill(box, 1)[0].seq == 4
    assert box.dropped() == Dropped(3, 1, 3)
    box.close()


def test_delivery_ends_an_episode(path: Path) -> None:
    box = Outbox(path, max_bytes=CAP)
    while box.dropped() is None:
        fill(box, 1)
    assert not box.delivering
    before = box.dropped()
    box.acknowledge([event.event_id for event in box.unacknowledged(*ALL)[:AT_ONCE]])
    assert box.delivering
    fill(box, 2 * AT_ONCE - 4)  # more than was free: the delivered ones make room
    assert box.dropped() == before
    box.append_dropped(an_event(event_type=EventType.NOTICE))
    assert box.dropped() is None
    box.close()


def test_a_store_that_may_drop_nothing_says_that_it_is_full(path: Path) -> None:
    box = Outbox(path, max_bytes=CAP, drop_undelivered=False)
    with pytest.raises(StoreError, match="max_mb"):
        fill(box, 1000)
    waiting = box.unacknowledged(*ALL)
    assert seqs(waiting) == list(range(1, len(waiting) + 1))
    box.acknowledge([event.event_id for event in waiting[:AT_ONCE]])
    assert fill(box, 1)[0].seq == len(waiting) + 1
    box.close()


def test_without_a_broker_history_ends_by_age(outbox: Outbox) -> None:
    fill(outbox, 2)
    assert outbox.prune(NOON + timedelta(days=40), 30) == 0
    assert outbox.prune(NOON + timedelta(days=40), 30, delivered=False) == 2
    assert (outbox.depth(), outbox.dropped()) == (0, None)


def full_disk(box: Outbox) -> None:
    (pages,) = connection(box).execute("PRAGMA page_count").fetchone()
    connection(box).execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_costs_delivered_events_and_nothing_else(outbox: Outbox) -> None:
    first = fill(outbox, 30)
    outbox.acknowledge([event.event_id for event in first[:20]])
    full_disk(outbox)
    with mock.patch.object(tally, "AT_ONCE", 1):
        later = fill(outbox, 15)
    assert outbox.sorted_in_all() == {"paper": 45}
    assert seqs(later) == list(range(31, 46))
    assert seqs(outbox.span(0, 100)) == list(range(21, 46))
    assert outbox.dropped() is None


def test_a_full_disk_is_told_with_what_to_do_and_leaves_no_hole(outbox: Outbox) -> None:
    full_disk(outbox)
    written = []
    with pytest.raises(StoreError, match="Free some space"):
        while True:
            written += fill(outbox, 1)
    assert seqs(outbox.unacknowledged(*ALL)) == seqs(written)
    connection(outbox).execute("PRAGMA max_page_count = 10000")
    assert fill(outbox, 1)[0].seq == len(written) + 1


def flip(path: Path, old: bytes, new: bytes) -> None:
    """Alter bytes of the file itself, behind SQLite's back."""
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"uptime_ms":3,', b'"uptime_ms":7,'),  # sound JSON, and another event
        (b'"uptime_ms":3,', b'"uptime_ms"\x003,'),
        (b'"uptime_ms":3,', b'"uptime_m\xff":3,'),  # no UTF-8
    ],
)
def test_a_damaged_row_is_skipped_told_once_and_kept(path: Path, old: bytes, new: bytes) -> None:
    box = Outbox(path)
    stored = [box.append(an_event(uptime_ms=n)) for n in (1, 2, 3, 4)]
    box.close()
    flip(path, old, new)
    box = Outbox(path)
    assert box.lost_file is None
    assert seqs(box.unacknowledged(0, 2**60, 3)) == [1, 2, 4]
    assert seqs(box.span(0, 10)) == [1, 2, 4]
    assert box.damaged() == [3]
    assert box.depth() == 3  # nobody waits for it
    assert box.append_damaged(an_event(), [3]).seq == 5
    assert box.damaged() == []
    ((kept,),) = connection(box).execute("SELECT json FROM damaged")
    assert kept == stored[2].to_json().encode().replace(old, new)
    box.close()


VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    ts TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE pending (seq INTEGER PRIMARY KEY);
CREATE TABLE sorted (
    day TEXT NOT NULL,
    label TEXT NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (day, label)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def old_store(path: Path, version: int, *rows: tuple[Event, str]) -> None:
    """A store as that version of the program wrote it, all events undelivered."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(VERSION_1)
        for number in range(2, version + 1):
            db.executescript(database.CHANGES[number])
        db.execute("INSERT INTO meta VALUES ('store_id', 'an-old-one')")
        for event, text in rows:
            values = [event.seq, event.event_id, event.ts, text]
            crc = [database.checksum(text)] if version > 1 else []
            crc += [None] if version > 2 else []  # features
            marks = ", ".join("?" * len(values + crc))
            db.execute(f"INSERT INTO event VALUES ({marks})", values + crc)
            db.execute("INSERT INTO pending VALUES (?)", (event.seq,))
    db.close()


def test_a_store_of_version_1_is_read_and_carried_on(path: Path) -> None:
    event = replace(an_event(), seq=1, store_id="an-old-one")
    broken = replace(an_event(), seq=2, store_id="an-old-one")
    old_store(path, 1, (event, event.to_json()), (broken, "{"))
    box = Outbox(path)
    assert seqs(box.unacknowledged(*ALL)) == [1]
    assert box.store_id == "an-old-one"
    assert box.damaged() == [2]
    assert fill(box, 1)[0].seq == 3
    box.close()


def test_a_store_of_version_2_is_read_and_carried_on(path: Path) -> None:
    before = [replace(an_event(), seq=seq, store_id="an-old-one") for seq in (1, 2)]
    old_store(path, 2, *((event, event.to_json()) for event in before))
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO damaged VALUES (3, x'00', 1), (4, x'00', 0)")
    db.close()
    box = Outbox(path)
    assert box.unacknowledged(*ALL) == before
    assert box.append(an_event(), b"features").seq == 3
    assert box.lost_file is None
    box.prune(datetime.now(UTC) + timedelta(days=29), 30)
    assert kept_as_damaged(box) == [3, 4]
    box.prune(datetime.now(UTC) + timedelta(days=31), 30)
    assert kept_as_damaged(box) == [4]  # the other was never told
    box.close()


def test_a_store_of_version_3_keeps_its_counts_and_its_seq(path: Path) -> None:
    event = replace(an_event(), seq=7, store_id="an-old-one")
    old_store(path, 3, (event, event.to_json()))
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO sorted VALUES ('2026-11-23', 'paper', 7)")
    db.close()
    box = Outbox(path, zone=UTC)
    assert box.last_seq() == 7
    assert box.prune(NOON + timedelta(days=31), 30, delivered=False) == 1
    box.close()
    box = Outbox(path, zone=UTC)
    assert box.append(an_event()).seq == 8, "though no event was left"
    assert box.sorted_on(NOON.date()) == box.sorted_in_all() == {"paper": 8}
    box.close()


def kept_as_damaged(box: Outbox) -> list[int]:
    return [seq for (seq,) in connection(box).execute("SELECT seq FROM damaged ORDER BY seq")]


def test_damaged_events_are_forgotten_with_their_age(path: Path) -> None:
    box = Outbox(path)
    stored = box.append(an_event(uptime_ms=3))
    box.append(an_event())
    box.close()
    flip(path, b'"uptime_ms":3,', b'"uptime_ms":7,')
    box = Outbox(path)
    assert box.damaged() == [] and seqs(box.span(0, 10)) == [2]
    box.prune(NOON + timedelta(days=31), 30)
    assert kept_as_damaged(box) == [stored.seq]  # not yet told
    box.append_damaged(an_event(), [stored.seq])
    box.prune(NOON + timedelta(days=29), 30)
    assert kept_as_damaged(box) == [stored.seq]
    box.prune(NOON + timedelta(days=31), 30)
    assert kept_as_damaged(box) == []
    box.close()
