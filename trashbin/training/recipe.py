"""From a trained parent to the files that ship, and to what the model card tells of them.

How the parent comes about is in ``patient``. Here are the shape that it is pruned to, the folders
of a run, its log, and the last stage: temperature, thresholds, familiarity index, files and
manifest (`ship`); the same made again and compared (`check`), and measured (`facts`).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from trashbin.events import timestamp
from trashbin.model.familiarity import parse
from trashbin.model.manifest import Manifest, read_manifest
from trashbin.training import export, speed
from trashbin.training.bank import as_input, away_bank, home_bank, stranger_bank
from trashbin.training.data import LABELS, fold_photos, limited, read_photos
from trashbin.training.evaluate import TFLite, fold_banks, report, run_bank, strangers
from trashbin.training.index import write_index, write_rehearsal
from trashbin.training.model import Architecture
from trashbin.training.quantize import PIXEL, Exported
from trashbin.training.scores import Scores, choose_rules, fit_temperature, risk_and_coverage


@dataclass(frozen=True)
class Plan:
    """The shape that is pruned to, and what the export draws on."""

    size: int = 160  # of the input, pixels
    max_macs: int = 108_000_000
    max_weights: int = 1_985_000  # 2.5 MB as int8, biases and scales included
    bytes_matter: float = 1.0
    index_away: int = 2  # composites of each photograph that the familiarity index draws from
    strangers: int = 1200  # things of no class that it is centred on
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
        tqdm.write(json.dumps(entry))  # above the bar, where one is shown
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def measure(work: Work, plan: Plan) -> Callable[[nn.Module], dict[str, float]]:
    """Accuracy on the calib fold, at home and away."""
    pair = fold_banks(work.root, work.cache, "calib", plan.limit)

    def of(model: nn.Module) -> dict[str, float]:
        device = next(model.eval().parameters()).device
        shift = -PIXEL / 2 if isinstance(model, Exported) else 0.0
        out = {}
        for name, bank in zip(("home", "away"), pair, strict=True):
            right, shown = 0, [np.asarray(picture) for picture in bank.shown()]
            for k in range(0, len(bank), 64):
                x = as_input(shown[k : k + 64], plan.size)
                with torch.no_grad():
                    logits = model.head(model.features(x.add_(shift).to(device)))
                said = logits.argmax(1).cpu().numpy()
                right += int((said == bank.targets[k : k + 64]).sum())
            out[name] = round(right / len(bank), 4)
        return out

    return of


def ship(work: Work, plan: Plan, parent: Path, again: Manifest | None = None) -> None:
    """Files, index, temperature, thresholds and manifest in the model folder.

    A new network's version is its day, as it is none of ours; one that is made ``again`` has what
    its manifest says.
    """
    made = timestamp(datetime.now(UTC))
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
            "version": again.version if again else made[:10],
            "created": again.created if again else made,
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


def check(work: Work, plan: Plan, shipped: Path) -> int:
    """Makes a model folder's files again from its parent and compares them; 1 where one differs."""
    ship(work, plan, shipped / "parent.npz", read_manifest(shipped / "manifest.json"))
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
