"""README's tables of faults say what is tried, and name tests that there are."""

from __future__ import annotations

import re

import pytest

from tests.faults.kills import Tally
from tests.faults.scripted import SCRIPTS
from tests.faults.tables import BEGIN, END, ROOT, readme, rows, with_tables, written

FIFTEEN = "| # | what happens elsewhere | here | the test that would fail |"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_script_has_its_row_and_each_row_its_script() -> None:
    stated = [tuple(row[:3]) for row in rows(written(readme().read_text())) if len(row) == 5]
    tried = [(s.name, s.part, "at rest" if s.stops else "go on") for s in SCRIPTS]
    assert stated[1:] == tried


def test_the_kills_are_enough_and_nothing_was_lost() -> None:
    found = dict(row for row in rows(written(readme().read_text())) if len(row) == 2 and row[1])
    said = {what: int(found[what].replace(",", "")) for what, _ in Tally().rows()}
    assert min(said["SIGKILLs of the daemon"], said["SIGKILLs of the broker"]) >= 500
    assert said["items"] >= 5_000
    wrong = ("events lost", "events altered", "holes in seq", "items acted on without an event")
    assert not any(said[what] for what in wrong)


def test_tables_are_written_between_the_marks_alone() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = with_tables(text, "| new |")
    assert new == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    assert with_tables(new, "| new |") == new
    with pytest.raises(ValueError, match="needs the lines"):
        with_tables("no marks", "| new |")


def test_each_of_the_fifteen_failures_names_tests_that_there_are() -> None:
    table = readme().read_text().partition(FIFTEEN)[2].partition("\n\n")[0]
    failures = rows(table)
    assert [row[0] for row in failures] == [str(number) for number in range(1, 16)]
    for row in failures:
        named = TEST.findall(row[3])
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
