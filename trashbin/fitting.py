"""Pure: a tray's answered items and a few rehearsed ones -> a last layer for the tray, if better.

Three steps, each measured by ``python -m trashbin.training teaching``:

- **Alignment.** On another tray, in other light, each feature has another mean and spread. The
  tray's are brought to those of the rehearsed items (as in adaptive batch normalisation, Li, Wang,
  Shi, Liu and Hou, 2016). It needs no label, so that no wrong answer harms it.
- **Correction.** Multinomial logistic regression over what the network's last layer says of the
  aligned features, with a ridge that keeps it near. It is solved among the items (there are
  fewer of them than features), by the bound on the curvature of Böhning (1992), which needs one
  matrix and always goes down. Answers may be wrong: each counts by the chance that it is right, by
  a fit that has not seen it (as in confident learning, Northcutt, Jiang and Chuang, 2021).
- **Gate.** Logistic regression of this tray's items against the rehearsed ones says how much of
  the new layer a thing gets, so that what lies elsewhere is judged as before.

Whether all of it is better is decided on each item by a fit that had no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FOLDS = 5
STEPS = 100
RIDGES = (0.3, 1.0, 3.0)
FIRST_RIDGE = 1.0  # of the fit that judges the answers
GATE_RIDGE = 0.03
CONSTANT = 0.3  # what a bias weighs beside the features, whose mean square is 1
REHEARSED = 0.3  # what a rehearsed item counts beside an answer
SPREAD = 0.06  # share of the mean spread that is added to each, so that none is near 0
WRONG = 0.2  # share of the answers that is expected to be wrong where nothing is known
SCALES = np.exp(np.linspace(0.0, np.log(5.0), 60))  # by which shares are made less sure
TRUSTED = 0.7  # mean chance of the answers to be right; below it they are nothing to go by
SURER = 1.5  # standard errors by which the answers must have become likelier
FORGOTTEN = 0.01  # of the rehearsed items, net, that it may get wrong and the network got right


@dataclass(frozen=True, slots=True)
class Items:
    """Features (N, D), and the places of their labels (N,)."""

    features: Floats
    labels: Places

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Last:
    """A network's last layer: logits are weights (L, D) @ features + bias (L,)."""

    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """(N, L) of features (N, D)."""
        return features @ self.weights.T + self.bias


@dataclass(frozen=True, slots=True)
class Layer:
    """What was taught: a last layer for the tray, and a gate (D,) that says who lies there."""

    tray: Last
    gate: Floats
    lean: float

    def logits(self, features: Floats, own: Last) -> Floats:
        """(N, L) of features (N, D); ``own`` is the network's last layer."""
        share = _sigmoid(features @ self.gate + self.lean)
        return _mixed(own.logits(features), self.tray.logits(features), share)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A layer, and what it did to items that it had not seen: right before and after.

    ``refused`` says why it is not to be used; None where it is better. ``trusted`` (N,) is the
    chance of each answer to be right.
    """

    layer: Layer
    answers: int
    before: int
    after: int
    rehearsed: int
    rehearsed_before: int
    rehearsed_after: int
    trusted: Floats
    refused: str | None


def teach(
    answers: Items,
    rehearsed: Items,
    own: Last,
    running: Layer | None = None,
    fresh: Flags | None = None,
) -> Outcome:
    """Fit a layer to answers and rehearsed items, and say whether it is better.

    It is compared with the network's ``own`` last layer; where another layer is ``running``,
    also with that one, on the ``fresh`` answers, which it was not taught with.
    """
    fit = _Fit(answers, rehearsed, own)
    count = len(answers)
    before = own.logits(answers.features).argmax(1) == answers.labels
    old = own.logits(rehearsed.features).argmax(1) == rehearsed.labels
    first = fit.apart(np.ones(count), FIRST_RIDGE)
    trusted = _trusted(_shares(first[:count]), answers.labels)
    tries = [fit.apart(trusted, ridge) for ridge in RIDGES]
    losses = [_loss(logits[:count], answers.labels, trusted) for logits in tries]
    # from the one that does best to firmer ones, until nothing is forgotten
    for chosen in range(int(np.argmin(losses)), len(RIDGES)):
        mine, theirs = tries[chosen][:count], tries[chosen][count:]
        after, new = mine.argmax(1) == answers.labels, theirs.argmax(1) == rehearsed.labels
        if _lost(old, new) <= FORGOTTEN * len(rehearsed):
            break
    refused = _refused(fit.own_logits[:count], mine, answers.labels, trusted, old, new)
    if refused is None and running is not None and fresh is not None:
        runs = running.logits(answers.features, own).argmax(1) == answers.labels
        refused = _refused_beside(runs[fresh], after[fresh])
    layer = fit.whole(trusted, RIDGES[chosen], _scale(mine, answers.labels, trusted))
    return Outcome(
        layer,
        count,
        int(before.sum()),
        int(after.sum()),
        len(rehearsed),
        int(old.sum()),
        int(new.sum()),
        trusted,
        refused,
    )


class _Fit:
    """What there is to fit to; the answers come first, then the rehearsed items."""

    def __init__(self, answers: Items, rehearsed: Items, own: Last) -> None:
        self.own = own
        self.count = len(answers)
        self.labels = np.concatenate([answers.labels, rehearsed.labels])
        self.features = np.vstack([answers.features, rehearsed.features])
        self.factor, self.shift = _alignment(answers, rehearsed)
        aligned = self.features * self.factor + self.shift
        self.mean = rehearsed.features.mean(0)
        spread = ((rehearsed.features - self.mean) ** 2).sum(1).mean()
        self.unit = float(np.sqrt(spread)) or 1.0
        # a rehearsed item is learned from as it is, and judged as if it lay on the tray
        seen = np.vstack([aligned[: self.count], rehearsed.features])
        self.inputs = (seen - self.mean) / self.unit
        self.base = own.logits(seen)
        judged = (aligned - self.mean) / self.unit
        self.judged_base = own.logits(aligned)
        self.alike = self.inputs @ self.inputs.T + CONSTANT**2
        self.judged_alike = judged @ self.inputs.T + CONSTANT**2
        self.plain = (self.features - self.mean) / self.unit
        self.plain_alike = self.plain @ self.plain.T + 1.0
        self.folds = self._dealt()
        self.own_logits = own.logits(self.features)
        self.shares = self._shares_apart()

    def _dealt(self) -> Places:
        """The fold of each item, dealt label by label, so that none lacks one."""
        folds = np.empty(len(self.labels), np.int64)
        for part in (slice(0, self.count), slice(self.count, None)):
            order = np.argsort(self.labels[part], kind="stable")
            folds[part][order] = np.arange(len(order)) % FOLDS
        return folds

    def apart(self, trusted: Floats, ridge: float) -> Floats:
        """The logits (N, L) of each item, answers first, by a fit that did not see it."""
        taught = self.judged_base.copy()
        for seen, hidden in self._parts():
            alphas = self._correction(seen, trusted, ridge)
            taught[hidden] += self.judged_alike[np.ix_(hidden, seen)] @ alphas
        return _mixed(self.own_logits, taught, self.shares)

    def _shares_apart(self) -> Floats:
        """The share (N,) of the new layer that each item gets, by a gate that did not see it."""
        leans = np.empty(len(self.labels))
        for seen, hidden in self._parts():
            leans[hidden] = self.plain_alike[np.ix_(hidden, seen)] @ self._gate(seen)
        return _sigmoid(leans)

    def _parts(self) -> Iterator[tuple[Places, Places]]:
        for fold in range(FOLDS):
            yield np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)

    def whole(self, trusted: Floats, ridge: float, scale: float) -> Layer:
        """The layer of all items, for features as the network gives them."""
        every = np.arange(len(self.labels))
        alphas = self._correction(every, trusted, ridge)
        added = (self.inputs.T @ alphas).T / self.unit
        weights = self.own.weights + added
        bias = (
            self.own.bias + weights @ self.shift - added @ self.mean + CONSTANT**2 * alphas.sum(0)
        )
        leans = self._gate(every)
        gate = self.plain.T @ leans / self.unit
        lean = float(leans.sum() - gate @ self.mean)
        return Layer(Last(weights * self.factor / scale, bias / scale), gate, lean)

    def _correction(self, rows: Places, trusted: Floats, ridge: float) -> Floats:
        """How much of each item of ``rows`` goes into each label's correction (rows, L)."""
        counts = np.concatenate([trusted, np.full(len(self.labels) - self.count, REHEARSED)])
        wanted = np.eye(self.base.shape[1])[self.labels[rows]]
        return _logistic(
            self.alike[np.ix_(rows, rows)], self.base[rows], wanted, counts[rows], ridge
        )

    def _gate(self, rows: Places) -> Floats:
        """How much of each item of ``rows`` goes into the gate (rows,)."""
        here = (rows < self.count).astype(np.float64)
        # both kinds count alike, however many there are
        counts = np.where(here > 0, 0.5 / here.sum(), 0.5 / (len(rows) - here.sum())) * len(rows)
        wanted = np.stack([here, 1 - here], 1)
        alike = self.plain_alike[np.ix_(rows, rows)]
        alphas = _logistic(alike, np.zeros_like(wanted), wanted, counts, GATE_RIDGE)
        return np.asarray(alphas[:, 0] - alphas[:, 1], np.float64)


def _alignment(answers: Items, rehearsed: Items) -> tuple[Floats, Floats]:
    """Factor and shift (D,) that bring the answers' mean and spread to the rehearsed items'.

    Each answered label counts alike on both sides: a tray of bottles is no shift of features.
    """
    labels = np.unique(answers.labels)

    def moments(items: Items) -> tuple[Floats, Floats]:
        parts = [items.features[items.labels == label] for label in labels]
        mean = np.mean([part.mean(0) for part in parts], 0)
        return mean, np.sqrt(np.mean([((part - mean) ** 2).mean(0) for part in parts], 0))

    there, wide = moments(answers)
    here, spread = moments(rehearsed)
    least = SPREAD * float(spread.mean()) or 1.0
    factor = (spread + least) / (wide + least)
    return factor, here - there * factor


def _logistic(alike: Floats, base: Floats, wanted: Floats, counts: Floats, ridge: float) -> Floats:
    """Multinomial logistic regression with offsets (N, L), by the inner products (N, N)."""
    step = np.linalg.inv(0.5 * counts[:, None] * alike + ridge * np.eye(len(alike)))
    alphas = np.zeros_like(base)
    for _ in range(STEPS):
        shares = _shares(base + alike @ alphas)
        alphas -= step @ (counts[:, None] * (shares - wanted) + ridge * alphas)
    return alphas


def _trusted(shares: Floats, labels: Places) -> Floats:
    """The chance (N,) of each answer to be right, given the shares of a fit without it."""
    mine = shares[np.arange(len(labels)), labels]
    right = (1 - WRONG) * mine
    return np.asarray(right / (right + WRONG / (shares.shape[1] - 1) * (1 - mine)), np.float64)


def _lost(old: Flags, new: Flags) -> int:
    return int(old.sum()) - int(new.sum())


def _refused(
    own: Floats, taught: Floats, labels: Places, trusted: Floats, old: Flags, new: Flags
) -> str | None:
    """Why a layer is not shown to be better than the network's own; None where it is.

    ``own`` and ``taught`` (N, L) are the logits of the answered items. That a few more of 60 are
    right is easily chance; how likely each answer has become says more: see
    ``python -m trashbin.training.teaching``.
    """
    if _lost(old, new) > FORGOTTEN * len(old):
        return (
            f"it would forget what it knew: of {len(old)} items that came with the network it "
            f"gets {new.sum()} right, before {old.sum()}"
        )
    if trusted.mean() < TRUSTED:
        return (
            f"the answers contradict each other: by a fit that had not seen it, each is right by a "
            f"chance of {trusted.mean():.2f} on average, and {TRUSTED} is the least"
        )
    before, after = (int((logits.argmax(1) == labels).sum()) for logits in (own, taught))
    gained = np.subtract(*(_losses(each, labels, trusted) for each in (own, taught)))
    weights = trusted / trusted.sum()
    mean = weights @ gained
    if after <= before or mean < SURER * np.sqrt(weights**2 @ (gained - mean) ** 2):
        return (
            f"it is not shown to be better: of {len(labels)} answered items, each judged by a fit "
            f"that had not seen it, {after} are right, before {before}"
        )
    return None


def _refused_beside(runs: Flags, after: Flags) -> str | None:
    """Why a layer is not to take the place of another one that runs, on items new to both."""
    if not len(runs):
        return "nobody has answered anything since it was taught last"
    if int(after.sum()) < int(runs.sum()):
        return (
            f"what was taught last does better: of {len(runs)} items answered since, "
            f"{runs.sum()} are right, with the new one {after.sum()}"
        )
    return None


def _scale(logits: Floats, labels: Places, trusted: Floats) -> float:
    """By how much logits are divided so that shares are not surer than they are right; >= 1."""
    return float(min(SCALES, key=lambda scale: _loss(logits / scale, labels, trusted)))


def _losses(logits: Floats, labels: Places, trusted: Floats) -> Floats:
    """The log loss (N,) of each item, with shares that are as sure as they are right."""
    return _each_loss(logits / _scale(logits, labels, trusted), labels)


def _each_loss(logits: Floats, labels: Places) -> Floats:
    return np.asarray(-np.log(_shares(logits)[np.arange(len(labels)), labels] + 1e-12), np.float64)


def _loss(logits: Floats, labels: Places, counts: Floats) -> float:
    """The mean log loss, each item as often as it counts."""
    return float((counts * _each_loss(logits, labels)).sum() / counts.sum())


def _mixed(own: Floats, taught: Floats, share: Floats) -> Floats:
    return np.asarray(own + share[:, None] * (taught - own), np.float64)


def _sigmoid(leans: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(leans, -50.0, 50.0))), np.float64)


def _shares(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)
