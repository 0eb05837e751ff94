"""``make fleet`` in small: it counts what it says, and tells what is not as it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fleet import load

pytestmark = pytest.mark.fleet


def test_a_small_fleet_and_what_would_be_told_of_a_loss(tmp_path: Path) -> None:
    result = load.measure(tmp_path, 4, 120.0, 0.1, looks=False)
    assert result.problems() == []
    assert len(result.committed) == result.told["committed"] > 20
    assert "p99" in result.table()
    missing = next(iter(result.committed))
    worse = replace(result, page_ids=result.page_ids - {missing}, holes=1, looked=True)
    assert [told.split()[0] for told in worse.problems()] == ["1", "1", "the"]


def test_too_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(SystemExit, match="ulimit -n 1100"):
        load.allow_files(1000)
