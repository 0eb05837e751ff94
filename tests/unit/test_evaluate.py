"""The figures of an evaluation, against values worked out by hand and by brute force."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from click import UsageError
from hypothesis import given
from hypothesis import strategies as st

from trashbin.evaluate import Picture, auroc, list_pictures, measure, ratio, show, wilson
from trashbin.types import Action, Decision, Reason, Thresholds

LABELS = ("glass", "metal", "paper")
KEYS = [
    "images",
    "accuracy",
    "accuracy_ci95",
    "coverage",
    "acted",
    "acted_wrong",
    "selective_risk",
    "classes",
    "confusion",
    "unknown",
]


def judged(
    truth: str, label: str | None, acted: bool, gap: float = 0.5, familiarity: float | None = None
) -> Picture:
    action, reason = (Action.ACT, Reason.CLEAR) if acted else (Action.HOLD, Reason.LOW_GAP)
    return Picture(
        Path("x"), truth, Decision(action, reason, label, gap=gap, familiarity=familiarity)
    )


# Newcombe, Statistics in Medicine 17 (1998), table I, method 3
@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    right: int, count: int, low: float, high: float
) -> None:
    assert wilson(right, count) == pytest.approx([low, high], abs=5e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_holds_the_share_and_is_symmetric(count: int, share: float) -> None:
    right = round(share * count)
    low, high = wilson(right, count) or (math.nan, math.nan)
    assert 0 <= low <= right / count <= high <= 1
    mirrored = wilson(count - right, count)
    assert mirrored is not None
    assert mirrored == pytest.approx([1 - high, 1 - low], abs=1e-9)


def test_nothing_has_no_share() -> None:
    assert wilson(0, 0) is ratio(0, 0) is auroc([], [0.1]) is auroc([0.1], []) is None


scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=20)


@given(scores, scores)
def test_auroc_counts_the_pairs_in_the_right_order(
    inside: list[float], outside: list[float]
) -> None:
    wins = sum((i > o) + (i == o) / 2 for i in inside for o in outside)
    assert auroc(inside, outside) == pytest.approx(wins / (len(inside) * len(outside)))


def test_the_figures_of_a_small_evaluation() -> None:
    pictures = [
        judged("glass", "glass", True, 0.9),
        judged("glass", "glass", False, 0.1),
        judged("glass", "metal", True, 0.4),
        judged("metal", "metal", True, 0.8),
        judged("metal", None, False, 0.0),
        judged("unknown", "paper", True, 0.3),
        judged("unknown", "glass", False, 0.05),
    ]
    figures = measure(pictures, LABELS)
    assert list(figures) == KEYS
    assert (figures["images"], figures["accuracy"]) == (5, 3 / 5)
    assert figures["accuracy_ci95"] == wilson(3, 5)
    assert (figures["acted"], figures["acted_wrong"]) == (3, 1)
    assert (figures["coverage"], figures["selective_risk"]) == (3 / 5, 1 / 3)
    assert figures["classes"]["glass"] == {
        "images": 3,
        "right": 2,
        "recall": 2 / 3,
        "recall_ci95": wilson(2, 3),
    }
    assert figures["classes"]["paper"]["recall"] is None
    assert figures["confusion"]["glass"] == {"glass": 2, "metal": 1, "paper": 0}
    assert figures["confusion"]["metal"] == {"glass": 0, "metal": 1, "paper": 0, "none": 1}
    # labelled gaps 0.9 0.1 0.4 0.8 0.0 against 0.3 and 0.05: 3 + 4 of 10 pairs
    assert figures["unknown"] == {"images": 2, "acted": 1, "auroc": 0.7}


def test_what_is_shown_to_people_has_a_row_for_every_class(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures = [
        *[judged("glass", "glass", True)] * 3,
        judged("glass", "metal", True),
        judged("metal", None, False),
        judged("unknown", "paper", True),
        judged("unknown", "paper", False),
    ]
    show(measure(pictures, LABELS), Thresholds(0.25, 0.5, 0.75))
    out = capsys.readouterr().out
    lines, text = out.splitlines(), " ".join(out.split())
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines]
    assert "Accuracy 60.0% on 5 pictures (95 % interval 23.1% .. 88.2%)" in text
    low, high = (f"{bound:.1%}" for bound in wilson(3, 4) or ())
    for row in (
        ["glass", "4", "3", "75.0%", low, "..", high],
        ["metal", "1", "0", "0.0%", "0.0%", "..", "79.3%"],
        ["paper", "0", "0", "-", "-"],
        # what it was taken for: glass, metal, paper, nothing
        ["glass", "3", "1", "·", "·"],
        ["metal", "·", "·", "·", "1"],
        ["paper", "·", "·", "·", "·"],
    ):
        assert row in words
    rules = "With the rules (gap 0.25, top-1 0.50, familiarity 0.75): "
    assert rules + "acts on 4 of 5 (80.0%), 1 of them wrong (25.0%)." in text
    assert "Of 2 pictures of no class it acts on 1 (AUROC 0.500)." in text
    show(measure(pictures[:3], LABELS), Thresholds(0.25, 0.5))
    text = capsys.readouterr().out
    assert "top-1 0.50): acts" in text and "of no class" not in text and "none" not in text


def test_familiarity_tells_unknown_from_labelled_where_the_model_has_it() -> None:
    pictures = [
        judged("glass", "glass", True, 0.1, 0.9),
        judged("unknown", "glass", True, 0.9, 0.1),
    ]
    assert measure(pictures, LABELS)["unknown"]["auroc"] == 1.0


def test_without_pictures_every_ratio_is_none() -> None:
    figures = measure([], LABELS)
    assert figures["accuracy"] is figures["coverage"] is figures["selective_risk"] is None
    assert figures["unknown"] == {"images": 0, "acted": 0, "auroc": None}


pictures = st.lists(
    st.builds(
        judged,
        st.sampled_from([*LABELS, "unknown"]),
        st.sampled_from([*LABELS, None]),
        st.booleans(),
        st.floats(0, 1),
    )
)


@given(pictures)
def test_the_figures_agree_with_each_other(judged: list[Picture]) -> None:
    figures = measure(judged, LABELS)
    rows = figures["confusion"]
    assert figures["images"] + figures["unknown"]["images"] == len(judged)
    assert sum(sum(row.values()) for row in rows.values()) == figures["images"]
    assert sum(entry["right"] for entry in figures["classes"].values()) == sum(
        rows[label][label] for label in LABELS
    )
    assert figures["acted_wrong"] <= figures["acted"] <= figures["images"]


def test_folders_are_found_and_misnamed_ones_told(tmp_path: Path) -> None:
    for name in (
        "glass/a.jpg",
        "glass/deep/b.png",
        "unknown/c.jpg",
        "empty/tray.jpg",
        "Metall/d.jpg",
        "zz/d.jpg",
        "e.jpg",
        "f.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, complaints = list_pictures(tmp_path, LABELS)
    assert [(file.name, truth) for file, truth in found] == [
        ("a.jpg", "glass"),
        ("b.png", "glass"),
        ("c.jpg", "unknown"),
    ]
    assert len(complaints) == 3
    assert "Metall: left out, its name is no label; did you mean metal?" in complaints[0]
    assert "e.jpg: left out, it lies in no label's folder" in complaints[1]
    assert complaints[2] == f"{tmp_path / 'zz'}: left out, its name is no label"


def test_a_folder_without_any_label_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "plastics").mkdir()
    with pytest.raises(UsageError, match="no folder named glass, metal, paper, unknown"):
        list_pictures(tmp_path, LABELS)
