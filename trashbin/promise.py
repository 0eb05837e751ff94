"""Pure: judged items -> thresholds under which the error among acted items is bounded.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei, 2021) with a fixed sequence, of which
selection with guaranteed risk (Geifman and El-Yaniv, NeurIPS 2017) is the case of one threshold.
A quarter of the items lays down a path through the two thresholds, from strict to lax, and where
on it to begin; the other items, which had no say in that, test the points of the path one after
the other. A point passes where so few of its acted items are wrong that an error of ``risk`` or
more would show as few with a chance of 1 - ``confidence`` at most (exact binomial tail). The
last point before the first that fails is chosen: no correction is needed for having tried many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Point: TypeAlias = tuple[float, float | None]  # thresholds of gap and familiarity

PLANNING = 0.25  # share of the items that lays the path down
PLANNING_AT_MOST = 1000  # items: more would not make it a better path
POINTS = 50  # of the path
# how fast a path gives up gap and familiarity, as shares of items
DIRECTIONS = ((1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0), (0.25, 1.0), (0.0, 1.0))
LIKELY = 0.8  # the chance that as many items as a refusal tells are enough
DIGITS = 4  # of a threshold: what is tested is what is written down


@dataclass(frozen=True, slots=True)
class Items:
    """What the network said of each item (N,), and whether its best label is the right one.

    ``eligible`` is False where the item is held whatever gap and familiarity ask for.
    ``familiarity`` is None where the model does not tell it.
    """

    gap: Numbers
    familiarity: Numbers | None
    right: Flags
    eligible: Flags

    def __len__(self) -> int:
        return len(self.gap)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Items:
        familiarity = None if self.familiarity is None else self.familiarity[rows]
        return Items(self.gap[rows], familiarity, self.right[rows], self.eligible[rows])

    def acted(self, gap: float, familiarity: float | None) -> Flags:
        """Which items the bin would act on."""
        acts = self.eligible & (self.gap >= gap)
        if self.familiarity is not None and familiarity is not None:
            acts &= self.familiarity >= familiarity
        return acts


@dataclass(frozen=True, slots=True)
class Promise:
    """Thresholds, and what the tested items say of them.

    ``bound`` is the largest error among acted items, now and on all like items to come; it holds
    with ``confidence``. ``items`` were tested, ``acted`` and ``wrong`` are of those; ``planning``
    other items laid down the path.
    """

    gap: float
    familiarity: float | None
    bound: float
    confidence: float
    items: int
    acted: int
    wrong: int
    planning: int

    @property
    def coverage(self) -> float:
        """Share of the tested items that are acted on."""
        return self.acted / self.items


@dataclass(frozen=True, slots=True)
class Refusal:
    """The items do not support the promise: about ``needed`` in all would, None: no number.

    ``items``, ``acted`` and ``wrong`` are of the best point there was.
    """

    needed: int | None
    items: int
    acted: int
    wrong: int


def tail(wrong: int, count: int, risk: float) -> float:
    """The chance of at most ``wrong`` among ``count`` where each is wrong with chance ``risk``."""
    if wrong >= count or risk <= 0.0:
        return 1.0
    return float(_tails(wrong, count, risk)[wrong]) if wrong >= 0 else 0.0


def _tails(most: int, count: int, risk: float) -> Numbers:
    """``tail`` of 0 to ``most``."""
    k = np.arange(most)
    # log of each term from the one before: (count - k) / (k + 1) * risk / (1 - risk)
    steps = np.log((float(count) - k) / (k + 1)) + math.log(risk) - math.log1p(-risk)
    logs = count * math.log1p(-risk) + np.concatenate([[0.0], np.cumsum(steps)])
    tails: Numbers = np.minimum(np.cumsum(np.exp(logs)), 1.0)
    return tails


def upper(wrong: int, count: int, confidence: float) -> float:
    """The largest error that ``wrong`` of ``count`` leaves possible (Clopper and Pearson, 1934)."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if tail(wrong, count, middle) < 1 - confidence else (middle, high)
    return high


@lru_cache(maxsize=4096)  # a refusal asks for the same counts at each point
def allowed(count: int, risk: float, confidence: float) -> int:
    """How many of ``count`` acted items may be wrong so that a point passes; -1: none is enough."""
    # more than the risk itself never pass at a confidence above one half
    most = min(count, math.ceil(count * risk))
    return int(np.searchsorted(_tails(most, count, risk), 1 - confidence, side="right")) - 1


def choose(items: Items, risk: float, confidence: float, seed: int = 0) -> Promise | Refusal:
    """The laxest thresholds that the items show to keep the error within ``risk``.

    Items must be drawn like those to come, each by itself; ``seed`` deals them out.
    """
    order = np.random.default_rng(seed).permutation(len(items))
    planning = _planning(len(items))
    plan, test = items[order[:planning]], items[order[planning:]]
    if planning == 0:
        return Refusal(_needed(risk, confidence, 0.0, 1.0), len(test), 0, 0)
    points = _path(plan)
    power = [_power(plan, len(test), point, risk, confidence) for point in points]
    begin = int(np.argmax(power))
    found: Promise | None = None
    for gap, familiarity in points[begin:]:
        acts = test.acted(gap, familiarity)
        acted, wrong = int(acts.sum()), int((acts & ~test.right).sum())
        if tail(wrong, acted, risk) > 1 - confidence:
            break
        found = Promise(gap, familiarity, risk, confidence, len(test), acted, wrong, planning)
    return found or _refused(items, test, points, risk, confidence)


def _planning(count: int) -> int:
    """How many of so many items lay the path down."""
    return min(int(count * PLANNING), PLANNING_AT_MOST)


def _path(plan: Items) -> list[Point]:
    """Thresholds from strict to lax, along the direction that errs least on the planning items."""
    rows = np.flatnonzero(plan.eligible)
    mine = plan[rows] if len(rows) else plan
    levels = np.linspace(1.0, 0.0, POINTS, endpoint=True)
    if mine.familiarity is None:
        gaps = np.quantile(mine.gap, levels)
        return _thinned([(round(float(gap), DIGITS), None) for gap in gaps])
    by_gap, by_familiarity = _ranks(mine.gap), _ranks(mine.familiarity)

    def errors(direction: tuple[float, float]) -> float:
        """The mean error over all coverages when items are given up in this direction."""
        until = np.full(len(mine), np.inf)
        for ranks, speed in zip((by_gap, by_familiarity), direction, strict=True):
            if speed:
                until = np.minimum(until, ranks / speed)
        kept = mine.right[np.argsort(-until, kind="stable")]
        return float(np.mean(np.cumsum(~kept) / np.arange(1, len(kept) + 1)))

    a, b = min(DIRECTIONS, key=errors)
    gaps, familiar = np.quantile(mine.gap, a * levels), np.quantile(mine.familiarity, b * levels)
    return _thinned(
        [
            (round(float(g), DIGITS) if a else 0.0, round(float(f), DIGITS) if b else 0.0)
            for g, f in zip(gaps, familiar, strict=True)
        ]
    )


def _ranks(values: Numbers) -> Numbers:
    """The share of values that lie below each."""
    return np.searchsorted(np.sort(values), values) / len(values)


def _thinned(points: list[Point]) -> list[Point]:
    return list(dict.fromkeys(points))


def _power(plan: Items, count: int, point: Point, risk: float, confidence: float) -> float:
    """The chance that a point will pass among ``count`` tested items, as the plan has it."""
    acts = plan.acted(*point)
    acted, wrong = int(acts.sum()), int((acts & ~plan.right).sum())
    expected = round(acted / len(plan) * count)
    limit = allowed(expected, risk, confidence)
    return 0.0 if limit < 0 else tail(limit, expected, (wrong + 0.5) / (acted + 1))


def _refused(
    items: Items,
    test: Items,
    points: list[Point],
    risk: float,
    confidence: float,
) -> Refusal:
    """What is missing, from the point at which all the items together need the fewest more."""
    seen = []
    for point in points[::5]:
        acts = items.acted(*point)
        seen.append((int(acts.sum()), int((acts & ~items.right).sum()), point))
    needed, best = None, points[0]
    for half in (0.5, 0.0):  # what few items show may be luck; at 0, it is the least it takes
        enough = [
            (each, point)
            for acted, wrong, point in seen
            if acted
            and (
                each := _needed(
                    risk, confidence, (wrong + half) / (acted + 2 * half), acted / len(items)
                )
            )
        ]
        if enough:
            needed, best = min(enough, key=lambda each: each[0])
            break
    acts = test.acted(*best)
    return Refusal(needed, len(test), int(acts.sum()), int((acts & ~test.right).sum()))


def _needed(risk: float, confidence: float, error: float, coverage: float) -> int | None:
    """How many items in all are likely to do where ``error`` is that among acted ones."""
    if error > 0.9 * risk:  # from there on it takes tens of thousands
        return None

    def enough(acted: int) -> bool:
        limit = allowed(acted, risk, confidence)
        return limit >= 0 and tail(limit, acted, error) >= LIKELY

    before, acted = 0, 1
    while not enough(acted):
        before, acted = acted, math.ceil(acted * 1.02)
    while acted - before > 1:
        middle = (before + acted) // 2
        before, acted = (before, middle) if enough(middle) else (middle, acted)
    count = tested = math.ceil(acted / coverage)
    while _planning(count) == 0 or count - _planning(count) < tested:
        count += 1
    return count
