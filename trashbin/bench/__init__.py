"""How long a decision takes, beside the least that it could cost, turn by turn in the same run."""

from __future__ import annotations

import gc
import json
import platform
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import click
import cv2
from rich.console import Console
from rich.table import Table

import trashbin
from trashbin import machine
from trashbin.bench.cycle import Way, way
from trashbin.bench.process import Idle, Start, idle, start
from trashbin.decision import decide
from trashbin.errors import ExitCode
from trashbin.model import golden
from trashbin.model.tflite import TFLiteClassifier
from trashbin.types import Frame

Times: TypeAlias = list[dict[str, float]]

WIDTH, HEIGHT = 640, 480
ALLOWANCE = 1.15  # what the whole path may cost, over a bare resize and a bare invoke
WARM_UP = 5
PATIENCE = 5
NAP_S = 0.0005  # who slept a little is not the next to be interrupted


def run(
    classifiers: Sequence[TFLiteClassifier], runs: int, *, as_json: bool, idle_s: float = 0.0
) -> ExitCode:
    """Measure each network, interleaved run by run, then the bin as a whole; print the figures."""
    reports = measure(classifiers, runs)
    ways = [way(classifier, max(10, runs // 10)) for classifier in classifiers]
    whole = Whole(start(), idle(idle_s))
    for report, own in zip(reports, ways, strict=True):
        report |= whole.figures(own)
    if as_json:
        click.echo(json.dumps(reports[0] if len(reports) == 1 else {"models": reports}))
    else:
        show(reports, ways, whole)
    return ExitCode.GOOD


@dataclass(frozen=True)
class Whole:
    """What is measured of a whole bin; None where it was not asked for, or did not come up."""

    start: Start | None
    idle: Idle | None

    def figures(self, way: Way) -> dict[str, Any]:
        """What ``--json`` has of it, and of one network's way to the actuation."""
        return {
            "cold_start_s": None if self.start is None else self.start.ready_s,
            "start": None if self.start is None else self.start.figures(),
            "trigger_to_actuation": way.figures(),
            "idle": None if self.idle is None else asdict(self.idle),
        }


def report(classifier: TFLiteClassifier, runs: int) -> str:
    """One line about this board, to be sent back: what it is, and its medians and minima."""
    [figures] = measure([classifier], runs)
    stages = " ".join(
        f"{stage}={entry['median']:.2f}" for stage, entry in figures["stages_ms"].items()
    )
    whole = way(classifier, max(10, runs // 10))
    runtime = classifier.runtime
    return (
        f"trashbin {trashbin.__version__}; {machine.board()}; {machine.system()}; "
        f"Python {platform.python_version()}; {runtime.name} {runtime.version}; "
        f"{classifier.model.name}:{classifier.model.variant} {classifier.model.sha256[:12]}; "
        f"threads={classifier.threads} ms: {stages} "
        f"trigger_to_actuation={whole.total_ms:.1f} burst={whole.exposure_ms:.1f} "
        f"commit={whole.commit_ms:.2f}"
    )


def measure(classifiers: Sequence[TFLiteClassifier], runs: int) -> list[dict[str, Any]]:
    """In each turn every network does the whole path and the bare calls, in turn first.

    Times are wall-clock milliseconds. When the kernel takes the processor away midway, the time
    says more about what else runs than about the path: such times are counted, left out
    and taken again, in up to ``PATIENCE`` times ``runs`` turns.
    """
    frame = Frame(golden.pattern(1, HEIGHT, WIDTH), 0.0)
    benches = [_Bench(classifier, frame) for classifier in classifiers]
    gc.collect()
    gc.disable()  # a collection would fall on one stage by chance
    try:
        for turn in range(PATIENCE * runs):
            if all(bench.enough(runs) for bench in benches):
                break
            for bench in benches:
                bench.turn(bare_first=bool(turn % 2))
    finally:
        gc.enable()
    return [bench.report(runs) for bench in benches]


def show(reports: Sequence[dict[str, Any]], ways: Sequence[Way], whole: Whole) -> None:
    """Print the figures for people, in at most 80 columns."""
    console = Console(highlight=False)
    for report, own in zip(reports, ways, strict=True):
        model, runtime = report["model"], report["runtime"]
        console.print(f"{model['name']}:{model['variant']}, {runtime['name']} {runtime['version']}")
        console.print(
            f"threads {report['threads']}, {report['runs']} runs, {report['disturbed']} disturbed"
        )
        if report["disturbed"] > report["runs"]:
            console.print("A busy machine: these figures say more of what else it does.")
        table = Table(box=None, pad_edge=False)
        table.add_column("ms")
        table.add_column("median", justify="right")
        table.add_column("p95", justify="right")
        for stage, entry in report["stages_ms"].items():
            table.add_row(stage, f"{entry['median']:.3f}", f"{entry['p95']:.3f}")
        for stage, entry in report["bare_ms"].items():
            table.add_row(f"bare {stage}", f"{entry['median']:.3f}", f"{entry['p95']:.3f}")
        table.add_row("limit", f"{report['limit_ms']:.3f}", "")
        console.print(table)
        console.print(f"total / limit        {report['ratio_total_over_limit']:.3f} (at most 1)")
        console.print(f"total / bare invoke  {report['ratio_total_over_invoke']:.3f}")
        console.print(str(own))
        console.print()
    console.print(str(whole.start or "`trashbin run` did not come up"))
    if whole.idle is not None:
        console.print(str(whole.idle))


class _Bench:
    """One network, and how long the halves of its turns took, in milliseconds by stage."""

    def __init__(self, classifier: TFLiteClassifier, frame: Frame) -> None:
        self.classifier = classifier
        self.frame = frame
        self.calm: tuple[Times, Times] = ([], [])  # of the whole path, of the bare calls
        self.disturbed: tuple[Times, Times] = ([], [])
        for _ in range(WARM_UP):
            self.whole()
            self.bare()

    def enough(self, runs: int) -> bool:
        """Whether both halves were calm often enough."""
        return min(map(len, self.calm)) >= runs

    def turn(self, *, bare_first: bool) -> None:
        """One frame through the shipped path, and the bare calls on the same pixels."""
        halves = (self.whole, self.bare)
        for half in (1, 0) if bare_first else (0, 1):
            time.sleep(NAP_S)
            before = _preemptions()
            times = halves[half]()
            (self.calm if _preemptions() == before else self.disturbed)[half].append(times)

    def whole(self) -> dict[str, float]:
        start = time.perf_counter()
        prediction = self.classifier.predict(self.frame)
        predicted = time.perf_counter()
        decide([prediction], self.classifier.thresholds)
        done = time.perf_counter()
        return {
            "preprocess": prediction.preprocess_ms,
            "invoke": prediction.invoke_ms,
            "decide": (done - predicted) * 1e3,
            "total": (done - start) * 1e3,
        }

    def bare(self) -> dict[str, float]:
        spec = self.classifier.file.input_spec
        size = (spec.width, spec.height)
        start = time.perf_counter()
        cv2.resize(self.frame.pixels, size, interpolation=cv2.INTER_AREA)
        resized = time.perf_counter()
        self.classifier.invoke()
        done = time.perf_counter()
        return {"bare resize": (resized - start) * 1e3, "bare invoke": (done - resized) * 1e3}

    def report(self, runs: int) -> dict[str, Any]:
        """The figures of ``--json``, but for the cold start."""
        figures: dict[str, dict[str, float]] = {}
        for calm, disturbed in zip(self.calm, self.disturbed, strict=True):
            # never calm enough: what there is, is better than nothing
            times = calm if len(calm) >= max(2, runs / 10) else calm + disturbed
            for stage in times[0]:
                column = [once[stage] for once in times]
                figures[stage] = {
                    "median": statistics.median(column),
                    "p95": statistics.quantiles(column, n=20)[-1],
                }
        bare = {stage: figures.pop(f"bare {stage}") for stage in ("resize", "invoke")}
        total = figures["total"]["median"]
        limit = ALLOWANCE * (bare["resize"]["median"] + bare["invoke"]["median"])
        model, runtime = self.classifier.model, self.classifier.runtime
        return {
            "stages_ms": figures,
            "ratio_total_over_limit": total / limit,
            "ratio_total_over_invoke": total / bare["invoke"]["median"],
            "model": {"name": model.name, "variant": model.variant, "sha256": model.sha256},
            "runtime": {"name": runtime.name, "version": runtime.version},
            "threads": self.classifier.threads,
            "bare_ms": bare,
            "limit_ms": limit,
            "runs": len(self.calm[0]),
            "disturbed": len(self.disturbed[0]),
        }


def _preemptions() -> int:
    """How often the kernel took the processor from this thread so far."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
