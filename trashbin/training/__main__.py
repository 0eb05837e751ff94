"""python -m trashbin.training train | export | evaluate | split"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

from trashbin.training.data import FOLDS, data_folder, link_fold, weights_folder

MODEL = Path("models/trashnet-mobilenetv3-large")


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

    train = verb(
        "train",
        "Probe, fine-tune and interpolate; writes RUN/model.pt and RUN/run.json. "
        "Goes on where it was cut off.",
    )
    train.add_argument(
        "--weights", type=Path, default=weights_folder(), help="folder of the start weights"
    )
    train.add_argument(
        "--run", type=Path, default=Path(".cache/training/first"), help="folder of this run"
    )
    train.add_argument(
        "--cache",
        type=Path,
        default=Path(".cache/training/pictures"),
        help="decoded pictures and composites",
    )
    train.add_argument("--drawn-train", type=Path, help="rendered scenes to train on (see drawn)")
    train.add_argument("--drawn-val", type=Path, help="rendered scenes that help to choose")
    train.add_argument("--first", type=Path, help="begin from the tuned.pt of another run")
    from trashbin.training.train import Recipe

    for field in fields(Recipe):
        if isinstance(field.default, (int, float)):
            train.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                default=field.default,
                help=" ",
            )

    soup = verb("soup", "Average the tuned networks of several runs into one.")
    soup.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    soup.add_argument(
        "--run", type=Path, default=Path(".cache/training/soup"), help="folder to write"
    )

    export = verb(
        "export", "Write the .tflite files and the manifest of a run, calibrated on the calib fold."
    )
    export.add_argument(
        "--run", type=Path, default=Path(".cache/training/first"), help="folder of the run"
    )
    export.add_argument(
        "--cache",
        type=Path,
        default=Path(".cache/training/pictures"),
        help="decoded pictures and composites",
    )
    export.add_argument("--out", type=Path, default=MODEL, help="model folder to write")

    evaluate = verb(
        "evaluate",
        "Measure an exported model on a held-out fold, at home and away; prints the card's tables.",
    )
    evaluate.add_argument("--model", type=Path, default=MODEL, help="model folder")
    evaluate.add_argument(
        "--cache",
        type=Path,
        default=Path(".cache/training/pictures"),
        help="decoded pictures and composites",
    )
    evaluate.add_argument("--fold", choices=FOLDS, default="test", help="which fold")
    evaluate.add_argument(
        "--card", type=Path, help="also write the card; FILE says how it was trained"
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of tables")

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


def main() -> int:
    """Runs one verb; the exit status."""
    args = parser().parse_args()
    if args.verb == "split":
        if args.out:
            print(
                f"{link_fold(args.data, args.fold, args.out)} photographs linked under {args.out}"
            )
        else:
            from trashbin.training.data import fold_photos, read_photos

            print("\n".join(photo.path for photo in fold_photos(read_photos(args.data), args.fold)))
    elif args.verb == "train":
        from trashbin.training.train import Recipe, train

        recipe = Recipe(
            **{f.name: getattr(args, f.name) for f in fields(Recipe) if hasattr(args, f.name)}
        )
        folders = (args.data, args.weights, args.cache, args.run)
        print(f"wrote {train(*folders, recipe, args.drawn_train, args.drawn_val, args.first)}")
    elif args.verb == "soup":
        from trashbin.training.train import soup

        print(f"wrote {soup(args.runs, args.run)}")
    elif args.verb == "export":
        from trashbin.training.export import export

        export(args.data, args.run, args.cache, args.out)
    else:
        from trashbin.training.card import write_card
        from trashbin.training.evaluate import report, tables

        facts = report(args.data, args.model, args.cache, args.fold)
        print(json.dumps(facts, indent=1) if args.json else tables(facts))
        if args.card:
            print(f"wrote {write_card(args.data, args.model, facts, args.card.read_text())}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
