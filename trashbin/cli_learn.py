"""The commands by which a bin comes to know its own tray: calibrate, teach, export-labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trashbin.cli_options import (
    EXIT_STATUSES,
    FOLDER,
    Number,
    config_option,
    give_one,
    json_option,
    model_option,
    same_bin,
    store_option,
)
from trashbin.errors import NoStoreError

if TYPE_CHECKING:
    from trashbin.settings import Config


class _Inside(Number):
    """A number between two bounds, both excluded."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high, min_open=True, max_open=True)


@click.command(epilog=EXIT_STATUSES)
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--risk",
    type=_Inside(0, 1),
    default=0.03,
    show_default=True,
    help="Of the items that are acted on, at most this share may be wrong.",
)
@click.option(
    "--confidence",
    type=_Inside(0.5, 1),
    default=0.95,
    show_default=True,
    help="How sure the promise shall be.",
)
@config_option()
@store_option
@model_option()
@json_option
def calibrate(
    folder: Path,
    risk: float,
    confidence: float,
    config: Path | None,
    store: Path | None,
    model: str | None,
    as_json: bool,
) -> int:
    """Choose gap and familiarity so that wrong sorts stay below a bound, and promise it.

    DIR holds pictures of this tray, one of each item, one folder a label (DIR/glass, DIR/metal
    ...), as they will fall into it and in like numbers; any other folder (DIR/unknown,
    DIR/food) holds things of no class, on which every act is wrong. Pictures that the bin kept
    show what its network saw; beside whole ones, pictures of the empty tray lie in DIR/empty.
    Told are the bound, how many items are acted on (coverage), and on how many this rests.
    Where the items do not support the promise nothing changes, and it is said how many would.

    The thresholds are written to calibration.json in the bin's store and hold from the next
    item on, in place of the model's. Thresholds, a head or a way of looking that are changed
    later withdraw the promise. With --json, one object: pictures, no_class, risk, confidence,
    bound, coverage, items, acted, acted_wrong, planning, thresholds, written; or bound null,
    needed and why.

    \b
    Examples:
      trashbin calibrate --config trashbin.yaml tray/
      trashbin calibrate --risk 0.01 --confidence 0.9 tray/
    """
    from trashbin import calibrate as body
    from trashbin import classify
    from trashbin.model.heads import Heads
    from trashbin.quiet import quiet
    from trashbin.settings import Look

    read = _read(config, store)
    if read is not None:
        _refuse_rules(read, config)
    with quiet():
        classifier = classify.network(read, model)
    where = _store(read, store)
    if where is not None:  # what is judged here is judged with the head that the bin wears
        Heads(where).dress(classifier)
    top1 = read.rules.top1 if read else None
    return body.run(
        folder,
        classifier,
        classifier.labels,
        classifier.thresholds.top1 if top1 is None else top1,
        risk,
        confidence,
        where,
        look=read.look if read else Look(),
        as_json=as_json,
        taught=classifier.taught,
    )


@click.command(epilog=EXIT_STATUSES)
@click.option("--back", is_flag=True, help="Take the last head back: its parent is worn again.")
@click.option("--dry-run", "dry", is_flag=True, help="Tell what would come of it; change nothing.")
@config_option()
@store_option
@model_option()
@json_option
def teach(
    back: bool,
    dry: bool,
    config: Path | None,
    store: Path | None,
    model: str | None,
    as_json: bool,
) -> int:
    """Learn this tray from the answers and corrections that people gave.

    The network's last layer is fitted anew to what the network saw of the answered items (no
    picture is needed) and of things that came with it, so that nothing is forgotten. Each item
    is judged by a fit that had not seen it: only where this shows that the new head is better,
    the bin wears it from the next item on; --back is the way back. About ten answers of each
    label are good. A calibrated promise is withdrawn until `trashbin calibrate` runs again.

    With teach: auto in the bin's YAML it learns by itself. With --json, one object: answers,
    why (null, or why nothing was changed), before, after, rehearsed, rehearsed_before,
    rehearsed_after and head (a digest, or null); or told, with --back.

    \b
    Examples:
      trashbin teach --config trashbin.yaml
      trashbin teach --back --config trashbin.yaml
    """
    if back and dry:
        raise click.UsageError("--back has no --dry-run: it takes the last head back. Give one.")
    from trashbin import settings, teaching
    from trashbin.model import tflite
    from trashbin.model.shelf import Shelf
    from trashbin.quiet import quiet

    read = _read(config, store)
    where = _store(read, store) or settings.Store().path
    section = read.model if read else settings.Model()
    with quiet():
        if model is None:
            classifier = Shelf(where).current(section)
        else:
            classifier = tflite.open_model(section, model)
    if back:
        return teaching.back(where, classifier, as_json=as_json)
    of = same_bin(config, store, model)
    return teaching.run(where, classifier, of=of, dry=dry, as_json=as_json)


@click.command("export-labels", epilog=EXIT_STATUSES)
@click.argument("folder", metavar="DIR", type=FOLDER)
@config_option()
@store_option
@json_option
def export_labels(folder: Path, config: Path | None, store: Path | None, as_json: bool) -> int:
    """Write the pictures of answered items into DIR, a folder a label.

    They are the pictures that the bin kept (pictures: keep); DIR/labels.csv lists every answered
    item, also those without a picture. For `trashbin calibrate`, or a full training. With --json,
    one object: items, pictures and labels.

    \b
    Example:
      trashbin export-labels --config trashbin.yaml tray/
    """
    from trashbin import export_labels as body
    from trashbin import settings

    read = _read(config, store)
    return body.run(_store(read, store) or settings.Store().path, folder, as_json=as_json)


def _refuse_rules(config: Config, file: Path | None) -> None:
    """What the YAML says stands above what is calibrated: then there is nothing to promise."""
    named = [key for key in ("gap", "familiarity") if getattr(config.rules, key) is not None]
    if named:
        raise click.UsageError(
            f"{file} sets rules: {' and '.join(named)}, which would stand above what is chosen "
            "here. Take it out of the file first."
        )


def _read(config: Path | None, store: Path | None) -> Config | None:
    """The bin's YAML, where it is named; a store beside it is refused before the file is read."""
    from trashbin import config as configuration

    give_one(config, store)
    return configuration.read(config) if config else None


def _store(config: Config | None, store: Path | None) -> Path | None:
    """The bin's store; None where no bin is named and there is none at the usual place."""
    from trashbin.settings import Store

    if config is not None:
        store = config.store.path
    if store is None:
        return Store().path if Store().path.is_dir() else None
    if not store.is_dir():
        raise NoStoreError(store)
    return store
