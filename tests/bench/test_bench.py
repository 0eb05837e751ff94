"""``make bench``: the parts of a decision on one frame, and the budget that the whole must keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf

import cv2
import pytest
from click.testing import CliRunner
from pytest_benchmark.fixture import BenchmarkFixture

from trashbin import bench
from trashbin.cli import main
from trashbin.decision import decide
from trashbin.model import golden, manifest
from trashbin.model.tflite import TFLiteClassifier
from trashbin.preprocess import fill, to_tensor
from trashbin.scene import Scene
from trashbin.types import Frame

BENCH_KEYS = [
    *("stages_ms", "ratio_total_over_limit", "ratio_total_over_invoke", "model", "runtime"),
    *("threads", "bare_ms", "limit_ms", "runs", "disturbed"),
    *("cold_start_s", "start", "trigger_to_actuation", "idle"),
]
FRAME = Frame(golden.pattern(1, bench.HEIGHT, bench.WIDTH), 0.0)


@pytest.fixture(scope="module")
def network() -> TFLiteClassifier:
    return TFLiteClassifier(manifest.find())


def test_bare_resize(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    size = (network.file.input_spec.width, network.file.input_spec.height)
    small = benchmark(cv2.resize, FRAME.pixels, size, interpolation=cv2.INTER_AREA)
    assert small.shape == (size[1], size[0], 3)


def test_scene(benchmark: BenchmarkFixture) -> None:
    scene = Scene(learn_frames=1)
    scene.learn(Frame(golden.pattern(2, bench.HEIGHT, bench.WIDTH), 0.0))
    view = benchmark(scene.look, FRAME)
    assert view.changed


def test_preprocess(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    spec = network.file.input_spec
    tensor = to_tensor(FRAME.pixels, spec)
    wanted = tensor.copy()
    benchmark(fill, tensor, FRAME.pixels, spec)
    assert (tensor == wanted).all()


def test_bare_invoke(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    network.load_input(FRAME)
    benchmark(network.invoke)
    assert network.logits().shape == (len(network.labels),)


def test_decide(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    burst = [network.predict(FRAME)] * 3
    assert benchmark(decide, burst, network.thresholds).label in network.labels


def test_frame_to_decision(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    decided = benchmark(lambda: decide([network.predict(FRAME)], network.thresholds))
    assert decided.label in network.labels


def least(ratio: Callable[[], float], limit: float) -> float:
    """The least of up to three: what else the machine does can only add to one."""
    found = inf
    for _ in range(3):
        found = min(found, ratio())
        if found <= limit:
            break
    return found


def test_the_whole_keeps_its_budget(benchmark: BenchmarkFixture, network: TFLiteClassifier) -> None:
    def ratio() -> float:
        [report] = bench.measure([network], 40)
        return float(report["ratio_total_over_limit"])

    assert benchmark.pedantic(least, (ratio, 1), rounds=1) <= 1


def test_trashbin_run_is_ready_in_time(benchmark: BenchmarkFixture) -> None:
    def ratio() -> float:
        start = bench.start()
        assert start is not None
        assert start.ready_s <= 2.0
        return start.figures()["ratio"]

    assert benchmark.pedantic(least, (ratio, 1.5), rounds=1) <= 1.5


def test_the_way_to_the_actuation_keeps_its_budget(
    benchmark: BenchmarkFixture, network: TFLiteClassifier
) -> None:
    def ratio() -> float:
        way = bench.way(network, 20)
        assert way.frames == 3  # the burst, of which the settled frame is one
        return way.figures()["ratio_over_limit"]

    assert benchmark.pedantic(least, (ratio, 1), rounds=1) <= 1


def test_bench_prints_one_object_or_one_for_each_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "start", lambda: bench.Start(1.25, 1.0))
    name = manifest.DEFAULT_MODEL
    several = ["--model", name, "--model", f"{name}:float16"]
    both = CliRunner().invoke(main, ["bench", "--json", "--runs", "10", *several])
    reports = json.loads(both.output)["models"]
    assert [report["model"]["variant"] for report in reports] == ["int8", "float16"]
    for report in reports:
        assert list(report) == BENCH_KEYS
        assert list(report["stages_ms"]) == ["preprocess", "invoke", "decide", "total"]
        assert 0 < report["stages_ms"]["total"]["median"] <= report["stages_ms"]["total"]["p95"]
    people = CliRunner().invoke(main, ["bench", "--runs", "10"]).output
    assert "total / limit" in people and "1.25 s" in people
