"""How well the network and the rules do on labelled pictures: one folder a label."""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trashbin import pictures
from trashbin.classify import judge, read_each
from trashbin.errors import ExitCode
from trashbin.ports import Classifier
from trashbin.quiet import quiet
from trashbin.settings import Look
from trashbin.types import Action, Decision, Thresholds

UNKNOWN = "unknown"
Z_95 = 1.959963984540054  # two-sided 95 % of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was judged, and the folder it lay in: a label or ``unknown``."""

    file: Path
    truth: str
    decision: Decision

    @property
    def right(self) -> bool:
        """Whether the best label is the folder's, acted on or not."""
        return self.decision.label == self.truth

    @property
    def acted(self) -> bool:
        """Whether the bin would have moved."""
        return self.decision.action is Action.ACT


def run(
    folder: Path,
    classifier: Classifier,
    labels: Sequence[str],
    thresholds: Thresholds,
    *,
    look: Look,
    as_json: bool,
    wrong: bool,
    taught: frozenset[str] = frozenset(),
) -> ExitCode:
    """Judge every picture of a folder and print the figures; bad pictures are reported.

    Where the bin looks closely and there are pictures of the empty tray, things are found
    beside them as in the bin; without them each picture is judged as one that came alone, but
    for those that the bin has kept. Those of the items ``taught`` to its head are left out.
    """
    found, complaints = list_pictures(folder, labels)
    found, learned = pictures.unseen(found, taught)
    complaints += learned
    with quiet():
        trays, others = pictures.trays(folder, labels) if look.closely else ([], [])
    complaints += others
    judged: list[Picture] = []
    for file, truth, pixels in read_each(found, complaints):
        alone = look.closely and not trays and not pictures.kept(file)
        decision = judge(
            pixels, classifier, thresholds, trays, look.changed_area, look.burst, alone=alone
        )
        judged.append(Picture(file, truth, decision))
    if not judged:
        complaints.append(f"{folder}: there is no picture to measure")
    for complaint in complaints:
        click.echo(f"trashbin: {complaint}", err=True)
    figures = measure(judged, labels)
    mistaken = [picture for picture in judged if picture.truth != UNKNOWN and not picture.right]
    if as_json:
        listed = {"wrong": [_mistake(picture) for picture in mistaken]} if wrong else {}
        click.echo(json.dumps(figures | listed, allow_nan=False))
    elif judged:
        show(figures, thresholds)
        for picture in mistaken if wrong else ():
            click.echo(f"{picture.file}: taken for {picture.decision.label or 'nothing'}")
    return ExitCode.BAD_INPUT if complaints else ExitCode.GOOD


def list_pictures(folder: Path, labels: Sequence[str]) -> tuple[list[tuple[Path, str]], list[str]]:
    """The pictures of each label's folder with the label, and complaints about all else.

    UsageError where no folder bears a label's name or ``unknown``.
    """
    known = (*labels, UNKNOWN)
    found: list[tuple[Path, str]] = []
    complaints: list[str] = []
    for each in sorted(folder.iterdir()):
        if each.is_dir() and each.name in known:
            found.extend((file, each.name) for file in pictures.find(each))
        elif each.is_dir() and each.name != pictures.EMPTY and not each.name.startswith("."):
            near = difflib.get_close_matches(each.name.lower(), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            complaints.append(f"{each}: left out, its name is no label{hint}")
        elif each.suffix.lower() in pictures.SUFFIXES:
            complaints.append(f"{each}: left out, it lies in no label's folder")
    if not any((folder / name).is_dir() for name in known):
        told = "".join(f"\n  {complaint}" for complaint in complaints[:10])
        raise click.UsageError(f"{folder} has no folder named {', '.join(known)}.{told}")
    return found, complaints


def measure(judged: Sequence[Picture], labels: Sequence[str]) -> dict[str, Any]:
    """The figures of ``trashbin evaluate --json``; a ratio of nothing is None.

    ``confusion`` maps the true label to the counts of what it was taken for; ``none``
    appears there only if the network gave no usable answer.
    """
    labelled = [picture for picture in judged if picture.truth != UNKNOWN]
    unknown = [picture for picture in judged if picture.truth == UNKNOWN]
    right = sum(picture.right for picture in labelled)
    acted = [picture for picture in labelled if picture.acted]
    acted_wrong = sum(not picture.right for picture in acted)
    return {
        "images": len(labelled),
        "accuracy": ratio(right, len(labelled)),
        "accuracy_ci95": wilson(right, len(labelled)),
        "coverage": ratio(len(acted), len(labelled)),
        "acted": len(acted),
        "acted_wrong": acted_wrong,
        "selective_risk": ratio(acted_wrong, len(acted)),
        "classes": {label: _class(labelled, label) for label in labels},
        "confusion": {label: _row(labelled, label, labels) for label in labels},
        "unknown": {
            "images": len(unknown),
            "acted": sum(picture.acted for picture in unknown),
            "auroc": auroc(*(_hold_scores(judged, group) for group in (labelled, unknown))),
        },
    }


def ratio(part: int, whole: int) -> float | None:
    """``part / whole``, or None of nothing."""
    return part / whole if whole else None


def wilson(right: int, count: int) -> list[float] | None:
    """The 95 % score interval of a share (E. B. Wilson, JASA 22, 1927), or None of nothing."""
    if not count:
        return None
    share, z2 = right / count, Z_95**2
    middle = share + z2 / (2 * count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    low, high = ((middle + sign * half) / (1 + z2 / count) for sign in (-1, 1))
    # rounding must not leave out the share itself where it is 0 or 1
    return [min(max(low, 0.0), share), max(min(high, 1.0), share)]


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float | None:
    """The chance that a labelled picture scores above an unknown one; a tie counts half.

    Mann and Whitney's U over the number of pairs (Hanley and McNeil, Radiology 143,
    1982); None where either side is empty.
    """
    if not inside or not outside:
        return None
    ranked = np.sort(np.asarray(inside, dtype=np.float64))
    below_or_equal = np.searchsorted(ranked, outside, side="right")
    below = np.searchsorted(ranked, outside, side="left")
    wins = np.sum(2 * len(ranked) - below_or_equal - below) / 2
    return float(wins / (len(inside) * len(outside)))


def show(figures: dict[str, Any], thresholds: Thresholds) -> None:
    """Print the figures for people, in at most 80 columns."""
    console = Console(highlight=False)
    labels = list(figures["classes"])
    shares = Table(title="Per class", title_justify="left", box=None, pad_edge=False)
    for column in ("class", "pictures", "right", "recall", "95 % interval"):
        shares.add_column(column, justify="left" if column == "class" else "right")
    for label, entry in figures["classes"].items():
        shares.add_row(
            label,
            str(entry["images"]),
            str(entry["right"]),
            _percent(entry["recall"]),
            _interval(entry["recall_ci95"]),
        )
    confusion = Table(
        title="Rows: what it is. Columns: what it was taken for.",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    columns = [*labels, *({"none"} & {key for row in figures["confusion"].values() for key in row})]
    confusion.add_column("")
    for label in columns:
        confusion.add_column(label, justify="right")
    for label, row in figures["confusion"].items():
        confusion.add_row(label, *(str(row.get(column, 0) or "·") for column in columns))
    console.print(
        f"Accuracy {_percent(figures['accuracy'])} on {figures['images']} pictures "
        f"(95 % interval {_interval(figures['accuracy_ci95'])})"
    )
    console.print()
    console.print(shares)
    console.print()
    console.print(confusion)
    console.print()
    known = thresholds.familiarity
    third = "" if known is None else f", familiarity {known:.2f}"
    console.print(
        Text(
            f"With the rules (gap {thresholds.gap:.2f}, top-1 {thresholds.top1:.2f}{third}): "
            f"acts on {figures['acted']} of {figures['images']} ({_percent(figures['coverage'])}), "
            f"{figures['acted_wrong']} of them wrong ({_percent(figures['selective_risk'])})."
        )
    )
    unknown = figures["unknown"]
    if unknown["images"]:
        area = "-" if unknown["auroc"] is None else f"{unknown['auroc']:.3f}"
        console.print(
            f"Of {unknown['images']} pictures of no class it acts on {unknown['acted']} "
            f"(AUROC {area})."
        )


def _hold_scores(judged: Sequence[Picture], group: Sequence[Picture]) -> list[float]:
    """What the rules hold on: familiarity where the model tells it, else the gap."""
    if judged and all(picture.decision.familiarity is not None for picture in judged):
        return [picture.decision.familiarity or 0.0 for picture in group]
    return [picture.decision.gap or 0.0 for picture in group]


def _class(labelled: Sequence[Picture], label: str) -> dict[str, Any]:
    mine = [picture for picture in labelled if picture.truth == label]
    right = sum(picture.right for picture in mine)
    return {
        "images": len(mine),
        "right": right,
        "recall": ratio(right, len(mine)),
        "recall_ci95": wilson(right, len(mine)),
    }


def _row(labelled: Sequence[Picture], label: str, labels: Sequence[str]) -> dict[str, int]:
    taken = Counter(p.decision.label or "none" for p in labelled if p.truth == label)
    return dict.fromkeys(labels, 0) | taken


def _mistake(picture: Picture) -> dict[str, Any]:
    return {
        "file": str(picture.file),
        "truth": picture.truth,
        "label": picture.decision.label,
        "gap": picture.decision.gap,
        "decision": picture.decision.action.value,
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _interval(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.1%} .. {bounds[1]:.1%}"
