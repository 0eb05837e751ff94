"""Whether a time server sets this machine's clock, asked of the kernel or of systemd-timesyncd."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from trashbin import clock

REFUSED = -1  # of adjtimex(2), by our unit's SystemCallFilter=


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that timesyncd would touch; it is not there."""
    monkeypatch.setattr(clock, "TIMESYNCD", tmp_path / "synchronized")
    return tmp_path / "synchronized"


@pytest.mark.parametrize(("state", "kept"), [(0, True), (1, True), (clock.TIME_ERROR, False)])
def test_the_kernel_knows(
    monkeypatch: pytest.MonkeyPatch, touched: Path, state: int, kept: bool
) -> None:
    touched.touch()  # by a timesyncd that has lost its server since
    monkeypatch.setattr(clock, "_adjtimex", lambda timex: state)
    assert clock.is_synchronized() is kept


@pytest.mark.parametrize(
    ("age_s", "kept"), [(0.0, True), (2048.0, True), (clock.KEPT_S + 60, False), (-3600.0, False)]
)
def test_where_the_unit_lets_nobody_ask_it_timesyncd_does(
    monkeypatch: pytest.MonkeyPatch, touched: Path, age_s: float, kept: bool
) -> None:
    """Every event of an installed bin said ``unsynced``; timesyncd asks at least each 2,048 s."""
    monkeypatch.setattr(clock, "_adjtimex", lambda timex: REFUSED)
    assert not clock.is_synchronized()
    touched.touch()
    then = time.time() - age_s
    os.utime(touched, (then, then))
    assert clock.is_synchronized() is kept
