"""Training, top to bottom: probe -> fine-tune -> interpolate. One run writes one folder.

1. Linear probe: a head fitted on the start network's pooled features, so that fine-tuning does not begin by wrecking them.
2. Fine-tune: late blocks and head, on photographs and composites, small rates, with a running average of the weights.
3. WiSE-FT (Wortsman et al., CVPR 2022): weights on the line from the start network to the fine-tuned one; for each point
   the head is fitted again, and the point is chosen on the val fold, at home and away.
"""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from trashbin.training.bank import Bank, Indices, as_input, augmented, away_bank, home_bank
from trashbin.training.data import LABELS, Photo, fold_photos, read_photos
from trashbin.training.model import MobileNetV3, freeze_early, load_start_weights


@dataclass(frozen=True)
class Recipe:
    """Every number that a run depends on. Rates are per step of AdamW; shares are of photographs."""

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
    average: float = 0.998  # decay of the running average of the weights, a step
    alphas: tuple[float, ...] = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
    away_weight: float = 0.5  # of the away accuracy when a point on the line is chosen
    min_home: float = 0.94  # home accuracy below which a point on the line is not considered
    seed: int = 0
    limit: int = 0  # photographs of each fold at most (0: all), for tests
    threads: int = 2


def seed_everything(seed: int) -> np.random.Generator:
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


def limited(photos: list[Photo], limit: int) -> list[Photo]:
    """At most `limit` photographs, the labels taking turns."""
    if not limit:
        return photos
    ranks = {photo.path: 0 for photo in photos}
    seen: dict[str, int] = {}
    for photo in photos:
        ranks[photo.path] = seen[photo.label] = seen.get(photo.label, 0) + 1
    return sorted(photos, key=lambda photo: (ranks[photo.path], photo.label))[:limit]


# -- features and the head -------------------------------------------------------------------------------------------


@torch.no_grad()
def pooled(model: MobileNetV3, bank: Bank, rng: np.random.Generator | None = None, batch: int = 64) -> Tensor:
    """(N, 960) features of a bank; with a generator the pictures are augmented, without it seen as the daemon sees them."""
    model.eval()
    out = []
    for start in range(0, len(bank), batch):
        pictures = [np.asarray(p) for p in bank.pictures[start : start + batch]]
        if rng is not None:
            pictures = [augmented(rng, p, bank.home) for p in pictures]
        out.append(model.features(as_input(pictures)))
    return torch.cat(out)


def fit_head(features: Tensor, targets: Tensor, weights: Tensor, decay: float = 1e-2, smoothing: float = 0.05) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by L-BFGS on standardised features; returns weight (6, 960) and bias (6,)."""
    mean, scale = features.mean(0), features.std(0) + 1e-3
    x = (features - mean) / scale
    w = torch.zeros(len(LABELS), x.shape[1], requires_grad=True)
    b = torch.zeros(len(LABELS), requires_grad=True)
    solver = torch.optim.LBFGS([w, b], max_iter=150, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        each = F.cross_entropy(x @ w.T + b, targets, reduction="none", label_smoothing=smoothing)
        value: Tensor = (each * weights).sum() / weights.sum() + decay * w.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    weight = (w / scale).detach()
    return weight, (b - weight @ mean).detach()


def refit_head(model: MobileNetV3, train_home: Bank, train_away: Bank, seed: int, plain_only: bool = False) -> None:
    """Fits the model's head anew on its features of photographs (plain and augmented once) and composites."""
    rng = np.random.default_rng(seed)
    # composites of a photograph stand together: every second or third is enough for a linear head
    thin = slice(None, None, 3 if len(train_away) > 2500 else 1)
    away = Bank(train_away.pictures[thin], train_away.targets[thin], train_away.photos[thin], False)
    banks = [(train_home, None), (away, None)] if plain_only else [(train_home, None), (train_home, rng), (away, rng)]
    features = torch.cat([pooled(model, bank, source) for bank, source in banks])
    targets = torch.from_numpy(np.concatenate([bank.targets for bank, _ in banks]))
    home_count = sum(len(bank) for bank, _ in banks if bank.home)
    weights = torch.ones(len(targets))
    weights[home_count:] = home_count / max(1, len(targets) - home_count)
    weight, bias = fit_head(features, targets, weights)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


@torch.no_grad()
def logits_of(model: MobileNetV3, bank: Bank) -> Tensor:
    logits: Tensor = model.head(pooled(model, bank))
    return logits


def accuracy(model: MobileNetV3, bank: Bank) -> float:
    return float((logits_of(model, bank).argmax(1).numpy() == bank.targets).mean())


# -- fine-tuning -----------------------------------------------------------------------------------------------------


def epoch_order(rng: np.random.Generator, home: Bank, away: Bank, recipe: Recipe) -> list[tuple[bool, int]]:
    """(is home, row) in random order: each photograph `home_each` times, and `away_each` different composites of it."""
    rows: list[tuple[bool, int]] = [(True, i) for _ in range(recipe.home_each) for i in range(len(home))]
    for i in range(len(home)):
        choice = rng.permutation(recipe.composites)[: recipe.away_each]
        rows += [(False, i * recipe.composites + int(k)) for k in choice]
    return [rows[i] for i in rng.permutation(len(rows))]


def one_cycle(step: int, steps: int) -> float:
    """Share of the highest rate: up over the first eighth, then down along a cosine."""
    warm = max(1, steps // 8)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def fine_tune(model: MobileNetV3, home: Bank, away: Bank, val: tuple[Bank, Bank], recipe: Recipe, out: Path) -> MobileNetV3:
    """Trains in place and returns the running average; `out/state.pt` lets a run that was cut off go on."""
    freeze_early(model, recipe.frozen_blocks)
    late = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("head")]
    solver = torch.optim.AdamW(
        [{"params": late, "lr": recipe.rate}, {"params": list(model.head.parameters()), "lr": recipe.head_rate}],
        weight_decay=recipe.weight_decay,
    )
    tops = [recipe.rate, recipe.head_rate]
    mean = copy.deepcopy(model)
    state_file, first, history = out / "state.pt", 0, []
    if state_file.exists():
        state: dict[str, Any] = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        solver.load_state_dict(state["solver"])
        first, history = state["epoch"], state["history"]
    per_epoch = math.ceil(len(home) * (recipe.home_each + recipe.away_each) / recipe.batch)
    steps = per_epoch * recipe.epochs
    bar = tqdm(total=steps, initial=first * per_epoch, desc="fine-tune", unit="step", mininterval=10)
    for epoch in range(first, recipe.epochs):
        rng = seed_everything(recipe.seed * 1000 + epoch)
        order, total, right = epoch_order(rng, home, away, recipe), 0.0, 0
        model.train()
        for k in range(per_epoch):
            rows = order[k * recipe.batch : (k + 1) * recipe.batch]
            step = epoch * per_epoch + k
            for group, top in zip(solver.param_groups, tops, strict=True):
                group["lr"] = top * one_cycle(step, steps)
            pictures = [augmented(rng, (home if h else away).pictures[i], h) for h, i in rows]
            targets = torch.tensor([(home if h else away).targets[i] for h, i in rows])
            with torch.no_grad():
                early = model.early(as_input(pictures), recipe.frozen_blocks)
            logits = model.head(model.dropout(model.late(early, recipe.frozen_blocks)))
            loss = F.cross_entropy(logits, targets, label_smoothing=recipe.smoothing)
            solver.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(late, 2.0)
            solver.step()
            with torch.no_grad():
                decay = min(recipe.average, (1 + step) / (10 + step))
                for a, b in zip(mean.parameters(), model.parameters(), strict=True):
                    a.lerp_(b, 1 - decay)
            total, right = total + float(loss.detach()) * len(rows), right + int((logits.argmax(1) == targets).sum())
            bar.update()
        entry = {"epoch": epoch + 1, "loss": total / len(order), "train": right / len(order)}
        if (epoch + 1) % 2 == 0 or epoch + 1 == recipe.epochs:
            entry |= {"val_home": accuracy(mean, val[0]), "val_away": accuracy(mean, val[1])}
        history.append(entry)
        bar.write(json.dumps({k: round(v, 4) for k, v in entry.items()}))
        torch.save(
            {"model": model.state_dict(), "mean": mean.state_dict(), "solver": solver.state_dict(), "epoch": epoch + 1, "history": history},
            state_file,
        )
    bar.close()
    (out / "history.json").write_text(json.dumps(history, indent=1))
    return mean


# -- interpolation ---------------------------------------------------------------------------------------------------


def between(start: MobileNetV3, tuned: MobileNetV3, alpha: float) -> MobileNetV3:
    """The network `alpha` of the way from start to tuned."""
    out = copy.deepcopy(start)
    with torch.no_grad():
        for a, b in zip(out.parameters(), tuned.parameters(), strict=True):
            a.lerp_(b, alpha)
    return out


def choose_point(
    start: MobileNetV3, tuned: MobileNetV3, home: Bank, away: Bank, val: tuple[Bank, Bank], recipe: Recipe
) -> tuple[MobileNetV3, list[dict[str, float]]]:
    """Walks the line, refitting the head at each point, and keeps the best on val."""
    best: tuple[float, MobileNetV3] | None = None
    line = []
    for alpha in recipe.alphas:
        model = between(start, tuned, alpha)
        refit_head(model, home, away, recipe.seed)
        at_home, elsewhere = accuracy(model, val[0]), accuracy(model, val[1])
        # below the floor every point of home accuracy counts ten times
        score = (1 - recipe.away_weight) * at_home + recipe.away_weight * elsewhere - 10 * max(0.0, recipe.min_home - at_home)
        line.append({"alpha": alpha, "val_home": at_home, "val_away": elsewhere, "score": score})
        print(json.dumps({k: round(v, 4) for k, v in line[-1].items()}), flush=True)
        if best is None or score > best[0]:
            best = (score, model)
    assert best is not None
    return best[1], line


# -- the whole -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """The banks that training may see."""

    home: Bank
    away: Bank
    val: tuple[Bank, Bank]


def load_data(root: Path, cache: Path, recipe: Recipe) -> Data:
    photos = read_photos(root)
    train, val = (limited(fold_photos(photos, fold), recipe.limit) for fold in ("train", "val"))
    return Data(
        home_bank(root, train, cache),
        away_bank(root, train, "train", recipe.composites, cache, recipe.seed, recipe.threads),
        (home_bank(root, val, cache), away_bank(root, val, "val", 3, cache, 0, recipe.threads)),
    )


def start_network(weights: Path, recipe: Recipe) -> MobileNetV3:
    model = MobileNetV3(dropout=recipe.dropout)
    load_start_weights(model, weights / "mobilenetv3_large_imagenet_folded.npz")
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(root: Path, weights: Path, cache: Path, out: Path, recipe: Recipe) -> Path:
    """Runs the three stages and writes `out/model.pt` (a state dict) and `out/run.json`; returns the former."""
    torch.set_num_threads(recipe.threads)
    out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    data = load_data(root, cache, recipe)
    start = start_network(weights, recipe)
    refit_head(start, data.home, data.away, recipe.seed)
    probe = {"val_home": accuracy(start, data.val[0]), "val_away": accuracy(start, data.val[1])}
    print("probe", json.dumps(probe), flush=True)
    if recipe.epochs == 0:
        chosen, line = start, []
    else:
        tuned = fine_tune(copy.deepcopy(start), data.home, data.away, data.val, recipe, out)
        torch.save(tuned.state_dict(), out / "tuned.pt")
        chosen, line = choose_point(start, tuned, data.home, data.away, data.val, recipe)
    torch.save(chosen.state_dict(), out / "model.pt")
    facts = {"recipe": asdict(recipe), "probe": probe, "line": line, "seconds": round(time.time() - began)}
    (out / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    return out / "model.pt"


