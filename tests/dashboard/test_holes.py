"""What is missing is asked for, and what never comes is let go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trashbin import requests
from trashbin.dashboard.holes import GRACE_S, HISTORY, LIMIT, QUIET_S, TRIES, Holes


def heard(*numbers: int, floor: int | None = 0) -> Holes:
    holes = Holes(floor)
    for number in numbers:
        holes.came(number, 0.0)
    return holes


def test_nothing_is_asked_where_nothing_is_missing() -> None:
    assert heard(1, 2, 3).due(100.0) is None


def test_nothing_is_asked_of_a_bin_that_has_told_nothing() -> None:
    assert Holes().due(100.0) is None


@pytest.mark.parametrize("floor", [None, 0, 2, HISTORY])
def test_a_hole_is_asked_for_after_a_moment_whatever_was_known_before(floor: int | None) -> None:
    """A bin that comes back sends its backlog first."""
    holes = Holes(floor)
    holes.came(2 * HISTORY, 100.0)
    assert holes.due(100.0 + GRACE_S / 2) is None
    assert holes.due(100.0 + GRACE_S) == (floor or (0 if floor == 0 else HISTORY), LIMIT)


def test_events_that_go_on_do_not_put_it_off() -> None:
    holes = heard(1, 3)
    for tenth in range(1, 16):
        assert holes.due(tenth / 10) == ((1, 1) if tenth / 10 == GRACE_S else None)
        holes.came(3 + tenth, tenth / 10)


def test_nor_does_a_bin_that_always_tells_something_put_off_the_next_question() -> None:
    holes = heard(1, 4)
    asked = []
    for second in range(1, 40):
        holes.came(4 + second, second)
        if second == 10:
            holes.came(3, second)  # the answer, and another follows
        asked += [second] * (holes.due(second) is not None)
    assert asked == [2, 8, 16] and holes.floor == 43, "then it is gone"


def test_an_answer_is_over_once_nothing_came_for_a_while() -> None:
    holes = heard(1, 4)
    for asked in (GRACE_S, GRACE_S + QUIET_S):
        assert holes.due(asked) == (1, 2)
        assert holes.due(asked + QUIET_S - 0.1) is None


def test_as_long_as_answers_help_it_is_asked_on() -> None:
    count = (TRIES + 2) * LIMIT
    holes, now = heard(count + 1), 0.0
    for after in range(0, count, LIMIT):
        now += QUIET_S
        assert holes.due(now) == (after, LIMIT)
        for number in range(after + 1, after + LIMIT + 1):
            holes.came(number, now)
    assert holes.floor == count + 1


def test_no_question_is_one_that_a_bin_refuses() -> None:
    assert 1 <= LIMIT <= requests.MAX_EVENTS


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


@pytest.mark.parametrize(
    ("last", "asked"), [(10_000, (10_000 - HISTORY, LIMIT)), (3, (0, 3)), (HISTORY + 1, (1, LIMIT))]
)
def test_a_bin_that_was_never_seen_is_asked_for_its_newest_events(
    last: int, asked: tuple[int, int]
) -> None:
    holes = Holes()
    holes.expect(last, 0.0)
    assert holes.due(GRACE_S) == asked


def test_what_never_comes_is_let_go_and_the_next_hole_asked_for() -> None:
    holes = heard(1, 4, 8)
    now, asked = GRACE_S, []
    for _ in range(TRIES):
        asked.append(holes.due(now))
        now += QUIET_S
    assert asked == [(1, 2)] * TRIES
    assert holes.due(now) == (4, 3)  # 2 and 3 are gone


def test_so_is_what_the_bin_only_said_it_has() -> None:
    holes, now = heard(1), GRACE_S
    holes.expect(4, 0.0)
    for _ in range(TRIES):
        assert holes.due(now) == (1, 3)
        now += QUIET_S
    assert (holes.due(now), holes.floor) == (None, 4)
    holes.came(6, now)
    assert holes.due(now + GRACE_S) == (4, 1)


@pytest.mark.parametrize("comes", [range(2, 50), range(50, 2, -1)])
def test_while_events_come_nothing_is_asked_again(comes: range) -> None:
    holes = heard(1, 100)
    assert holes.due(GRACE_S) == (1, 98)
    now = GRACE_S
    for number in comes:
        now += QUIET_S / 2
        holes.came(number, now)
        assert holes.due(now) is None


def test_a_bin_that_came_back_is_asked_anew() -> None:
    holes = heard(1, 3)
    assert holes.due(GRACE_S) == (1, 1)
    holes.again(2.0)
    assert holes.due(2.0 + GRACE_S / 2) is None
    assert holes.due(2.0 + GRACE_S) == (1, 1)


@given(st.lists(st.integers(1, 12), min_size=1))
def test_the_order_of_arrival_never_matters_nor_what_comes_twice(order: list[int]) -> None:
    holes, last = heard(*order), max(order)
    missing = [number for number in range(1, last) if number not in order]
    if missing:
        end = next(number for number in range(missing[0], last + 1) if number in order)
        assert holes.due(GRACE_S) == (missing[0] - 1, end - missing[0])
    else:
        assert (holes.floor, holes.due(GRACE_S)) == (last, None)
