"""An update: it judges beside the running model, moves nothing, and takes over or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.daemon.rig import Network, Rig, sure
from trashbin.canary import Canary
from trashbin.errors import ModelError
from trashbin.events import Event
from trashbin.looking import TURNS
from trashbin.model.shelf import STARTS, Ref, Shelf
from trashbin.ports import Classifier
from trashbin.types import Frame, ModelId, Prediction

NEW = Ref(file="new-111111111111/int8.tflite", sha256="1" * 64)


class Candidate(Network):
    """The update, as a test wants it."""

    model = ModelId("new", "int8", "1" * 64)

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.fails: str | None = None

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        self.asked += 1
        if self.fails:
            raise ModelError(self.fails)
        return super().predict(frame, turns)


class Bench(Rig):
    """A bin with a shelf; ``new`` is what stands on it."""

    def __init__(self, folder: Path) -> None:
        self.new, self.broken = Candidate(), ""
        self.shelf = Shelf(folder)
        super().__init__(folder, pictures={"keep": "none"})

    def start(self, told: list[str] | None = None) -> None:
        super().start()
        self.boot(told or [])

    def boot(self, told: list[str]) -> None:
        self.daemon.canary = Canary(self.daemon.condition, self.shelf, self.opened, told)

    def opened(self, ref: Ref | None) -> Classifier:
        if ref is None:
            return self.network
        if self.broken:
            raise ModelError(self.broken)
        return self.new

    def items(self, count: int) -> None:
        for _ in range(count):
            self.tray.clear()
            self.go(3)
            self.drop()
            self.go(15)

    def notices(self) -> list[Event]:
        return [event for event in self.events() if event.event_type == "notice"]

    def said(self) -> list[str]:
        return [event.detail.message for event in self.notices() if event.detail is not None]

    def running(self) -> str:
        return self.daemon.recorder.info()["model"]["name"]  # type: ignore[no-any-return]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_judges_beside_the_running_one_and_then_takes_over(bench: Bench) -> None:
    bench.shelf.begin_trial(NEW, 3)
    bench.new.usual = sure("metal", 0.8)
    bench.items(2)
    assert bench.running() == "fake" and bench.new.asked == 2 * TURNS
    assert bench.told.topics["info"]["model_trial"]["name"] == "new"
    trial = bench.shelf.state().trial
    assert trial is not None
    assert (trial.done, trial.acted, trial.acted_before, trial.both, trial.same) == (2, 2, 2, 2, 2)
    bench.items(1)
    assert bench.running() == "new"
    assert bench.told.topics["info"]["model_trial"] is None
    (notice,) = bench.notices()
    assert notice.detail is not None and notice.detail.part == "model"
    assert "instead of fake (000000000000): after 3 items" in notice.detail.message
    assert "taught" not in notice.detail.message
    bench.items(1)
    last = bench.events()[-1]
    assert last.model == Candidate.model and last.top1 == pytest.approx(0.8)
    assert bench.shelf.state().starts is None, "it has judged an item: it is no longer new"


def test_what_the_one_before_was_taught_is_told_to_stay_with_it(bench: Bench) -> None:
    bench.network.model = replace(bench.network.model, head="a" * 64)  # type: ignore[misc]
    bench.shelf.begin_trial(NEW, 1)
    bench.items(1)
    assert bench.running() == "new"
    (said,) = bench.said()
    assert "What that one was taught stays with it" in said
    bench.shelf.go_back("by hand")
    bench.go(3)
    assert bench.running() == "fake" and "taught" not in bench.said()[-1]


def test_nothing_is_said_to_stay_behind_where_the_new_one_wears_a_head_too(bench: Bench) -> None:
    for network in (bench.network, bench.new):
        network.model = replace(network.model, head="a" * 64)  # type: ignore[misc]
    bench.shelf.begin_trial(NEW, 0)
    bench.go(5)
    assert bench.running() == "new" and "taught" not in bench.said()[-1]


@pytest.mark.parametrize(
    ("usual", "says"),
    [
        (sure("glass"), "of 5 that both would have acted on, 0 got the same label"),
        (sure("metal", 0.2), "it would have acted on 0 (the other on 6)"),
        ({"metal": float("nan")}, "shares that are none"),
    ],
)
def test_one_that_is_no_update_is_not_taken_over_and_has_moved_nothing(
    bench: Bench, usual: Mapping[str, float], says: str
) -> None:
    bench.shelf.begin_trial(NEW, 6)
    bench.new.usual = usual
    bench.items(6)
    assert bench.running() == "fake"
    assert bench.servo.visited == ["rest"] * 6, "it has no say in what moves"
    (said,) = bench.said()
    assert "is not taken over" in said and says in said
    assert bench.shelf.state().trial is None


def test_one_that_fails_at_an_item_ends_its_trial_and_not_the_bin(bench: Bench) -> None:
    bench.shelf.begin_trial(NEW, 6)
    bench.new.fails = "a kernel is missing"
    bench.items(2)
    assert bench.new.asked == 1
    assert bench.kinds().count("sorted") == 2
    assert "a kernel is missing" in bench.said()[0]


def test_one_that_cannot_be_opened_is_told(bench: Bench) -> None:
    bench.broken = "the file is torn"
    bench.shelf.begin_trial(NEW, 6)
    bench.go(5)
    assert "the file is torn" in bench.said()[0]


def test_a_disk_that_is_full_ends_neither_the_bin_nor_the_trial(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.shelf.begin_trial(NEW, 6)

    def full(path: Path, content: bytes) -> None:
        raise ModelError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(bench.shelf, "write", full)
    bench.items(1)
    assert bench.kinds() == ["sorted"] and bench.running() == "fake"
    monkeypatch.undo()
    bench.start()
    bench.items(1)
    trial = bench.shelf.state().trial
    assert trial is not None and trial.done == 1


def test_the_way_back_is_taken_while_the_bin_runs(bench: Bench) -> None:
    bench.shelf.begin_trial(NEW, 0)  # --now
    bench.go(5)
    assert bench.running() == "new"
    bench.shelf.go_back("rolled back by hand")
    bench.items(1)
    assert bench.running() == "fake"
    assert "rolled back by hand" in bench.said()[-1]
    assert bench.events()[-1].model == Network.model


def test_a_way_back_that_is_gone_leads_on_to_the_one_before(bench: Bench) -> None:
    old = Ref(file="old-222222222222/int8.tflite", sha256="2" * 64)
    bench.shelf.switch(old, "")
    bench.shelf.switch(NEW, "")
    bench.start()
    bench.daemon.condition.use(bench.new)
    bench.broken = "the file is torn"
    bench.shelf.go_back("rolled back by hand")
    bench.items(1)
    assert bench.shelf.state().active is None
    assert bench.running() == "fake"
    assert bench.events()[-1].model == Network.model


def test_nothing_changes_while_an_item_waits_for_its_answer(bench: Bench) -> None:
    bench.network.usual = sure("metal", 0.3)
    bench.drop()
    bench.go(5)
    bench.shelf.begin_trial(NEW, 0)
    bench.go(10)
    assert bench.running() == "fake"
    bench.tray.clear()
    bench.go(10)
    assert bench.running() == "new"


def test_a_trial_goes_on_after_a_restart_and_ends_where_it_ends_the_bin(bench: Bench) -> None:
    bench.shelf.begin_trial(NEW, 4)
    bench.items(2)
    bench.start()
    bench.items(1)
    trial = bench.shelf.state().trial
    assert trial is not None and trial.done == 3
    for _ in range(STARTS + 1):  # a crash in the native runtime leaves nothing but this count
        bench.start()
        bench.go(5)
    assert "compared no item" in bench.said()[-1]
    assert bench.running() == "fake"


def test_what_happened_at_the_start_is_told_by_a_notice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    told = ["the configuration's model runs instead"]
    bench.boot(told)
    bench.go(5)
    assert bench.said() == ["the configuration's model runs instead"]
    told.append("an update wears its own head")  # as opening one may find
    bench.go(5)
    assert bench.said()[1:] == ["an update wears its own head"]


def test_the_model_that_gave_way_is_closed_and_takes_no_memory_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(bench.network, "close", lambda: closed.append("old"))
    monkeypatch.setattr(bench.new, "close", lambda: closed.append("new"))
    bench.shelf.begin_trial(NEW, 0)
    bench.go(5)
    assert bench.running() == "new" and closed == ["old"]


def test_a_bin_whose_network_is_gone_takes_an_update_over(bench: Bench) -> None:
    bench.daemon.recorder.classifier = None
    bench.shelf.begin_trial(NEW, 0)
    bench.go(5)
    assert bench.running() == "new" and "runs now, instead of none: " in bench.said()[-1]


def test_a_bin_without_a_camera_takes_another_model_over_all_the_same(bench: Bench) -> None:
    bench.daemon.parts.looker = None
    bench.daemon.condition.use(bench.new)
    assert bench.running() == "new"
