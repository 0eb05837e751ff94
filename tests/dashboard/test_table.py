"""A search finds what the table shows, in its language."""

from __future__ import annotations

import csv

import pytest

from tests.support_events import a_fault, an_event
from trashbin.dashboard.bins import Bin
from trashbin.dashboard.table import _lines, chosen
from trashbin.dashboard.watch import Watch
from trashbin.dashboard.words import Words
from trashbin.events import Detail

ITEM, FAULT = an_event(seq=1, store_id="s"), a_fault(seq=2, store_id="s")


@pytest.fixture
def watch(watch: Watch) -> Watch:
    watch.archive.add([ITEM, FAULT])
    watch.bins["bin-1"] = Bin("bin-1", info={"name": "Bin in the hall"})
    return watch


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


def test_no_cell_of_the_csv_is_a_formula_and_every_other_is_as_it_was() -> None:
    texts = ['=HYPERLINK("http://x")', "+1", "-1", "@x", "\tx", "a=b", 'gläs, "ein\nBruch"', ""]
    made = [
        a_fault(seq=seq, store_id="s", detail=Detail("camera", text))
        for seq, text in enumerate(texts, 1)
    ]
    rows = list(csv.DictReader("".join(_lines(iter([ITEM, *made]))).splitlines(keepends=True)))
    assert [row["message"] for row in rows[1:]] == ["'" + text for text in texts[:5]] + texts[5:]
    assert (rows[0]["label"], rows[0]["gap"]) == ("paper", "0.7")
