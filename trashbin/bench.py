"""How long a decision takes, beside the least that it could cost, turn by turn in the same run."""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import yaml
from rich.console import Console
from rich.table import Table

from trashbin import resources
from trashbin.decision import decide
from trashbin.errors import ExitCode
from trashbin.model import golden
from trashbin.model.tflite import TFLiteClassifier
from trashbin.types import Frame

WIDTH, HEIGHT = 640, 480
ALLOWANCE = 1.15  # what the whole path may cost, over a bare resize and a bare invoke
WARM_UP = 5
COLD_START_LIMIT_S = 30.0


def run(classifiers: Sequence[TFLiteClassifier], runs: int, *, as_json: bool) -> ExitCode:
    """Measure each network, interleaved run by run, and print the figures."""
    reports = measure(classifiers, runs)
    cold_start_s = cold_start()
    for report in reports:
        report["cold_start_s"] = cold_start_s
    if as_json:
        click.echo(json.dumps(reports[0] if len(reports) == 1 else {"models": reports}))
    else:
        show(reports)
    return ExitCode.GOOD


def measure(classifiers: Sequence[TFLiteClassifier], runs: int) -> list[dict[str, Any]]:
    """``runs`` turns; in each, every network does the whole path and the bare calls, in turn first.

    Times are wall-clock milliseconds. The limit is ``ALLOWANCE`` x (a bare resize + a bare
    invoke), and the ratio to it is taken turn by turn: the two are stretches of time
    of about the same length, one after the other, so that whatever else the machine does
    falls on both alike.
    """
    frame = Frame(golden.pattern(1, HEIGHT, WIDTH), 0.0)
    times: list[list[dict[str, float]]] = [[] for _ in classifiers]
    gc.collect()
    gc.disable()  # a collection would fall on one stage by chance
    try:
        for turn in range(WARM_UP + runs):
            for classifier, taken in zip(classifiers, times, strict=True):
                once = _turn(classifier, frame, bare_first=bool(turn % 2))
                if turn >= WARM_UP:
                    taken.append(once)
    finally:
        gc.enable()
    return [_report(*pair) for pair in zip(classifiers, times, strict=True)]


def cold_start() -> float | None:
    """Seconds from the start of a ``trashbin run`` process to its READY=1; None if it never comes.

    The bin is the demo's, with no broker and a store of its own in a temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="trashbin-bench-") as folder:
        config = Path(folder, "bench.yaml")
        config.write_text(_without_broker(Path(folder)), encoding="utf-8")
        address = str(Path(folder, "notify"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address)
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "trashbin", "run", "--config", str(config)],
                env=os.environ | {"NOTIFY_SOCKET": address},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                ready = _wait_ready(listener, process, started + COLD_START_LIMIT_S)
                return time.perf_counter() - started if ready else None
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def show(reports: Sequence[dict[str, Any]]) -> None:
    """Print the figures for people, in at most 80 columns."""
    console = Console(highlight=False)
    for report in reports:
        model, runtime = report["model"], report["runtime"]
        console.print(
            f"{model['name']}:{model['variant']}, {runtime['name']} {runtime['version']}, "
            f"threads {report['threads']}, {report['runs']} runs"
        )
        table = Table(box=None, pad_edge=False)
        table.add_column("ms")
        table.add_column("median", justify="right")
        table.add_column("p95", justify="right")
        for stage, entry in report["stages_ms"].items():
            table.add_row(stage, f"{entry['median']:.3f}", f"{entry['p95']:.3f}")
        for stage, entry in report["bare_ms"].items():
            table.add_row(f"bare {stage}", f"{entry['median']:.3f}", f"{entry['p95']:.3f}")
        console.print(table)
        console.print(f"total / limit        {report['ratio_total_over_limit']:.3f} (at most 1)")
        console.print(f"total / bare invoke  {report['ratio_total_over_invoke']:.3f}")
        console.print()
    cold = reports[0]["cold_start_s"]
    told = "it did not come up" if cold is None else f"{cold:.2f} s"
    console.print(f"`trashbin run` from start to ready: {told}")


def _turn(classifier: TFLiteClassifier, frame: Frame, bare_first: bool) -> dict[str, float]:
    """One frame through the shipped path, and the bare calls on the same pixels."""
    if bare_first:
        bare = _bare(classifier, frame)
        return _whole(classifier, frame) | bare
    return _whole(classifier, frame) | _bare(classifier, frame)


def _whole(classifier: TFLiteClassifier, frame: Frame) -> dict[str, float]:
    start = time.perf_counter()
    prediction = classifier.predict(frame)
    predicted = time.perf_counter()
    decide([prediction], classifier.thresholds)
    done = time.perf_counter()
    return {
        "preprocess": prediction.preprocess_ms,
        "invoke": prediction.invoke_ms,
        "decide": (done - predicted) * 1e3,
        "total": (done - start) * 1e3,
    }


def _bare(classifier: TFLiteClassifier, frame: Frame) -> dict[str, float]:
    spec = classifier.file.input_spec
    size = (spec.width, spec.height)
    start = time.perf_counter()
    cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
    resized = time.perf_counter()
    classifier.invoke()
    done = time.perf_counter()
    return {
        "bare resize": (resized - start) * 1e3,
        "bare invoke": (done - resized) * 1e3,
        "bare both": (done - start) * 1e3,
    }


def _report(classifier: TFLiteClassifier, times: Sequence[dict[str, float]]) -> dict[str, Any]:
    figures = {
        stage: {
            "median": statistics.median(column := [once[stage] for once in times]),
            "p95": statistics.quantiles(column, n=20)[-1],
        }
        for stage in times[0]
    }
    bare = {stage: figures.pop(f"bare {stage}") for stage in ("resize", "invoke", "both")}
    return {
        "stages_ms": figures,
        "ratio_total_over_limit": _ratio(times, "bare both") / ALLOWANCE,
        "ratio_total_over_invoke": _ratio(times, "bare invoke"),
        "model": {
            "name": classifier.model.name,
            "variant": classifier.model.variant,
            "sha256": classifier.model.sha256,
        },
        "runtime": {"name": classifier.runtime.name, "version": classifier.runtime.version},
        "threads": classifier.threads,
        "bare_ms": bare,
        "runs": len(times),
    }


def _ratio(times: Sequence[dict[str, float]], stage: str) -> float:
    """The median ratio of the whole path to a bare stage of the same turn."""
    return statistics.median(once["total"] / once[stage] for once in times)


def _without_broker(folder: Path) -> str:
    """config/demo.yaml with no publisher and its store in ``folder``."""
    demo = resources.root() / "config" / "demo.yaml"
    config = yaml.safe_load(demo.read_text(encoding="utf-8"))
    config |= {"publisher": {"kind": "none"}, "store": {"path": str(folder / "store")}}
    return str(yaml.safe_dump(config))


def _wait_ready(listener: socket.socket, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether READY=1 came before the process ended or the time was over."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while process.poll() is None and time.perf_counter() < deadline:
            if selector.select(timeout=0.05) and b"READY=1" in listener.recv(4096).split(b"\n"):
                return True
    return False
