"""Event stores that a card, a power cut or a stranger has spoilt."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.mutations import Edit, edited, edits
from tests.support_events import an_event
from trashbin import database
from trashbin.outbox import Outbox

PAGE = 4096
FRAME = 24 + PAGE  # of a write-ahead log: header and page
EVENTS = 40


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What is done to a sound store: SQL in it, then patches of its file and of its log."""

    statements: Sequence[str] = ()
    file: Sequence[Edit] = ()
    log: Sequence[Edit] = ()
    cut: int | None = None  # bytes that are left of the file


@cache
def sound(folder: Path) -> Path:
    """A store with events, settings, one event over many pages, and pages free; and its log."""
    path = folder / "sound" / database.NAME
    with closing(Outbox(path)) as box:
        for number in range(EVENTS):
            event = box.append(an_event(label=("paper", "glass")[number % 2]))
            if number % 3:
                box.acknowledge([event.event_id])
        box.append(an_event(scores={f"label {n}": 0.5 for n in range(900)}))
        box.set("mode", "advisory")
        box.set("thresholds", '{"gap": 0.25}')
    live = folder / "live" / database.NAME
    shutil.copytree(path.parent, live.parent)
    with closing(Outbox(live)) as box:
        for _ in range(3):
            box.append(an_event())
        for name in (path.name, f"{path.name}-wal"):  # as a power cut leaves them
            shutil.copy(live.with_name(name), path.parent)
    return path


def spoil(folder: Path, spoilt: Spoilt) -> Path:
    """A fresh copy of the sound store, spoilt."""
    source, path = sound(folder), folder / "store" / database.NAME
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    log, theirs = (p.with_name(f"{database.NAME}-wal") for p in (path, source))
    path.write_bytes(source.read_bytes())
    if spoilt.log:
        log.write_bytes(_checked(edited(theirs.read_bytes(), spoilt.log)))
    if spoilt.statements:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA writable_schema = ON")
            for statement in spoilt.statements:
                try:
                    db.execute(statement)
                    db.commit()
                except sqlite3.Error:
                    db.rollback()  # an earlier one took away what this one needs
    content = edited(path.read_bytes(), spoilt.file)
    path.write_bytes(content[: spoilt.cut])
    return path


def _checked(log: bytes) -> bytes:
    """The log with the checksums that fit, so that SQLite takes what was patched for written.

    Layout: sqlite.org/fileformat.html, "The Write-Ahead Log".
    """
    fixed = bytearray(log)
    sums = _sums(fixed[:24], (0, 0))
    fixed[24:32] = struct.pack(">II", *sums)
    for at in range(32, len(fixed) - FRAME + 1, FRAME):
        fixed[at + 8 : at + 16] = fixed[16:24]  # the salt
        sums = _sums(fixed[at : at + 8] + fixed[at + 24 : at + FRAME], sums)
        fixed[at + 16 : at + 24] = struct.pack(">II", *sums)
    return bytes(fixed)


def _sums(content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"<{len(content) // 4}I", content)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


_TABLES = [
    "meta",
    "setting",
    "event",
    "pending",
    "sorted",
    "damaged",
    "sqlite_schema",
]
_COLUMNS = [
    "key",
    "value",
    "seq",
    "event_id",
    "ts",
    "json",
    "crc",
    "day",
    "label",
    "items",
    "told",
    "name",
    "sql",
]
_VALUES = [
    "NULL",
    "0",
    "-1",
    "9223372036854775807",
    "1e308",
    "''",
    "'x'",
    "x'ff00fe'",
    "'{}'",
    "'[]'",
    "'NaN'",
    "'null'",
    "zeroblob(20000)",
    '\'{"gap": "wide"}\'',
    "'{\"gap\": 7}'",
    "'{\"events\": 1}'",
    "'2026-13-99'",
    "'9999'",
]
_statements = st.one_of(
    st.builds(
        "UPDATE {} SET {} = {} WHERE rowid % {} = 0".format,
        st.sampled_from(_TABLES),
        st.sampled_from(_COLUMNS),
        st.sampled_from(_VALUES),
        st.sampled_from([1, 2, 7]),
    ),
    st.builds(
        "UPDATE {} SET value = {}".format,
        st.sampled_from(["meta", "setting"]),
        st.sampled_from(_VALUES),
    ),
    st.builds(
        "INSERT OR REPLACE INTO {} VALUES ('{}', {})".format,
        st.sampled_from(["meta", "setting"]),
        st.sampled_from(["dropped", "mode", "thresholds", "store_id", "counted"]),
        st.sampled_from(_VALUES),
    ),
    st.builds("DELETE FROM {}".format, st.sampled_from(_TABLES)),
    st.builds("DROP TABLE {}".format, st.sampled_from(_TABLES)),
    st.builds(
        "ALTER TABLE {} RENAME COLUMN {} TO odd".format,
        st.sampled_from(_TABLES),
        st.sampled_from(_COLUMNS),
    ),
    st.builds("PRAGMA user_version = {}".format, st.sampled_from([-1, 0, 1, 3, 4, 99])),
    st.just("CREATE TRIGGER late BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no'); END"),
    st.just("INSERT INTO pending VALUES (9223372036854775807)"),
)
# headers of the file and of each page, with the cell pointers; then anything
_PLACES = [*range(100), *(PAGE * page + at for page in range(1, 20) for at in range(40))] * 2
_PLACES += [*range(100, PAGE), *range(PAGE, 20 * PAGE, 5)]
_LOG_PLACES = [*range(24), *(32 + FRAME * n + at for n in range(4) for at in range(8))] * 20
_LOG_PLACES += [32 + FRAME * n + 24 + at for n in range(4) for at in range(PAGE)]
stores = st.one_of(
    st.builds(Spoilt, file=edits(_PLACES)),
    st.builds(Spoilt, log=edits(_LOG_PLACES)),
    st.builds(Spoilt, statements=st.lists(_statements, min_size=1, max_size=3)),
    st.builds(Spoilt, cut=st.integers(0, 30 * PAGE)),
    st.builds(
        Spoilt,
        file=edits(_PLACES),
        log=edits(_LOG_PLACES),
        cut=st.none() | st.integers(0, 30 * PAGE),
    ),
)
