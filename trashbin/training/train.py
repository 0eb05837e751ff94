"""Training, top to bottom: probe -> fine-tune -> interpolate. One run writes one folder.

1. Linear probe: a head fitted on the start network's pooled features, so that fine-tuning does not
   begin by wrecking them (Kumar et al., ICLR 2022).
2. Fine-tune: late blocks and head, on photographs and composites, with a running average.
3. WiSE-FT (Wortsman et al., CVPR 2022): weights on the line from the start network to the tuned
   one; at each point the head is fitted again, and the point is chosen on val, home and away.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from trashbin.training.bank import (
    Bank,
    as_input,
    augmented,
    away_bank,
    folder_bank,
    home_bank,
    joined,
)
from trashbin.training.data import LABELS, Photo, fold_photos, read_photos
from trashbin.training.model import MobileNetV3, freeze_early, load_start_weights


@dataclass(frozen=True)
class Recipe:
    """Every number that a run depends on; rates are those of AdamW at their highest."""

    epochs: int = 16
    batch: int = 48
    rate: float = 3e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.02
    smoothing: float = 0.1
    frozen_blocks: int = 4
    dropout: float = 0.2
    home_each: int = 1  # times each photograph is seen in an epoch as it is
    away_each: int = 2  # composites of it seen in an epoch
    composites: int = 6  # composites made of each
    drawn_each: int = 2  # times each rendered scene is seen in an epoch, where there are any
    average: float = 0.998  # decay of the running average of the weights, a step
    alphas: tuple[float, ...] = (0.3, 0.5, 0.7, 0.85, 1.0)
    alpha: float = 0.0  # a point on the line that was chosen before; 0: choose among `alphas`
    home_weight: float = 0.5  # of the home accuracy when a point on the line is chosen
    min_home: float = 0.94  # home accuracy below which a point loses ten times over
    with_val: int = 0  # 1: once val has chosen everything, its photographs train too
    seed: int = 0
    limit: int = 0  # photographs of each fold at most (0: all), for tests
    threads: int = 2


@dataclass(frozen=True)
class Data:
    """The banks that training may see; `val` by name, "home" among them; `drawn` may be empty."""

    home: Bank
    away: Bank
    val: Mapping[str, Bank]
    drawn: Bank | None = None


def limited(photos: list[Photo], limit: int) -> list[Photo]:
    """At most `limit` photographs, the labels taking turns."""
    if not limit:
        return photos
    seen: dict[str, int] = {}
    ranks = {}
    for photo in photos:
        ranks[photo.path] = seen[photo.label] = seen.get(photo.label, 0) + 1
    return sorted(photos, key=lambda photo: (ranks[photo.path], photo.label))[:limit]


def load_data(
    root: Path,
    cache: Path,
    recipe: Recipe,
    drawn_train: Path | None = None,
) -> Data:
    """Photographs, composites and, from a folder of its own, rendered scenes."""
    photos = read_photos(root)
    train, val = (limited(fold_photos(photos, fold), recipe.limit) for fold in ("train", "val"))
    workers = recipe.threads
    banks = {
        "home": home_bank(root, val, cache),
        "away": away_bank(root, val, "val", 3, cache, workers=workers),
    }
    home = home_bank(root, train, cache)
    away = away_bank(root, train, "train", recipe.composites, cache, 0, workers)
    if recipe.with_val:
        more = away_bank(root, val, "train", recipe.composites, cache, 0, workers)
        home, away = joined(home, banks["home"]), joined(away, more)
    return Data(home, away, banks, folder_bank(drawn_train) if drawn_train else None)


# -- features and the head ------------------------------------------------------------------------


def pooled(
    model: MobileNetV3, bank: Bank, rng: np.random.Generator | None = None, exact: bool = True
) -> Tensor:
    """(N, last) features of a bank, augmented where a generator is given.

    Without `exact` they are computed in bfloat16, three times as fast, for comparisons.
    """
    model.eval()
    out = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=not exact):
        for start in range(0, len(bank), 64):
            pictures = [np.asarray(p) for p in bank.pictures[start : start + 64]]
            if rng is not None:
                pictures = [augmented(rng, p, bank.home) for p in pictures]
            x = as_input(pictures, model.architecture.input_size)
            out.append(model.features(x).float())
    return torch.cat(out)


def fit_head(
    features: Tensor,
    targets: Tensor,
    weights: Tensor,
    decay: float = 1e-2,
    smoothing: float = 0.05,
) -> tuple[Tensor, Tensor]:
    """Logistic regression by L-BFGS on standardised features: weight (6, 960) and bias (6,)."""
    mean, scale = features.mean(0), features.std(0) + 1e-3
    x = (features - mean) / scale
    w = torch.zeros(len(LABELS), x.shape[1], requires_grad=True)
    b = torch.zeros(len(LABELS), requires_grad=True)
    solver = torch.optim.LBFGS([w, b], max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        each = F.cross_entropy(x @ w.T + b, targets, reduction="none", label_smoothing=smoothing)
        value: Tensor = (each * weights).sum() / weights.sum() + decay * w.square().sum()
        value.backward()
        return value

    solver.step(loss)
    weight = (w / scale).detach()
    return weight, (b - weight @ mean).detach()


def refit_head(model: MobileNetV3, data: Data, seed: int, exact: bool = True) -> None:
    """Fits the head anew on features of photographs (plain and augmented), composites, renders."""
    rng = np.random.default_rng(seed)
    # the composites of a photograph stand together: every third is enough for a linear head
    some = slice(None, None, 3 if len(data.away) > 2500 else 1)
    away = Bank(data.away.pictures[some], data.away.targets[some], data.away.photos[some], False)
    banks = [(data.home, None), (data.home, rng), (away, rng)]
    if data.drawn:
        banks.append((data.drawn, rng))
    features = torch.cat([pooled(model, bank, source, exact) for bank, source in banks])
    targets = torch.from_numpy(np.concatenate([bank.targets for bank, _ in banks]))
    weights = torch.ones(len(targets))
    others = len(targets) - 2 * len(data.home)
    weights[2 * len(data.home) :] = 2 * len(data.home) / others  # half home, half the rest
    weight, bias = fit_head(features, targets, weights)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


def accuracies(
    model: MobileNetV3, banks: Mapping[str, Bank], exact: bool = True
) -> dict[str, float]:
    """Share of right answers by bank."""
    out = {}
    for name, bank in banks.items():
        with torch.no_grad():
            answers = model.head(pooled(model, bank, exact=exact)).argmax(1).numpy()
        out[name] = round(float((answers == bank.targets).mean()), 4)
    return out


# -- fine-tuning ----------------------------------------------------------------------------------


def epoch_order(rng: np.random.Generator, data: Data, recipe: Recipe) -> list[tuple[Bank, int]]:
    """(bank, row) in random order: every photograph, some composites of each, every render."""
    rows = [(data.home, i) for _ in range(recipe.home_each) for i in range(len(data.home))]
    for i in range(len(data.home)):
        choice = rng.permutation(recipe.composites)[: recipe.away_each]
        rows += [(data.away, i * recipe.composites + int(k)) for k in choice]
    if data.drawn:
        drawn = data.drawn
        rows += [(drawn, i) for _ in range(recipe.drawn_each) for i in range(len(drawn))]
    return [rows[i] for i in rng.permutation(len(rows))]


def one_cycle(step: int, steps: int) -> float:
    """Share of the highest rate: up over the first eighth, then down along a cosine."""
    warm = max(1, steps // 8)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def fine_tune(model: MobileNetV3, data: Data, recipe: Recipe, out: Path) -> MobileNetV3:
    """Trains in place, returns the running average; goes on from `out/state.pt` if there is one."""
    freeze_early(model, recipe.frozen_blocks)
    late = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("head")]
    solver = torch.optim.AdamW(
        [{"params": late}, {"params": list(model.head.parameters())}],
        weight_decay=recipe.weight_decay,
    )
    tops = (recipe.rate, recipe.head_rate)
    mean = copy.deepcopy(model)
    saved, first, history = out / "state.pt", 0, []
    if saved.exists():
        state: dict[str, Any] = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        solver.load_state_dict(state["solver"])
        first, history = state["epoch"], state["history"]
    per_epoch = math.ceil(len(epoch_order(np.random.default_rng(), data, recipe)) / recipe.batch)
    steps = per_epoch * recipe.epochs
    bar = tqdm(
        total=steps, initial=first * per_epoch, desc="fine-tune", unit="step", mininterval=10
    )
    for epoch in range(first, recipe.epochs):
        torch.manual_seed(recipe.seed * 1000 + epoch)
        rng = np.random.default_rng(recipe.seed * 1000 + epoch)
        order, total, right = epoch_order(rng, data, recipe), 0.0, 0
        model.train()
        for k in range(per_epoch):
            rows, step = order[k * recipe.batch : (k + 1) * recipe.batch], epoch * per_epoch + k
            for group, top in zip(solver.param_groups, tops, strict=True):
                group["lr"] = top * one_cycle(step, steps)
            x = as_input([augmented(rng, bank.pictures[i], bank.home) for bank, i in rows])
            targets = torch.tensor([int(bank.targets[i]) for bank, i in rows])
            # what is frozen need not be exact: bfloat16 is three times as fast with AVX-512
            with (
                torch.no_grad(),
                torch.autocast("cpu", torch.bfloat16, enabled=recipe.frozen_blocks > 0),
            ):
                early = model.early(x, recipe.frozen_blocks)
            logits = model.head(model.dropout(model.late(early.float(), recipe.frozen_blocks)))
            loss = F.cross_entropy(logits, targets, label_smoothing=recipe.smoothing)
            solver.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(late, 2.0)
            solver.step()
            with torch.no_grad():
                decay = min(recipe.average, (1 + step) / (10 + step))
                for a, b in zip(mean.parameters(), model.parameters(), strict=True):
                    a.lerp_(b, 1 - decay)
            total += float(loss.detach()) * len(rows)
            right += int((logits.argmax(1) == targets).sum())
            bar.update()
        entry: dict[str, Any] = {"epoch": epoch + 1}
        entry |= {"loss": round(total / len(order), 4), "train": round(right / len(order), 4)}
        if (epoch + 1) % 4 == 0 or epoch + 1 == recipe.epochs:
            entry["val"] = accuracies(mean, data.val, exact=False)
        history.append(entry)
        bar.write(json.dumps(entry))
        keep = {"model": model.state_dict(), "mean": mean.state_dict()}
        keep |= {"solver": solver.state_dict(), "epoch": epoch + 1, "history": history}
        torch.save(keep, saved)
    bar.close()
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n")
    return mean


# -- interpolation --------------------------------------------------------------------------------


def between(start: MobileNetV3, tuned: MobileNetV3, alpha: float) -> MobileNetV3:
    """The network `alpha` of the way from start to tuned."""
    out = copy.deepcopy(start)
    with torch.no_grad():
        for a, b in zip(out.parameters(), tuned.parameters(), strict=True):
            a.lerp_(b, alpha)
    return out


def score(val: Mapping[str, float], recipe: Recipe) -> float:
    """Home and the mean of everything else, weighted; too little at home counts ten times."""
    rest = [v for name, v in val.items() if name != "home"]
    lacking = max(0.0, recipe.min_home - val["home"])
    elsewhere = sum(rest) / len(rest)
    return recipe.home_weight * val["home"] + (1 - recipe.home_weight) * elsewhere - 10 * lacking


def choose_point(
    start: MobileNetV3, tuned: MobileNetV3, data: Data, recipe: Recipe
) -> tuple[MobileNetV3, list[dict[str, Any]]]:
    """Walks the line, the head fitted at each point, and keeps the best on val."""
    line: list[dict[str, Any]] = []
    for alpha in (recipe.alpha,) if recipe.alpha else recipe.alphas:
        model = between(start, tuned, alpha)
        refit_head(model, data, recipe.seed, exact=False)
        val = accuracies(model, data.val, exact=False)
        line.append({"alpha": alpha, "val": val, "score": round(score(val, recipe), 4)})
        print(json.dumps(line[-1]), flush=True)
    best = max(line, key=lambda point: point["score"])
    model = between(start, tuned, best["alpha"])
    refit_head(model, data, recipe.seed)
    best["chosen"] = accuracies(model, data.val)
    print(json.dumps(best), flush=True)
    return model, line


# -- the whole ------------------------------------------------------------------------------------


def start_network(weights: Path, recipe: Recipe) -> MobileNetV3:
    """The ImageNet network with an empty head, channels last in memory."""
    model = MobileNetV3(dropout=recipe.dropout)
    load_start_weights(model, weights / "mobilenetv3_large_imagenet_folded.npz")
    return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def train(
    root: Path,
    weights: Path,
    cache: Path,
    out: Path,
    recipe: Recipe,
    drawn_train: Path | None = None,
    first: Path | None = None,
) -> Path:
    """Runs the three stages; writes `out/model.pt` (a state dict) and `out/run.json`.

    A stage whose result lies in `out` already (state.pt, tuned.pt) is not done again. `first` is
    a network to begin the fine-tuning from in place of the probed start network.
    """
    torch.set_num_threads(recipe.threads)
    out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    data = load_data(root, cache, recipe, drawn_train)
    start = start_network(weights, recipe)
    facts: dict[str, Any] = {"recipe": asdict(recipe)}
    tuned_file = out / "tuned.pt"
    if not first and not tuned_file.exists() and not (out / "state.pt").exists():
        refit_head(start, data, recipe.seed)
        facts["probe"] = accuracies(start, data.val)
        print("probe", json.dumps(facts["probe"]), flush=True)
    if recipe.epochs == 0:
        chosen = start
    else:
        tuned = copy.deepcopy(start)
        if tuned_file.exists():
            tuned.load_state_dict(torch.load(tuned_file, weights_only=True))
        else:
            if first:
                tuned.load_state_dict(torch.load(first, weights_only=True))
            tuned = fine_tune(tuned, data, recipe, out)
            torch.save(tuned.state_dict(), tuned_file)
        chosen, facts["line"] = choose_point(start, tuned, data, recipe)
    torch.save(chosen.state_dict(), out / "model.pt")
    facts["seconds"] = round(time.time() - began)
    (out / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    return out / "model.pt"


def soup(runs: Sequence[Path], out: Path) -> Path:
    """The mean of several runs' tuned networks, heads included, as `out/model.pt`.

    Runs that began from the same network average well (Wortsman et al., ICML 2022), at no cost when
    running.
    """
    states = [torch.load(run / "tuned.pt", weights_only=True) for run in runs]
    mean = {key: sum(state[key] for state in states) / len(states) for key in states[0]}
    out.mkdir(parents=True, exist_ok=True)
    torch.save(mean, out / "model.pt")
    (out / "run.json").write_text(json.dumps({"soup": [run.name for run in runs]}) + "\n")
    return out / "model.pt"
