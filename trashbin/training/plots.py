"""The model card's plots, from what ``evaluate.report`` measured; for light and dark pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from trashbin.training.scores import wilson

matplotlib.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

INK, HOME, AWAY, NONE = "#767676", "#1a7f5a", "#c26a00", "#a03a7a"
WIDTH, HEIGHT = 5.2, 3.6  # inches


def _figure(title: str, x: str, y: str) -> Axes:
    plt.rcParams.update(
        {
            "svg.hashsalt": "trashbin",  # the same file on every run
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": INK,
            "grid.alpha": 0.2,
            "legend.frameon": False,
        }
    )
    _, axes = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return axes


def _save(axes: Axes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = axes.get_figure()
    assert figure is not None
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close("all")


def reliability(curves: dict[str, Any], path: Path, bins: int = 8) -> None:
    """Accuracy against the largest share, in bins of as many pictures each."""
    axes = _figure("Is a share what it says?", "largest share", "accuracy")
    axes.plot([0.2, 1], [0.2, 1], color=INK, linewidth=1, linestyle=":")
    for place, color in (("home", HOME), ("away", AWAY)):
        shares, right = np.array(curves["shares"][place]), np.array(curves["right"][place])
        parts = [p for p in np.array_split(shares.argsort(), bins) if len(p)]
        x, y = [shares[p].mean() for p in parts], [right[p].mean() for p in parts]
        spans = [wilson(int(right[p].sum()), len(p)) for p in parts]
        low = [max(0.0, m - a) for m, (a, _) in zip(y, spans, strict=True)]
        high = [max(0.0, b - m) for m, (_, b) in zip(y, spans, strict=True)]
        axes.errorbar(x, y, (low, high), color=color, marker="o", markersize=4, label=place)
    axes.legend(loc="upper left")
    _save(axes, path)


def risk_coverage(curves: dict[str, Any], rules: dict[str, float], path: Path) -> None:
    """Error among acted items against the share acted on, as the gap threshold moves."""
    axes = _figure("What a higher gap buys", "share acted on", "wrong among acted, %")
    for place, color in (("home", HOME), ("away", AWAY)):
        gap, right = np.array(curves["gap"][place]), np.array(curves["right"][place])
        known = np.array(curves["familiarity"][place]) >= rules["familiarity"]
        points = []
        for threshold in np.linspace(0, 0.995, 120):
            acted = known & (gap >= threshold)
            if acted.sum() >= 10:
                points.append((acted.mean(), 100 * (~right[acted]).mean()))
        axes.plot(*zip(*points, strict=True), color=color, label=place)
        acted = known & (gap >= rules["gap"])
        risk = 100 * (~right[acted]).mean() if acted.any() else 0.0
        axes.plot([acted.mean()], [risk], "o", color=color)
    axes.set_xlim(0, 1)
    axes.legend(loc="upper left", title="dot: as shipped")
    _save(axes, path)


def known_unknown(curves: dict[str, Any], rules: dict[str, float], path: Path) -> None:
    """How familiar things are: photographs, composites, things of no class."""
    axes = _figure("Is this a thing it knows?", "familiarity", "share of the pictures")
    names = (("home", HOME, "home"), ("away", AWAY, "away"), ("none", NONE, "of no class"))
    every = np.concatenate([np.array(curves["familiarity"][name]) for name, _, _ in names])
    edges = np.linspace(every.min(), every.max(), 31)
    for name, color, label in names:
        values: NDArray[np.float64] = np.array(curves["familiarity"][name])
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges, weights=weights, histtype="step", color=color, label=label)
    axes.axvline(rules["familiarity"], color=INK, linestyle=":")
    axes.legend(loc="upper left", title="dotted: threshold")
    _save(axes, path)


def frontier(points: list[tuple[str, float, float]], path: Path) -> None:
    """Accuracy on other backgrounds against accuracy at home: (name, home, away) in 0..1."""
    axes = _figure("Home and away, calib fold", "home, %", "away, %")
    there: dict[tuple[float, float], list[str]] = {}
    for name, home, away in points:
        there.setdefault((100 * home, 100 * away), []).append(name)
    crowded = 1.2  # percent: so near to the right of a point another one's label would begin
    for (x, y), names in there.items():
        axes.plot([x], [y], "o", color=HOME, markersize=5)
        near = any(0 < other - x < crowded and abs(at - y) < crowded for other, at in there)
        place, side = ((-5, -3), "right") if near else ((5, -3), "left")
        label, how = ", ".join(names), {"textcoords": "offset points", "ha": side}
        axes.annotate(label, (x, y), place, fontsize=8, **how)
    axes.margins(0.15)
    _save(axes, path)
