"""Trains a pruned network on views: labels, the teacher's shares, and the start network's features.

The teacher's shares (Hinton et al., 2015) tell what a picture resembles besides its label. The
start network's features are to be had from the student's by a linear map that is learned with it
and then thrown away: so the student keeps what ImageNet taught of things that are not in the
photographs. Things of no class and empty trays are to get equal shares (Hendrycks et al., ICLR
2019).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from trashbin.training.bank import NO_CLASS
from trashbin.training.data import LABELS
from trashbin.training.model import MobileNetV3, save
from trashbin.training.train import one_cycle
from trashbin.training.views import Views


@dataclass(frozen=True)
class Course:
    """Every number a run depends on; rates are those of AdamW at their highest."""

    steps: int = 2000
    batch: int = 64
    rate: float = 5e-4
    weight_decay: float = 0.02
    smoothing: float = 0.05
    teacher: float = 0.5  # weight of the teacher's shares; the labels have the rest
    temperature: float = 2.0  # of the teacher's shares
    features: float = 1.0  # weight of the start network's features
    no_class: float = 0.5  # weight of "none of them" for things of no class
    home: float = 0.45  # share of photographs as they are in a batch
    average: float = 0.995  # decay of the running average of the weights, a step
    bfloat16: bool = True  # of the forward pass; rounding to int8 needs float32
    shift: float = 0.0  # added to the input: half a pixel for what is exported
    seed: int = 0
    save_every: int = 200


def sampler(views: Views, course: Course) -> NDArray[np.float64]:
    """How often each view is drawn: photographs get their share; rare labels a little more."""
    counts = np.bincount(views.targets[views.targets >= 0], minlength=len(LABELS))
    weight: NDArray[np.float64] = np.ones(len(views))
    known = views.targets != NO_CLASS
    weight[known] = (counts.mean() / counts[views.targets[known]]) ** 0.5
    for group, share in ((views.home, course.home), (~views.home, 1 - course.home)):
        if group.any():
            weight[group] *= share / weight[group].sum()
    weight /= weight.sum()
    return weight


def as_batch(rng: Generator, views: Views, rows: NDArray[np.int64]) -> Tensor:
    """(B, 3, S, S) in -1..1: flipped, turned by quarters, a little lighter or darker."""
    pictures = views.pictures[rows].astype(np.float32)
    for k in range(len(rows)):
        turned = np.rot90(pictures[k], int(rng.integers(0, 4)))
        pictures[k] = turned[:, ::-1] if rng.random() < 0.5 else turned
    gain = np.exp(rng.normal(0, 0.08, (len(rows), 1, 1, 1))) * np.exp(
        rng.normal(0, 0.02, (len(rows), 1, 1, 3))
    )
    pictures = np.clip(pictures * gain.astype(np.float32), 0, 255)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    return x.mul_(1 / 127.5).sub_(1.0)


def loss_of(
    course: Course, logits: Tensor, recalled: Tensor, views: Views, rows: NDArray[np.int64]
) -> Tensor:
    """The sum of what labels, teacher and start network ask for."""
    targets = torch.from_numpy(views.targets[rows])
    said = torch.from_numpy(views.logits[rows].astype(np.float32))
    features = torch.from_numpy(views.features[rows].astype(np.float32))
    known = targets != NO_CLASS
    total = course.features * (1 - F.cosine_similarity(recalled, features)).mean()
    share = known.float().mean()
    if known.any():
        by_label = F.cross_entropy(logits[known], targets[known], label_smoothing=course.smoothing)
        t = course.temperature
        by_teacher = (
            F.kl_div(
                F.log_softmax(logits[known] / t, 1),
                F.softmax(said[known] / t, 1),
                reduction="batchmean",
            )
            * t
            * t
        )
        total = total + share * ((1 - course.teacher) * by_label + course.teacher * by_teacher)
    if (~known).any():
        none = -F.log_softmax(logits[~known], 1).mean()
        total = total + course.no_class * (1 - share) * (none - math.log(len(LABELS)))
    return total


def distil(
    model: nn.Module,
    views: Views,
    course: Course,
    out: Path,
    measure: Callable[[nn.Module], Mapping[str, float]] | None = None,
) -> nn.Module:
    """Trains in place and returns the running average; goes on from `out/state.pt` if there is one.

    `model` has `features` and `head`. Writes `out/history.json`, a line each `save_every` steps.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(course.seed)
    adapter = nn.Linear(model.head.in_features, views.features.shape[1])
    solver = torch.optim.AdamW(
        [*model.parameters(), *adapter.parameters()], weight_decay=course.weight_decay
    )
    mean = copy.deepcopy(model)
    saved, first = out / "state.pt", 0
    history: list[dict[str, Any]] = []
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        for part, name in ((model, "model"), (mean, "mean"), (adapter, "adapter")):
            part.load_state_dict(state[name])
        solver.load_state_dict(state["solver"])
        first, history = state["step"], state["history"]
    chance = sampler(views, course)
    totals: list[float] = []
    model.train()
    for step in tqdm(
        range(first, course.steps), initial=first, total=course.steps, mininterval=10, desc=out.name
    ):
        rng = np.random.default_rng((course.seed, step))
        rows = rng.choice(len(views), course.batch, p=chance)
        for group in solver.param_groups:
            group["lr"] = course.rate * one_cycle(step, course.steps)
        x = as_batch(rng, views, rows).add_(course.shift)
        with torch.autocast("cpu", torch.bfloat16, enabled=course.bfloat16):
            features = model.features(x)
        features = features.float()
        loss = loss_of(course, model.head(features), adapter(features), views, rows)
        solver.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        solver.step()
        with torch.no_grad():
            decay = min(course.average, (1 + step) / (10 + step))
            for a, b in zip(mean.parameters(), model.parameters(), strict=True):
                a.lerp_(b, 1 - decay)
        totals.append(float(loss.detach()))
        if (step + 1) % course.save_every == 0 or step + 1 == course.steps:
            entry: dict[str, Any] = {"step": step + 1, "loss": round(float(np.mean(totals)), 4)}
            totals = []
            if measure is not None:
                entry["val"] = dict(measure(mean))
                model.train()
            history.append(entry)
            tqdm.write(json.dumps(entry))
            keep = {"model": model.state_dict(), "mean": mean.state_dict(), "step": step + 1}
            keep |= {"adapter": adapter.state_dict(), "solver": solver.state_dict()}
            torch.save(keep | {"history": history}, saved)
            if isinstance(mean, MobileNetV3):
                save(mean, out / "model.pt")
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n")
    return mean
