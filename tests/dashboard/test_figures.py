"""What the plots are given."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support_events import NOON
from trashbin.dashboard.figures import by_latency, hours_between
from trashbin.dashboard.words import Words
from trashbin.events import timestamp


def test_times_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet: Any = SimpleNamespace(words=Words())
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Jakarta")
        time.tzset()
        options, _ = by_latency([(timestamp(NOON), 900.0, 5.0)], sheet)
    time.tzset()
    assert [data["data"][0][0] for data in options["series"]] == ["2026-11-23T19:00:00"] * 2


@pytest.mark.parametrize(
    ("noon", "hours"),
    [
        (datetime(2026, 10, 25, 11, tzinfo=UTC), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (datetime(2027, 3, 28, 10, tzinfo=UTC), [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ],
)
def test_no_hour_is_in_the_future_where_summer_time_began_or_ended(
    monkeypatch: pytest.MonkeyPatch, noon: datetime, hours: list[int]
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        shown = hours_between(noon - timedelta(hours=20), noon)
    time.tzset()
    day = f"{noon:%Y-%m-%d}"
    assert shown[-len(hours) :] == [f"{day} {hour:02}" for hour in hours]
    assert not shown[-len(hours) - 1].startswith(day)
