"""What the store remembers, for people and programs: ``trashbin events`` and ``trashbin replay``.

Reads the file while the daemon writes it, and changes nothing.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trashbin import database
from trashbin.decision import decide
from trashbin.errors import ExitCode
from trashbin.events import Event, EventType, timestamp
from trashbin.types import Action, Prediction, Reason

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
Asked: TypeAlias = Mapping[str, float | None]  # gap, top1 and familiarity to try

TABLE_ROWS = 50  # of a table where nobody said how many
TABLE_WIDTH = 72  # of a narrower one rich would leave out what does not fit
# what thresholds have a say in; any other reason to hold stays one
JUDGED = frozenset({Reason.CLEAR, Reason.LOW_GAP, Reason.LOW_TOP1, Reason.UNFAMILIAR})
COLUMNS = (
    "seq",
    "ts",
    "event_type",
    "label",
    "second",
    "top1",
    "top2",
    "gap",
    "familiarity",
    "decision",
    "reason",
    "bin",
    "mode",
    "trigger",
    "event_id",
    "about",
    "resolves",
)


def moment(text: str, now: datetime) -> datetime:
    """``2h`` or ``3d`` before now, or an ISO date or time, local where it names no zone.

    ValueError where it is neither.
    """
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if ago is not None:
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    return datetime.fromisoformat(text).astimezone()


@dataclass
class History:
    """The events of a store, as they are read; ``damaged`` are those that were skipped."""

    file: Path
    since: datetime | None = None
    label: str | None = None
    kinds: Sequence[str] = ()
    damaged: list[int] = field(default_factory=list)

    def read(self, limit: int | None = None) -> Iterator[Event]:
        """Oldest first; with ``limit`` the newest ones only. StoreError where none can be read."""
        if limit is None:
            yield from self._matching("ASC")
        else:
            yield from reversed(list(islice(self._matching("DESC"), limit)))

    def _matching(self, order: Literal["ASC", "DESC"]) -> Iterator[Event]:
        after = "" if self.since is None else timestamp(self.since)
        query = f"SELECT {database.COLUMNS} FROM event WHERE ts >= ? ORDER BY seq {order}"
        with closing(database.opened_to_read(self.file)) as db, database.told(self.file):
            for row in db.execute(query, (after,)):
                event = database.decoded(row)
                if event is None:
                    self.damaged.append(row[0])
                elif self.label in (None, _label(event)) and (
                    not self.kinds or event.event_type in self.kinds
                ):
                    yield event

    def status(self) -> ExitCode:
        """Say what was skipped, and whether anything was."""
        if not self.damaged:
            return ExitCode.GOOD
        named = ", ".join(map(str, sorted(self.damaged)))
        click.echo(f"trashbin: damaged events were left out: seq {named}", err=True)
        return ExitCode.BAD_INPUT


def events(history: History, limit: int | None, form: Literal["table", "json", "csv"]) -> ExitCode:
    """Print events, newest last: a table in 80 columns, JSON lines or CSV."""
    if form == "json":
        for event in history.read(limit):
            click.echo(event.to_json())
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*COLUMNS, "answer", "way", "part", "message"])
        for event in history.read(limit):
            data = json.loads(event.to_json())
            answer = data["answer"] or {"label": None, "way": None}
            detail = data["detail"] or {"part": None, "message": None}
            row = [*(data[key] for key in COLUMNS), *answer.values(), *detail.values()]
            writer.writerow(row)
    else:
        shown = list(history.read(limit or TABLE_ROWS))
        _print(_table(shown) if shown else Text(_none(history)), TABLE_WIDTH)
    return history.status()


def _none(history: History) -> str:
    """What there is instead, where a label may be misspelt."""
    if history.label is None:
        return "No such events."
    others = replace(history, label=None, damaged=[])
    there = sorted({label for event in others.read() if (label := _label(event))})
    return f"No events of the label {history.label}. There are: {', '.join(there) or 'none'}."


def _table(shown: Sequence[Event]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("seq", "time", "event", "label", "top-1", "gap"):
        right = column in ("seq", "top-1", "gap")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    table.add_column("why")  # alone gives way: a fault's message is longer than the terminal
    for event in shown:
        table.add_row(
            str(event.seq),
            _local(event.ts),
            str(event.event_type),
            _label(event) or "-",
            _share(event.top1),
            _share(event.gap),
            Text(_why(event)),
        )
    return table


def _label(event: Event) -> str | None:
    """What the bin took an item for, or what a person answered."""
    return event.answer.label if event.answer is not None else event.label


def _why(event: Event) -> str:
    if event.answer is not None:
        return f"answered ({event.answer.way})" + (f", to {event.bin}" if event.bin else "")
    detail = event.detail
    return f"{detail.part}: {detail.message}" if detail else str(event.reason or "")


def replay(history: History, asked: Asked, *, as_json: bool) -> ExitCode:
    """Print what other thresholds would have done to the items of the history."""
    figures = compare(history.read(), asked)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _show(figures)
    return history.status()


def again(event: Event, asked: Asked) -> tuple[Action, Reason]:
    """What an item event's shares would lead to; None leaves a threshold as it was applied.

    Its shares are the mean of its burst, and its pictures agreed, or it was held for a
    reason that no threshold has a say in. Such an event, and one whose thresholds are what
    they were, stays what it is: stored shares are rounded.
    """
    assert event.decision is not None
    assert event.reason is not None
    was = event.thresholds
    if was is None or event.reason not in JUDGED or not event.scores:
        return event.decision, event.reason
    changed = {key: value for key, value in asked.items() if value is not None}
    thresholds = replace(was, **changed)
    if thresholds == was:
        return event.decision, event.reason
    found = decide([Prediction(event.scores, event.familiarity)], thresholds)
    return found.action, found.reason


def compare(items: Iterator[Event], asked: Asked) -> dict[str, Any]:
    """Counts of sorted and uncertain items, now and then, each label's, and what would change."""
    now: Counter[tuple[str, str]] = Counter()
    then: Counter[tuple[str, str]] = Counter()
    changes = []
    for event in items:
        if event.decision is None or event.reason is None:
            continue
        label = event.label or "none"
        action, reason = again(event, asked)
        now[label, event.decision] += 1
        then[label, action] += 1
        if action is not event.decision:
            changes.append(
                {
                    "seq": event.seq,
                    "event_id": event.event_id,
                    "ts": event.ts,
                    "label": event.label,
                    "top1": event.top1,
                    "gap": event.gap,
                    "now": _named(event.decision),
                    "then": _named(action),
                    "reason": reason.value,
                }
            )
    labels = sorted({label for label, _ in now})
    return {
        **asked,
        "items": now.total(),
        "now": _counts(now, labels),
        "then": _counts(then, labels),
        "labels": {
            label: {"now": _counts(now, [label]), "then": _counts(then, [label])}
            for label in labels
        },
        "changes": changes,
    }


def _counts(counter: Counter[tuple[str, str]], labels: Sequence[str]) -> dict[str, int]:
    return {_named(action): sum(counter[label, action] for label in labels) for action in Action}


def _named(action: Action) -> str:
    return str(EventType.SORTED if action is Action.ACT else EventType.UNCERTAIN)


def _show(figures: dict[str, Any]) -> None:
    if not figures["items"]:
        _print(Text("No items in this history."))
        return
    keys = ("gap", "top1", "familiarity")
    asked = [f"{key} {figures[key]:g}" for key in keys if figures[key] is not None]
    _print(Text(f"{figures['items']} items as they were, and with {', '.join(asked)}:"))
    counts = Table(box=None, pad_edge=False)
    for column in ("", "sorted", "then", "uncertain", "then"):
        counts.add_column(column, justify="right" if column else "left")
    for label, entry in [*figures["labels"].items(), ("all", figures)]:
        row = [entry[at][kind] for kind in ("sorted", "uncertain") for at in ("now", "then")]
        counts.add_row(label, *map(str, row))
    _print(counts)
    changes = figures["changes"]
    _print(Text(f"\n{len(changes)} would change" + (":" if changes else ".")))
    rows = Table(box=None, pad_edge=False)
    for column in ("seq", "time", "label", "top-1", "gap", "then"):
        rows.add_column(column)
    for change in changes[-TABLE_ROWS:]:
        rows.add_row(
            str(change["seq"]),
            _local(change["ts"]),
            change["label"],
            _share(change["top1"]),
            _share(change["gap"]),
            f"{change['then']} ({change['reason']})",
        )
    if changes:
        _print(rows, TABLE_WIDTH)
    if len(changes) > TABLE_ROWS:
        _print(Text(f"The newest {TABLE_ROWS} are shown; --json has all."))


def _print(what: Table | Text, least: int = 0) -> None:
    """In a terminal of fewer columns the terminal folds its lines, and none of them is cut."""
    Console(highlight=False, width=max(Console().width, least)).print(what)


def _local(ts: str) -> str:
    return f"{datetime.fromisoformat(ts).astimezone():%Y-%m-%d %H:%M:%S}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"
