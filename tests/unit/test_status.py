"""The table of states as a whole: complete, reachable, never stuck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trashbin.status import TABLE, Change, Status, after


def reachable(start: Status) -> set[Status]:
    seen, new = {start}, {start}
    while new:
        new = {to for (status, _), to in TABLE.items() if status in new} - seen
        seen |= new
    return seen


def test_every_state_can_be_reached_from_idle() -> None:
    assert reachable(Status.IDLE) == set(Status)


@pytest.mark.parametrize("status", Status)
def test_no_state_is_a_dead_end(status: Status) -> None:
    assert Status.IDLE in reachable(status)


@pytest.mark.parametrize("status", Status)
def test_a_failure_is_a_fault_from_anywhere(status: Status) -> None:
    assert after(status, Change.FAIL) is Status.FAULT


@pytest.mark.parametrize("status", set(Status) - {Status.FAULT})
def test_a_person_can_pause_whatever_the_bin_does(status: Status) -> None:
    assert after(status, Change.PAUSE) is Status.PAUSED


def test_only_recovery_ends_a_fault() -> None:
    leaving = {c for (s, c), to in TABLE.items() if s is Status.FAULT and to is not Status.FAULT}
    assert leaving == {Change.RECOVER}


def test_the_tray_is_looked_at_before_anything_moves() -> None:
    into_sorting = {status for (status, _), to in TABLE.items() if to is Status.SORTING}
    assert into_sorting == {Status.LOOKING}


def test_every_change_means_something_somewhere() -> None:
    assert {change for _, change in TABLE} == set(Change)


@given(st.lists(st.sampled_from(Change), max_size=50))
def test_whatever_happens_leads_to_a_state_or_is_the_callers_bug(changes: list[Change]) -> None:
    status = Status.IDLE
    for change in changes:
        try:
            status = after(status, change)
        except KeyError:
            assert (status, change) not in TABLE
    assert status in Status
