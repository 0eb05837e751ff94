"""``make bench``: an event's commit keeps its budget. The outage is ``python -m tests.bench``'s."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from tests.bench.commit import cost
from tests.bench.outage import Outage


def test_a_commit_costs_at_most_twice_a_bare_one(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    found = benchmark.pedantic(cost, (tmp_path / "cost", 100), rounds=1)
    assert found.problems() == [], str(found)
    assert found.written_bytes > found.event_bytes


def test_what_an_outage_must_not_do_is_told(benchmark: BenchmarkFixture) -> None:
    good = Outage(100_000, 10_000, 3.0, 250.0, 251.0, 900.0, 12, 0.2)
    assert benchmark(good.problems) == []
    bad = Outage(100_000, 10_000, 21.0, 250.0, 300.0, 450.0, 0, 1.2)
    assert len(bad.problems()) == 5
    assert Outage(50, 1_000, 3.0, 250.0, 251.0, 49.0, 12, 0.2).problems() == [], "its own limit"
