"""How fast files are beside each other, and whether XNNPACK takes the whole of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

from trashbin.errors import ModelError
from trashbin.training import export
from trashbin.training.data import LABELS, LARGE
from trashbin.training.model import INPUT_SIZE, MobileNetV3, load_start_weights
from trashbin.training.quantize import PIXEL

ROUNDS = 200


def taken_whole(path: Path) -> bool:
    """Whether stock XNNPACK takes every operator.

    Then one delegate node gives the graph's outputs, and is given what no operator makes.
    """
    file = Interpreter(str(path), num_threads=1)
    file.allocate_tensors()
    told = file._get_ops_details()
    nodes = [op for op in told if op["op_name"] == "DELEGATE"]
    made = {int(tensor) for op in told for tensor in op["outputs"]}
    wanted = {each["index"] for each in file.get_output_details()}
    return (
        len(nodes) == 1
        and wanted <= set(nodes[0]["outputs"].tolist())
        and made.isdisjoint(nodes[0]["inputs"].tolist())
    )


def must_be_taken_whole(path: Path) -> None:
    """ModelError where stock XNNPACK refuses an operator."""
    if not taken_whole(path):
        raise ModelError(
            f"{path}: XNNPACK leaves some of its operators to slower kernels; "
            "look for a type or a padding it has no integer kernel for"
        )


def medians(files: Mapping[str, Path], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of one invoke, one thread; the files take turns, so noise is shared."""
    ready = {}
    for name, path in files.items():
        ready[name] = Interpreter(str(path), num_threads=1)
        ready[name].allocate_tensors()
        entry = ready[name].get_input_details()[0]
        some = np.random.default_rng(0).integers(-128, 128, entry["shape"])
        values = some.astype(entry["dtype"]) * (1 if entry["dtype"] == np.int8 else PIXEL)
        ready[name].set_tensor(entry["index"], values.astype(entry["dtype"]))
    took: dict[str, list[float]] = {name: [] for name in ready}
    for k in range(rounds + 10):
        for name, file in ready.items():
            began = time.perf_counter()
            file.invoke()
            if k >= 10:
                took[name].append(time.perf_counter() - began)
    return {name: float(np.median(times)) for name, times in took.items()}


class _Both(nn.Module):  # type: ignore[misc]
    def __init__(self, model: MobileNetV3) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.features(x)
        return self.model.head(features), features


def write_reference(weights: Path, out: Path) -> Path:
    """A model folder with the unpruned float32 network at 224 x 224, for its speed.

    Start weights and a head that was never trained: its labels mean nothing. `trashbin bench
    --model` takes the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "float32.tflite"
    if not file.exists():
        model = MobileNetV3()
        load_start_weights(model, weights / LARGE)
        nn.init.normal_(model.head.weight, std=0.01, generator=torch.Generator().manual_seed(0))
        export.convert(_Both(model.eval()).eval(), INPUT_SIZE, file)
    export.write_manifest(
        out,
        {
            "schema": "trashbin.model/1",
            "name": out.name,
            "version": "0.0.0",
            "labels": list(LABELS),
            "input": export.input_entry(INPUT_SIZE),
            "output": {"kind": "logits", "temperature": 1.0, "features": 960},
            "thresholds": {"gap": 0.0, "top1": 0.0},
            "variants": {"float32": export.describe(file, "float32", [])},
            "sources": export.SOURCES[1:],
        },
    )
    return file


def table(files: Mapping[str, tuple[Path, int, int]]) -> dict[str, dict[str, Any]]:
    """Rows of the card: name -> (path, input in pixels, multiply-adds)."""
    took = medians({name: path for name, (path, _, _) in files.items()})
    return {
        name: {
            "input": size,
            "multiply_adds": macs,
            "bytes": path.stat().st_size,
            "median_ms": round(1000 * took[name], 3),
            "left": "none" if taken_whole(path) else "some",
        }
        for name, (path, size, macs) in files.items()
    }
