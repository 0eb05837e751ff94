"""``trashbin teach``: a bin's answered items -> a head for its network, where it is better."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from trashbin import answers, fitting
from trashbin.answers import Answered
from trashbin.errors import ExitCode, ModelError
from trashbin.events import timestamp
from trashbin.fitting import Items, Last, Layer, Outcome
from trashbin.model import head
from trashbin.model.head import About, Head
from trashbin.model.heads import Heads
from trashbin.model.tflite import TFLiteClassifier

LEAST = 12  # answers; fewer say nothing
LEAST_LABELS = 2
# answers; older ones say less of how the tray looks now, and a fit to twice as many takes 430 MB,
# of which a Zero 2 W has 512
MOST = 1000


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of teaching: the figures, and the head's file where it is to be worn."""

    outcome: Outcome | None
    why: str | None
    counts: dict[str, int]
    content: bytes | None
    last_seq: int
    store: str  # the id of the event store that counts so; empty without an answer


def lesson(answered: list[Answered], classifier: TFLiteClassifier, worn: Head | None) -> Lesson:
    """Learn from a store's answered items; ModelError where this network cannot be taught."""
    rehearsed = classifier.file.rehearsal
    width = classifier.file.manifest.output.features
    if width is None or rehearsed is None:
        raise ModelError(
            f"{classifier.file.path}: cannot be taught: "
            + (
                "it has no features output"
                if width is None
                else "it has no rehearsal.npz beside it, so that it would forget what it knows"
            )
            + ". Install a newer model (trashbin model install)."
        )
    network = classifier.file.id.sha256
    mine = answers.examples(answered, network, width)
    mine = [each for each in mine if each.label in classifier.labels]
    counts = Counter(each.label for each in mine)
    last = max((each.seq for each in answered), default=0)
    store = answered[-1].item.store_id if answered else ""
    if len(mine) < LEAST or len(counts) < LEAST_LABELS:
        why = (
            f"there are {len(mine)} answered items of {len(counts)} labels that this network saw; "
            f"at least {LEAST} of {LEAST_LABELS} are needed, about ten of each label are good"
        )
        return Lesson(None, why, dict(counts), None, last, store)
    features = np.stack([each.features for each in mine if each.features is not None])
    places = np.array([classifier.labels.index(each.label) for each in mine], np.int64)
    own = Last(*classifier.last_layer())
    running = None if worn is None else _layer(worn)
    # where the store was damaged, a new one began, and counts from 1 again
    same = worn is not None and worn.about.store in ("", store)
    taught = worn.about.last_seq if worn is not None and same else 0
    fresh = np.array([each.seq > taught for each in mine], np.bool_)
    outcome = fitting.teach(
        Items(features.astype(np.float64), places),
        Items(rehearsed.features.astype(np.float64), rehearsed.targets),
        own,
        running,
        fresh,
    )
    if outcome.refused is not None:
        return Lesson(outcome, outcome.refused, dict(counts), None, last, store)
    layer = outcome.layer
    sure = outcome.trusted >= 0.5  # what was hardly meant so is no known thing
    about = About(
        network=network,
        parent=None if worn is None else worn.digest,
        made=timestamp(datetime.now(UTC)),
        answers=dict(sorted(counts.items())),
        last_seq=last,
        before=outcome.before,
        after=outcome.after,
        rehearsed=outcome.rehearsed,
        rehearsed_before=outcome.rehearsed_before,
        rehearsed_after=outcome.rehearsed_after,
        store=store,
        items=tuple(each.item.event_id for each in mine),
    )
    content = head.packed(
        layer.tray.weights,
        layer.tray.bias,
        layer.gate,
        layer.lean,
        features[sure],
        places[sure],
        about,
    )
    return Lesson(outcome, None, dict(counts), content, last, store)


def _layer(worn: Head) -> Layer:
    last = Last(worn.weights.astype(np.float64), worn.bias.astype(np.float64))
    return Layer(last, worn.gate.astype(np.float64), worn.lean)


def run(
    store: Path, classifier: TFLiteClassifier, *, of: str = "", dry: bool, as_json: bool
) -> ExitCode:
    """Learn from the store's answers and let the bin wear what is better; BAD_INPUT if nothing is.

    ``of`` ends the commands that are told, naming the bin; ``dry`` installs nothing.
    """
    heads = Heads(store)
    network = classifier.file.id.sha256
    learned = lesson(answers.read(store, MOST), classifier, _worn(heads, network))
    installed = None
    if learned.content is not None and not dry:
        installed = heads.install(learned.content, learned.last_seq)
    elif not dry and learned.last_seq:
        heads.note_tried(learned.last_seq, learned.store)
    if as_json:
        click.echo(json.dumps(_told(learned, installed)))
    else:
        _show(learned, installed, of)
    return ExitCode.GOOD if learned.content is not None else ExitCode.BAD_INPUT


def back(store: Path, classifier: TFLiteClassifier, *, as_json: bool) -> ExitCode:
    """The network wears its head's parent again, its own where there is none."""
    said = Heads(store).go_back(classifier.file.id.sha256, "taken back by hand")
    click.echo(json.dumps({"told": said}) if as_json else said)
    return ExitCode.GOOD


def _worn(heads: Heads, network: str) -> Head | None:
    """The head that runs; one that is gone or damaged does not run."""
    try:
        return heads.current(network)
    except ModelError as error:
        click.echo(f"trashbin: {error}", err=True)
        return None


def _told(learned: Lesson, installed: Head | None) -> dict[str, Any]:
    outcome = learned.outcome
    told: dict[str, Any] = {"answers": learned.counts, "why": learned.why}
    if outcome is not None:
        told |= {
            "before": outcome.before,
            "after": outcome.after,
            "rehearsed": outcome.rehearsed,
            "rehearsed_before": outcome.rehearsed_before,
            "rehearsed_after": outcome.rehearsed_after,
        }
    return told | {"head": None if installed is None else installed.digest}


def _show(learned: Lesson, installed: Head | None, of: str) -> None:
    count = sum(learned.counts.values())
    named = ", ".join(f"{label} {n}" for label, n in sorted(learned.counts.items()))
    click.echo(f"{count} answered items{f': {named}' if named else ''}")
    outcome = learned.outcome
    if outcome is not None:
        click.echo(
            f"Right of them, each judged by a fit that had not seen it: {outcome.after}, "
            f"before {outcome.before}\n"
            f"Right of {outcome.rehearsed} things that came with the network: "
            f"{outcome.rehearsed_after}, before {outcome.rehearsed_before}"
        )
    if learned.why is not None:
        click.echo(f"trashbin: nothing was changed: {learned.why}.", err=True)
    elif installed is None:
        click.echo("It is better. Nothing was changed: this was a trial (--dry-run).")
    else:
        click.echo(
            f"The bin wears the new head {installed.digest[:12]} from the next item on.\n"
            "What was promised by an earlier calibration is withdrawn. Calibrate again on items "
            f"of this tray that it was not taught with:\n  trashbin calibrate{of} DIR\n"
            f"The way back: trashbin teach --back{of}"
        )
