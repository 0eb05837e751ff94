"""Thresholds with a promise: the tails by brute force, and a thousand bins that were promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trashbin.decision import decide
from trashbin.promise import Items, Promise, Refusal, allowed, choose, tail, upper
from trashbin.types import Action, Prediction, Reason, Thresholds


def world(rng: np.random.Generator, count: int) -> Items:
    """Items of which a tenth is of no class: less familiar, but with gaps as large as any."""
    strange = rng.random(count) < 0.1
    gap = rng.beta(4, 1, count)
    right = (rng.random(count) < 0.75 + 0.25 * gap) & ~strange
    familiarity = np.clip(rng.normal(np.where(strange, 0.6, 0.85), 0.06), 0, 1)
    return Items(gap, familiarity, right, np.ones(count, np.bool_))


@pytest.mark.parametrize(("wrong", "count", "risk"), [(0, 1, 0.3), (3, 40, 0.05), (7, 200, 0.03)])
def test_the_tail_is_the_sum_of_the_binomial_chances(wrong: int, count: int, risk: float) -> None:
    summed = math.fsum(
        math.comb(count, k) * risk**k * (1 - risk) ** (count - k) for k in range(wrong + 1)
    )
    assert tail(wrong, count, risk) == pytest.approx(summed, rel=1e-9)


# none of n wrong leaves 1 - (1 - confidence)^(1/n); 3 of 100 is R's binom.test
@pytest.mark.parametrize(
    ("wrong", "count", "confidence", "bound"),
    [(0, 59, 0.95, 1 - 0.05 ** (1 / 59)), (3, 100, 0.975, 0.0851760), (5, 5, 0.95, 1.0)],
)
def test_upper_is_the_published_limit(
    wrong: int, count: int, confidence: float, bound: float
) -> None:
    assert upper(wrong, count, confidence) == pytest.approx(bound, abs=1e-5)


@given(st.integers(0, 3000), st.floats(0.001, 0.6), st.floats(0.6, 0.999))
def test_allowed_is_the_largest_count_that_passes(
    count: int, risk: float, confidence: float
) -> None:
    limit = allowed(count, risk, confidence)
    assert limit == -1 or tail(limit, count, risk) <= 1 - confidence + 1e-12
    assert limit == count or tail(limit + 1, count, risk) > 1 - confidence - 1e-12


def test_the_bound_fails_no_more_often_than_the_confidence_allows() -> None:
    truth = world(np.random.default_rng(1), 200_000)
    failed = promised = 0
    for redraw in range(1000):
        chosen = choose(world(np.random.default_rng((2, redraw)), 400), 0.1, 0.9)
        if isinstance(chosen, Promise):
            promised += 1
            acts = truth.acted(chosen.gap, chosen.familiarity)
            failed += float((~truth.right[acts]).mean()) > chosen.bound
    assert promised > 500, "a promise that is hardly ever made is no use"
    # 0.1 of 1,000, and three standard deviations for the luck of these draws
    assert failed <= 100 + 3 * math.sqrt(1000 * 0.1 * 0.9)


def test_without_a_gap_that_tells_right_from_wrong_the_bound_holds_too() -> None:
    """At the edge: the error is the risk itself whatever the thresholds, so any promise fails."""
    failed = 0
    for redraw in range(1000):
        rng = np.random.default_rng((3, redraw))
        items = Items(rng.random(300), None, rng.random(300) > 0.1, np.ones(300, np.bool_))
        failed += isinstance(choose(items, 0.1, 0.9), Promise)
    assert failed <= 100 + 3 * math.sqrt(1000 * 0.1 * 0.9)


def test_twenty_items_are_refused_for_one_percent_and_it_says_how_many_would_do() -> None:
    rng = np.random.default_rng(4)
    items = Items(rng.random(20), None, np.ones(20, np.bool_), np.ones(20, np.bool_))
    refused = choose(items, 0.01, 0.95)
    assert isinstance(refused, Refusal)
    assert refused.needed is not None and refused.needed >= 299  # ln 0.05 / ln 0.99, all acted on
    enough = Items(
        rng.random(refused.needed), None, *(np.ones(refused.needed, np.bool_) for _ in range(2))
    )
    assert isinstance(choose(enough, 0.01, 0.95), Promise)


@pytest.mark.parametrize(
    ("risk", "confidence", "least"),
    [(0.03, 0.95, 131), (0.01, 0.95, 398), (0.0005, 0.95, 6990), (0.5, 0.51, 4)],
)
def test_a_refusal_tells_the_fewest_items_that_do_where_none_is_wrong(
    risk: float, confidence: float, least: int
) -> None:
    def without_error(count: int) -> Items:
        return Items(np.full(count, 0.9), None, *(np.ones(count, np.bool_) for _ in range(2)))

    refused = choose(without_error(3), risk, confidence)
    assert isinstance(refused, Refusal) and refused.needed == least
    assert isinstance(choose(without_error(least), risk, confidence), Promise)
    assert isinstance(choose(without_error(least - 1), risk, confidence), Refusal)


def test_as_many_items_as_a_refusal_tells_do_more_often_than_not() -> None:
    """Of many thresholds the luckiest seems to need the fewest items."""
    enough = told = 0
    for redraw in range(60):
        refused = choose(world(np.random.default_rng((7, redraw)), 100), 0.1, 0.95)
        if isinstance(refused, Refusal) and refused.needed is not None:
            told += 1
            more = world(np.random.default_rng((8, redraw)), refused.needed)
            enough += isinstance(choose(more, 0.1, 0.95), Promise)
    assert told > 30
    assert enough > 0.6 * told


def test_no_number_of_items_helps_where_the_surest_are_wrong() -> None:
    rng = np.random.default_rng(5)
    items = Items(rng.random(500), None, rng.random(500) > 0.5, np.ones(500, np.bool_))
    refused = choose(items, 0.05, 0.95)
    assert isinstance(refused, Refusal) and refused.needed is None


def test_familiarity_is_used_where_it_tells_the_strange_things() -> None:
    items = world(np.random.default_rng(6), 4000)
    both = choose(items, 0.1, 0.95)
    alone = choose(Items(items.gap, None, items.right, items.eligible), 0.1, 0.95)
    assert isinstance(both, Promise) and both.familiarity is not None and both.familiarity > 0.6
    assert isinstance(alone, Refusal) or alone.coverage < both.coverage


@pytest.mark.parametrize("which", ["gap", "familiarity"])
def test_no_item_is_held_by_what_does_not_tell_right_from_wrong(which: str) -> None:
    rng = np.random.default_rng(9)
    tells, noise = rng.random((2, 2000))
    told = {"gap": noise, "familiarity": noise} | {which: tells}
    right = tells > 0.3
    chosen = choose(Items(**told, right=right, eligible=np.ones(2000, np.bool_)), 0.05, 0.95)
    assert isinstance(chosen, Promise)
    asked = {"gap": chosen.gap, "familiarity": chosen.familiarity}
    assert asked.pop(which) == pytest.approx(0.3, abs=0.04)
    assert list(asked.values()) == [0.0]
    assert chosen.coverage == pytest.approx(right.mean(), abs=0.04)


def test_a_risk_that_no_count_reaches_is_refused() -> None:
    few = Items(np.ones(8), None, np.ones(8, np.bool_), np.ones(8, np.bool_))
    assert isinstance(choose(few, 1e-30, 0.95), Refusal)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_of_items_too_few_to_plan_with_none_was_acted_on(count: int) -> None:
    few = Items(np.ones(count), None, np.ones(count, np.bool_), np.ones(count, np.bool_))
    refused = choose(few, 0.01, 0.95)
    assert isinstance(refused, Refusal)
    assert (refused.items, refused.acted, refused.wrong) == (count, 0, 0)
    assert refused.needed is not None and refused.needed >= 299


@settings(max_examples=50)
@given(st.integers(0, 60), st.floats(0.01, 0.5), st.integers(0, 9))
def test_any_few_items_give_an_answer(count: int, risk: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flags = rng.random((2, count)) > 0.3
    chosen = choose(Items(rng.random(count).round(1), None, flags[0], flags[1]), risk, 0.9)
    if isinstance(chosen, Promise):
        assert upper(chosen.wrong, chosen.acted, 0.9) <= risk + 1e-6


EIGHTHS = st.integers(0, 8).map(lambda eighths: eighths / 8)  # whose differences are exact


@given(EIGHTHS, st.none() | EIGHTHS, EIGHTHS, st.none() | EIGHTHS)
def test_an_item_counts_as_acted_on_just_where_the_bin_would_act(
    gap: float, familiarity: float | None, asked: float, familiar: float | None
) -> None:
    shares = {"glass": (1 + gap) / 2, "metal": (1 - gap) / 2}
    rules = Thresholds(asked, 0.0, familiar)
    decided = decide([Prediction(shares, familiarity)], rules)
    assume(decided.reason is not Reason.TIE)  # which is not eligible
    known = None if familiarity is None else np.array([familiarity])
    yes = np.ones(1, np.bool_)
    for eligible in (yes, ~yes):
        acted = Items(np.array([gap]), known, yes, eligible).acted(asked, familiar)
        assert acted.tolist() == [eligible[0] and decided.action is Action.ACT]
