"""The soak test's judgement, and ten seconds of the real thing."""

from __future__ import annotations

import random
from pathlib import Path

from tests.soak.__main__ import Run, soak
from tests.soak.samples import Sample, leaks


def hour(mb_an_hour: float = 0.0, every: int = 2, more: float = 0.0) -> list[Sample]:
    """Samples of an hour: noise, now and then a dip, and what grows in it."""
    rng = random.Random(0)

    def sample(at: int) -> Sample:
        own = 110 + rng.gauss(0, 0.5) - (30 if rng.random() < 0.1 else 0) + mb_an_hour * at / 3600
        return Sample(at, own + 50, own, int(10 + rng.randint(0, 1) + more * at / 3600), 6)

    return [sample(at) for at in range(0, 3600, every)]


def test_what_stays_as_it_is_passes() -> None:
    assert leaks(hour()) == []
    assert leaks(hour(mb_an_hour=4)) == []


def test_a_thread_that_comes_and_goes_is_no_leak() -> None:
    alone, beside = Sample(0, 150, 100, 10, 6), Sample(0, 150, 100, 10, 7)
    assert leaks([alone] * 20 + [beside] * 9 + [alone] * 11) == []
    assert leaks([alone] * 20 + [beside] * 20) == ["threads grew by 1"]


def test_a_leak_is_told() -> None:
    assert "memory grew by" in leaks(hour(mb_an_hour=7))[0]
    assert "descriptors grew" in leaks(hour(more=5))[0]
    assert "too few" in leaks(hour(every=300))[0]


def run(*, fallen: int = 200, seqs: range = range(1, 201), status: int = 0) -> Run:
    events = [{"seq": n, "event_id": str(n), "event_type": "sorted"} for n in seqs]
    return Run(100.0, hour()[:200], events, fallen, status)


def test_what_is_lost_is_told() -> None:
    assert run().problems() == []
    assert run(fallen=201).problems() == ["201 items fell, 200 were told"]
    assert "holes" in run(seqs=range(2, 202)).problems()[0]
    assert "items a second" in run(fallen=90, seqs=range(1, 91)).problems()[0]
    assert "status 1" in run(status=1).problems()[0]
    fault = {"seq": 201, "event_id": "f", "event_type": "fault", "detail": "a jam"}
    faulty = Run(100.0, hour()[:200], [*run().events, fault], 200, 0)
    assert "a jam" in faulty.problems()[0]


def test_ten_seconds_of_it(tmp_path: Path) -> None:
    found = soak(tmp_path, seconds=10, every_s=0.2)
    assert found.items == found.fallen > 5
    # on a busy machine it may be slow, and ten seconds are too short to be warm
    assert not [p for p in found.problems() if "a second" not in p and "memory" not in p]
