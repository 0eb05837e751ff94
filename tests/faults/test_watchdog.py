"""The watchdog as systemd sees it, at a real NOTIFY_SOCKET: a dead bin does not feed it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench, Setting

WATCHDOG_S = 6.0
SILENT_S = 3.0  # many times what lies between two feeds of a bin that works


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Its bin may end so often by itself, as ``request`` says."""
    setting = Setting({"watch": {"restarts": request.param, "camera_tries": 2}})
    made = Bench(tmp_path, setting, WATCHDOG_S)
    made.open()
    yield made
    made.close()


@pytest.mark.parametrize("bench", [5], indirect=True)
def test_a_loop_that_hangs_feeds_nothing_and_is_ended_and_started_again(bench: Bench) -> None:
    bench.sorts()
    assert bench.bin.silent_for() < SILENT_S
    bench.bin.trouble("trigger hangs")
    bench.wait(lambda: bench.bin.silent_for() > SILENT_S, "its watchdog is not fed any more")
    assert bench.bin.runs(), "the process is there, and does nothing"
    bench.wait(lambda: bench.silenced == 1, "systemd's part")
    bench.bin.trouble(None)
    bench.sorts(time.monotonic())


@pytest.mark.parametrize("bench", [0], indirect=True)
def test_a_camera_that_hangs_for_good_leaves_a_bin_that_lives_and_says_so(bench: Bench) -> None:
    """Its budget of restarts is spent: it stays up, MQTT alive, and the watchdog is its loop's."""
    bench.sorts()
    bench.breaks()
    bench.bin.trouble("camera hangs")
    bench.told("camera", "the camera is off")
    bench.rests()
    fed = bench.bin.fed_at
    bench.wait(lambda: bench.bin.fed_at > fed, "its loop goes round")
    assert bench.subscriber.ask("events", after_seq=0, limit=1)
    assert "camera" in bench.subscriber.state["problems"]
    assert bench.ended == [] and bench.silenced == 0
    bench.bin.trouble(None)
    bench.sorts(time.monotonic())
