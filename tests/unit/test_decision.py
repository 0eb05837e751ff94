"""The decision's rules, each stated as a property."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from trashbin.decision import decide, digits, hold, overrule
from trashbin.types import Action, Decision, Prediction, Reason, Thresholds

LABELS = ("cardboard", "glass", "metal", "paper", "plastic", "trash")
LAX = Thresholds(gap=0.0, top1=0.0)

share = st.floats(0, 1)
thresholds = st.builds(Thresholds, share, share, st.none() | share)
weights = st.lists(st.integers(0, 1000), min_size=6, max_size=6).filter(any)


def shares(counts: list[int]) -> dict[str, float]:
    """Numbers as shares of their sum."""
    return {label: count / sum(counts) for label, count in zip(LABELS, counts, strict=True)}


predictions = st.lists(
    st.builds(Prediction, weights.map(shares), st.none() | share), min_size=1, max_size=5
)


def one(**scores: float) -> list[Prediction]:
    return [Prediction(scores)]


@given(predictions, thresholds, st.randoms(use_true_random=False))
def test_label_order_never_matters(
    burst: list[Prediction], rules: Thresholds, rng: random.Random
) -> None:
    order = list(LABELS)
    rng.shuffle(order)
    shuffled = [
        Prediction({label: p.scores[label] for label in order}, p.familiarity) for p in burst
    ]
    assert decide(shuffled, rules) == decide(burst, rules)


@given(predictions, thresholds, st.randoms(use_true_random=False))
def test_frame_order_never_matters(
    burst: list[Prediction], rules: Thresholds, rng: random.Random
) -> None:
    shuffled = rng.sample(burst, len(burst))
    assert decide(shuffled, rules) == decide(burst, rules)


@given(predictions, share, share, share)
def test_raising_the_top_share_never_turns_acting_into_holding(
    burst: list[Prediction], part_of_gap: float, part_of_top1: float, raised: float
) -> None:
    before = decide(burst, LAX)
    assume(before.action is Action.ACT)
    assert before.label is not None and before.gap is not None and before.top1 is not None
    rules = Thresholds(part_of_gap * before.gap, part_of_top1 * before.top1)
    clearer = []
    for p in burst:
        # what the top label gains, the others lose in proportion
        top = p.scores[before.label]
        scores = {label: value * (1 - raised) for label, value in p.scores.items()}
        scores[before.label] = min(1.0, top + raised * (1 - top))
        clearer.append(Prediction(scores, p.familiarity))
    for frames in (burst, clearer):
        decided = decide(frames, rules)
        assert (decided.action, decided.label) == (Action.ACT, before.label)


@given(predictions, thresholds)
def test_lower_thresholds_never_turn_acting_into_holding(
    burst: list[Prediction], rules: Thresholds
) -> None:
    lower = Thresholds(rules.gap / 2, rules.top1 / 2)
    assert decide(burst, lower).action is Action.ACT or decide(burst, rules).action is Action.HOLD


@given(predictions, thresholds)
def test_what_is_decided_is_consistent(burst: list[Prediction], rules: Thresholds) -> None:
    d = decide(burst, rules)
    assert (d.action is Action.ACT) == (d.reason is Reason.CLEAR)
    assert d.label is not None and d.top1 is not None and d.top2 is not None and d.gap is not None
    assert d.top1 == max(d.scores.values()) == d.scores[d.label]
    assert d.gap == d.top1 - d.top2 >= 0
    assert sum(d.votes.values()) == len(burst)
    if d.action is Action.ACT:
        assert d.gap >= rules.gap and d.top1 >= rules.top1 and d.gap > 0
        assert 2 * d.votes[d.label] > len(burst)
        if rules.familiarity is not None and d.familiarity is not None:
            assert d.familiarity >= rules.familiarity


@given(predictions)
@example([Prediction(shares([6, 4, 0, 0, 0, 0]), known) for known in (0.2, 0.7, 0.9)])
def test_what_is_told_is_the_mean_of_the_frames(burst: list[Prediction]) -> None:
    d = decide(burst, LAX)
    mean = {label: fmean(p.scores[label] for p in burst) for label in LABELS}
    assert d.scores == pytest.approx(mean, abs=1e-12)
    first, second = sorted(d.scores.values(), reverse=True)[:2]
    assert (d.top1, d.top2) == (first, second) == (d.scores[d.label], d.scores[d.second])
    known = [p.familiarity for p in burst if p.familiarity is not None]
    whole = len(known) == len(burst)
    assert d.familiarity == (pytest.approx(fmean(known), abs=1e-12) if whole else None)


@given(predictions, thresholds, st.sampled_from([Reason.BLURRED, Reason.DISAGREE]))
def test_who_overrules_it_holds_and_changes_nothing_else(
    burst: list[Prediction], rules: Thresholds, reason: Reason
) -> None:
    decided = decide(burst, rules)
    overruled = overrule(decided, reason)
    assert (overruled.action, overruled.reason) == (Action.HOLD, reason)
    assert replace(overruled, action=decided.action, reason=decided.reason) == decided


def test_a_network_of_one_label_has_no_second() -> None:
    decided = decide(one(glass=0.7), LAX)
    assert (decided.second, decided.top2, decided.gap) == (None, 0.0, 0.7)


@given(
    predictions,
    thresholds,
    st.integers(0, 4),
    st.sampled_from(LABELS),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.1, 1.1]),
)
def test_one_share_that_is_none_holds_as_invalid(
    burst: list[Prediction], rules: Thresholds, at: int, label: str, broken: float
) -> None:
    spoilt = list(burst)
    p = spoilt[at % len(burst)]
    spoilt[at % len(burst)] = Prediction({**p.scores, label: broken}, p.familiarity)
    assert decide(spoilt, rules) == hold(Reason.INVALID)


@pytest.mark.parametrize(
    "burst",
    [
        [],
        [Prediction({})],
        [Prediction(dict.fromkeys(LABELS, 0.0))],
        [Prediction({"glass": 1.0}), Prediction({"metal": 1.0})],
    ],
    ids=["no frame", "no label", "only zeros", "other labels"],
)
def test_nothing_usable_holds_as_invalid(burst: list[Prediction]) -> None:
    assert decide(burst, LAX) == Decision(Action.HOLD, Reason.INVALID)


@given(weights, thresholds, st.permutations(LABELS))
@example([5, 5, 0, 0, 0, 0], LAX, list(LABELS))
def test_two_at_the_top_hold_as_a_tie(
    counts: list[int], rules: Thresholds, order: list[str]
) -> None:
    most = max(counts)
    tied = dict(zip(order, [most, most, *sorted(counts)[:4]], strict=True))
    total = sum(tied.values())
    decided = decide([Prediction({k: v / total for k, v in tied.items()})], rules)
    assert (decided.action, decided.reason, decided.gap) == (Action.HOLD, Reason.TIE, 0.0)


def test_frames_that_disagree_hold() -> None:
    # glass wins the mean by one loud frame, and only one frame of three votes for it
    burst = one(glass=0.99, metal=0.01) + 2 * one(glass=0.45, metal=0.55)
    decided = decide(burst, LAX)
    assert decided.reason is Reason.DISAGREE
    assert decided.label == "glass" and decided.votes == {"glass": 1, "metal": 2}


def test_half_of_the_frames_are_no_majority() -> None:
    burst = one(glass=0.9, metal=0.1) + one(glass=0.4, metal=0.6)
    assert decide(burst, LAX).reason is Reason.DISAGREE


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (Thresholds(gap=0.25, top1=0.625), Reason.CLEAR),
        (Thresholds(gap=math.nextafter(0.25, 1), top1=0.0), Reason.LOW_GAP),
        (Thresholds(gap=0.25, top1=math.nextafter(0.625, 1)), Reason.LOW_TOP1),
        (Thresholds(gap=1.0, top1=1.0), Reason.LOW_GAP),
    ],
)
def test_a_threshold_that_is_just_reached_acts(rules: Thresholds, reason: Reason) -> None:
    assert decide(one(glass=0.625, metal=0.375), rules).reason is reason


@pytest.mark.parametrize(
    ("known", "needed", "reason"),
    [
        (0.5, 0.5, Reason.CLEAR),
        (0.49, 0.5, Reason.UNFAMILIAR),
        (math.nan, 0.5, Reason.UNFAMILIAR),
        (0.0, None, Reason.CLEAR),
        (None, 0.5, Reason.CLEAR),  # a model without that output is judged by the rest
    ],
)
def test_familiarity_is_asked_for_only_where_it_is_known(
    known: float | None, needed: float | None, reason: Reason
) -> None:
    burst = [Prediction({"glass": 0.9, "metal": 0.1}, known)]
    assert decide(burst, Thresholds(0.2, 0.4, needed)).reason is reason


def test_a_familiarity_that_is_no_number_is_told_as_none_at_all() -> None:
    decided = decide([Prediction({"glass": 0.9, "metal": 0.1}, math.nan)], LAX)
    assert decided.familiarity == 0.0  # JSON has no word for it


def test_the_smallest_gap_is_no_tie() -> None:
    assert decide(one(glass=0.5001, metal=0.4999), LAX).reason is Reason.CLEAR


@pytest.mark.parametrize("reason", [Reason.EMPTY, Reason.DARK, Reason.BLURRED, Reason.FAULT])
def test_a_hold_without_prediction_says_why_and_nothing_else(reason: Reason) -> None:
    decided = hold(reason)
    assert decided == Decision(Action.HOLD, reason)
    assert decided.label is decided.top1 is decided.gap is None


@given(share, share, st.integers(1, 3))
def test_two_numbers_are_written_with_as_few_digits_as_tell_them_apart(
    value: float, needed: float, least: int
) -> None:
    places = digits(value, needed, least)
    told, limit = (float(f"{number:.{places}f}") for number in (value, needed))
    if abs(value - needed) > 1e-8:
        assert (told < limit, told > limit) == (value < needed, value > needed)
    assert places == least or f"{value:.{places - 1}f}" == f"{needed:.{places - 1}f}"
