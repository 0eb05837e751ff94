"""Trains the shipped network on: views without end, and teachers asked about every one of them.

"Knowledge distillation: A good teacher is patient and consistent" (Beyer et al., CVPR 2022): the
student learns from what teachers say of the very view it sees, for long, and of views that never
come again (``stock``).

1. Teachers: the unpruned network at two sizes and EfficientNet-Lite0 (``borrowed``), each with a
   head fitted first, then trained whole on the labels, the features it began with kept in reach.
2. Student: the network that training begins from, its outliers turned down (``equalize.calm``). It
   learns from the labels, from the mean of all teachers and itself as it began, and keeps the start
   network's features in reach by a linear map that is thrown away afterwards.
3. Settle: even channels, int8 ranges, and the same training with everything rounded.

Everything runs on the GPU where there is one. Each stage leaves a file in the work folder and is
not done again while it lies there; one that was cut off goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from trashbin.training import export, recipe
from trashbin.training.data import fold_photos, read_photos
from trashbin.training.equalize import SHARE, calm, equalize
from trashbin.training.lessons import (
    LARGE,
    LITE,
    Asked,
    Student,
    Teacher,
    Told,
    frozen,
    grow,
    on_gpu,
    start_network,
    teach,
)
from trashbin.training.model import MobileNetV3, load, save
from trashbin.training.quantize import PIXEL, Exported
from trashbin.training.stock import FOLDS, Numbers, Stock, sized
from trashbin.training.train import limited

TEACHERS = (
    Teacher(start=LARGE, size=256, steps=1767, rate=4e-4),
    Teacher(start=LITE, size=224, steps=1426, rate=4e-4, seed=1),
    Teacher(start=LARGE, size=224, steps=1801, rate=5e-4, seed=2, features=0.5),
)
STUDENT = Student(steps=2778, rate=6e-4)
SETTLE = Student(
    steps=607, rate=1e-4, average=0.99, bfloat16=False, shift=-PIXEL / 2, save_every=100
)


@dataclass(frozen=True)
class Plan:
    """All numbers."""

    teachers: tuple[Teacher, ...] = TEACHERS
    student: Student = STUDENT
    settle: Student = SETTLE
    stock: Numbers = field(default_factory=Numbers)
    looked: int = 40  # views in each batch that outliers and ranges are looked for in
    refined: int = 16  # of them, that ranges are narrowed by
    limit: int = 0  # photographs of each fold at most (0: all), for tests


class Stages:
    """One run of all stages, on what is at hand."""

    def __init__(self, work: recipe.Work, plan: Plan, stock: Stock) -> None:
        self.work, self.plan, self.stock, self.device = work, plan, stock, stock.device

    def told(self, stage: str, size: int) -> Told:
        """Logs how far a training is, and what it is worth on the calib fold."""
        of = recipe.measure(self.work, recipe.Plan(size=size, limit=self.plan.limit))

        def tell(step: int, loss: float, mean: nn.Module) -> None:
            facts = {"step": step, "loss": round(loss, 4), "calib": of(mean)}
            self.work.log(stage, facts | {"composites": self.stock.filled})

        return tell

    def teachers(self) -> Asked:
        """1. All of them."""
        asked: Asked = []
        for number, course in enumerate(self.plan.teachers):
            name = f"teacher-{number}"
            file = self.work.folder / f"{name}.pt"
            if not file.exists():
                out, told = self.work.folder / name, self.told(name, course.size)
                made = teach(course, self.work.weights, self.stock, out, told)
                torch.save(made.state_dict(), file)
            network = start_network(self.work.weights, course.start)
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
            asked.append((frozen(network, self.device), course.size))
        return asked

    def batches(self, size: int, count: int, **shares: float) -> list[Tensor]:
        """Views on the CPU."""
        views = (self.stock.draw(self.plan.looked, **shares)[0] for _ in range(count))
        return [sized(x, size).cpu() for x in views]

    def student(self, begin: MobileNetV3, asked: Asked) -> MobileNetV3:
        """2. Trained on, in float."""
        file, size = self.work.folder / "student.pt", begin.architecture.input_size
        if not file.exists():
            calmed = calm(begin, self.batches(size, 2)).to(self.device)
            calmed = calmed.to(memory_format=torch.channels_last)
            out, told = self.work.folder / "student", self.told("student", size)
            weights, course = self.work.weights, self.plan.student
            save(grow(calmed, course, asked, weights, self.stock, out, told).cpu(), file)
        return load(file)

    def settle(self, student: MobileNetV3, asked: Asked) -> Exported:
        """3. Living with int8."""
        size = student.architecture.input_size
        out, ready = self.work.folder / "settle", self.work.folder / "ready.pt"
        if not ready.exists():  # what goes on must have the ranges it began with
            xs = self.batches(size, 3, home=0.5, drawn=0.1)
            exported = Exported(equalize(student.eval(), xs, SHARE)).eval()
            shifted = [x.sub(PIXEL / 2) for x in xs]
            exported.choose_ranges(shifted)
            told = exported.refine_ranges(shifted[0][: self.plan.refined])
            self.work.log("ranges", {"narrowed": told})
            torch.save(exported.state_dict(), ready)
        exported = Exported(student).eval()
        exported.load_state_dict(torch.load(ready, weights_only=True))
        exported.set_mode("round")
        course, tell = self.plan.settle, self.told("settle", size)
        weights = self.work.weights
        exported = exported.to(self.device).to(memory_format=torch.channels_last)
        made = grow(exported, course, asked, weights, self.stock, out, tell)
        made.cpu()
        assert isinstance(made, Exported)
        return made


def everything(work: recipe.Work, plan: Plan, begin: MobileNetV3) -> Path:
    """All stages; the parent of what ships."""
    file = work.folder / "parent.npz"
    if file.exists():
        return file
    work.folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if on_gpu(device):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    else:
        print("There is no GPU here: this takes days.", flush=True)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - plan.stock.workers))
    photos = read_photos(work.root)
    parts = [limited(fold_photos(photos, fold), plan.limit) for fold in FOLDS]
    with Stock(work.root, parts, work.cache, work.drawn, plan.stock, device) as stock:
        stages = Stages(work, plan, stock)
        own = frozen(copy.deepcopy(begin), device)
        asked = [*stages.teachers(), (own, begin.architecture.input_size)]
        done = stages.settle(stages.student(begin, asked), asked)
    ranges = [(float(r.low), float(r.high)) for r in done.ranges()]
    export.write_parent(done.network(), ranges, file)
    return file
