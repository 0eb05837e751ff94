"""From a trained network to what ships: .tflite files and the manifest beside them.

``parent.npz`` holds the float16 weights and the int8 ranges that everything else is made of, so the
files can be made again, bit by bit, without training (``report --quick``). Both variants compute
``quantize.Exported``; the outputs are six logits and the pooled features (six times as large as
the network's own). Temperature and thresholds stand in the manifest alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer import qtyping, quantizer, recipe, recipe_manager

from trashbin import whole_file
from trashbin.errors import ModelError
from trashbin.model import golden
from trashbin.preprocess import restore
from trashbin.quiet import quiet
from trashbin.training.data import LABELS
from trashbin.training.evaluate import TFLite
from trashbin.training.model import Architecture, MobileNetV3
from trashbin.training.quantize import PIXEL, Exported
from trashbin.training.scores import softmax

VARIANTS = {"int8": "int8", "float16": "float32"}  # variant -> type of its input
GOLDEN_SEEDS = range(1500)

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
    {
        "what": "EfficientNet-Lite0, int8 (one of three teachers)",
        "license": "Apache-2.0",
        "url": "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    },
]


# -- the parent -----------------------------------------------------------------------------------


def write_parent(model: MobileNetV3, ranges: Sequence[tuple[float, float]], path: Path) -> None:
    """Architecture, float16 weights and int8 ranges (in the file's order) in one .npz."""
    weights = {f"w/{k}": v.numpy().astype(np.float16) for k, v in model.state_dict().items()}
    table = np.array(json.dumps(model.architecture.as_dict()))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file.writing(path) as file:
        np.savez_compressed(
            file, architecture=table, ranges=np.array(ranges, np.float32), **weights
        )


def read_parent(path: Path) -> tuple[MobileNetV3, Exported]:
    """The network, and what is exported of it with its ranges set. ModelError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            model = MobileNetV3(Architecture.from_dict(json.loads(str(kept["architecture"]))))
            model.load_state_dict(
                {k[2:]: torch.from_numpy(kept[k].astype(np.float32)) for k in kept if k[:2] == "w/"}
            )
            ranges = kept["ranges"]
    except (ValueError, KeyError, TypeError, EOFError, RuntimeError, BadZipFile) as error:
        raise ModelError(f"{path}: is damaged, or no parent of a model ({error})") from error
    exported = Exported(model.eval()).eval()
    for place, (low, high) in zip(exported.ranges(), ranges, strict=True):
        place.low.fill_(float(low))
        place.high.fill_(float(high))
    return model, exported.fold()


# -- the files ------------------------------------------------------------------------------------


def convert(module: torch.nn.Module, size: int, path: Path) -> None:
    """Writes the float32 .tflite of a module that takes (N, 3, size, size)."""
    plain = module.to(memory_format=torch.contiguous_format).eval()
    part = path.with_suffix(".part")  # one that is there is not made again
    with contextlib.redirect_stdout(io.StringIO()), quiet():
        import litert_torch

        litert_torch.convert(
            litert_torch.to_channel_last_io(plain, args=[0]).eval(),
            (torch.zeros(1, size, size, 3),),
        ).export(str(part))
    part.replace(path)


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


def operators(path: Path) -> list[dict[str, Any]]:
    """The file's operators in order, with the numbers of their tensors."""
    plain = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    found: list[dict[str, Any]] = plain._get_ops_details()
    return found


def write_int8(float32: Path, exported: Exported, path: Path) -> None:
    """The integer file: every operator's output gets the range that training knew."""
    work = quantizer.Quantizer(str(float32), recipe.static_wi8_ai8())
    plain = Interpreter(str(float32))
    name = {each["index"]: each["name"] for each in plain.get_tensor_details()}
    entry = plain.get_input_details()[0]
    some = np.zeros(entry["shape"], np.float32)
    known = work.calibrate({"serving_default": [{"args_0": some}]})
    order = [entry["index"], *(op["outputs"][0] for op in operators(float32))]
    for index, place in zip(order, exported.ranges(), strict=True):
        kept = known[name[index]]
        kept["min"] = np.full_like(kept["min"], float(place.low))
        kept["max"] = np.full_like(kept["max"], float(place.high))
    path.write_bytes(bytes(work.quantize(known).quantized_model))


def write_variants(exported: Exported, out: Path, float32: Path) -> dict[str, Path]:
    """int8.tflite and float16.tflite in `out`, the float32 file at `float32`."""
    out.mkdir(parents=True, exist_ok=True)
    float32.parent.mkdir(parents=True, exist_ok=True)
    exported.set_mode("pass")
    convert(exported, exported.architecture.input_size, float32)
    files = {name: out / f"{name}.tflite" for name in VARIANTS}
    with contextlib.redirect_stdout(io.StringIO()), quiet():
        write_int8(float32, exported, files["int8"])
        halved = quantizer.Quantizer(str(float32), float16_recipe()).quantize()
    files["float16"].write_bytes(bytes(halved.quantized_model))
    return files


# -- the manifest ---------------------------------------------------------------------------------


def input_entry(size: int) -> dict[str, Any]:
    """What the manifest says of the input; an int8 file takes pixel - 128 as it is."""
    return {
        "width": size,
        "height": size,
        "color": "RGB",
        "layout": "NHWC",
        "dtype": "float32",
        "fit": "stretch",
        "scale": PIXEL,
        "offset": -128 * PIXEL,
        "turned": True,
        "restored": True,
    }


def describe(path: Path, dtype: str, golden_entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A variant's entry in the manifest."""
    entry = file_entry(path)
    return {"file": entry.pop("file"), "dtype": dtype, **entry, "golden": golden_entries}


def golden_entries(
    path: Path, size: int, dtype: str, temperature: float, familiar: Any, count: int = 2
) -> list[dict[str, Any]]:
    """The made-up pictures that the file is surest about, of different labels where it has any.

    Every second one is a picture that `restore` changes, so that this is checked as well.
    """
    fast, reference = TFLite(path, size, dtype), TFLite(path, size, dtype, reference=True)
    best: dict[bool, dict[int, tuple[float, int]]] = {False: {}, True: {}}
    for seed in GOLDEN_SEEDS:
        picture = golden.pattern(seed, size, size)
        logits, _ = fast.run(picture)
        top, gap = int(logits.argmax()), gap_of(logits, temperature)
        of = best[restore(picture) is not picture]
        if gap > of.get(top, (0.0, 0))[0]:
            of[top] = (gap, seed)
    entries: list[dict[str, Any]] = []
    for place in range(count):
        told = {entry["label"] for entry in entries}
        left = {LABELS[top]: found for top, found in best[place % 2 == 1].items()}
        fresh = [found for label, found in left.items() if label not in told]
        if not left:
            continue
        _, seed = max(fresh or left.values())
        logits, features = reference.run(golden.pattern(seed, size, size))
        entries.append(
            {
                "seed": seed,
                "logits_reference": [round(float(v), 6) for v in logits],
                "label": LABELS[int(logits.argmax())],
                "gap": round(gap_of(logits, temperature), 6),
                "familiarity": round(familiar.score(features, int(logits.argmax())), 6),
            }
        )
    return entries


def gap_of(logits: Any, temperature: float) -> float:
    """Largest share less the second largest."""
    shares = np.sort(softmax(np.asarray(logits, np.float64)[None] / temperature)[0])
    return float(shares[-1] - shares[-2])


def file_entry(path: Path) -> dict[str, Any]:
    """Name, digest and size of a file that belongs to the model."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"file": path.name, "sha256": digest, "bytes": len(content)}


def write_manifest(out: Path, values: dict[str, Any]) -> None:
    """`out/manifest.json`."""
    (out / "manifest.json").write_text(json.dumps(values, indent=2) + "\n")
