"""README's table of known failures names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = "| # | what happens elsewhere | here | the test that would fail |"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_of_the_fifteen_failures_names_tests_that_there_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition(HEAD)[2].partition("\n\n")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if re.match(r"\| \d", line)]
    assert [int(row[0]) for row in rows] == list(range(1, 16))
    for row in rows:
        named = TEST.findall(row[3])
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
