"""Patient distillation in tiny numbers, and the classifier it borrows (make test-data)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trashbin.model.manifest import find
from trashbin.training.data import data_folder, weights_folder

pytestmark = pytest.mark.data


def test_a_borrowed_classifier_has_the_features_of_its_file() -> None:
    import torch
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from trashbin.training.bank import as_input
    from trashbin.training.borrowed import Borrowed
    from trashbin.training.data import read_photos, read_picture

    path = weights_folder() / "efficientnet_lite0_int8.tflite"
    plain = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    plain.allocate_tensors()
    (mean,) = (op for op in plain._get_ops_details() if op["op_name"] == "MEAN")
    network = Borrowed(path).eval()
    for photo in read_photos(data_folder())[::900]:
        x = as_input([read_picture(data_folder() / photo.path)], 224)
        pixels = ((x + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
        plain.set_tensor(plain.get_input_details()[0]["index"], pixels)
        plain.invoke()
        index = mean["outputs"][0]
        detail = next(d for d in plain.get_tensor_details() if d["index"] == index)
        scale, zero = detail["quantization"]
        wanted = (plain.get_tensor(index).astype(np.float64)[0] - zero) * scale
        with torch.no_grad():
            found = network.features(x)[0].double().numpy()
        cosine = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
        assert cosine > 0.99


def test_a_tiny_patient_run_gives_a_parent_that_rounds_and_goes_on_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from trashbin.training import export, lessons, patient, quantize, recipe, stock

    monkeypatch.setattr(quantize, "SHRINKS", (1.0, 0.8))  # all of them take minutes
    monkeypatch.setattr(quantize, "REFINED", (0.5,))
    begin, _ = export.read_parent(find("trashnet-mobilenetv3-large").path.parent / "parent.npz")
    begin.architecture = replace(begin.architecture, input_size=64)
    tiny: dict[str, int] = {"steps": 1, "batch": 4}
    probe = tiny | {"size": 64, "probe_batches": 2, "probe_steps": 2}
    plan = patient.Plan(
        teachers=tuple(replace(patient.TEACHERS[k], **probe) for k in (0, 1)),
        student=replace(patient.STUDENT, **tiny),
        settle=replace(patient.SETTLE, **tiny | {"steps": 2, "save_every": 1}),
        stock=stock.Numbers(room=16, first=6, chunk=6, side=128),
        looked=4,
        refined=1,
        limit=6,
    )
    work = recipe.Work(
        data_folder(), weights_folder(), tmp_path / "cache", tmp_path / "run", tmp_path / "out"
    )
    told = lessons.train

    def cut_off(*args: Any) -> Any:
        if args[4].name == "settle":
            raise KeyboardInterrupt
        return told(*args)

    monkeypatch.setattr(lessons, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        patient.everything(work, plan, begin)
    monkeypatch.setattr(lessons, "train", told)
    parent = patient.everything(work, plan, begin)
    log = [json.loads(line) for line in (work.folder / "log.jsonl").read_text().splitlines()]
    assert [(each["stage"], each.get("step")) for each in log] == [
        *(("teacher-0", 1), ("teacher-1", 1), ("student", 1), ("ranges", None)),
        *(("settle", 1), ("settle", 2)),
    ]
    network, exported = export.read_parent(parent)
    assert network.architecture == begin.architecture
    exported.set_mode("round")
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        logits, features = exported(x)
        plain = network.features(x + patient.PIXEL / 2)
    assert torch.isfinite(logits).all()
    assert float(torch.cosine_similarity(features, plain).min()) > 0.9
