"""``trashbin classify`` and ``evaluate``: what the network makes of pictures in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trashbin.cli_options import (
    EXIT_STATUSES,
    FILE,
    config_option,
    json_option,
    model_option,
    rule_options,
)

if TYPE_CHECKING:
    from trashbin.model.tflite import TFLiteClassifier
    from trashbin.settings import Look
    from trashbin.types import Thresholds


@click.command(epilog=EXIT_STATUSES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FILE)
@config_option()
@model_option()
@rule_options
@json_option
def classify(
    files: Sequence[Path],
    config: Path | None,
    model: str | None,
    gap: float | None,
    top1: float | None,
    familiarity: float | None,
    as_json: bool,
) -> int:
    """Say what pictures show, how sure the network is, and what the bin would do.

    FILE is a .jpg, .jpeg, .png or whatever else OpenCV reads. For each: the class, its
    relative confidence, the share of every class, the gap between the two largest, and
    whether the answer is ambiguous. A share is relative between the classes, and no
    probability of being right. A small thing is looked at closely, if it stands out from
    what it lies on. A bad file is reported and the rest still done.

    With --json, one line a file with the keys file, label, second, top1, top2, gap,
    familiarity, decision, reason and scores; or file and error.

    \b
    Examples:
      trashbin classify photo.jpg
      trashbin classify --json *.png | jq .label
      trashbin classify --gap 0.5 photo.jpg
    """
    classifier, thresholds, look = _open(config, model, gap=gap, top1=top1, familiarity=familiarity)
    from trashbin import classify

    return classify.run(files, classifier, thresholds, look=look, as_json=as_json)


@click.command(epilog=EXIT_STATUSES)
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@config_option()
@model_option()
@rule_options
@click.option(
    "--head",
    type=click.Choice(["before", "after"]),
    help="The bin's network as it came, or with what it was taught (which runs if left out).",
)
@click.option("--wrong", is_flag=True, help="List the pictures that it gets wrong, too.")
@json_option
def evaluate(
    folder: Path,
    config: Path | None,
    model: str | None,
    gap: float | None,
    top1: float | None,
    familiarity: float | None,
    head: str | None,
    wrong: bool,
    as_json: bool,
) -> int:
    """Measure the network and the rules on labelled pictures.

    DIR holds one folder a label (DIR/glass, DIR/metal ...); pictures of no class at all
    may lie in DIR/unknown. Pictures of the empty tray in DIR/empty let the network look
    closely at what lies there, as the bin does; without them it looks as classify does, but
    for what export-labels wrote, which shows what the bin saw. Told are: accuracy with its
    95 % interval, each class, the confusion matrix, and what the rules would do: on how many
    pictures the bin would act (coverage), and on how many of those wrongly (selective risk).

    With --json, one object: images, accuracy, accuracy_ci95, coverage, acted, acted_wrong,
    selective_risk, classes, confusion (over the pictures that have a label) and unknown
    (images, acted, auroc); --wrong adds wrong, a list with the keys file, truth, label, gap and
    decision. A ratio of nothing is null.

    \b
    Examples:
      trashbin evaluate photographs/
      trashbin evaluate --wrong --config trashbin.yaml photographs/
      trashbin evaluate --json photographs/ | jq .accuracy
      trashbin evaluate --head before --config trashbin.yaml photographs/
    """
    classifier, thresholds, look = _open(config, model, gap=gap, top1=top1, familiarity=familiarity)
    taught = classifier.taught  # left out before, too: the two are compared on the same pictures
    if head == "before":
        classifier.use_head(None)
    elif head == "after" and classifier.model.head is None:
        raise click.UsageError(
            "this bin wears no taught head. Name its YAML with --config and leave --model out; "
            "trashbin teach makes a head."
        )
    from trashbin import evaluate

    return evaluate.run(
        folder,
        classifier,
        classifier.labels,
        thresholds,
        look=look,
        as_json=as_json,
        wrong=wrong,
        taught=taught,
    )


def _open(
    path: Path | None, model: str | None, **asked: float | None
) -> tuple[TFLiteClassifier, Thresholds, Look]:
    """The network, the thresholds that hold (options, else the YAML, calibration, manifest), look.

    The file is read once: one that changes meanwhile is one of the two, and no mixture.
    """
    from trashbin import classify
    from trashbin import config as configuration
    from trashbin.quiet import quiet
    from trashbin.settings import Look

    with quiet():
        read = configuration.read(path) if path else None
        return *classify.opened(read, model, **asked), read.look if read else Look()
