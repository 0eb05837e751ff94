"""Scores of a file on labelled pictures, and what follows from them: shares, rules, figures.

Pure: what a file said comes in (`evaluate` asks it), numbers and thresholds come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trashbin.model.familiarity import Familiarity

Floats = NDArray[np.float64]
HOME_COVERAGE = 0.88  # of plain photographs, that the shipped rules must act on
WRONG_COSTS = 10.0  # right acts that one wrong act outweighs: it spoils what lies in that bin
NO_CLASS_SHARE = 0.4  # things of no class among all that may lie in a tray, as the rules see it


@dataclass(frozen=True)
class Scores:
    """What a file said of N pictures, V views of each: what the bin does with a burst.

    Logits (N, V, 6), features (N, V, F), targets (N,), photos (N,) as in the bank. A target of -1
    is a thing of no class.
    """

    logits: Floats
    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    photos: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    @staticmethod
    def joined(*parts: Scores) -> Scores:
        """Several banks as one."""
        return Scores(
            *(
                np.concatenate([getattr(p, name) for p in parts])
                for name in ("logits", "features", "targets", "photos")
            )
        )


def softmax(logits: Floats) -> Floats:
    """Shares along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float64)


def shares_of(scores: Scores, temperature: float) -> Floats:
    """(N, 6): the mean over the views, as the decision takes it."""
    return np.asarray(softmax(scores.logits / temperature).mean(1), np.float64)


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    )
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def fit_temperature(scores: Scores, weights: Floats) -> float:
    """The temperature with the smallest weighted log loss (Guo et al., ICML 2017), on a grid."""
    rows = np.arange(len(scores))

    def loss(temperature: float) -> float:
        shares = shares_of(scores, temperature)[rows, scores.targets]
        return float(-(weights * np.log(shares + 1e-12)).sum())

    return float(min(np.exp(np.linspace(np.log(0.2), np.log(5.0), 400)), key=loss))


def gaps(scores: Scores, temperature: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """gap, largest share, and whether the best label is right; (N,) each."""
    shares = shares_of(scores, temperature)
    ordered = np.sort(shares, 1)
    return ordered[:, -1] - ordered[:, -2], ordered[:, -1], shares.argmax(1) == scores.targets


def familiarity(logits: Floats, features: NDArray[np.float32], index: Familiarity) -> float:
    """Of one picture, by logits (V, 6) and features (V, F) of its views, as the daemon has it."""
    views = zip(features, logits.argmax(1), strict=True)
    return float(np.mean([index.score(view, int(label)) for view, label in views]))


def familiarities(scores: Scores, index: Familiarity) -> Floats:
    """(N,) of each picture."""
    said = zip(scores.logits, scores.features, strict=True)
    return np.array([familiarity(*each, index) for each in said])


@dataclass(frozen=True)
class Rules:
    """What the decision acts by."""

    temperature: float
    gap: float
    top1: float
    familiarity: float


def acts(scores: Scores, index: Familiarity, rules: Rules) -> NDArray[np.bool_]:
    """(N,) whether the bin would act."""
    g, t, _ = gaps(scores, rules.temperature)
    known = familiarities(scores, index) >= rules.familiarity
    return (g >= rules.gap) & (t >= rules.top1) & known & elected(scores, rules.temperature)


def elected(scores: Scores, temperature: float) -> NDArray[np.bool_]:
    """(N,) whether most views vote for what the mean says."""
    best = shares_of(scores, temperature).argmax(1)
    votes = (scores.logits.argmax(2) == best[:, None]).sum(1)
    return np.asarray(2 * votes > scores.logits.shape[1], np.bool_)


def risk_and_coverage(scores: Scores, index: Familiarity, rules: Rules) -> dict[str, Any]:
    """What the rules do to pictures with a label."""
    right = gaps(scores, rules.temperature)[2]
    acted = acts(scores, index, rules)
    wrong = int((acted & ~right).sum())
    return {
        "accuracy": round(float(right.mean()), 4),
        "coverage": round(float(acted.mean()), 4),
        "acted": int(acted.sum()),
        "acted_wrong": wrong,
        "selective_risk": round(wrong / max(1, int(acted.sum())), 4),
    }


def choose_rules(
    home: Scores, away: Scores, none: Scores, index: Familiarity, temperature: float
) -> Rules:
    """Gap and familiarity with the most right acts less WRONG_COSTS times the wrong ones.

    Among the pairs that act on HOME_COVERAGE of the photographs. Photographs and composites weigh
    as much; things of no class, any act on which is wrong, are NO_CLASS_SHARE of what may lie in
    another tray. The floor on the largest share is a plain half.
    """
    said = [gaps(scores, temperature) for scores in (home, away, none)]
    known = [familiarities(scores, index) for scores in (home, away, none)]
    votes = [elected(scores, temperature) for scores in (home, away, none)]
    steps = np.unique(np.round(np.quantile(np.concatenate(known[:2]), np.linspace(0, 0.2, 41)), 4))
    weight = (1 / len(home), (1 - NO_CLASS_SHARE) / len(away), NO_CLASS_SHARE / len(none))
    best, chosen = -np.inf, Rules(temperature, 0.0, 0.5, float(steps[0]))
    for gap in np.arange(0.0, 0.985, 0.01):
        for familiarity in steps:
            worth, covered = 0.0, 0.0
            for w, (g, top, right), k, vote in zip(weight, said, known, votes, strict=True):
                acted = vote & (g >= gap) & (top >= 0.5) & (k >= familiarity)
                worth += w * float((acted & right).sum() - WRONG_COSTS * (acted & ~right).sum())
                covered = covered or float(acted.mean())
            if covered >= HOME_COVERAGE and worth > best:
                best = worth
                chosen = Rules(temperature, round(float(gap), 2), 0.5, float(familiarity))
    return chosen


def auroc(known: Floats, unknown: Floats) -> float:
    """The chance that a known thing scores above an unknown one (ties count half)."""
    order = np.sort(unknown)
    below = np.searchsorted(order, known, "left") + np.searchsorted(order, known, "right")
    return float(below.mean() / (2 * len(unknown)))


def expected_calibration_error(scores: Scores, temperature: float, bins: int = 10) -> float:
    """Mean distance of the largest share from the accuracy at that share."""
    _, top, right = gaps(scores, temperature)
    which = np.minimum((top * bins).astype(int), bins - 1)
    return float(
        sum(
            (which == b).mean() * abs(right[which == b].mean() - top[which == b].mean())
            for b in set(which.tolist())
        )
    )


def rules_of(manifest: dict[str, Any]) -> Rules:
    """What a manifest promises to act by."""
    given = manifest["thresholds"]
    return Rules(
        manifest["output"]["temperature"], given["gap"], given["top1"], given["familiarity"]
    )
