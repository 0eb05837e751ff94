"""The commands that read the event store: ``trashbin events`` and ``trashbin replay``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from trashbin.cli_options import (
    EXIT_STATUSES,
    FILE,
    F,
    give_one,
    json_option,
    rule_options,
    store_option,
)


def _since(ctx: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    """``--since`` as a time; bad usage where it is none."""
    from trashbin import history

    try:
        return None if text is None else history.moment(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a date or time such as 2026-11-23 or 2026-11-23T14:30, "
            "nor a time span such as 90m, 2h or 3d"
        ) from None


def source_options(function: F) -> F:
    """Where the history lies, and from when on it is read; the same for every command."""
    function = click.option(
        "--since", metavar="WHEN", callback=_since, help="From then on: 2h, 3d, or an ISO time."
    )(function)
    function = store_option(function)
    text = "The bin's YAML, which says where its store is."
    return click.option("--config", metavar="FILE", type=FILE, help=text)(function)


def _store(config: Path | None, store: Path | None) -> Path:
    """The file of the store that the options name."""
    from trashbin import config as configuration
    from trashbin import database, settings

    give_one(config, store)
    if config is not None:
        store = configuration.read(config).store.path
    return (store or settings.Store().path) / database.NAME


@click.command(epilog=EXIT_STATUSES)
@source_options
@click.option("--label", help="Only items of this class.")
@click.option(
    "--type",
    "kinds",
    multiple=True,
    type=click.Choice(["sorted", "uncertain", "empty", "resolved", "fault", "notice"]),
    help="Only such events. May be given several times.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10**9),
    help="The newest N only.  [default: 50 in the table, else all]",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
def events(
    config: Path | None,
    store: Path | None,
    since: datetime | None,
    label: str | None,
    kinds: Sequence[str],
    limit: int | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Show what the bin did: its events, newest last.

    Reads the store on this machine while the bin runs, and changes nothing. Times in the
    table are local. With --json, one line an event, as it is published; --csv has the same
    without the shares of each class. A damaged event is left out and named.

    \b
    Examples:
      trashbin events --since 2h
      trashbin events --type uncertain --label glass
      trashbin events --config trashbin.yaml --since 2026-11-01 --csv > nov.csv
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other: give one.")
    from trashbin import history

    found = history.History(_store(config, store), since, label, kinds)
    return history.events(found, limit, "json" if as_json else "csv" if as_csv else "table")


@click.command(epilog=EXIT_STATUSES)
@rule_options
@source_options
@json_option
def replay(
    gap: float | None,
    top1: float | None,
    familiarity: float | None,
    config: Path | None,
    store: Path | None,
    since: datetime | None,
    as_json: bool,
) -> int:
    """Say what other thresholds would have done to the items of the history.

    Judges the stored shares of each item's last burst again; a threshold that is not given
    stays as it was applied. What was blurred, dark or in disagreement stays held. That the
    bin tries another burst before it holds cannot be replayed.

    With --json, one object: gap, top1, familiarity, items, now and then (sorted and
    uncertain), the same for each label under labels, and changes.

    \b
    Examples:
      trashbin replay --gap 0.2 --top1 0.5
      trashbin replay --gap 0.5 --since 7d --json | jq .then
    """
    asked = {"gap": gap, "top1": top1, "familiarity": familiarity}
    if all(value is None for value in asked.values()):
        raise click.UsageError("Give --gap, --top1 or --familiarity: the thresholds to try.")
    from trashbin import history

    found = history.History(_store(config, store), since, kinds=("sorted", "uncertain"))
    return history.replay(found, asked, as_json=as_json)
