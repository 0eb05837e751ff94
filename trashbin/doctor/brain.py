"""The network: its file's digest, its golden inputs, and how long it takes on this board."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from trashbin.doctor.report import Finding, bad, good, warning
from trashbin.errors import ExitCode, ModelError
from trashbin.model import golden, tflite
from trashbin.quiet import quiet
from trashbin.settings import Model
from trashbin.types import Frame

RUNS = 20
WIDTH, HEIGHT = 640, 480
# Milliseconds that one look at one picture may take. Not measured: several times what
# published tables of such networks give for these boards, so that only a bin that is
# throttled, or busy with something else, falls out.
LIMITS_MS = {
    "Raspberry Pi 5": 60,
    "Raspberry Pi 4": 160,
    "Raspberry Pi Compute Module 4": 160,
    "Raspberry Pi 3": 400,
    "Raspberry Pi Zero 2": 400,
}


def check(section: Model, board: str | None) -> Iterator[Finding]:
    """Open the network, which checks digest and golden inputs, and time it."""
    try:
        with quiet():
            classifier = tflite.open_model(section)
            if section.kernels != "reference":  # exact values hold under these kernels alone
                exact = section.model_copy(update={"kernels": "reference"})
                tflite.open_model(exact).close()
    except ModelError as error:
        yield bad(
            "model",
            str(error),
            "The bin asks no network, and sorts nothing.",
            "Install trashbin again; with a model of your own, see model: name.",
            ExitCode.BAD_USAGE,
        )
        return
    model, runtime = classifier.model, classifier.runtime
    yield good(
        "model",
        f"{model.name}:{model.variant}, sha256 {model.sha256[:12]}, as its manifest says",
        "The file is whole.",
    )
    count = len(classifier.file.manifest.variants[classifier.file.variant].golden)
    yield good(
        "model answers",
        f"{count} golden inputs, exact under reference kernels; {runtime.name} {runtime.version}",
        "This processor computes what the network was measured with.",
    )
    frame = Frame(golden.pattern(1, HEIGHT, WIDTH), 0.0)
    times = []
    for _ in range(RUNS):
        prediction = classifier.predict(frame)
        times.append(prediction.preprocess_ms + prediction.invoke_ms)
    yield _latency(statistics.median(times), board)


def _latency(milliseconds: float, board: str | None) -> Finding:
    told = f"{milliseconds:.0f} ms a picture, the median of {RUNS}"
    limits = (limit for name, limit in LIMITS_MS.items() if (board or "").startswith(name))
    limit = next(limits, None)
    if limit is None:
        return good(
            "model latency",
            told,
            f"There is no figure to compare with for {board or 'this machine'}.",
        )
    if milliseconds > limit:
        return warning(
            "model latency",
            f"{told}; a {board} should take at most {limit}",
            "Decisions are slow: it is throttled, or something else keeps it busy.",
            "See power and temperature here, and top; model: threads may be raised to 2 or 3.",
        )
    return good("model latency", f"{told}, at most {limit} wanted", "As quick as this board is.")
