"""Teaching a last layer: what it promises of any tray, right answers and wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trashbin import fitting
from trashbin.fitting import Items, Last

LABELS, WIDTH, EACH = 6, 32, 10
seeds = st.integers(0, 2**32 - 1)
# 4, and 1 where the profile asks for few: under qemu, one lesson takes over a minute
few = settings(max_examples=min(4, settings().max_examples // 5), deadline=None)


class World:
    """Things of six labels about as many points, and a network that knows them at home."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.centres = 2.0 * self.rng.standard_normal((LABELS, WIDTH))
        self.own = Last(self.centres, -0.5 * (self.centres**2).sum(1))
        self.turn = 2.5 * self.rng.standard_normal((LABELS, WIDTH))
        self.home = self.items(40)

    def items(self, each: int, away: float = 0.0) -> Items:
        """``away`` shifts each label elsewhere, as another tray does."""
        labels = np.repeat(np.arange(LABELS), each)
        noise = 1.5 * self.rng.standard_normal((len(labels), WIDTH))
        return Items(self.centres[labels] + away * (3.0 + self.turn[labels]) + noise, labels)

    def right(self, items: Items, logits: np.ndarray) -> float:
        return float((logits.argmax(1) == items.labels).mean())


@few
@given(seeds)
def test_a_strange_tray_is_learned_and_home_is_kept(seed: int) -> None:
    world = World(seed)
    outcome = fitting.teach(world.items(EACH, 1.0), world.home, world.own)
    others, home = world.items(40, 1.0), world.items(40)
    before = world.right(others, world.own.logits(others.features))
    after = world.right(others, outcome.layer.logits(others.features, world.own))
    if before < 0.7:
        assert outcome.refused is None
        assert after >= before + 0.15
    kept = world.right(home, outcome.layer.logits(home.features, world.own))
    assert kept >= world.right(home, world.own.logits(home.features)) - 0.01


@few
@given(seeds)
def test_a_wrong_fifth_does_no_harm(seed: int) -> None:
    world = World(seed)
    answers = world.items(EACH, 1.0)
    wrong = world.rng.permutation(len(answers))[: len(answers) // 5]
    answers.labels[wrong] = (answers.labels[wrong] + 1 + wrong % (LABELS - 1)) % LABELS
    outcome = fitting.teach(answers, world.home, world.own)
    if outcome.refused is None:
        others = world.items(40, 1.0)
        before = world.right(others, world.own.logits(others.features))
        assert world.right(others, outcome.layer.logits(others.features, world.own)) >= before


@few
@given(seeds)
def test_answers_at_random_are_refused(seed: int) -> None:
    world = World(seed)
    answers = world.items(EACH)
    world.rng.shuffle(answers.labels)
    assert fitting.teach(answers, world.home, world.own).refused is not None


@few
@given(seeds)
def test_the_order_of_the_labels_does_not_matter(seed: int) -> None:
    world = World(seed)
    answers = world.items(EACH, 1.0)
    turn = world.rng.permutation(LABELS)
    back = np.argsort(turn)
    one = fitting.teach(answers, world.home, world.own)
    two = fitting.teach(
        Items(answers.features, back[answers.labels]),
        Items(world.home.features, back[world.home.labels]),
        Last(world.own.weights[turn], world.own.bias[turn]),
    )
    assert (one.before, one.rehearsed_before) == (two.before, two.rehearsed_before)
    assert (one.after, one.rehearsed_after) == (two.after, two.rehearsed_after)
    assert (one.refused is None) == (two.refused is None)
    np.testing.assert_allclose(two.layer.tray.weights, one.layer.tray.weights[turn], atol=1e-6)
    np.testing.assert_allclose(two.trusted, one.trusted, atol=1e-6)


def test_what_runs_already_is_replaced_only_on_new_answers() -> None:
    world = World(3)
    answers = world.items(EACH, 1.0)
    first = fitting.teach(answers, world.home, world.own)
    none = np.zeros(len(answers), np.bool_)
    again = fitting.teach(answers, world.home, world.own, first.layer, none)
    assert again.refused is not None
    assert "since it was taught last" in again.refused


@pytest.mark.parametrize("label", [0, 5])
def test_answers_of_one_label_alone_give_finite_numbers(label: int) -> None:
    world = World(4)
    items = world.items(EACH, 1.0)
    mine = items.labels == label
    layer = fitting.teach(
        Items(items.features[mine], items.labels[mine]), world.home, world.own
    ).layer
    assert np.isfinite(layer.logits(world.home.features, world.own)).all()


ALL = np.ones(240, np.bool_)


def judged(right: int, sure: float = 1.0) -> np.ndarray:
    """Logits of 60 answered items, all of label 0, the first of which are taken for it."""
    logits = np.zeros((60, LABELS))
    logits[:, 0] = sure * np.where(np.arange(60) < right, 1.0, -1.0)
    return logits


@pytest.mark.parametrize(
    ("before", "after", "worn"),
    [
        (judged(36), judged(40), True),
        (judged(54), judged(57), True),
        (judged(10), judged(20), True),  # at a loss on this tray, and less so now
        (judged(36), judged(36), False),
        (judged(36), judged(35, 3.0), False),
        (judged(30), np.roll(judged(31), 29, 0), False),  # chance: almost all of them changed
        (judged(0, 0.001), judged(24, 3.0), False),  # the others are as much less likely
    ],
)
def test_more_answers_are_right_and_all_of_them_likelier_or_nothing_changes(
    before: np.ndarray, after: np.ndarray, worn: bool
) -> None:
    labels = np.zeros(60, np.int64)
    refused = fitting._refused(before, after, labels, np.ones(60), ALL, ALL)
    assert (refused is None) == worn
    if not worn:
        told = [(logits.argmax(1) == 0).sum() for logits in (after, before)]
        assert "{} are right, before {}".format(*told) in str(refused)


@pytest.mark.parametrize(("trusted", "worn"), [(0.75, True), (0.65, False)])
def test_answers_that_nothing_bears_out_change_nothing(trusted: float, worn: bool) -> None:
    labels, chances = np.zeros(60, np.int64), np.full(60, trusted)
    refused = fitting._refused(judged(36), judged(50), labels, chances, ALL, ALL)
    assert (refused is None) == worn
    assert worn or "by a chance of 0.65 on average, and 0.7 is the least" in str(refused)


@pytest.mark.parametrize(("forgotten", "worn"), [(2, True), (3, False)])
def test_what_forgets_what_the_network_knew_is_refused(forgotten: int, worn: bool) -> None:
    labels, new = np.zeros(60, np.int64), np.arange(240) >= forgotten
    refused = fitting._refused(judged(36), judged(50), labels, np.ones(60), ALL, new)
    assert (refused is None) == worn
    assert worn or "of 240 items that came with the network it gets 237 right" in str(refused)


@pytest.mark.parametrize(("right", "worn"), [(7, False), (8, True), (9, True)])
def test_what_runs_is_not_replaced_by_what_does_worse(right: int, worn: bool) -> None:
    runs = np.arange(10) < 8
    refused = fitting._refused_beside(runs, np.arange(10) < right)
    assert (refused is None) == worn
    assert worn or "of 10 items answered since, 8 are right, with the new one 7" in str(refused)


def test_shares_of_a_taught_layer_are_made_less_sure_and_never_surer() -> None:
    labels, every = np.arange(100) % 2, np.ones(100)
    sure = np.where(np.arange(2) == labels[:, None], 9.0, -9.0)
    assert fitting._scale(sure, labels, every) == 1.0
    mistaken = np.where(np.arange(100)[:, None] < 30, -sure, sure)
    scale = fitting._scale(mistaken, labels, every)
    assert scale == pytest.approx(5.0)  # the most there is
    doubtful = mistaken / 9.0  # a share of 0.88, right 7 times in 10
    told = fitting._shares(doubtful / fitting._scale(doubtful, labels, every)).max(1).mean()
    assert told == pytest.approx(0.7, abs=0.01)


def test_an_answer_is_trusted_as_far_as_a_fit_without_it_agrees() -> None:
    shares = np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0]])
    trusted = fitting._trusted(shares, np.zeros(4, np.int64))
    assert trusted[0] == 1.0 and trusted[3] == 0.0
    # where the fit has no opinion, as often as answers are right at all
    assert trusted[1] == pytest.approx(1 - fitting.WRONG)
    assert (np.diff(trusted) < 0).all()
