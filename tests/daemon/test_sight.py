"""What a look hands on beside its decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.daemon.rig import Network, Rig
from trashbin.types import Frame, Prediction, Reason


class Featured(Network):
    """Sees something else in every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    def predict(self, frame: Frame) -> Prediction:
        self.frames += 1
        seen = np.array([1.0, float(self.frames)], np.float32)
        return replace(super().predict(frame), features=seen)


def test_the_features_of_a_sight_are_the_mean_of_its_burst(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    looker = rig.daemon.parts.looker
    assert looker is not None
    network = Featured()
    looker.classifier = network
    looker.learn_empty_tray()
    rig.drop()
    sight = looker.look(network.thresholds)
    assert sight.features is not None
    assert sight.features.dtype == np.float32
    assert sight.features.tolist() == [1.0, np.mean(range(1, network.frames + 1))]


def test_a_look_at_nothing_has_no_features(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    looker = rig.daemon.parts.looker
    assert looker is not None
    looker.classifier = network = Featured()
    looker.learn_empty_tray()
    sight = looker.look(network.thresholds)
    assert (sight.decision.reason, sight.features) == (Reason.EMPTY, None)
