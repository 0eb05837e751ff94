"""What the plots are given."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support_events import NOON
from trashbin.dashboard.figures import by_latency
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
