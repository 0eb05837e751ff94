"""python -m trashbin.training report | evaluate | reference | split"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from trashbin import whole_file
from trashbin.model import manifest
from trashbin.training.command import count, plainly, share
from trashbin.training.data import (
    FOLDS,
    LABELS,
    LARGE,
    LITE,
    data_folder,
    empty_fold,
    fold_photos,
    lacking,
    limited,
    link_fold,
    load_pictures,
    read_photos,
    weights_folder,
)

MODEL = Path("models/trashnet-mobilenetv3-large")
WORK = Path(".cache/training")


def parser() -> argparse.ArgumentParser:
    """Every verb and its options."""
    out = argparse.ArgumentParser(
        prog="python -m trashbin.training", description="Train, export and measure the network."
    )
    verbs = out.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(
            name,
            help=text,
            description=text,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        made.add_argument(
            "--data", type=Path, default=data_folder(), help="TrashNet folder with groups.csv"
        )
        return made

    def cached(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "--cache", type=Path, default=WORK / "pictures", help="decoded pictures and composites"
        )

    def weighted(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "--weights", type=Path, default=weights_folder(), help="folder of the start weights"
        )

    report = verb(
        "report",
        "Train, prune, quantize, export, measure, and write the model card: everything. Goes on "
        "where it was cut off. It is made for a GPU: on a few cores it takes days.",
    )
    weighted(report)
    cached(report)
    report.add_argument(
        "--quick",
        action="store_true",
        help="train nothing: make the files of --model again from its parent.npz, compare them "
        "with what is there, and measure",
    )
    report.add_argument("--model", type=Path, default=MODEL, help="folder that --quick checks")
    report.add_argument("--work", type=Path, default=WORK / "run", help="folder of the stages")
    report.add_argument(
        "--out", type=Path, default=WORK / MODEL.name, help="model folder to write, but by --quick"
    )
    report.add_argument(
        "--drawn",
        type=Path,
        help="rendered scenes to train on too (python -m trashbin.training.drawn --out DIR, with "
        "bpy 5.0.1, which is Blender as a module)",
    )
    report.add_argument(
        "--effort", type=share, default=1.0, help="share of the steps of every training"
    )
    report.add_argument(
        "--workers",
        type=count(1),
        default=max(1, (os.cpu_count() or 1) - 3),
        help="processes that make composites all the time",
    )
    report.add_argument(
        "--limit",
        type=count(0),
        default=0,
        help="photographs a fold, to try it out; with --quick the card stays as it is",
    )
    report.add_argument("--json", type=Path, help="also write every figure here")

    evaluate = verb(
        "evaluate", "Measure an exported model on a fold, at home and away; prints the tables."
    )
    cached(evaluate)
    evaluate.add_argument("--model", type=Path, default=MODEL, help="model folder")
    evaluate.add_argument("--fold", choices=FOLDS, default="test", help="which fold")
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of tables")

    reference = verb(
        "reference",
        "Write a model folder with the unpruned float32 network at 224 x 224, for "
        "`trashbin bench --model`.",
    )
    weighted(reference)
    reference.add_argument("--out", type=Path, default=WORK / "unpruned-float32", help="folder")

    split = verb(
        "split",
        "List a fold's photographs, or write it as folders of links for `trashbin evaluate`.",
    )
    split.add_argument("--fold", choices=FOLDS, default="test", help="which fold")
    split.add_argument(
        "--out",
        type=Path,
        help="folder to write OUT/<label>/<file> links into; without it the paths are printed",
    )
    return out


def report(args: argparse.Namespace) -> int:
    """The whole way, or its check; the exit status."""
    photos = read_photos(args.data)
    for fold in FOLDS:  # a photograph that cannot be used is told now, not when its turn comes
        load_pictures(args.data, limited(fold_photos(photos, fold), args.limit), args.cache)
    from trashbin.training import recipe
    from trashbin.training.card import write_card
    from trashbin.training.evaluate import tables

    plan = recipe.Plan(limit=args.limit)
    out = args.work / "quick" / args.model.name if args.quick else args.out
    work = recipe.Work(args.data, args.weights, args.cache, args.work, out, args.drawn)
    status = 0
    if args.quick:
        status = recipe.check(work, plan, args.model)
    else:
        from trashbin.training import patient, stock

        numbers = stock.Numbers(workers=args.workers)
        parent = patient.everything(work, patient.Plan(cut=plan, stock=numbers, effort=args.effort))
        recipe.ship(work, plan, parent)
        shutil.copyfile(work.folder / "log.jsonl", work.out / "training-log.jsonl")
    folder = args.model if args.quick else out
    facts = recipe.facts(work, plan, folder)
    if args.json:
        args.json.write_text(json.dumps(facts, indent=1) + "\n")
    if args.quick and args.limit:  # a few photographs' figures are none for the card that is there
        print(f"\n{tables(facts)}")
    else:
        print(f"\n{write_card(args.data, folder, facts).read_text()}")
    return status


def refused(args: argparse.Namespace) -> str | None:
    """Why what was asked for cannot be done; None where it can be begun."""
    trains = args.verb == "report" and not args.quick
    if args.verb != "reference" and (why := lacking(args.data)):
        return why
    measured = FOLDS if args.verb == "report" else [args.fold] if args.verb == "evaluate" else []
    if measured and (why := empty_fold(args.data, measured)):
        return why
    for name in ((LARGE, LITE) if trains else (LARGE,)) if "weights" in args else ():
        if not (args.weights / name).is_file():
            return (
                f"{args.weights}: has no {name}; name the folder of the start weights with "
                "--weights (the model card's Sources tell what they are)"
            )
    if args.verb == "evaluate" or (args.verb == "report" and args.quick):
        if not (args.model / "manifest.json").is_file():
            return f"{args.model}: has no manifest.json; name a model's folder with --model"
        if manifest.read_manifest(args.model / "manifest.json").familiarity is None:
            return f"{args.model}: has no familiarity index, which is measured too"
    if (
        trains
        and args.drawn
        and not any(any(args.drawn.glob(f"{label}/*.jpg")) for label in LABELS)
    ):
        return f"{args.drawn}: has no <label>/*.jpg; name rendered scenes with --drawn"
    if args.verb == "report":
        args.work.mkdir(parents=True, exist_ok=True)
    return begun_otherwise(args) if trains else None


def begun_otherwise(args: argparse.Namespace) -> str | None:
    """Why a work folder's run cannot go on with these numbers; a new run's are noted there.

    A stage that is done is not done again, so that a trial's network would be taken for the whole.
    """
    paths = {
        name: path and str(path.resolve())
        for name, path in (("data", args.data), ("drawn", args.drawn))
    }
    given = paths | {"effort": args.effort, "limit": args.limit}
    note: Path = args.work / "begun.json"
    if not note.exists():
        whole_file.write(note, json.dumps(given) + "\n")
        return None
    try:
        was = {name: json.loads(note.read_text())[name] for name in given}
    except (ValueError, TypeError, KeyError):
        return f"{note}: is damaged; name another --work, or delete the whole folder"
    changed = ", ".join(f"--{name} {was[name]}" for name in given if was[name] != given[name])
    if not changed:
        return None
    return f"{args.work}: holds a run begun with {changed}; go on so, or name another --work"


def main() -> int:
    """Runs one verb; the exit status."""
    told = parser()
    args = told.parse_args()

    def begun() -> int:
        if why := refused(args):
            told.error(why)
        return run(args)

    return plainly(begun)


def run(args: argparse.Namespace) -> int:
    """One verb, whose needs are there; the exit status."""
    if args.verb == "report":
        return report(args)
    if args.verb == "split":
        if args.out:
            print(
                f"{link_fold(args.data, args.fold, args.out)} photographs linked under {args.out}"
            )
        else:
            print("\n".join(photo.path for photo in fold_photos(read_photos(args.data), args.fold)))
    elif args.verb == "reference":
        from trashbin.training.speed import write_reference

        print(f"wrote {write_reference(args.weights, args.out)}")
    else:
        from trashbin.training.evaluate import report as measure
        from trashbin.training.evaluate import tables

        facts: dict[str, Any] = measure(args.data, args.model, args.cache, args.fold)
        print(json.dumps(facts, indent=1) if args.json else tables(facts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
