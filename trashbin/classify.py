"""What the network says of picture files, and what the bin would do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from trashbin import calibration, pictures, settings
from trashbin.alone import closer_counts, stands_out
from trashbin.decision import decide, digits
from trashbin.errors import ExitCode, PictureError
from trashbin.looking import TURNS, turned
from trashbin.model import tflite
from trashbin.model.heads import Heads
from trashbin.model.shelf import Shelf
from trashbin.model.tflite import TFLiteClassifier
from trashbin.pictures import Label
from trashbin.ports import Classifier
from trashbin.quiet import quiet
from trashbin.scene import CHANGED_AREA, find_thing
from trashbin.settings import Config, Look
from trashbin.types import Action, Box, Decision, Frame, Pixels, Reason, Thresholds

BAR_WIDTH = 40


def opened(
    read: Config | None, model: str | None, **asked: float | None
) -> tuple[TFLiteClassifier, Thresholds]:
    """The network and the thresholds that hold.

    Those asked for, else the YAML, else what was calibrated for its bin, else the manifest.

    ModelError or StoreError where one of them cannot be used.
    """
    classifier = network(read, model)
    made = calibration.read(read.store.path) if read else None
    base = calibration.applied(made, classifier)
    given = read.rules.model_dump(exclude_none=True) if read else {}
    given |= {key: value for key, value in asked.items() if value is not None}
    return classifier, replace(base, **given)


def network(read: Config | None, model: str | None) -> TFLiteClassifier:
    """The network that is asked for, else the bin's own, with its head. ModelError, StoreError."""
    if read is None or model is not None:
        return tflite.open_model(read.model if read else settings.Model(), model)
    # an update may run instead of the YAML's
    return Heads(read.store.path).dress(Shelf(read.store.path).current(read.model))


def judge(
    pixels: Pixels,
    classifier: Classifier,
    thresholds: Thresholds,
    trays: Sequence[Pixels] = (),
    changed_area: float = CHANGED_AREA,
    burst: int = TURNS,
    *,
    alone: bool = False,
) -> Decision:
    """The decision on one RGB uint8 picture (H, W, 3), as the bin makes it on a ``burst`` of it.

    Beside pictures of the empty tray the network is shown what lies there, else all of it. Of a
    picture that came ``alone`` it is shown what stands out there as well, if that is small, and
    that counts unless the network knows the whole better.
    """

    def shown(thing: Box | None) -> Decision:
        return decide(turned(classifier, Frame(pixels, 0.0, thing=thing), burst), thresholds)

    whole = shown(find_thing(pixels, trays, changed_area))
    box = stands_out(pixels) if alone and whole.familiarity is not None else None
    if box is None:
        return whole
    near = shown(box)
    return near if closer_counts(whole.familiarity, near.familiarity) else whole


def read_each(
    found: Sequence[tuple[Path, Label]], complaints: list[str]
) -> Iterator[tuple[Path, Label, Pixels]]:
    """Each picture, read, beside its label; one that cannot be read is added to ``complaints``.

    A terminal is shown how far it is.
    """
    # a descriptor of its own, since what decoders print to the usual one is kept quiet
    with os.fdopen(os.dup(2), "w") as terminal:
        console = Console(file=terminal)
        for file, label in track(
            found, "Looking", console=console, transient=True, disable=not console.is_terminal
        ):
            try:
                with quiet():
                    pixels = pictures.read(file)
            except PictureError as error:
                complaints.append(str(error))
                continue
            yield file, label, pixels


def as_dict(file: str, decision: Decision) -> dict[str, Any]:
    """The JSON line of a picture: the event's keys for a decision, and ``file``."""
    return {
        "file": file,
        "label": decision.label,
        "second": decision.second,
        "top1": decision.top1,
        "top2": decision.top2,
        "gap": decision.gap,
        "familiarity": decision.familiarity,
        "decision": decision.action.value,
        "reason": decision.reason.value,
        "scores": dict(decision.scores),
    }


def run(
    files: Iterable[Path],
    classifier: Classifier,
    thresholds: Thresholds,
    *,
    look: Look,
    as_json: bool,
) -> ExitCode:
    """Judge and print each file; a bad one is reported, and the rest still done."""
    console = Console(highlight=False)
    status = ExitCode.GOOD
    for file in files:
        try:
            with quiet():
                pixels = pictures.read(file)
        except PictureError as error:
            status = ExitCode.BAD_INPUT
            if as_json:
                click.echo(json.dumps({"file": str(file), "error": str(error)}))
            else:
                click.echo(f"trashbin: {error}", err=True)
            continue
        decision = judge(pixels, classifier, thresholds, burst=look.burst, alone=look.closely)
        if as_json:
            click.echo(json.dumps(as_dict(str(file), decision), allow_nan=False))
        else:
            show(console, str(file), decision, thresholds)
    return status


def show(console: Console, file: str, decision: Decision, thresholds: Thresholds) -> None:
    """Print a picture's result for people, in at most 80 columns."""
    console.print(Text(file, style="bold"))
    console.print(Text("  " + headline(decision)), style=_style(decision))
    console.print(Text("  " + explanation(decision, thresholds)))
    shares = Table.grid(padding=(0, 1))
    for label in sorted(decision.scores, key=lambda label: (-decision.scores[label], label)):
        share = decision.scores[label]
        block = "█" if console.encoding.startswith("utf") else "#"
        bar = block * round(share * BAR_WIDTH)
        style = _style(decision) if label == decision.label else "dim"
        shares.add_row("", label, f"{share:7.1%}", Text(bar, style=style))
    console.print(shares)
    console.print()


def headline(decision: Decision) -> str:
    """Class, relative confidence and what the bin would do, in one line."""
    if decision.label is None or decision.top1 is None:
        return "no class: held"
    would = "would be sorted" if decision.action is Action.ACT else "held as uncertain"
    return f"{decision.label}, relative confidence {decision.top1:.1%}: {would}"


def explanation(decision: Decision, thresholds: Thresholds) -> str:
    """Whether the answer is ambiguous, and by which rule."""
    label, second, gap = decision.label, decision.second, decision.gap or 0.0
    limits = f"gap {_beside(gap, thresholds.gap)}"
    match decision.reason:
        case Reason.CLEAR:
            return f"not ambiguous ({limits}; second is {second})"
        case Reason.LOW_GAP:
            return f"ambiguous: {label} or {second} ({limits})"
        case Reason.TIE:
            return f"ambiguous: {label} and {second} have the same share"
        case Reason.LOW_TOP1:
            return (
                f"ambiguous: even the largest share is small "
                f"({_beside(decision.top1 or 0.0, thresholds.top1)})"
            )
        case Reason.UNFAMILIAR:
            known = _beside(decision.familiarity or 0.0, thresholds.familiarity or 0.0)
            return (
                f"not ambiguous ({limits}), but unlike what the network knows as {label} "
                f"(familiarity {known})"
            )
        case Reason.DISAGREE:
            return f"ambiguous: {label} or {second} (turned, it looks like another; {limits})"
        case reason:
            return f"the network gave no usable answer ({reason.value})"


def _beside(value: float, needed: float) -> str:
    places = digits(value, needed)
    return f"{value:.{places}f}, needed {needed:.{places}f}"


def _style(decision: Decision) -> str:
    return "green" if decision.action is Action.ACT else "yellow"
