"""``trashbin calibrate``: labelled pictures of a tray -> thresholds with a promise."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from trashbin import calibration, pictures, promise
from trashbin.calibration import Calibration
from trashbin.classify import judge, read_each
from trashbin.errors import ExitCode, PictureError, StoreError
from trashbin.events import timestamp
from trashbin.ports import Classifier
from trashbin.promise import Items, Promise, Refusal
from trashbin.quiet import quiet
from trashbin.settings import Look
from trashbin.types import Action, Pixels, Thresholds

# how like a label a folder's name must be to be no word of its own: carboard, not plants or grass
MISSPELT = 0.85


@dataclass(frozen=True, slots=True)
class Found:
    """Pictures with their label, None for a thing of no class; complaints about the rest."""

    pictures: list[tuple[Path, str | None]]
    no_class: list[str]  # folders
    complaints: list[str]
    trays: list[Pixels]


def run(
    folder: Path,
    classifier: Classifier,
    labels: Sequence[str],
    top1: float,
    risk: float,
    confidence: float,
    store: Path | None,
    *,
    look: Look,
    as_json: bool,
    taught: frozenset[str] = frozenset(),
) -> ExitCode:
    """Choose the thresholds, print what they promise, write them; BAD_INPUT where none is promised.

    ``top1`` holds as it is. ``store`` None writes nothing. Pictures of the empty tray count
    where the bin looks closely. Pictures of the items ``taught`` to the bin's head are left out.
    """
    if store is not None and not os.access(store, os.W_OK | os.X_OK):  # before the long part
        raise StoreError(
            f"{store}: this user may not write there: use sudo, or --store "
            "with a folder of your own"
        )
    found = listed(folder, labels, look.closely)
    found.pictures[:], learned = pictures.unseen(found.pictures, taught)
    found.complaints.extend(learned)
    items = _judged(found, classifier, top1, look)
    for complaint in found.complaints:
        click.echo(f"trashbin: {complaint}", err=True)
    chosen = promise.choose(items, risk, confidence)
    told: dict[str, Any] = {
        "pictures": len(items),
        "no_class": sum(label is None for _, label in found.pictures),
        "risk": risk,
        "confidence": confidence,
    }
    if isinstance(chosen, Refusal):
        why = refused(chosen, len(items), risk, confidence)
        if as_json:
            click.echo(json.dumps(told | {"bound": None, "needed": chosen.needed, "why": why}))
        else:
            click.echo(f"trashbin: {why}", err=True)
        return ExitCode.BAD_INPUT
    thresholds = Thresholds(chosen.gap, top1, chosen.familiarity)
    made = Calibration(
        made=timestamp(datetime.now(UTC)),
        model=classifier.model,
        setup=classifier.setup,
        thresholds=thresholds,
        closely=look.closely,
        burst=look.burst,
        changed_area=look.changed_area,
        risk=risk,
        confidence=confidence,
        items=chosen.items,
        acted=chosen.acted,
        wrong=chosen.wrong,
    )
    written = None if store is None else calibration.write(store, made)
    if as_json:
        click.echo(json.dumps(told | _figures(chosen, top1, written)))
    else:
        _show(chosen, top1, found, len(items), written)
    return ExitCode.BAD_INPUT if found.complaints else ExitCode.GOOD


def listed(folder: Path, labels: Sequence[str], closely: bool) -> Found:
    """Pictures in folders named by a label, and in other folders: things of no class.

    The folder ``empty`` has pictures of the empty tray; beside them things are found ``closely``.

    A folder whose name is nearly a label is left out: it is more likely misspelt. So is a
    picture that is there twice: it would count as two items. UsageError where no folder
    bears a label's name.
    """
    with quiet():
        trays, complaints = pictures.trays(folder, labels) if closely else ([], [])
    found = Found([], [], complaints, trays)
    seen: dict[bytes, Path] = {}
    if not any((folder / label).is_dir() for label in labels):
        raise click.UsageError(
            f"{folder} has no folder named {', '.join(labels)}; others, such as unknown, "
            "are for things of no class"
        )
    for each in sorted(folder.iterdir()):
        if each.name.startswith(".") or (each.name == pictures.EMPTY and each.name not in labels):
            continue
        if not each.is_dir():
            if each.suffix.lower() in pictures.SUFFIXES:
                found.complaints.append(f"{each}: left out, it lies in no folder")
            continue
        label = each.name if each.name in labels else None
        near = difflib.get_close_matches(each.name.lower(), labels, n=1, cutoff=MISSPELT)
        if label is None and near:
            found.complaints.append(
                f"{each}: left out, its name is no label; did you mean {near[0]}?"
            )
            continue
        if label is None:
            found.no_class.append(each.name)
        for file in pictures.find(each):
            try:
                digest = hashlib.sha256(pictures.content(file)).digest()
            except PictureError as error:
                found.complaints.append(str(error))
                continue
            first = seen.setdefault(digest, file)
            if first == file:
                found.pictures.append((file, label))
            else:
                found.complaints.append(f"{file}: left out, it is the same picture as {first}")
    return found


def _judged(found: Found, classifier: Classifier, top1: float, look: Look) -> Items:
    """What the rules see of each picture; one that cannot be read is complained about."""
    gap, familiarity, right, eligible = [], [], [], []
    rules = Thresholds(0.0, top1, 0.0)
    for _, label, pixels in read_each(found.pictures, found.complaints):
        decision = judge(pixels, classifier, rules, found.trays, look.changed_area, look.burst)
        gap.append(decision.gap or 0.0)
        familiarity.append(decision.familiarity)
        right.append(label is not None and decision.label == label)
        eligible.append(decision.action is Action.ACT)
    known = [each for each in familiarity if each is not None]
    return Items(
        np.array(gap),
        np.array(known) if known and len(known) == len(gap) else None,
        np.array(right, np.bool_),
        np.array(eligible, np.bool_),
    )


def refused(refusal: Refusal, count: int, risk: float, confidence: float) -> str:
    """Why nothing is promised, and how many items would do."""
    why = (
        f"no thresholds keep the error among acted items within {risk:.2%} with "
        f"{confidence * 100:.10g}% confidence on these {count} items. "
    )
    if refusal.acted:
        why += (
            f"At the best ones the bin acts on {refusal.acted} of the {refusal.items} items that "
            f"test, {refusal.wrong} of them wrongly. "
        )
    if refusal.needed is None:
        return why + (
            "More items alone will not help: the surest are wrong too often. "
            "Ask for a larger --risk, teach the bin its tray, or light it better."
        )
    if refusal.needed <= count:
        return why + "It was near: a few more items may do."
    return why + f"About {refusal.needed} items like these would."


def _figures(chosen: Promise, top1: float, written: Path | None) -> dict[str, Any]:
    return {
        "bound": chosen.bound,
        "coverage": chosen.coverage,
        "items": chosen.items,
        "acted": chosen.acted,
        "acted_wrong": chosen.wrong,
        "planning": chosen.planning,
        "thresholds": {"gap": chosen.gap, "top1": top1, "familiarity": chosen.familiarity},
        "written": None if written is None else str(written),
    }


def _show(chosen: Promise, top1: float, found: Found, count: int, written: Path | None) -> None:
    others = f" ({', '.join(found.no_class)}: no class)" if found.no_class else ""
    familiarity = "" if chosen.familiarity is None else f", familiarity {chosen.familiarity:g}"
    lines = [
        f"{count} pictures{others}: {chosen.planning} to plan with, {chosen.items} to test",
        "",
        f"Bound      at most {chosen.bound:.2%} of what is acted on is wrong "
        f"(confidence {chosen.confidence * 100:.10g}%)",
        f"Coverage   {chosen.coverage:.1%} of the items are acted on",
        f"Rests on   {chosen.items} items: {chosen.acted} acted on, {chosen.wrong} wrongly",
        f"Rules      gap {chosen.gap:g}, top-1 {top1:g}{familiarity}",
        "",
        "It holds for items like these, on this tray, in this light, with these rules.",
        "Each picture counted as an item: several pictures of one thing would break it.",
        f"Written to {written}: the bin takes it up by itself."
        if written
        else "Nothing was written: say which bin with --config FILE or --store FOLDER.",
    ]
    click.echo("\n".join(lines))
