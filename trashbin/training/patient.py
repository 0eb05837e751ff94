"""Trains the network that ships: views without end, and teachers asked about every one of them.

"Knowledge distillation: A good teacher is patient and consistent" (Beyer et al., CVPR 2022): the
student learns from what teachers say of the very view it sees, for long, and of views that never
come again (``stock``).

1. Teachers: the unpruned network at two sizes and EfficientNet-Lite0 (``borrowed``), each with a
   head fitted first, then trained whole on the labels, the features it began with kept in reach.
2. Prune: the last teacher, at the student's input size, without the channels worth least.
3. Student: that network, its outliers turned down (``equalize.calm``). It learns from the labels
   and from the teachers: those best at home are asked about photographs as they are, those best
   away about all else. The start network's features are kept in reach by a linear map that is
   thrown away afterwards.
4. Settle: even channels, int8 ranges, and the same training with everything rounded in most steps,
   and in the others not, so that the float weights stay as good.

Everything runs on the GPU where there is one. Each stage leaves a file in the work folder and is
not done again while it lies there; one that was cut off goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from trashbin import whole_file
from trashbin.training import export, prune, recipe
from trashbin.training.bank import NO_CLASS
from trashbin.training.data import LARGE, LITE, fold_photos, limited, read_photos
from trashbin.training.equalize import SHARE, calm, equalize, relu_stem
from trashbin.training.lessons import (
    Asked,
    Course,
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

TEACHERS = (
    Teacher(start=LARGE, size=256, steps=1767, rate=4e-4, away=False),
    Teacher(start=LITE, size=224, steps=1426, rate=4e-4, seed=1, home=False),
    Teacher(start=LARGE, size=224, steps=1801, rate=5e-4, seed=2, features=0.5),
)
STUDENT = Student(steps=9361, rate=5e-4, warm=0.04, features=0.6)
SETTLE = replace(STUDENT, steps=3067, rate=1e-4, average=0.995, bfloat16=False, shift=-PIXEL / 2)

AnyCourse = TypeVar("AnyCourse", bound=Course)


@dataclass(frozen=True)
class Plan:
    """All numbers."""

    teachers: tuple[Teacher, ...] = TEACHERS
    student: Student = STUDENT
    settle: Student = SETTLE
    cut: recipe.Plan = field(default_factory=recipe.Plan)  # size and budgets
    weighed: int = 32  # batches of 32 views that say what a channel is worth
    stock: Numbers = field(default_factory=Numbers)
    looked: int = 40  # views in each batch that outliers and ranges are looked for in
    refined: int = 16  # of them, that ranges are narrowed by
    effort: float = 1.0  # share of the steps of every training

    @property
    def courses(self) -> tuple[Course, ...]:
        """Every training, in its order."""
        return *self.teachers, self.student, self.settle

    def course(self, full: AnyCourse) -> AnyCourse:
        """With the steps that it and those after it are to have."""
        later = self.courses[self.courses.index(full) + 1 :]
        return replace(full, steps=self.steps(full), later=sum(map(self.steps, later)))

    def steps(self, full: Course) -> int:
        """How many it is to have."""
        return max(1, round(full.steps * self.effort))


class Stages:
    """One run of all stages, on what is at hand."""

    def __init__(self, work: recipe.Work, plan: Plan, stock: Stock) -> None:
        self.work, self.plan, self.stock, self.device = work, plan, stock, stock.device

    def log(self, stage: str, what: str, network: nn.Module, size: int, **more: object) -> None:
        """What a network is worth on the calib fold."""
        of = recipe.measure(self.work, replace(self.plan.cut, size=size))
        self.work.log(stage, {"what": what, "calib": of(network)} | more)

    def told(self, stage: str, what: str, size: int) -> Told:
        """Logs how far a training is."""

        def tell(step: int, loss: float, mean: nn.Module) -> None:
            more = {"step": step, "loss": round(loss, 4), "composites": self.stock.filled}
            self.log(stage, what, mean, size, **more)

        return tell

    def teachers(self) -> Asked:
        """1. All of them."""
        asked: Asked = []
        for number, full in enumerate(self.plan.teachers):
            name, course = f"teacher-{number}", self.plan.course(full)
            file = self.work.folder / f"{name}.pt"
            if not file.exists():
                kind = "EfficientNet-Lite0" if course.start == LITE else "MobileNetV3-Large"
                what = f"teacher: {kind} at {course.size} x {course.size}"
                out, told = self.work.folder / name, self.told(name, what, course.size)
                made = teach(course, self.work.weights, self.stock, out, told)
                with whole_file.writing(file) as kept:
                    torch.save(made.state_dict(), kept)
            network = start_network(self.work.weights, course.start)
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
            asked.append((frozen(network, self.device), course))
        return asked

    def batches(self, size: int, count: int, **shares: float) -> list[Tensor]:
        """Views on the CPU."""
        views = (self.stock.draw(self.plan.looked, **shares)[0] for _ in range(count))
        return [sized(x, size).cpu() for x in views]

    def prune(self, asked: Asked) -> MobileNetV3:
        """2. The last teacher without the channels that are worth least, with a ReLU stem."""
        file, cut = self.work.folder / "pruned.pt", self.plan.cut
        if not file.exists():
            whole = copy.deepcopy(asked[-1][0]).cpu().requires_grad_(True)
            assert isinstance(whole, MobileNetV3)
            whole.architecture = replace(whole.architecture, input_size=cut.size)

            def labelled() -> Iterator[tuple[Tensor, Tensor]]:
                for _ in range(self.plan.weighed):
                    x, targets = self.stock.draw(32, home=0.5, drawn=0.0)
                    known = targets != NO_CLASS
                    yield sized(x[known], cut.size).cpu(), targets[known].cpu()

            found = prune.weigh(whole, labelled())
            kept = prune.choose(whole, found, cut.max_macs, cut.max_weights, cut.bytes_matter)
            small = prune.cut(whole, found, kept).eval()
            small = relu_stem(small, torch.cat(self.batches(cut.size, 2)))
            macs, weights = small.architecture.multiply_adds(), small.architecture.weights()
            shape = f"{macs / 1e6:.0f} M multiply-adds, {weights / 1e6:.2f} M weights"
            what = f"the last of them pruned to {shape}, with a ReLU stem; not trained"
            self.log("prune", what, small, cut.size)
            save(small, file)
        return load(file)

    def student(self, begin: MobileNetV3, asked: Asked) -> MobileNetV3:
        """3. Trained, in float."""
        file, size = self.work.folder / "student.pt", begin.architecture.input_size
        if not file.exists():
            calmed = calm(begin, self.batches(size, 2)).to(self.device)
            calmed = calmed.to(memory_format=torch.channels_last)
            out, weights = self.work.folder / "student", self.work.weights
            told = self.told("student", "after its teachers, in float", size)
            course = self.plan.course(self.plan.student)
            save(grow(calmed, course, asked, weights, self.stock, out, told).cpu(), file)
        return load(file)

    def settle(self, student: MobileNetV3, asked: Asked) -> Exported:
        """4. Living with int8."""
        size = student.architecture.input_size
        out, ready = self.work.folder / "settle", self.work.folder / "ready.pt"
        if not ready.exists():  # what goes on must have the ranges it began with
            xs = self.batches(size, 3, home=0.5, drawn=0.1)
            exported = Exported(equalize(student.eval(), xs, SHARE)).eval()
            shifted = [x.sub(PIXEL / 2) for x in xs]
            exported.choose_ranges(shifted)
            told = exported.refine_ranges(shifted[0][: self.plan.refined])
            what = "rounded to int8, not trained for it"
            self.log("ranges", what, exported, size, narrowed=told)
            with whole_file.writing(ready) as file:
                torch.save(exported.state_dict(), file)
        exported = Exported(student).eval()
        exported.load_state_dict(torch.load(ready, weights_only=True))
        exported.set_mode("round")
        tell = self.told("settle", "trained with int8's rounding", size)
        course, weights = self.plan.course(self.plan.settle), self.work.weights
        exported = exported.to(self.device).to(memory_format=torch.channels_last)
        made = grow(exported, course, asked, weights, self.stock, out, tell)
        made.cpu()
        assert isinstance(made, Exported)
        return made


def everything(work: recipe.Work, plan: Plan) -> Path:
    """All stages; the parent of what ships."""
    file = work.folder / "parent.npz"
    if file.exists():
        return file
    work.folder.mkdir(parents=True, exist_ok=True)
    if not (work.folder / "log.jsonl").exists():
        work.log("begin", {"drawn": work.drawn is not None})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if on_gpu(device):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    else:
        steps = sum(map(plan.steps, plan.courses))
        print(f"There is no GPU here: {steps:,} steps, each of some seconds at best.", flush=True)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - plan.stock.workers))
    photos = read_photos(work.root)
    parts = [limited(fold_photos(photos, fold), plan.cut.limit) for fold in FOLDS]
    with Stock(work.root, parts, work.cache, work.drawn, plan.stock, device) as stock:
        stages = Stages(work, plan, stock)
        asked = stages.teachers()
        done = stages.settle(stages.student(stages.prune(asked), asked), asked)
    ranges = [(float(r.low), float(r.high)) for r in done.ranges()]
    export.write_parent(done.network(), ranges, file)
    return file
