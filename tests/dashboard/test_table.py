"""A search finds what the table shows, in its language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support_events import a_fault, an_event
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.bins import Bin
from trashbin.dashboard.table import chosen
from trashbin.dashboard.watch import Watch
from trashbin.dashboard.words import Words
from trashbin.settings import MqttPublisher

ITEM, FAULT = an_event(seq=1, store_id="s"), a_fault(seq=2, store_id="s")


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    archive = Archive(tmp_path / NAME)
    archive.add([ITEM, FAULT])
    watch = Watch(archive, MqttPublisher(kind="mqtt"))
    watch.bins["bin-1"] = Bin("bin-1", info={"name": "Bin in the hall"})
    yield watch
    archive.close()


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("id", "gangguan", [FAULT]),
        ("id", "kertas", [ITEM]),
        ("id", "kamera: ", []),
        ("id", "kamera", [FAULT]),
        ("id", "JELAS", [ITEM]),
        ("id", "gap", []),
        ("en", "in the hall", [FAULT, ITEM]),
        ("en", "clear", [ITEM]),
    ],
)
def test_a_search_finds_what_the_table_shows(
    watch: Watch, language: str, text: str, found: list[object]
) -> None:
    which = chosen({"q": text}, Words(language), watch)
    assert watch.archive.newest(9, which) == found
