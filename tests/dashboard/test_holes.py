"""What is missing is asked for, and what never comes is let go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trashbin.dashboard.holes import GRACE_S, HISTORY, LIMIT, QUIET_S, TRIES, Holes


def heard(*numbers: int, floor: int | None = 0) -> Holes:
    holes = Holes(floor)
    for number in numbers:
        holes.came(number, 0.0)
    return holes


def test_nothing_is_asked_where_nothing_is_missing() -> None:
    assert heard(1, 2, 3).due(100.0) is None


@pytest.mark.parametrize("floor", [None, 0, 2, HISTORY])
def test_a_hole_is_asked_for_after_a_moment_whatever_was_known_before(floor: int | None) -> None:
    """A bin that comes back sends its backlog first."""
    holes = Holes(floor)
    holes.came(2 * HISTORY, 100.0)
    assert holes.due(100.0 + GRACE_S / 2) is None
    assert holes.due(100.0 + GRACE_S) == (floor or (0 if floor == 0 else HISTORY), LIMIT)


def test_events_that_come_late_fill_the_hole() -> None:
    holes = heard(1, 2, 6)
    for number in (3, 5, 4):
        holes.came(number, 1.0)
    assert holes.due(100.0) is None
    assert holes.floor == 6


def test_what_the_bin_says_it_has_is_missed() -> None:
    holes = heard(1, 2)
    holes.expect(4, 0.0)
    assert holes.due(GRACE_S) == (2, 2)


def test_a_bin_that_was_never_seen_is_asked_for_its_newest_events() -> None:
    holes = Holes()
    holes.expect(10_000, 0.0)
    assert holes.due(GRACE_S) == (10_000 - HISTORY, LIMIT)


def test_what_never_comes_is_let_go_and_the_next_hole_asked_for() -> None:
    holes = heard(1, 4, 8)
    now, asked = GRACE_S, []
    for _ in range(TRIES):
        asked.append(holes.due(now))
        now += QUIET_S
    assert asked == [(1, 2)] * TRIES
    assert holes.due(now) == (4, 3)  # 2 and 3 are gone


def test_while_events_come_nothing_is_asked_again() -> None:
    holes = heard(1, 100)
    assert holes.due(GRACE_S) == (1, 98)
    now = GRACE_S
    for number in range(2, 50):
        now += QUIET_S / 2
        holes.came(number, now)
        assert holes.due(now) is None


def test_a_bin_that_came_back_is_asked_anew() -> None:
    holes = heard(1, 3)
    assert holes.due(GRACE_S) == (1, 1)
    holes.again(2.0)
    assert holes.due(2.0 + GRACE_S) == (1, 1)


@given(st.permutations(range(1, 12)), st.integers(0, 11))
def test_the_order_of_arrival_never_matters(order: list[int], missing: int) -> None:
    holes = heard(*(number for number in order if number != missing))
    holes.expect(11, 0.0)
    assert holes.due(GRACE_S) == ((missing - 1, 1) if missing else None)
