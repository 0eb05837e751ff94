"""The commands by which a bin comes to know its own tray: ``trashbin calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trashbin.cli_options import (
    EXIT_STATUSES,
    config_option,
    json_option,
    model_option,
    store_option,
)

if TYPE_CHECKING:
    from trashbin.settings import Config


class _Inside(click.FloatRange):
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

    DIR holds pictures of this tray, one folder a label (DIR/glass, DIR/metal ...), as they
    will fall into it and in like numbers; any other folder (DIR/unknown, DIR/food) holds
    things of no class, on which every act is wrong. Told are the bound, how many items are
    acted on (coverage), and on how many items this rests. Where the items do not support the
    promise nothing changes, and it is said how many would.

    The thresholds are written to calibration.json in the bin's store and hold from the next
    item on, in place of the model's. Thresholds or a head that are changed later withdraw the
    promise. With --json, one object: pictures, no_class, risk, confidence, bound, coverage,
    items, acted, acted_wrong, planning, thresholds, written; or bound null, needed and why.

    \b
    Examples:
      trashbin calibrate --config trashbin.yaml tray/
      trashbin calibrate --risk 0.01 --confidence 0.9 tray/
    """
    from trashbin import calibrate as body
    from trashbin import classify
    from trashbin import config as configuration
    from trashbin.quiet import quiet

    read = configuration.read(config) if config else None
    if read is not None:
        _refuse_rules(read, config)
    with quiet():
        classifier, _ = classify.opened(config, model)
    top1 = read.rules.top1 if read else None
    return body.run(
        folder,
        classifier,
        classifier.labels,
        classifier.thresholds.top1 if top1 is None else top1,
        risk,
        confidence,
        _store(read, store),
        as_json=as_json,
    )


def _refuse_rules(config: Config, file: Path | None) -> None:
    """What the YAML says stands above what is calibrated: then there is nothing to promise."""
    named = [key for key in ("gap", "familiarity") if getattr(config.rules, key) is not None]
    if named:
        raise click.UsageError(
            f"{file} sets rules: {' and '.join(named)}, which would stand above what is chosen "
            "here. Take it out of the file first."
        )


def _store(config: Config | None, store: Path | None) -> Path | None:
    """The bin's store; None where no bin is named and there is none at the usual place."""
    from trashbin.settings import Store

    if config is not None and store is not None:
        raise click.UsageError("--config and --store both say where the store is: give one.")
    if config is not None:
        store = config.store.path
    if store is None:
        return Store().path if Store().path.is_dir() else None
    if not store.is_dir():
        raise click.UsageError(f"There is no store in {store}: start the bin once.")
    return store
