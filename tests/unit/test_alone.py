"""A picture that came alone: what is small and stands out there is looked at closely."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trashbin import classify, evaluate
from trashbin.alone import DOUBT, SMALL, stands_out
from trashbin.classify import judge
from trashbin.dashboard.tryout import Judge
from trashbin.events import new_event_id
from trashbin.pictures import kept
from trashbin.settings import Look
from trashbin.types import Frame, Pixels, Prediction, Thresholds

BOTTLE = 200, 180, 30
ITEM = new_event_id(datetime(2026, 11, 30, tzinfo=UTC))


def tiled() -> Pixels:
    """(480, 640, 3) of a ground with a pattern."""
    ground = np.full((480, 640, 3), (90, 60, 70), np.uint8)
    ground[::20], ground[:, ::16, 1] = 60, 40
    return ground


def lying(*discs: tuple[int, int, int]) -> Pixels:
    """Things at x, y with a radius, in pixels."""
    picture = tiled()
    for x, y, radius in discs:
        cv2.circle(picture, (x, y), radius, BOTTLE, -1)
    return picture


@pytest.mark.parametrize(
    ("discs", "box"),
    [
        ([(420, 160, 60)], (360, 100, 480, 220)),
        ([(420, 160, 60), (250, 200, 50)], (200, 100, 480, 250)),
        ([(420, 160, 60), (120, 400, 8)], (360, 100, 480, 220)),  # a crumb
    ],
)
def test_what_differs_from_the_edge_is_found(
    discs: list[tuple[int, int, int]], box: tuple[int, ...]
) -> None:
    wanted = np.array(box) / [640, 480, 640, 480]
    assert stands_out(lying(*discs)) == pytest.approx(wanted, abs=0.04)


@pytest.mark.parametrize("picture", [tiled(), lying((320, 240, 200)), lying((320, 240, 10))])
def test_nothing_small_is_found_where_there_is_none(picture: Pixels) -> None:
    assert stands_out(picture) is None


sides = st.sampled_from([1, 2, 5, 90, 300])


@settings(max_examples=min(30, settings().max_examples))  # fewer where it is emulated
@given(st.tuples(sides, sides, st.just(3)).flatmap(lambda shape: arrays(np.uint8, shape)))
def test_any_picture_has_a_small_box_or_none(picture: Pixels) -> None:
    box = stands_out(picture)
    assert box == stands_out(picture), "the same picture, the same box"
    if box is not None:
        left, top, right, bottom = box
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        assert max(right - left, bottom - top) <= SMALL


class Network:
    """Knows all of a picture as paper, and a part of it as glass."""

    labels = "glass", "paper"

    def __init__(self, whole: float | None, near: float | None) -> None:
        self.known = {"paper": whole, "glass": near}
        self.asked: list[str] = []

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        label = "paper" if frame.thing is None else "glass"
        self.asked.append(label)
        scores = {each: 0.9 if each == label else 0.1 for each in self.labels}
        return Prediction(scores, familiarity=self.known[label])


def label(network: Network, picture: Pixels, *, alone: bool = True) -> str | None:
    return judge(picture, network, Thresholds(), alone=alone).label  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("whole", "near", "taken_for"),
    [
        (0.80, 0.90, "glass"),
        (0.80, 0.80 - DOUBT / 2, "glass"),
        (0.80, 0.80 - 2 * DOUBT, "paper"),
        (0.80, None, "paper"),
    ],
)
def test_the_part_counts_unless_the_whole_is_known_better(
    whole: float, near: float | None, taken_for: str
) -> None:
    assert label(Network(whole, near), lying((420, 160, 60))) == taken_for


def test_all_of_it_counts_where_nothing_stands_out_or_familiarity_is_not_told() -> None:
    network = Network(0.8, 0.9)
    assert label(network, tiled()) == "paper" and set(network.asked) == {"paper"}
    network = Network(None, None)
    assert label(network, lying((420, 160, 60))) == "paper" and set(network.asked) == {"paper"}
    network = Network(0.8, 0.9)
    assert label(network, lying((420, 160, 60)), alone=False) == "paper"


@pytest.mark.parametrize(("closely", "taken_for"), [(True, "glass"), (False, "paper")])
def test_classify_looks_closely_where_the_bin_does(
    closely: bool, taken_for: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "photo.png"
    cv2.imwrite(str(file), cv2.cvtColor(lying((420, 160, 60)), cv2.COLOR_RGB2BGR))
    network: Any = Network(0.8, 0.9)
    classify.run([file], network, Thresholds(), look=Look(close_up=closely), as_json=True)
    assert json.loads(capsys.readouterr().out)["label"] == taken_for


def test_so_does_the_page_with_a_picture_that_somebody_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = Network(0.8, 0.9), Thresholds()
    monkeypatch.setattr(classify, "opened", lambda read, model: opened)
    png = cv2.imencode(".png", cv2.cvtColor(lying((420, 160, 60)), cv2.COLOR_RGB2BGR))[1]
    assert Judge().judge(png.tobytes())[0].label == "glass"


def test_what_export_labels_wrote_is_known_by_its_name() -> None:
    assert kept(Path(f"glass/{ITEM}.jpg"))
    phones = "0c9a1f6e-4b7d-4e2a-9f31-5d8c2b7a6e10"
    for name in ("photo", "d41d8cd98f00b204e9800998ecf8427e", ITEM.upper(), phones):
        assert not kept(Path(f"glass/{name}.jpg"))


@pytest.mark.parametrize(
    ("name", "closely", "tray", "taken_for"),
    [
        ("photo", True, False, "glass"),
        (ITEM, True, False, "paper"),
        ("photo", False, False, "paper"),
        ("photo", True, True, "glass"),
    ],
)
def test_an_evaluation_looks_closely_but_at_what_the_bin_has_kept(
    name: str,
    closely: bool,
    tray: bool,
    taken_for: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = cv2.cvtColor(lying((420, 160, 60)), cv2.COLOR_RGB2BGR)
    for folder in ("glass", "empty"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "glass" / f"{name}.png"), picture)
    if tray:
        cv2.imwrite(str(tmp_path / "empty/tray.png"), cv2.cvtColor(tiled(), cv2.COLOR_RGB2BGR))
    told = Mock()
    monkeypatch.setattr(evaluate, "show", told)
    network = Network(0.8, 0.9)
    evaluate.run(
        tmp_path,
        network,  # type: ignore[arg-type]
        network.labels,
        Thresholds(),
        look=Look(close_up=closely),
        as_json=False,
        wrong=False,
    )
    figures = told.call_args.args[0]
    assert figures["accuracy"] == (1.0 if taken_for == "glass" else 0.0)
    # beside its tray, nothing is asked twice
    assert len(network.asked) == (6 if (name, closely, tray) == ("photo", True, False) else 3)
