"""The watchdog is fed by progress of loop, camera and network, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Rig
from trashbin.status import Status
from trashbin.watchdog import CAMERA_S, NETWORK_S, Watchdog


class Bench:
    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.fed = 0
        self.dog = Watchdog(self.rig.daemon.parts, self._feed)
        self.rig.daemon.condition.on_progress = self.dog.progress

    def _feed(self, status: Status) -> None:
        self.fed += 1

    def is_fed(self) -> bool:
        before = self.fed
        self.dog.progress(Status.IDLE)
        return self.fed > before


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_idle_bin_feeds_it_for_hours(bench: Bench) -> None:
    for _ in range(40):
        bench.rig.go(300)
        assert bench.dog.late() is None
    assert bench.fed > 200


def test_a_camera_that_gives_no_frames_starves_it(bench: Bench) -> None:
    bench.rig.clock.advance(CAMERA_S + 1)
    assert not bench.is_fed()
    assert bench.dog.late() == "camera"
    assert bench.rig.daemon.parts.looker is not None
    bench.rig.daemon.parts.looker.probe()
    assert bench.is_fed()


def test_a_camera_whose_failure_is_told_and_tried_again_does_not(bench: Bench) -> None:
    bench.rig.tray.broken = "no frame"
    bench.rig.go(60)
    assert "camera" in bench.rig.daemon.parts.problems, "noticed although nothing fell"
    bench.rig.go(600)
    assert bench.is_fed()


def test_a_network_thread_that_stands_still_starves_it(bench: Bench) -> None:
    told = bench.rig.told
    told.progressed_at = bench.rig.clock.monotonic()
    bench.rig.go(NETWORK_S - 5)
    assert bench.is_fed()
    bench.rig.go(10)
    assert not bench.is_fed()
    assert bench.dog.late() == "network"
    told.progressed_at = bench.rig.clock.monotonic()
    assert bench.is_fed()


def test_a_broker_that_is_away_does_not(bench: Bench) -> None:
    bench.rig.told.problem = "The broker bench:1883 cannot be reached"
    for _ in range(30):
        bench.rig.told.progressed_at = bench.rig.clock.monotonic()
        bench.rig.go(100)
        assert bench.is_fed()
