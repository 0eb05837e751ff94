"""From a trained network to what ships: .tflite files and the manifest beside them.

The input is float32 NHWC in -1..1, the output plain logits: the temperature stands in the manifest
alone. int8: the weights in int8 (per channel), activations in float. float16: weights in float16.
The manifest's numbers come from the files themselves.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_quantizer import qtyping, quantizer, recipe, recipe_manager
from numpy.typing import NDArray

from trashbin.model import golden
from trashbin.training.data import LABELS
from trashbin.training.evaluate import (
    Scores,
    TFLite,
    choose_thresholds,
    fit_temperature,
    fold_banks,
    risk_and_coverage,
    run_bank,
    softmax,
)
from trashbin.training.model import INPUT_SIZE, MobileNetV3

VERSION = "0.1.0"
SCALE, OFFSET = 1 / 127.5, -1.0
MAX_RISK = 0.06  # error aimed at among acted items on the calib fold, home and away in equal parts
GOLDEN_SEEDS = range(4000)

SOURCES = [
    {
        "what": "TrashNet photographs (training data), Gary Thung and Mindy Yang, 2016",
        "license": "MIT",
        "url": "https://github.com/garythung/trashnet",
    },
    {
        "what": "MobileNetV3-Large ImageNet backbone (start weights), Keras Applications",
        "license": "Apache-2.0",
        "url": "https://keras.io/api/applications/mobilenet/",
    },
]


def convert(model: MobileNetV3, path: Path) -> None:
    """Writes the float32 .tflite of a network."""
    import litert_torch

    example = torch.zeros(1, INPUT_SIZE, INPUT_SIZE, 3)
    plain = model.to(memory_format=torch.contiguous_format).eval()
    litert_torch.convert(
        litert_torch.to_channel_last_io(plain, args=[0]).eval(), (example,)
    ).export(str(path))


def float16_recipe() -> list[dict[str, Any]]:
    """Every weight as a 16-bit float, made wide again before it is used."""
    rules = recipe_manager.RecipeManager()
    rules.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key="float_casting",
    )
    made: list[dict[str, Any]] = rules.get_quantization_recipe()
    return made


def write_variants(model: MobileNetV3, out: Path, keep_float: Path) -> dict[str, Path]:
    """int8.tflite and float16.tflite in `out`, the float32 file at `keep_float`."""
    out.mkdir(parents=True, exist_ok=True)
    convert(model, keep_float)
    recipes = {"int8": recipe.weight_only_wi8_afp32(), "float16": float16_recipe()}
    files = {}
    for name, rules in recipes.items():
        files[name] = out / f"{name}.tflite"
        result = quantizer.Quantizer(str(keep_float), rules).quantize()
        files[name].write_bytes(bytes(result.quantized_model))
    return files


def gap_of(logits: NDArray[np.float64], temperature: float) -> float:
    """Largest share less the second largest."""
    shares = np.sort(softmax(logits[None] / temperature)[0])
    return float(shares[-1] - shares[-2])


def golden_entries(path: Path, temperature: float, count: int = 2) -> list[dict[str, Any]]:
    """The made-up pictures that the file is surest about, of different labels where it has any."""
    fast, reference = TFLite(path), TFLite(path, reference=True)
    best: dict[int, tuple[float, int]] = {}
    for seed in GOLDEN_SEEDS:
        logits = fast.logits(golden.pattern(seed, INPUT_SIZE, INPUT_SIZE))
        top, gap = int(logits.argmax()), gap_of(logits, temperature)
        if gap > best.get(top, (0.0, 0))[0]:
            best[top] = (gap, seed)
    chosen = sorted(best.values(), reverse=True)[:count]
    entries = []
    for _, seed in chosen:
        logits = reference.logits(golden.pattern(seed, INPUT_SIZE, INPUT_SIZE))
        entries.append(
            {
                "seed": seed,
                "logits_reference": [float(v) for v in logits],
                "label": LABELS[int(logits.argmax())],
                "gap": round(gap_of(logits, temperature), 6),
            }
        )
    return entries


def describe(path: Path, temperature: float) -> dict[str, Any]:
    """A variant's entry in the manifest."""
    content = path.read_bytes()
    return {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "golden": golden_entries(path, temperature),
    }


def calibrate(
    path: Path, root: Path, cache: Path, limit: int = 0
) -> tuple[float, dict[str, float], dict[str, Any]]:
    """Temperature, thresholds and the facts they rest on: the calib fold run through the file."""
    file = TFLite(path)
    home, away = (run_bank(file, bank) for bank in fold_banks(root, cache, "calib", limit))
    both = Scores.joined(home, away)
    weights = np.concatenate([np.full(len(s), 0.5 / len(s)) for s in (home, away)])
    temperature = round(fit_temperature(both, weights), 4)
    thresholds = choose_thresholds(both, weights, temperature, MAX_RISK)
    facts: dict[str, Any] = {
        "fold": "calib",
        "variant": path.stem,
        "max_risk": MAX_RISK,
        "bound": "none: the observed error",
    }
    for name, scores in (("home", home), ("away", away)):
        facts[name] = {"items": len(scores)} | risk_and_coverage(
            scores, temperature, thresholds["gap"], thresholds["top1"]
        )
    return temperature, thresholds, facts


def agreement(
    model: MobileNetV3, path: Path, root: Path, cache: Path, limit: int = 0
) -> dict[str, float]:
    """Network in float against file on the val photographs: logits and labels."""
    from trashbin.training.bank import as_input

    file, bank = TFLite(path), fold_banks(root, cache, "val", limit)[0]
    with torch.no_grad():
        wanted = model.eval()(as_input([np.asarray(p) for p in bank.pictures])).numpy()
    found = run_bank(file, bank).logits
    return {
        "pictures": len(bank),
        "largest_difference": round(float(np.abs(wanted - found).max()), 5),
        "same_label": float((wanted.argmax(1) == found.argmax(1)).mean()),
    }


def export(root: Path, run: Path, cache: Path, out: Path, limit: int = 0) -> None:
    """Writes `out/int8.tflite`, `out/float16.tflite`, `out/manifest.json` from `run/model.pt`."""
    model = MobileNetV3()
    model.load_state_dict(torch.load(run / "model.pt", weights_only=True))
    files = write_variants(model, out, run / "float32.tflite")
    for path in (run / "float32.tflite", *files.values()):
        print(
            path.name,
            path.stat().st_size,
            "bytes; against the network:",
            json.dumps(agreement(model, path, root, cache, limit)),
        )
    temperature, thresholds, facts = calibrate(files["int8"], root, cache, limit)
    manifest = {
        "schema": "trashbin.model/1",
        "name": out.name,
        "version": VERSION,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "labels": list(LABELS),
        "input": {
            "width": INPUT_SIZE,
            "height": INPUT_SIZE,
            "color": "RGB",
            "layout": "NHWC",
            "dtype": "float32",
            "fit": "stretch",
            "scale": SCALE,
            "offset": OFFSET,
        },
        "output": {"kind": "logits", "temperature": temperature},
        "thresholds": {**thresholds, "familiarity": None},
        "calibration": facts,
        "variants": {name: describe(path, temperature) for name, path in files.items()},
        "sources": SOURCES,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"temperature {temperature}, thresholds {thresholds}")
    print(json.dumps(facts, indent=1))
