"""How a network learns of views without end: from labels, teachers, and what it once knew.

See ``patient`` for the order of things and the paper. What is here: the numbers of a training, the
loop that all of them share, a teacher's lessons (`teach`) and the student's (`grow`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from trashbin import whole_file
from trashbin.training.bank import NO_CLASS
from trashbin.training.borrowed import Borrowed
from trashbin.training.data import LABELS, LARGE
from trashbin.training.model import MobileNetV3, load_start_weights, without_dead_gates
from trashbin.training.quantize import Exported
from trashbin.training.stock import Stock, sized

START_SIZE = 192  # at which the start network's features are recalled


@dataclass(frozen=True, kw_only=True)
class Course:
    """Numbers of one training; the rate is AdamW's at its highest."""

    steps: int
    rate: float
    batch: int = 256
    warm: float = 0.06  # share of the steps in which the rate goes up
    weight_decay: float = 0.02
    mixed: float = 0.25  # share of the batches in which pictures lie over each other
    features: float = 1.0  # weight of the features to be recalled
    recalls: float = 2.0  # the rate of the map that recalls them, of `rate`
    no_class: float = 0.5  # weight of "none of them" for things of no class
    average: float = 0.999  # decay of the running average of the weights, a step
    bfloat16: bool = True  # of the forward pass; rounding to int8 needs float32
    seed: int = 0
    save_every: int = 300
    later: int = 0  # steps of the trainings after this one


@dataclass(frozen=True, kw_only=True)
class Teacher(Course):
    """A teacher's training."""

    start: str  # file in the folder of start weights
    size: int
    mixed: float = 0.35
    recalls: float = 3.0  # and of the head
    average: float = 0.998
    smoothing: float = 0.08
    dropout: float = 0.2
    home: bool = True  # whether the student asks it about photographs as they are ...
    away: bool = True  # ... and about everything else
    probe_batches: int = 24
    probe_steps: int = 300


@dataclass(frozen=True, kw_only=True)
class Student(Course):
    """The student's training, and its settling."""

    teachers: float = 0.7  # weight of the teachers' shares; the labels have the rest
    temperature: float = 2.0  # of the teachers' shares
    smoothing: float = 0.05
    shift: float = 0.0  # added to the input: half a pixel for what is exported
    # share of the steps in which what is exported rounds: the others keep its float weights good
    rounded: float = 0.75


Asked = list[tuple[nn.Module, Teacher]]
Told = Callable[[int, float, nn.Module], None]  # is given step, loss and the running average


def start_network(weights: Path, name: str) -> nn.Module:
    """A network of the start weights, its head not trained."""
    if name.endswith(".tflite"):
        network: nn.Module = Borrowed(weights / name)
    else:
        network = MobileNetV3()
        load_start_weights(network, weights / name)
        network = without_dead_gates(network)
    return network.to(memory_format=torch.channels_last)


def frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """To be asked, not trained."""
    network = network.to(device).to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)


def on_gpu(device: torch.device) -> bool:
    """Whether it is one."""
    return str(device.type) == "cuda"


def cycle(progress: float, warm: float) -> float:
    """Share of the highest rate: up along a line, then down along a cosine."""
    if progress < warm:
        return max(progress, 0.002) / warm
    return 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def none_of_them(logits: Tensor) -> Tensor:
    """0 where the shares of all labels are equal."""
    return -F.log_softmax(logits, 1).mean() - math.log(len(LABELS))


def mixed(x: Tensor, chance: float, homes: int = 0) -> tuple[Tensor, Tensor, Tensor] | None:
    """Pictures laid over others, their order, and the share (B, 1) of the upper; or None.

    The first `homes` only lie over each other.
    """
    if float(torch.rand(())) >= chance:
        return None
    parts = (torch.randperm(n, device=x.device) for n in (homes, len(x) - homes))
    order = torch.cat([first + part for first, part in zip((0, homes), parts, strict=True)])
    share = 0.5 + 0.5 * torch.rand(len(x), 1, device=x.device)
    upper = share[:, :, None, None]
    return upper * x + (1 - upper) * x[order], order, share


def answers(asked: Asked, x: Tensor, homes: int) -> Tensor:
    """Mean logits (B, 6) of those who are asked: about the first `homes`, and about the rest."""
    parts = []
    for part, where in ((x[:homes], "home"), (x[homes:], "away")):
        said = [net(sized(part, c.size)).float() for net, c in asked if getattr(c, where)]
        parts.append(torch.stack(said).mean(0))
    return torch.cat(parts)


# -- the loop -------------------------------------------------------------------------------------


@dataclass
class Run:
    """What one training changes: the model, its running average, the map to what it recalls."""

    model: nn.Module
    adapter: nn.Linear
    mean: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.mean = copy.deepcopy(self.model)

    def parts(self) -> dict[str, nn.Module]:
        """For the checkpoint."""
        return {"model": self.model, "mean": self.mean, "adapter": self.adapter}


def train(
    run: Run,
    solver: torch.optim.Optimizer,
    course: Course,
    loss_of: Callable[[], Tensor],
    out: Path,
    told: Told,
) -> nn.Module:
    """All steps; the running average. Goes on from `out/state.pt` if there is one."""
    out.mkdir(parents=True, exist_ok=True)
    saved, first = out / "state.pt", 0
    tops = [group["lr"] for group in solver.param_groups]
    if saved.exists():
        state = torch.load(saved, map_location="cpu", weights_only=True)
        for name, part in run.parts().items():
            part.load_state_dict(state[name])
        solver.load_state_dict(state["solver"])
        first = state["step"]
    torch.manual_seed(course.seed * 1_000_000 + first)
    run.model.train()
    begun, steps = time.monotonic(), range(first, course.steps)
    bar = tqdm(steps, initial=first, total=course.steps, mininterval=10, desc=out.name)
    for step in bar:
        for group, top in zip(solver.param_groups, tops, strict=True):
            group["lr"] = top * cycle(step / course.steps, course.warm)
        loss = loss_of()
        solver.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), 2.0)
        solver.step()
        with torch.no_grad():
            decay = min(course.average, (1 + step) / (10 + step))
            pair = (list(each.parameters()) for each in (run.mean, run.model))
            torch._foreach_lerp_(*pair, 1 - decay)
        pace = (time.monotonic() - begun) / (step + 1 - first)
        left = pace * (course.steps - step - 1 + course.later)
        bar.set_postfix_str(f"whole run: {left / 3600:.1f} h left", refresh=False)
        if (step + 1) % course.save_every == 0 or step + 1 == course.steps:
            told(step + 1, float(loss.detach()), run.mean)
            state = {name: part.state_dict() for name, part in run.parts().items()}
            state |= {"solver": solver.state_dict(), "step": step + 1}
            with whole_file.writing(saved) as file:
                torch.save(state, file)
    return run.mean.eval()


def fit_head(model: nn.Module, stock: Stock, course: Teacher) -> None:
    """A head on the features as they are: nothing else is to be torn when training begins."""
    device, parts = stock.device, []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        for _ in range(course.probe_batches):
            x, targets = stock.draw(course.batch)
            parts.append((model.features(sized(x, course.size)).float(), targets))
    features, labels = (torch.cat(each) for each in zip(*parts, strict=True))
    mean, spread = features.mean(0), features.std(0) + 1e-3
    features = (features - mean) / spread
    head = nn.Linear(features.shape[1], len(LABELS)).to(device)
    nn.init.zeros_(head.weight)
    solver = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=1.0)
    known = labels != NO_CLASS
    for _ in range(course.probe_steps):
        logits = head(features)
        loss = F.cross_entropy(logits[known], labels[known], label_smoothing=0.05)
        if (~known).any():
            loss = loss + 0.2 * none_of_them(logits[~known])
        solver.zero_grad()
        loss.backward()
        solver.step()
    with torch.no_grad():
        model.head.weight.copy_(head.weight / spread)
        model.head.bias.copy_(head.bias - (head.weight / spread) @ mean)


def teach(course: Teacher, weights: Path, stock: Stock, out: Path, told: Told) -> nn.Module:
    """1. One teacher."""
    device, classes = stock.device, len(LABELS)
    torch.manual_seed(course.seed)
    model = start_network(weights, course.start).to(device)
    start = frozen(copy.deepcopy(model), device)
    if not (out / "state.pt").exists():
        fit_head(model, stock, course)
    width = model.head.in_features
    run = Run(model, nn.Linear(width, width).to(device))
    with torch.no_grad():
        run.adapter.weight.copy_(torch.eye(width))
        run.adapter.bias.zero_()
    body = [p for name, p in model.named_parameters() if not name.startswith("head")]
    last = [*model.head.parameters(), *run.adapter.parameters()]
    groups = [
        {"params": body, "lr": course.rate},
        {"params": last, "lr": course.rate * course.recalls},
    ]
    solver = torch.optim.AdamW(groups, weight_decay=course.weight_decay, fused=on_gpu(device))
    drop = nn.Dropout(course.dropout)

    def loss_of() -> Tensor:
        stock.feed()
        with torch.no_grad():
            x, targets = stock.draw(course.batch)
            known = targets != NO_CLASS
            wanted = torch.full((len(x), classes), 1 / classes, device=device)
            one = F.one_hot(targets[known], classes).float()
            wanted[known] = (1 - course.smoothing) * one + course.smoothing / classes
            if over := mixed(x, course.mixed):
                x, order, share = over
                wanted = share * wanted + (1 - share) * wanted[order]
                known = known | known[order]
            x = sized(x, course.size)
        with torch.autocast(device.type, torch.bfloat16, enabled=course.bfloat16):
            features = model.features(x)
            with torch.no_grad():
                began = start.features(x)
        features = features.float()
        logits, part = model.head(drop(features)), known.float().mean()
        recalled = F.cosine_similarity(run.adapter(features), began.float())
        loss = course.features * (1 - recalled).mean()
        if known.any():
            loss = loss + part * F.cross_entropy(logits[known], wanted[known])
        if (~known).any():
            loss = loss + course.no_class * (1 - part) * none_of_them(logits[~known])
        return loss

    return train(run, solver, course, loss_of, out, told)


def grow(
    student: nn.Module,
    course: Student,
    asked: Asked,
    weights: Path,
    stock: Stock,
    out: Path,
    told: Told,
) -> nn.Module:
    """2 and 3. Trains a network that has `features`, `head` and `architecture`."""
    device, size = stock.device, student.architecture.input_size
    torch.manual_seed(course.seed)
    start = frozen(start_network(weights, LARGE), device)
    adapter = nn.Linear(student.head.in_features, start.head.in_features).to(device)
    homes = stock.homes(course.batch)
    run = Run(student, adapter)
    groups = [
        {"params": list(student.parameters()), "lr": course.rate},
        {"params": list(adapter.parameters()), "lr": course.rate * course.recalls},
    ]
    solver = torch.optim.AdamW(groups, weight_decay=course.weight_decay, fused=on_gpu(device))

    def loss_of() -> Tensor:
        stock.feed()
        with torch.no_grad():
            x, targets = stock.draw(course.batch)
            known = targets != NO_CLASS
            over = mixed(x, course.mixed, homes)
            if over:
                x, order, _ = over
                known = known & known[order]
            with torch.autocast(device.type, torch.bfloat16):
                said = answers(asked, x, homes)
                began = start.features(sized(x, START_SIZE)).float()
            x = sized(x, size) + course.shift
        if isinstance(student, Exported):
            student.set_mode("round" if float(torch.rand(())) < course.rounded else "pass")
        with torch.autocast(device.type, torch.bfloat16, enabled=course.bfloat16):
            features = student.features(x)
        features = features.float()
        logits, part, t = student.head(features), known.float().mean(), course.temperature
        recalled = F.cosine_similarity(adapter(features), began)
        loss = course.features * (1 - recalled).mean()
        if known.any():
            own, theirs = F.log_softmax(logits[known] / t, 1), F.softmax(said[known] / t, 1)
            by_teachers = F.kl_div(own, theirs, reduction="batchmean") * t * t
            if over:  # what lies over what has no label, but the teachers see it too
                return loss + part * by_teachers
            by_label = F.cross_entropy(
                logits[known], targets[known], label_smoothing=course.smoothing
            )
            share = course.teachers
            loss = loss + part * ((1 - share) * by_label + share * by_teachers)
        if (~known).any() and not over:
            loss = loss + course.no_class * (1 - part) * none_of_them(logits[~known])
        return loss

    return train(run, solver, course, loss_of, out, told)
