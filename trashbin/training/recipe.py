"""The whole way from photographs to the files that ship, one stage after the other.

1. Teacher: the unpruned network at 224 x 224, fine-tuned (``train``).
2. Prune whole channels, a ReLU for the stem's hard-swish, at the input size that ships.
3. Views: pictures ready for the network, with what the teacher and the start network say of them.
4. Train what is left on them (``distil``): twice, from several seeds, averaging the runs each time.
5. Settle: even channels, int8 ranges, and a short training in which everything is rounded.
6. Export: temperature, thresholds, familiarity index, files and manifest.

Each stage leaves a file in the work folder and is not done again while it lies there; stages 1 and
4 also go on where they were cut off. What each stage measured is in ``log.jsonl``.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trashbin.model.familiarity import parse
from trashbin.training import distil, export, prune, speed, train, views
from trashbin.training.bank import (
    Bank,
    as_input,
    augmented,
    away_bank,
    folder_bank,
    home_bank,
    joined,
    stranger_bank,
)
from trashbin.training.data import LABELS, fold_photos, read_photos
from trashbin.training.equalize import SHARE, equalize, relu_stem
from trashbin.training.evaluate import (
    Scores,
    TFLite,
    choose_rules,
    fit_temperature,
    fold_banks,
    report,
    risk_and_coverage,
    run_bank,
    strangers,
)
from trashbin.training.index import write_index, write_rehearsal
from trashbin.training.model import Architecture, MobileNetV3, load, save, without_dead_gates
from trashbin.training.quantize import PIXEL, Exported
from trashbin.training.train import limited


@dataclass(frozen=True)
class Round:
    """Runs from one beginning, whose mean the next round begins from."""

    seeds: tuple[int, ...]
    steps: int
    rate: float
    average: float


# the first begins from the start network, the others from what the first has tuned
TEACHERS = (
    train.Recipe(epochs=12),
    train.Recipe(epochs=9, with_val=1, home_each=2, drawn_each=3, average=0.99),
    train.Recipe(epochs=6, with_val=1, home_each=2, average=0.995, seed=3),
)
ROUNDS = (Round((0, 1), 2700, 5e-4, 0.997), Round((2, 3), 900, 3e-4, 0.997))


@dataclass(frozen=True)
class Plan:
    """Every number that the way depends on, but those of ``train.Recipe`` and ``distil.Course``."""

    size: int = 192  # of the input, pixels
    max_macs: int = 108_000_000
    max_weights: int = 1_985_000
    bytes_matter: float = 0.1
    ratios: tuple[float, ...] = (0.8, 0.65, 0.35)  # of the multiply-adds, measured beside it
    composites: int = 6  # of each photograph, in each of two sets
    home_views: int = 12  # of each photograph
    strangers: int = 1200  # in each of two sets
    drawn_views: int = 24  # of each rendered scene, where there are any
    rounds: tuple[Round, ...] = ROUNDS
    settle_steps: int = 400
    share: float = SHARE  # see ``equalize``
    index_away: int = 2  # composites of each photograph that the familiarity index draws from
    teachers: tuple[train.Recipe, ...] = TEACHERS
    limit: int = 0  # photographs of each fold at most (0: all), for tests
    workers: int = 2


@dataclass(frozen=True)
class Work:
    """The folders of one run."""

    root: Path
    weights: Path
    cache: Path
    folder: Path
    out: Path
    drawn: Path | None = None  # rendered scenes, by label, to train on as well

    def log(self, stage: str, facts: Mapping[str, Any]) -> None:
        """Prints a line, and adds it to the log."""
        entry = {"stage": stage, "at": time.strftime("%H:%M:%S"), **facts}
        print(json.dumps(entry), flush=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


@dataclass(frozen=True)
class Banks:
    """Photographs and composites that train (folds train and val), and things of no class."""

    home: Bank
    away: tuple[Bank, ...]  # apart: together they would not fit into a small machine's memory
    none: tuple[Bank, ...]
    drawn: Bank | None


def banks(work: Work, plan: Plan) -> Banks:
    """What all stages but the teacher's train on. Val chooses nothing here, so it trains too."""
    photos = read_photos(work.root)
    folds = [limited(fold_photos(photos, fold), plan.limit) for fold in ("train", "val")]
    make = partial(away_bank, work.root, fold="train", each=plan.composites, cache=work.cache)
    away = tuple(
        make(photos=part, seed=seed, workers=plan.workers) for seed in (0, 1) for part in folds
    )
    home = [home_bank(work.root, part, work.cache) for part in folds]
    count = plan.limit or plan.strangers
    none = tuple(stranger_bank(count, "train", work.cache, seed, plan.workers) for seed in (0, 2))
    drawn = folder_bank(work.drawn) if work.drawn else None
    return Banks(joined(*home), away, none, drawn)


def measure(work: Work, plan: Plan) -> Callable[[nn.Module], dict[str, float]]:
    """Accuracy on the calib fold, at home and away."""
    pair = fold_banks(work.root, work.cache, "calib", plan.limit)

    def of(model: nn.Module) -> dict[str, float]:
        device = next(model.eval().parameters()).device
        shift = -PIXEL / 2 if isinstance(model, Exported) else 0.0
        out = {}
        for name, bank in zip(("home", "away"), pair, strict=True):
            right = 0
            for k in range(0, len(bank), 64):
                x = as_input([np.asarray(p) for p in bank.pictures[k : k + 64]], plan.size)
                with torch.no_grad():
                    logits = model.head(model.features(x.add_(shift).to(device)))
                said = logits.argmax(1).cpu().numpy()
                right += int((said == bank.targets[k : k + 64]).sum())
            out[name] = round(right / len(bank), 4)
        return out

    return of


# -- the stages -----------------------------------------------------------------------------------


def teach(work: Work, plan: Plan) -> Path:
    """1. The fine-tuned network without pruning: the mean of runs that a first one begins."""
    file = work.folder / "teacher.pt"
    if not file.exists():
        runs: list[Path] = []
        for number, recipe in enumerate(plan.teachers):
            run = work.folder / f"teacher-{number}"
            begin = work.folder / "teacher-0" / "tuned.pt" if number else None
            recipe = replace(recipe, limit=plan.limit, threads=plan.workers)
            drawn = work.drawn if number else None
            train.train(work.root, work.weights, work.cache, run, recipe, drawn, first=begin)
            runs.append(run)
        model = MobileNetV3()
        state = torch.load(train.soup(runs[1:] or runs, work.folder / "teacher"), weights_only=True)
        model.load_state_dict(state)
        save(model, file)
    return file


def _batches(data: Banks, size: int, count: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Photographs and composites in turn, 32 at a time."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        bank = (data.home, data.away[0])[k % 2]
        rows = rng.choice(len(bank), min(32, len(bank)), replace=False)
        pictures = [augmented(rng, bank.pictures[i], bank.home) for i in rows]
        yield as_input(pictures, size), torch.from_numpy(bank.targets[rows])


def cut(work: Work, plan: Plan, teacher: Path, data: Banks) -> Path:
    """2. The pruned network, before any training."""
    file = work.folder / "pruned.pt"
    if not file.exists():
        whole = without_dead_gates(load(teacher)).eval()
        whole.architecture = replace(whole.architecture, input_size=plan.size)
        found = prune.weigh(whole, _batches(data, plan.size, 32))
        of = measure(work, plan)

        def within(max_macs: float, max_weights: int) -> MobileNetV3:
            kept = prune.choose(whole, found, int(max_macs), max_weights, plan.bytes_matter)
            small = prune.cut(whole, found, kept)
            small.eval()
            table = small.architecture
            facts = {"multiply_adds": table.multiply_adds(), "weights": table.weights()}
            work.log("prune", facts | {"calib": of(small)})
            return small

        work.log("teacher", {"input": plan.size, "calib": of(whole)})
        for ratio in plan.ratios:
            within(ratio * whole.architecture.multiply_adds(), whole.architecture.weights())
        small = within(plan.max_macs, plan.max_weights)
        x = torch.cat([x for x, _ in _batches(data, plan.size, 2, seed=1)])
        save(relu_stem(small, x), file)
        work.log("relu stem", {"calib": of(load(file))})
    return file


def look(work: Work, plan: Plan, teacher: Path, data: Banks) -> views.Views:
    """3. Views of everything, with both teachers' answers."""
    start = work.weights / "mobilenetv3_large_imagenet_folded.npz"
    make = partial(views.make, size=plan.size, teacher=teacher, start=start, workers=plan.workers)
    folder = work.folder / "views"
    made = [make(data.home, plan.home_views, out=folder / "home")]
    for name, parts in (("away", data.away), ("none", data.none)):
        made += [make(bank, 1, out=folder / f"{name}-{k}") for k, bank in enumerate(parts)]
    if data.drawn:
        made.append(make(data.drawn, plan.drawn_views, out=folder / "drawn"))
    return views.read(made, folder / "pictures.npy")


def grow(work: Work, plan: Plan, pruned: Path, seen: views.Views) -> Path:
    """4. Trained in rounds: from several seeds each, the mean of all begins the next."""
    of, begin = measure(work, plan), pruned
    for number, each in enumerate(plan.rounds, 1):
        file = work.folder / f"round-{number}.pt"
        if not file.exists():
            runs = []
            for seed in each.seeds:
                course = distil.Course(
                    steps=each.steps, rate=each.rate, average=each.average, home=0.5, seed=seed
                )
                out = work.folder / f"round-{number}-seed-{seed}"
                runs.append(distil.distil(load(begin), seen, course, out, of))
                work.log("train", {"round": number, "seed": seed, "calib": of(runs[-1])})
            mean = load(begin)
            with torch.no_grad():
                for into, *parts in zip(*(m.parameters() for m in (mean, *runs)), strict=True):
                    into.copy_(torch.stack(parts).mean(0))
            work.log("mean", {"round": number, "calib": of(mean)})
            save(mean, file)
        begin = file
    return begin


def settle(work: Work, plan: Plan, trained: Path, data: Banks, seen: views.Views) -> Path:
    """5. The parent of what ships: weights that live with int8, and the ranges."""
    file = work.folder / "parent.npz"
    if not file.exists():
        xs = [x for x, _ in _batches(data, plan.size, 3, seed=2)]
        exported = Exported(equalize(load(trained).eval(), xs, plan.share)).eval()
        shifted = [x.sub(PIXEL / 2) for x in xs]
        exported.choose_ranges(shifted)
        told = exported.refine_ranges(shifted[0][:24])
        work.log("ranges", {"narrowed": told, "calib": measure(work, plan)(exported)})
        course = distil.Course(
            steps=plan.settle_steps,
            rate=1e-4,
            home=0.5,
            average=0.99,
            bfloat16=False,
            shift=-PIXEL / 2,
            save_every=100,
        )
        done = distil.distil(exported, seen, course, work.folder / "settle", measure(work, plan))
        assert isinstance(done, Exported)
        work.log("settle", {"calib": measure(work, plan)(done)})
        ranges = [(float(r.low), float(r.high)) for r in done.ranges()]
        export.write_parent(done.network(), ranges, file)
    return file


def ship(work: Work, plan: Plan, parent: Path) -> None:
    """6. Files, index, temperature, thresholds and manifest in the model folder."""
    out, size = work.out, plan.size
    out.mkdir(parents=True, exist_ok=True)
    if parent != out / "parent.npz":
        shutil.copyfile(parent, out / "parent.npz")
    _, exported = export.read_parent(parent)
    files = export.write_variants(exported, out, work.folder / "float32.tflite")
    for path in files.values():
        speed.must_be_taken_whole(path)
    int8 = TFLite(files["int8"], size, "int8")
    known = known_things(int8, work, plan)
    nothing = run_bank(int8, stranger_bank(plan.limit or plan.strangers, "train", work.cache))
    write_index(
        known.features[:, 0], known.targets, nothing.features[:, 0], out / "familiarity.npz"
    )
    write_rehearsal(known.features.mean(1), known.targets, out / "rehearsal.npz")
    familiar = parse((out / "familiarity.npz").read_bytes())
    pair = [run_bank(int8, bank) for bank in fold_banks(work.root, work.cache, "calib", plan.limit)]
    none = run_bank(int8, strangers(work.cache, "calib", plan.limit))
    share = np.concatenate([np.full(len(s), 0.5 / len(s)) for s in pair])
    temperature = round(fit_temperature(Scores.joined(*pair), share), 4)
    rules = choose_rules(pair[0], pair[1], none, familiar, temperature)
    facts: dict[str, Any] = {"fold": "calib", "variant": "int8", "bound": "none: observed"}
    for name, scores in zip(("home", "away"), pair, strict=True):
        facts[name] = {"items": len(scores)} | risk_and_coverage(scores, familiar, rules)
    entries = {
        name: export.golden_entries(path, size, export.VARIANTS[name], temperature, familiar)
        for name, path in files.items()
    }
    export.write_manifest(
        out,
        {
            "schema": "trashbin.model/1",
            "name": out.name,
            "version": export.VERSION,
            "created": export.CREATED,
            "labels": list(LABELS),
            "input": export.input_entry(size),
            "output": {
                "kind": "logits",
                "temperature": temperature,
                "features": exported.architecture.last,
            },
            "thresholds": {
                "gap": rules.gap,
                "top1": rules.top1,
                "familiarity": rules.familiarity,
            },
            "calibration": facts,
            "variants": {
                name: export.describe(path, export.VARIANTS[name], entries[name])
                for name, path in files.items()
            },
            "familiarity": export.file_entry(out / "familiarity.npz"),
            "rehearsal": export.file_entry(out / "rehearsal.npz"),
            "sources": export.SOURCES,
        },
    )
    work.log("export", {"rules": rules.__dict__, "calib": facts})


def known_things(file: TFLite, work: Work, plan: Plan) -> Scores:
    """What the file says of the photographs that trained, and of some composites of them."""
    photos, said = read_photos(work.root), []
    for fold in ("train", "val"):
        part = limited(fold_photos(photos, fold), plan.limit)
        away = away_bank(
            work.root, part, "train", plan.index_away, work.cache, workers=plan.workers
        )
        said += [run_bank(file, home_bank(work.root, part, work.cache)), run_bank(file, away)]
    return Scores.joined(*said)


def everything(work: Work, plan: Plan, teacher: Path | None = None) -> None:
    """All stages. `teacher` is a network to use in place of stage 1's."""
    torch.set_num_threads(plan.workers)
    work.folder.mkdir(parents=True, exist_ok=True)
    master = teacher or teach(work, plan)
    data = banks(work, plan)
    pruned = cut(work, plan, master, data)
    seen = look(work, plan, master, data)
    trained = grow(work, plan, pruned, seen)
    parent = settle(work, plan, trained, data, seen)
    ship(work, plan, parent)
    shutil.copyfile(work.folder / "log.jsonl", work.out / "training-log.jsonl")


def check(work: Work, plan: Plan, shipped: Path) -> int:
    """Makes a model folder's files again from its parent and compares them; 1 where one differs."""
    ship(work, plan, shipped / "parent.npz")
    status = 0
    for made in sorted(work.out.iterdir()):
        wanted = shipped / made.name
        same = wanted.exists() and wanted.read_bytes() == made.read_bytes()
        print(f"{made.name}: {'the same bytes' if same else 'DIFFERS from what ships'}")
        status |= not same
    return status


def facts(work: Work, plan: Plan, folder: Path) -> dict[str, Any]:
    """Everything that the card tells of a model folder, measured on the test fold."""
    network, exported = export.read_parent(folder / "parent.npz")
    parent = work.folder / "float32.tflite"
    if not parent.exists():
        exported.set_mode("pass")
        export.convert(exported, exported.architecture.input_size, parent)
    out = report(work.root, folder, work.cache, "test", parent, plan.limit)
    shape, whole = network.architecture, Architecture()
    out["architecture"] = {"multiply_adds": shape.multiply_adds(), "weights": shape.weights()}
    unpruned = speed.write_reference(work.weights, work.folder / "unpruned-float32")
    files = {"unpruned float32": (unpruned, whole.input_size, whole.multiply_adds())}
    own = {"float32": parent} | {name: folder / f"{name}.tflite" for name in export.VARIANTS}
    files |= {n: (path, shape.input_size, shape.multiply_adds()) for n, path in own.items()}
    out["speed"] = speed.table(files)
    return out
