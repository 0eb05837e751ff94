"""Requests without number, without sense, without end: answered in turn, and in nobody's way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import Rig
from trashbin.desk import WAITING_LIMIT
from trashbin.requests import MAX_BYTES, RATE


def refused(rig: Rig) -> list[Mapping[str, Any]]:
    return [answer for _, answer in rig.told.answers if answer["status"] == "refused"]


def health(rig: Rig) -> Mapping[str, Any]:
    rig.daemon.tell()
    return rig.told.topics["health"]


def test_a_flood_does_not_push_out_what_a_trigger_said(rig: Rig) -> None:
    for _ in range(1000):
        rig.request("dance")
    rig.drop()
    for _ in range(1000):
        rig.request("dance")
    rig.go()
    assert rig.kinds() == ["sorted"]
    assert (health(rig)["requests_refused"], health(rig)["messages_dropped"]) == (2000, 0)
    read = [answer for answer in refused(rig) if "Unknown request" in answer["error"]]
    assert len(read) == RATE


def test_a_thousand_a_second_are_told_once_a_second_and_cost_no_time(tmp_path: Path) -> None:
    def seconds_to_sort(rig: Rig) -> float:
        began = rig.clock.elapsed
        rig.servo.on_sort = lambda bin: (rig.tray.clear(), sorted_at.append(rig.clock.elapsed))
        sorted_at: list[float] = []
        rig.drop()
        rig.go()
        return sorted_at[0] - began

    calm, busy = Rig(tmp_path / "calm"), Rig(tmp_path / "busy")
    for millisecond in range(5000):
        busy.clock.at(
            busy.clock.elapsed + millisecond / 1000,
            lambda: busy.daemon.request("look", b"not json", False),
        )
    assert seconds_to_sort(busy) == pytest.approx(seconds_to_sort(calm))
    assert health(busy)["requests_refused"] == 5000
    told = [answer for answer in refused(busy) if "Too many requests" in answer["error"]]
    assert 5 <= len(told) <= 6
    assert len(refused(busy)) <= len(told) + 6 * RATE
    # afterwards it listens again
    busy.request("identify", transaction="t")
    busy.go()
    assert (busy.told.answers[-1][1]["status"], busy.told.answers[-1][1]["transaction"]) == (
        "ok",
        "t",
    )


def test_a_flood_does_not_fill_the_log_and_it_says_how_many_it_left_out(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rig.request("mode", mode="paused")
    rig.go(1)
    for tenth in range(20 * 60):  # two minutes of what is read, and of what is turned away
        for verb in ("look", "dance"):
            at = rig.clock.elapsed + tenth / 10
            rig.clock.at(at, partial(rig.daemon.request, verb, b"{}", False))
    rig.go(120)
    refusals = len(refused(rig))
    told = [line for line in caplog.messages if "cannot look" in line or "dance" in line]
    away = [line for line in caplog.messages if "Too many" in line]
    assert refusals > 1000 and 10 <= len(told) <= 13 and 10 <= len(away) <= 13
    assert len(caplog.messages) < 30
    assert "(and 99 like it since the last one)" in told[-1]


def test_while_a_driver_hangs_only_so_many_wait_for_their_answer(rig: Rig) -> None:
    for _ in range(3 * WAITING_LIMIT):
        rig.clock.advance(1)  # slow enough to be read, and nobody answers
        rig.request("identify")
    assert len(rig.daemon._desk.waiting) == WAITING_LIMIT
    assert rig.daemon.recorder.turned_away == 2 * WAITING_LIMIT
    assert "may wait" in rig.told.answers[-1][1]["error"]


def test_signals_without_end_leave_requests_their_turn(rig: Rig) -> None:
    def again() -> None:
        rig.signal()
        rig.clock.at(rig.clock.elapsed + 0.05, again)

    again()
    rig.request("identify")
    rig.go(10)
    assert [answer["status"] for _, answer in rig.told.answers] == ["ok"]


def test_a_megabyte_is_refused_and_not_kept(rig: Rig) -> None:
    rig.daemon.request("look", b" " * 1_000_000, False)
    assert len(rig.daemon._desk.waiting[0].payload) == MAX_BYTES + 1
    rig.go()
    assert "too long" in refused(rig)[0]["error"]
    assert rig.servo.visited == []


def test_a_removed_bin_takes_back_what_it_told(rig: Rig) -> None:
    assert rig.told.topics
    rig.request("remove")
    rig.go(0.1)
    assert rig.told.answers[-1][1]["status"] == "ok"
    assert rig.told.topics == {}
