"""A bin at work takes up what it was taught, and teaches itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.daemon.rig import Rig
from tests.model.test_teaching import Taught
from trashbin import calibration
from trashbin.calibration import Calibration
from trashbin.model.heads import Heads
from trashbin.status import Status
from trashbin.wearing import NICE, Wearing, started


@pytest.fixture
def taught(tmp_path: Path) -> Taught:
    return Taught(tmp_path)


def test_a_running_bin_takes_a_head_up_and_withdraws_its_promise(taught: Taught) -> None:
    taught.answer(*taught.tray(10))
    rig = Rig(taught.store)
    rig.daemon.condition.use(taught.network)
    heads = Heads(taught.store)
    rig.daemon.wearing = Wearing(rig.daemon.condition, heads, None)
    made = Calibration(
        made="2026-11-24T10:00:00.000Z",
        model=taught.network.model,
        setup=taught.network.setup,
        thresholds=taught.network.thresholds,
        closely=True,
        risk=0.03, confidence=0.95, items=300, acted=240, wrong=2,
    )  # fmt: skip
    calibration.write(taught.store, made)
    rig.go(120)
    assert rig.told.topics["info"]["calibration"]["holds"] is True
    taught.trashbin()
    rig.go(120)
    worn = heads.worn(taught.network.file.id.sha256)
    assert worn is not None
    assert taught.network.model.head == worn
    assert rig.told.topics["info"]["model"]["head"] == worn
    assert rig.told.topics["info"]["calibration"]["holds"] is False
    told = [event.detail.message for event in rig.events() if event.detail]
    assert any("Calibrate again" in message for message in told)
    taught.trashbin("--back")
    rig.go(120)
    assert taught.network.model.head is None
    assert rig.told.topics["info"]["calibration"]["holds"] is True


class Lesson:
    """A process of ``trashbin teach`` that runs until a test ends it."""

    returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


def test_a_bin_teaches_itself_once_so_many_items_were_answered(taught: Taught) -> None:
    rig, begun = Rig(taught.store), []

    def teach(arguments: object) -> Lesson:
        begun.append(arguments)
        return Lesson()

    rig.daemon.condition.use(taught.network)
    recorder = rig.daemon.recorder
    rig.daemon.wearing = Wearing(rig.daemon.condition, Heads(taught.store), 3, teach)  # type: ignore[arg-type]
    recorder.answers = 2
    rig.go(10)
    assert not begun
    recorder.answers = 3
    rig.go(10)
    assert begun == [["--store", str(taught.store), "--model", str(taught.path)]]
    recorder.answers = 9
    rig.go(10)
    assert len(begun) == 1  # one at a time


def test_teaching_gives_way_to_the_bin_and_ends_first_where_memory_is_short(tmp_path: Path) -> None:
    process = started(["--store", str(tmp_path / "none")])
    nice = os.getpriority(os.PRIO_PROCESS, process.pid)
    ends = int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())
    assert process.wait(300) != 0  # on a busy machine it gives way for minutes
    assert (nice, ends) == (NICE, 500)


def test_a_process_that_cannot_be_started_is_no_end_of_the_bin(taught: Taught) -> None:
    rig = Rig(taught.store)

    def teach(arguments: object) -> Lesson:
        raise BlockingIOError("Resource temporarily unavailable")

    rig.daemon.condition.use(taught.network)
    rig.daemon.wearing = Wearing(rig.daemon.condition, Heads(taught.store), 3, teach)  # type: ignore[arg-type]
    rig.daemon.recorder.answers = 3
    rig.go(10)
    assert rig.daemon.status is Status.IDLE
