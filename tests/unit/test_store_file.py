"""The store's file: damaged, replaced, of another version, or where something else stands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import connection
from tests.support_events import a_fault, an_event
from trashbin import database
from trashbin.errors import StoreError
from trashbin.outbox import MOST_BACK, Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "events.sqlite"


@pytest.mark.parametrize("rubbish", [b"", b"this is no database" * 300, None])
def test_a_damaged_file_is_set_aside_and_a_new_store_begins(
    path: Path, rubbish: bytes | None
) -> None:
    first = Outbox(path)
    for _ in range(50):
        first.append(an_event())
    first.close()
    whole = path.read_bytes()
    damaged = whole[:4096] + b"\xff" * 4096 + whole[8192:] if rubbish is None else rubbish
    path.write_bytes(damaged)

    second = Outbox(path)
    second.open()
    (aside,) = path.parent.glob("events.sqlite.damaged-2*")
    assert second.lost_file is not None and str(aside) in second.lost_file
    assert aside.read_bytes() == damaged
    assert second.store_id != first.store_id
    assert second.append(an_event()).seq == 1
    second.close()


def test_the_three_newest_damaged_files_are_kept(path: Path) -> None:
    path.parent.mkdir()
    for year in (2026, 2027, 2029, 2028):  # as clocks go, later than now
        for name in (path.name, f"{path.name}-wal"):
            path.with_name(f"{name}.damaged-{year}1123T120000").touch()
    path.write_bytes(b"this is no database" * 300)
    box = Outbox(path)
    box.open()
    kept = {path.with_name(f"{path.name}.damaged-{year}1123T120000") for year in (2028, 2029)}
    (new,) = set(path.parent.glob("*.sqlite.damaged-*")) - kept
    assert all(file.exists() for file in kept)
    assert box.lost_file is not None and str(new) in box.lost_file
    assert len(list(path.parent.glob("*-wal.damaged-*"))) == 2
    box.close()


def test_an_empty_file_where_no_store_was_is_no_damage(path: Path) -> None:
    path.parent.mkdir()
    path.touch()  # the power failed as the first store began, or the disk was full
    path.with_name("reserve").touch()
    box = Outbox(path)
    assert box.append(an_event()).seq == 1
    assert box.lost_file is None
    box.close()


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside_too(path: Path) -> None:
    box = Outbox(path)
    for _ in range(50):
        box.append(an_event())
    before = box.store_id
    connection(box).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    with path.open("r+b") as file:  # the same file, as a failing card does it
        file.write(content)
    connection(box).execute("PRAGMA shrink_memory")  # what SQLite remembers of it
    connection(box).execute("PRAGMA cache_size = 0")
    with pytest.raises(StoreError):
        box.span(0, 50)
    assert box.append(an_event()).seq == 1
    assert box.store_id not in ("", before)
    assert box.lost_file is not None
    box.append_lost_file(a_fault())
    assert box.lost_file is None
    box.close()


@pytest.mark.parametrize("name", [b"event_id", b"CREATE TABLE setting"])
def test_a_flipped_byte_in_the_tables_names_is_damage(path: Path, name: bytes) -> None:
    box = Outbox(path)
    box.append(an_event())
    box.close()
    path.write_bytes(path.read_bytes().replace(name, name[:-1] + b"q"))
    box = Outbox(path)
    box.open()
    assert box.lost_file is not None
    box.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    outbox = Outbox(path)
    outbox.open()
    outbox.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer"):
        Outbox(path).open()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "events.sqlite")
    with pytest.raises(StoreError, match="file is no folder"):
        box.open()
    (tmp_path / "file").unlink()
    assert box.append(an_event()).seq == 1  # tried again with every use
    box.close()


@pytest.mark.parametrize(
    ("told", "last"),
    [(-1, 3), (2, 3), (3, 3), (4, 4), (3 + MOST_BACK, 3 + MOST_BACK), (4 + MOST_BACK, 3)],
)
def test_an_older_copy_counts_on_from_what_was_told_unless_that_is_absurd(
    path: Path, told: int, last: int
) -> None:
    with closing(Outbox(path)) as box:
        for _ in range(3):
            box.append(an_event())
        counted = box.sorted_in_all()
        box.go_on_after(told)
        assert (box.lost_file is not None) == (last > 3)
    with closing(Outbox(path)) as box:
        assert (box.last_seq(), box.sorted_in_all()) == (last, counted)
        assert box.append(an_event()).seq == last + 1


def test_what_stands_where_the_store_should_be_is_told_and_goes_on_once_it_is_gone(
    tmp_path: Path,
) -> None:
    link = tmp_path / "store"
    link.symlink_to(tmp_path / "usb" / "store")
    box = Outbox(link / "events.sqlite")
    away = f"{link} leads to {tmp_path}/usb/store, which is not there"
    for use in (box.open, lambda: database.opened_to_read(link / "events.sqlite")):
        with pytest.raises(StoreError, match=away):
            use()
    (tmp_path / "usb" / "store" / "events.sqlite").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"events\.sqlite is a folder\. Name another"):
        box.append(an_event())
    (tmp_path / "usb" / "store" / "events.sqlite").rmdir()
    assert box.append(an_event()).seq == 1
    box.close()
