"""What an exported file does on held-out folds: the numbers of the model card.

Everything here goes through the shipped preprocessing and the .tflite itself. A score is only
reported on groups that chose neither weights, checkpoint, temperature nor threshold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from tqdm import tqdm

from trashbin.alone import closer_counts, stands_out
from trashbin.errors import ModelError
from trashbin.looking import TURNS
from trashbin.model.familiarity import Familiarity, parse
from trashbin.model.runtime import Output
from trashbin.pictures import read as read_picture
from trashbin.preprocess import InputSpec, close_up, to_tensor
from trashbin.training.bank import Bank, away_bank, home_bank, stranger_bank
from trashbin.training.data import (
    LABELS,
    Fold,
    Image,
    fold_photos,
    limited,
    read_photos,
)
from trashbin.training.scores import (
    Floats,
    Rules,
    Scores,
    acts,
    auroc,
    expected_calibration_error,
    familiarities,
    familiarity,
    gaps,
    risk_and_coverage,
    rules_of,
    shares_of,
    wilson,
)

AWAY_EACH = {"train": 6, "val": 3, "calib": 6, "test": 3}  # composites of each photograph
STRANGERS = 300  # things of no class, for each fold but train
MOST_WRONG = 12  # pictures that are named


class TFLite:
    """One .tflite with logits and features, one picture at a time, one thread.

    `dtype` is its input's; the pixels come as `quantize.Exported` has them, `restored` or not.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        dtype: str,
        *,
        reference: bool = False,
        restored: bool = True,
    ) -> None:
        kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        try:
            self.interpreter = Interpreter(
                str(path), num_threads=1, experimental_op_resolver_type=kind
            )
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: ai-edge-litert refuses it ({error})") from error
        self.spec = InputSpec(size, size, "RGB", dtype, 1 / 127.5, -128 / 127.5, restored)  # type: ignore[arg-type]
        self.input = self.interpreter.get_input_details()[0]["index"]
        details = self.interpreter.get_output_details()
        few, many = sorted(details, key=lambda each: int(each["shape"][-1]))
        self.logits, self.features = Output(few, np.float64), Output(many, np.float32)

    def views(self, picture: Image) -> tuple[Floats, NDArray[np.float32]]:
        """Logits (V, 6) and features (V, F) of a picture, turned as by the daemon."""
        logits, features = zip(*(self.run(picture, turns) for turns in range(TURNS)), strict=True)
        return np.stack(logits), np.stack(features)

    def run(self, picture: Image, turns: int = 0) -> tuple[Floats, NDArray[np.float32]]:
        """Logits (6,) and features (F,) for one RGB uint8 picture of any size."""
        self.interpreter.set_tensor(self.input, to_tensor(picture, self.spec, turns))
        self.interpreter.invoke()
        return self.logits.read(self.interpreter), self.features.read(self.interpreter)


def open_variant(folder: Path, variant: str) -> TFLite:
    """A file of a model folder, as its manifest describes it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    entry, given = manifest["variants"][variant], manifest["input"]
    dtype, restored = entry.get("dtype") or given["dtype"], given.get("restored", False)
    return TFLite(folder / entry["file"], given["width"], dtype, restored=restored)


def fold_banks(root: Path, cache: Path, fold: Fold, limit: int = 0) -> tuple[Bank, Bank]:
    """A fold's photographs, and composites of them on the fold's own families of background."""
    photos = limited(fold_photos(read_photos(root), fold), limit)
    return home_bank(root, photos, cache), away_bank(root, photos, fold, AWAY_EACH[fold], cache)


def strangers(cache: Path, fold: Fold, limit: int = 0) -> Bank:
    """Things of no class on the fold's families of background."""
    return stranger_bank(limit or STRANGERS, fold, cache, seed=1)


def run_bank(file: TFLite, bank: Bank) -> Scores:
    """What the file says to every picture of a bank, or to what lies there."""
    shown = tqdm(bank.shown(), "asking the file", len(bank), mininterval=5, leave=False)
    said = [file.views(picture) for picture in shown]
    logits, features = (np.stack(part) for part in zip(*said, strict=True))
    return Scores(logits, features, bank.targets, bank.photos)


def run_files(
    file: TFLite, index: Familiarity, root: Path, fold: Fold, limit: int = 0
) -> tuple[Scores, list[str]]:
    """The fold's photographs as they lie on disk, as `trashbin evaluate` sees them; their paths."""
    photos = limited(fold_photos(read_photos(root), fold), limit)
    said = [_views_alone(file, index, read_picture(root / photo.path)) for photo in photos]
    logits, features = (np.stack(part) for part in zip(*said, strict=True))
    targets = np.array([photo.target for photo in photos], np.int64)
    return Scores(logits, features, targets, np.arange(len(photos))), [p.path for p in photos]


def _views_alone(
    file: TFLite, index: Familiarity, picture: Image
) -> tuple[Floats, NDArray[np.float32]]:
    """Logits (V, 6) and features (V, F) of all of a picture, or of what stands out there."""
    whole, box = file.views(picture), stands_out(picture)
    if box is None:
        return whole
    near = file.views(close_up(picture, box))
    known = (familiarity(*said, index) for said in (whole, near))
    return near if closer_counts(*known) else whole


def report(
    root: Path, folder: Path, cache: Path, fold: Fold, parent: Path | None = None, limit: int = 0
) -> dict[str, Any]:
    """Every variant of a model folder on a fold: photographs on disk, composites, strangers.

    `parent` is the float32 file that the variants were made of, measured beside them.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    rules = rules_of(manifest)
    known = folder / manifest["familiarity"]["file"]
    try:
        index = parse(known.read_bytes())
    except ValueError as error:
        raise ModelError(f"{known}: {error}") from error
    out: dict[str, Any] = {"fold": fold, "model": manifest["name"], "version": manifest["version"]}
    files = {name: open_variant(folder, name) for name in manifest["variants"]}
    sizes = {name: entry["bytes"] for name, entry in manifest["variants"].items()}
    if parent:
        files["float32"] = TFLite(parent, manifest["input"]["width"], "float32")
        sizes["float32"] = parent.stat().st_size
    out["variants"], answers = {}, {}
    away_bank_, none_bank = fold_banks(root, cache, fold, limit)[1], strangers(cache, fold, limit)
    for name, file in files.items():
        home, paths = run_files(file, index, root, fold, limit)
        away, none = run_bank(file, away_bank_), run_bank(file, none_bank)
        answers[name] = np.concatenate(
            [shares_of(said, rules.temperature).argmax(1) for said in (home, away)]
        )
        out["variants"][name] = {"bytes": sizes[name]} | _variant(
            home, away, none, paths, index, rules
        )
    first, *others = answers.values()
    out["same_label"] = round(float(min((first == o).mean() for o in others)), 4)
    return out


def _variant(
    home: Scores, away: Scores, none: Scores, paths: list[str], index: Familiarity, rules: Rules
) -> dict[str, Any]:
    """The figures of one file, and what the plots are drawn from."""
    places = {"home": home, "away": away, "none": none}
    gap = {name: gaps(scores, rules.temperature)[0] for name, scores in places.items()}
    known = {name: familiarities(scores, index) for name, scores in places.items()}
    facts: dict[str, Any] = {name: _facts(places[name], index, rules) for name in ("home", "away")}
    facts["strangers"] = {
        "pictures": len(none),
        "acted": int(acts(none, index, rules).sum()),
        "auroc_familiarity": round(auroc(known["away"], known["none"]), 4),
        "auroc_gap": round(auroc(gap["away"], gap["none"]), 4),
    }
    shares = shares_of(home, rules.temperature)
    doubt = np.argsort(shares[np.arange(len(home)), home.targets])[:MOST_WRONG]
    facts["most_wrong"] = [
        {
            "path": paths[i],
            "said": LABELS[int(shares[i].argmax())],
            "share": round(float(shares[i].max()), 3),
        }
        for i in doubt
    ]
    labelled = {name: gaps(places[name], rules.temperature) for name in ("home", "away")}
    facts["curves"] = {
        "shares": {name: np.round(said[1], 4).tolist() for name, said in labelled.items()},
        "right": {name: said[2].tolist() for name, said in labelled.items()},
        "gap": {name: np.round(values, 4).tolist() for name, values in gap.items()},
        "familiarity": {name: np.round(values, 4).tolist() for name, values in known.items()},
    }
    return facts


def _facts(scores: Scores, index: Familiarity, rules: Rules) -> dict[str, Any]:
    said = shares_of(scores, rules.temperature).argmax(1)
    confusion = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(confusion, (scores.targets, said), 1)
    right = int((said == scores.targets).sum())
    return {
        "pictures": len(scores),
        "right": right,
        "right_by_one_view": int((scores.logits[:, 0].argmax(1) == scores.targets).sum()),
        "accuracy": round(right / len(scores), 4),
        "ci95": [round(v, 4) for v in wilson(right, len(scores))],
        "ece": round(expected_calibration_error(scores, rules.temperature), 4),
        "rule": risk_and_coverage(scores, index, rules),
        "confusion": confusion.tolist(),
    }


def tables(facts: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"Fold `{facts['fold']}`, {facts['model']} {facts['version']}.", ""]
    lines += [
        "| file | pictures of | n | right | accuracy (95 %) | acts on | wrong among acted | ECE "
        "| right by one view |",
        "|---|---|---|---|---|---|---|---|---|",
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
                f"| {rule['acted_wrong']} ({rule['acted_wrong'] / max(1, rule['acted']):.1%}) "
                f"| {f['ece']:.3f} "
                f"| {f['right_by_one_view']} |"
            )
    lines += ["", "| file | things of no class | acted on | AUROC of familiarity | of the gap |"]
    lines += ["|---|---|---|---|---|"]
    for name, variant in facts["variants"].items():
        f = variant["strangers"]
        lines.append(
            f"| {name} | {f['pictures']} | {f['acted']} "
            f"| {f['auroc_familiarity']:.3f} | {f['auroc_gap']:.3f} |"
        )
    lines += ["", f"The variants give the same label on {facts['same_label']:.1%} of the pictures."]
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
