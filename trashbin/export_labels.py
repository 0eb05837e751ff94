"""``trashbin export-labels``: pictures of answered items, a folder a label."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import click

from trashbin import album, answers, resources
from trashbin.album import Album
from trashbin.errors import ExitCode
from trashbin.settings import Pictures

NAME = "labels.csv"


def run(store: Path, folder: Path, *, as_json: bool) -> ExitCode:
    """Write what there is into ``folder``; BAD_INPUT where nobody has answered anything."""
    answered = answers.read(store)
    kept = Album(store / album.NAME, Pictures())
    counts: Counter[str] = Counter()
    written = 0
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["event_id", "ts", "label", "taken_for", "file"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in answered:
            event = each.item
            picture = None if event.image_id is None else kept.read(event.image_id)
            name = f"{each.label}/{event.event_id}.jpg"
            # an earlier export wrote it, maybe where it was answered otherwise then
            earlier = [folder / label / f"{event.event_id}.jpg" for label in resources.labels()]
            for file in earlier:
                if picture is None and file.is_file():
                    picture = file.read_bytes()
            if picture is not None:
                (folder / each.label).mkdir(exist_ok=True)
                (folder / name).write_bytes(picture)
                written += 1
            for file in earlier:
                if file != folder / name:
                    file.unlink(missing_ok=True)
            counts[each.label] += 1
            at = "" if picture is None else name
            writer.writerow([event.event_id, event.ts, each.label, event.label or "", at])
        (folder / NAME).write_text(table.getvalue(), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{folder}: cannot be written to ({error.strerror})") from error
    if as_json:
        told = {"items": len(answered), "pictures": written, "labels": dict(sorted(counts.items()))}
        click.echo(json.dumps(told))
    else:
        named = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        click.echo(
            f"{len(answered)} answered items{f' ({named})' if named else ''}: {written} pictures "
            f"and {NAME} in {folder}"
        )
    return ExitCode.GOOD if answered else ExitCode.BAD_INPUT
