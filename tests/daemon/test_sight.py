"""What a look hands on beside its decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.daemon.rig import UNSURE, Network, Rig
from trashbin.errors import CameraError
from trashbin.looking import STAGES, Looker, turned
from trashbin.scene import SceneState, View
from trashbin.types import Box, Frame, Prediction, Reason


class Featured(Network):
    """Sees something else in every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0
        self.turns: list[int] = []
        self.things: list[Box | None] = []
        self.taken_at: list[float] = []

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        self.frames += 1
        self.turns.append(turns)
        self.things.append(frame.thing)
        self.taken_at.append(frame.at)
        seen = np.array([1.0, float(self.frames)], np.float32)
        found = super().predict(frame, turns)
        return replace(found, features=seen, preprocess_ms=2.0, invoke_ms=8.0)


def looking(rig: Rig) -> tuple[Looker, Featured]:
    """The rig's looker with such a network, knowing the empty tray."""
    looker = rig.daemon.parts.looker
    assert looker is not None
    looker.classifier = network = Featured()
    looker.learn_empty_tray()
    return looker, network


def test_the_features_of_a_sight_are_the_mean_of_its_burst(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    looker, network = looking(rig)
    rig.drop()
    sight = looker.look(network.thresholds)
    assert sight.features is not None
    assert sight.features.dtype == np.float32
    assert sight.features.tolist() == [1.0, np.mean(range(1, network.frames + 1))]


def test_each_frame_of_a_burst_is_turned_by_a_quarter_more(tmp_path: Path) -> None:
    rig = Rig(tmp_path, look={"burst": 3, "retries": 0})
    looker, network = looking(rig)
    rig.drop()
    looker.look(network.thresholds)
    assert network.turns == [0, 1, 2]
    network.turns.clear()
    turned(network, looker.seen)
    assert network.turns == [0, 1, 2], "a single picture is judged likewise"


def test_the_network_is_shown_where_the_thing_lies(tmp_path: Path) -> None:
    rig = Rig(tmp_path, look={"retries": 0})
    looker, network = looking(rig)
    rig.drop()
    sight = looker.look(network.thresholds)
    assert len(network.things) == 3
    for thing in network.things:
        assert thing == pytest.approx((60 / 160, 40 / 120, 95 / 160, 75 / 120), abs=0.02)
    rows, columns, _ = sight.shown.shape
    assert rows == pytest.approx(1.3 * 35, abs=3) and columns == pytest.approx(rows * 4 / 3, abs=1)
    assert (sight.shown == (220, 40, 40)).all(2).sum() > 1000, "the thing is on it, whole"
    assert sight.frame.pixels.shape == (120, 160, 3)


@pytest.mark.parametrize("look", [{"close_up": False}, {"empty_tray": "none"}])
def test_all_of_the_tray_is_shown_where_the_owner_or_nothing_says_what_to_show(
    tmp_path: Path, look: dict[str, object]
) -> None:
    rig = Rig(tmp_path, look=look)
    looker, network = looking(rig)
    rig.drop()
    sight = looker.look(network.thresholds)
    assert set(network.things) == {None}
    assert sight.shown is sight.frame.pixels


def test_a_look_at_nothing_has_no_features(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    looker, network = looking(rig)
    sight = looker.look(network.thresholds)
    assert (sight.decision.reason, sight.features) == (Reason.EMPTY, None)


def test_the_frame_that_shows_it_at_rest_is_the_bursts_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path, look={"burst": 3, "retries": 0})
    looker, network = looking(rig)
    rig.drop()
    sight = looker.look(network.thresholds)
    assert sight.burst_at == network.taken_at[0] and len(network.taken_at) == 3


def test_what_the_stages_took_is_told_of_every_burst(tmp_path: Path) -> None:
    rig = Rig(tmp_path, look={"burst": 3, "retries": 1})
    looker, network = looking(rig)
    network.usual = UNSURE
    rig.drop()
    started = rig.clock.monotonic()
    sight = looker.look(network.thresholds)
    told, took = sight.timing_ms, (rig.clock.monotonic() - started) * 1e3
    assert network.frames == 6 and set(told) == set(STAGES)
    assert told["preprocess"] == 6 * 2.0 and told["invoke"] == 6 * 8.0
    assert told["capture"] > 0 and told["decide"] > 0, "measured by the processor's own clock"
    assert told["settle"] == pytest.approx((sight.burst_at - started) * 1e3)
    assert told["total"] == pytest.approx(took) and took > told["settle"]


@pytest.mark.parametrize(("torn", "reason"), [(1, Reason.CLEAR), (3, Reason.DISAGREE)])
def test_one_thing_that_looks_like_two_for_a_moment_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int, reason: Reason
) -> None:
    rig = Rig(tmp_path, look={"burst": 3, "retries": 0})
    looker, network = looking(rig)
    rig.drop()
    glance, left = looker.glance, [torn]

    def apart(*, closely: bool = False) -> View:
        view = glance(closely=closely)
        if view.state is SceneState.SETTLED and left[0]:
            left[0] -= 1
            return replace(view, items=2)
        return view

    monkeypatch.setattr(looker, "glance", apart)
    assert looker.look(network.thresholds).decision.reason is reason


@pytest.mark.parametrize(
    ("blurred", "retries", "turns", "reason"),
    [
        (1, 0, [0, 1], Reason.CLEAR),
        (3, 0, [0, 1, 2], Reason.BLURRED),  # asked all the same: the event says what it saw
        (3, 1, [0, 1, 2, 0, 1, 2], Reason.CLEAR),
    ],
)
def test_what_is_blurred_is_not_judged_where_anything_sharp_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blurred: int,
    retries: int,
    turns: list[int],
    reason: Reason,
) -> None:
    rig = Rig(tmp_path, look={"burst": 3, "retries": retries})
    looker, network = looking(rig)
    rig.drop()
    glance, left, unsharp = looker.glance, [blurred], list[float]()

    def shaken(*, closely: bool = False) -> View:
        view = glance(closely=closely)
        if view.state is SceneState.SETTLED and left[0]:
            left[0] -= 1
            unsharp.append(looker.seen.at)
            return replace(view, sharpness=rig.config.look.min_sharpness - 1)
        return view

    monkeypatch.setattr(looker, "glance", shaken)
    sight = looker.look(network.thresholds)
    assert (sight.decision.reason, network.turns) == (reason, turns)
    assert sight.decision.label == "metal" and sight.decision.votes == {"metal": len(turns[-3:])}
    assert set(unsharp).isdisjoint(network.taken_at) is (len(turns) < 3)


@pytest.mark.parametrize("shape", [(120, 160), (120, 160, 4), (0, 160, 3)])
def test_what_is_no_picture_is_a_fault_of_the_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    rig = Rig(tmp_path)
    looker, _ = looking(rig)
    odd = Frame(np.zeros(shape, np.uint8), 0.0)
    monkeypatch.setattr(rig.tray, "capture", lambda timeout: odd)
    with pytest.raises(CameraError, match="no picture"):
        looker.glance()


def test_a_camera_has_another_size_only_where_it_always_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    looker, _ = looking(rig)
    assert not looker.take_up_size() and rig.scene.learned, "it has the one that it had"
    whole, capture = rig.tray.empty, rig.tray.capture

    def wavers(timeout: float) -> Frame:
        rig.tray.empty = whole[:100] if rig.tray.empty is whole else whole
        return capture(timeout)

    with monkeypatch.context() as patched:
        patched.setattr(rig.tray, "capture", wavers)
        with pytest.raises(CameraError, match="pictures of"):
            looker.take_up_size()
    rig.tray.empty = np.zeros_like(whole[:100])
    with pytest.raises(CameraError, match="black"):
        looker.take_up_size()
    rig.tray.empty = whole
    assert looker.glance().state is SceneState.EMPTY, "what it had holds on"
    rig.tray.empty = whole[:100]
    assert looker.take_up_size() and not rig.scene.learned
