"""The gap-based decision: shares of several frames -> act on one label, or hold with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trashbin.types import Action, Decision, Prediction, Reason, Thresholds


def hold(reason: Reason) -> Decision:
    """A decision to hold that rests on no prediction (an empty or dark tray, a fault)."""
    return Decision(Action.HOLD, reason)


def overrule(decision: Decision, reason: Reason) -> Decision:
    """Hold for ``reason`` (blurred, two things at once), keeping what the network said."""
    return replace(decision, action=Action.HOLD, reason=reason)


def decide(predictions: Sequence[Prediction], thresholds: Thresholds) -> Decision:
    """Judge the mean shares of a burst of frames.

    Acts only if every frame is valid, the largest mean share is alone at the top,
    most frames vote for it, gap >= ``thresholds.gap``, top-1 >= ``thresholds.top1``
    and, where the model tells familiarity, it is >= ``thresholds.familiarity``. Bounds
    belong to acting: a gap that equals its threshold acts. The order of labels
    never matters: ties hold instead of going to whoever stands first.
    """
    if not predictions or not all(_valid(p.scores, predictions[0].scores) for p in predictions):
        return hold(Reason.INVALID)
    scores = {
        label: math.fsum(p.scores[label] for p in predictions) / len(predictions)
        for label in predictions[0].scores
    }
    # equal shares sort by name, so that label order cannot be told from the answer
    ranked = sorted(scores, key=lambda label: (-scores[label], label))
    top1 = scores[ranked[0]]
    top2 = scores[ranked[1]] if len(ranked) > 1 else 0.0
    gap = top1 - top2
    best = [_best(p.scores) for p in predictions]
    votes = {label: best.count(label) for label in best}
    familiarity = _mean_familiarity(predictions)
    if gap <= 0.0:
        reason = Reason.TIE
    elif 2 * best.count(ranked[0]) <= len(predictions):
        reason = Reason.DISAGREE
    elif not gap >= thresholds.gap:  # so that a threshold of NaN holds, too
        reason = Reason.LOW_GAP
    elif not top1 >= thresholds.top1:
        reason = Reason.LOW_TOP1
    elif (
        thresholds.familiarity is not None
        and familiarity is not None
        and not familiarity >= thresholds.familiarity
    ):
        reason = Reason.UNFAMILIAR
    else:
        reason = Reason.CLEAR
    return Decision(
        action=Action.ACT if reason is Reason.CLEAR else Action.HOLD,
        reason=reason,
        label=ranked[0],
        second=ranked[1] if len(ranked) > 1 else None,
        top1=top1,
        top2=top2,
        gap=gap,
        familiarity=familiarity,
        scores=scores,
        votes=votes,
    )


def _valid(scores: Mapping[str, float], like: Mapping[str, float]) -> bool:
    """Shares of the same labels as the first frame's, each a number in 0..1, not all zero."""
    return (
        bool(scores)
        and scores.keys() == like.keys()
        and all(0.0 <= share <= 1.0 for share in scores.values())  # NaN compares false
        and math.fsum(scores.values()) > 0.0
    )


def _best(scores: Mapping[str, float]) -> str:
    return min(scores, key=lambda label: (-scores[label], label))


def _mean_familiarity(predictions: Sequence[Prediction]) -> float | None:
    """The mean over the frames, or None where the model has no such output."""
    known = [p.familiarity for p in predictions if p.familiarity is not None]
    if len(known) < len(predictions):
        return None
    mean = math.fsum(known) / len(known)
    return mean if math.isfinite(mean) else 0.0


def digits(value: float, needed: float, least: int = 2) -> int:
    """Places enough to see which is larger: "gap 0.72, needed 0.72" would say nothing."""
    enough = (n for n in range(least, 9) if f"{value:.{n}f}" != f"{needed:.{n}f}")
    return next(enough, least)
