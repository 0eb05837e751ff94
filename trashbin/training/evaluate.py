"""What an exported file does on held-out folds: the numbers of the model card.

Everything here goes through the shipped preprocessing and the .tflite itself. A score is only
reported on groups that chose neither weights, checkpoint, temperature nor threshold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from trashbin.preprocess import InputSpec, to_tensor
from trashbin.training.bank import Bank, away_bank, home_bank
from trashbin.training.data import LABELS, Fold, Image, fold_photos, read_photos, read_picture
from trashbin.training.model import INPUT_SIZE
from trashbin.training.train import limited

Floats = NDArray[np.float64]
SPEC = InputSpec(INPUT_SIZE, INPUT_SIZE, "RGB", "float32", 1 / 127.5, -1.0)
AWAY_EACH = {"train": 6, "val": 3, "calib": 2, "test": 3}  # composites of each photograph


@dataclass(frozen=True)
class Scores:
    """What a file said: logits (N, 6), targets (N,), photos (N,) as in the bank."""

    logits: Floats
    targets: NDArray[np.int64]
    photos: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    @staticmethod
    def joined(*parts: Scores) -> Scores:
        """Several banks as one."""
        return Scores(
            *(
                np.concatenate([getattr(p, name) for p in parts])
                for name in ("logits", "targets", "photos")
            )
        )


class TFLite:
    """One .tflite, one picture at a time, one thread."""

    def __init__(self, path: Path, reference: bool = False) -> None:
        kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        self.interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kind)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]

    def logits(self, picture: Image) -> Floats:
        """(6,) for one RGB uint8 picture of any size."""
        self.interpreter.set_tensor(self.input, to_tensor(picture, SPEC))
        self.interpreter.invoke()
        return np.asarray(self.interpreter.get_tensor(self.output)[0], np.float64)


def fold_banks(root: Path, cache: Path, fold: Fold, limit: int = 0) -> tuple[Bank, Bank]:
    """A fold's photographs, and composites of them on the fold's own families of background."""
    photos = limited(fold_photos(read_photos(root), fold), limit)
    return home_bank(root, photos, cache), away_bank(root, photos, fold, AWAY_EACH[fold], cache)


def run_bank(file: TFLite, bank: Bank) -> Scores:
    """What the file says to every picture of a bank."""
    logits = np.stack([file.logits(np.ascontiguousarray(p)) for p in bank.pictures])
    return Scores(logits, bank.targets, bank.photos)


def run_files(file: TFLite, root: Path, fold: Fold) -> tuple[Scores, list[str]]:
    """The fold's photographs as they lie on disk, as `trashbin evaluate` sees them; their paths."""
    photos = fold_photos(read_photos(root), fold)
    logits = np.stack([file.logits(read_picture(root / photo.path)) for photo in photos])
    targets = np.array([photo.target for photo in photos], np.int64)
    return Scores(logits, targets, np.arange(len(photos))), [photo.path for photo in photos]


# -- numbers --------------------------------------------------------------------------------------


def softmax(logits: Floats) -> Floats:
    """Shares along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float64)


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    )
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def fit_temperature(scores: Scores, weights: Floats) -> float:
    """The temperature with the smallest weighted log loss (Guo et al., ICML 2017), on a grid."""
    rows = np.arange(len(scores))

    def loss(temperature: float) -> float:
        shares = softmax(scores.logits / temperature)[rows, scores.targets]
        return float(-(weights * np.log(shares + 1e-12)).sum())

    return float(min(np.exp(np.linspace(np.log(0.2), np.log(5.0), 400)), key=loss))


def gaps(scores: Scores, temperature: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """gap, largest share, and whether the best label is right; (N,) each."""
    shares = softmax(scores.logits / temperature)
    ordered = np.sort(shares, 1)
    return ordered[:, -1] - ordered[:, -2], ordered[:, -1], shares.argmax(1) == scores.targets


def risk_and_coverage(
    scores: Scores, temperature: float, gap: float, top1: float
) -> dict[str, Any]:
    """What the rule (act where gap and largest share reach their thresholds) does."""
    g, t, right = gaps(scores, temperature)
    acts = (g >= gap) & (t >= top1)
    acted, wrong = int(acts.sum()), int((acts & ~right).sum())
    return {
        "accuracy": round(float(right.mean()), 4),
        "coverage": round(acted / max(1, len(scores)), 4),
        "acted": acted,
        "acted_wrong": wrong,
        "selective_risk": round(wrong / max(1, acted), 4),
    }


def choose_thresholds(
    scores: Scores, weights: Floats, temperature: float, max_risk: float
) -> dict[str, float]:
    """The lowest gap at which the weighted error among acted items is at most `max_risk`.

    The floor on the largest share is a plain half: it speaks where an owner sets the gap low.
    """
    g, _, right = gaps(scores, temperature)
    chosen = 0.95
    for gap in np.arange(0.90, 0.04, -0.01):
        acts = g >= gap
        risk = (weights * (acts & ~right)).sum() / max(1e-9, (weights * acts).sum())
        if risk > max_risk:
            break
        chosen = float(gap)
    return {"gap": round(chosen, 2), "top1": 0.5}


def expected_calibration_error(scores: Scores, temperature: float, bins: int = 10) -> float:
    """Mean distance of the largest share from the accuracy at that share."""
    _, top, right = gaps(scores, temperature)
    which = np.minimum((top * bins).astype(int), bins - 1)
    return float(
        sum(
            (which == b).mean() * abs(right[which == b].mean() - top[which == b].mean())
            for b in set(which.tolist())
        )
    )


def report(root: Path, folder: Path, cache: Path, fold: Fold) -> dict[str, Any]:
    """Every variant of a model folder on a fold: at home (files on disk) and away (composites)."""
    manifest = json.loads((folder / "manifest.json").read_text())
    temperature, thresholds = manifest["output"]["temperature"], manifest["thresholds"]
    out: dict[str, Any] = {
        "fold": fold,
        "model": manifest["name"],
        "version": manifest["version"],
        "variants": {},
    }
    for name, entry in manifest["variants"].items():
        file = TFLite(folder / entry["file"])
        home, paths = run_files(file, root, fold)
        away = run_bank(file, fold_banks(root, cache, fold)[1])
        facts: dict[str, Any] = {"bytes": entry["bytes"]}
        for place, scores in (("home", home), ("away", away)):
            answers = scores.logits.argmax(1)
            confusion = np.zeros((len(LABELS), len(LABELS)), int)
            np.add.at(confusion, (scores.targets, answers), 1)
            right = int((answers == scores.targets).sum())
            facts[place] = {
                "pictures": len(scores),
                "right": right,
                "accuracy": round(right / len(scores), 4),
                "ci95": [round(v, 4) for v in wilson(right, len(scores))],
                "ece": round(expected_calibration_error(scores, temperature), 4),
                "rule": risk_and_coverage(
                    scores, temperature, thresholds["gap"], thresholds["top1"]
                ),
                "confusion": confusion.tolist(),
            }
        shares = softmax(home.logits / temperature)
        doubt = np.argsort(shares[np.arange(len(home)), home.targets])[:8]
        facts["most_wrong"] = [
            {
                "path": paths[i],
                "said": LABELS[int(shares[i].argmax())],
                "share": round(float(shares[i].max()), 3),
            }
            for i in doubt
        ]
        out["variants"][name] = facts
    return out


def tables(facts: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"Fold `{facts['fold']}`, {facts['model']} {facts['version']}.", ""]
    lines += [
        "| file | pictures of | n | right | accuracy (95 %) | acts on | wrong among acted | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, variant in facts["variants"].items():
        for place, text in (
            ("home", "white board (photographs)"),
            ("away", "other backgrounds (composites)"),
        ):
            f, rule = variant[place], variant[place]["rule"]
            low, high = f["ci95"]
            lines.append(
                f"| {name} ({variant['bytes'] / 1e6:.2f} MB) | {text} "
                f"| {f['pictures']} | {f['right']} "
                f"| {f['accuracy']:.1%} ({low:.1%} to {high:.1%}) "
                f"| {rule['acted']} ({rule['coverage']:.0%}) "
                f"| {rule['acted_wrong']} ({rule['selective_risk']:.1%}) | {f['ece']:.3f} |"
            )
    first = next(iter(facts["variants"]))
    for place in ("home", "away"):
        confusion = np.array(facts["variants"][first][place]["confusion"])
        lines += ["", f"Confusion, {first}, {place} (rows: truth)", ""]
        lines += ["| | " + " | ".join(LABELS) + " | right |", "|---" * (len(LABELS) + 2) + "|"]
        for label, row in zip(LABELS, confusion, strict=True):
            right = row[LABELS.index(label)]
            low, high = wilson(int(right), int(row.sum()))
            lines.append(
                f"| {label} | "
                + " | ".join(map(str, row))
                + f" | {right}/{row.sum()} ({low:.0%} to {high:.0%}) |"
            )
    lines += ["", f"Most wrong on white board ({first}): "]
    lines += [
        f"- `{m['path']}`: {m['said']} ({m['share']:.2f})"
        for m in facts["variants"][first]["most_wrong"]
    ]
    return "\n".join(lines)
