"""Patient distillation in tiny numbers, and the classifier it borrows (make test-data)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trashbin.errors import ModelError
from trashbin.model import golden
from trashbin.model.manifest import find
from trashbin.model.tflite import TFLiteClassifier
from trashbin.training.data import data_folder, weights_folder
from trashbin.types import Frame

pytestmark = pytest.mark.data


def test_a_borrowed_classifier_has_the_features_of_its_file() -> None:
    import torch
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from trashbin.pictures import read as read_picture
    from trashbin.training.bank import as_input
    from trashbin.training.borrowed import Borrowed
    from trashbin.training.data import read_photos

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


def test_what_is_no_parent_and_no_network_is_told_in_a_message(tmp_path: Path) -> None:
    from trashbin.training.evaluate import TFLite
    from trashbin.training.export import read_parent

    shipped = find().path
    for name in ("parent.npz", shipped.name):
        content = (shipped.parent / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"parent\.npz: is damaged"):
        read_parent(tmp_path / "parent.npz")
    with pytest.raises(ModelError, match="no parent of a model"):
        read_parent(shipped.with_name("familiarity.npz"))
    with pytest.raises(ModelError, match="refuses it"):
        TFLite(tmp_path / shipped.name, 160, "int8")


CHILD = """
import os, sys, time
from multiprocessing import get_context
from trashbin.training.stock import handed_over

def work(out, pids):
    out.cancel_join_thread()
    pids.put(os.getpid())
    while handed_over(out, b"0" * 1_000_000):
        pass

if __name__ == "__main__":
    context = get_context("spawn")
    out, pids = context.Queue(2), context.Queue()
    context.Process(target=work, args=(out, pids), daemon=True).start()
    print(pids.get(), flush=True)
    time.sleep(600)
"""


POOL = """
import os, time
from trashbin.training.bank import _pool

if __name__ == "__main__":
    with _pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("child", [CHILD, POOL])
def test_a_killed_run_leaves_no_worker_behind(child: str, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(child)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        worker = Path("/proc", run.stdout.readline().strip())
        assert worker.exists()
        run.kill()
    for _ in range(200):
        if not worker.exists():
            return
        time.sleep(0.1)
    pytest.fail("the worker goes on")


def test_a_line_of_the_log_stands_by_itself_where_a_bar_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tqdm import tqdm

    from trashbin.training.recipe import Work

    nowhere = tmp_path / "none"
    work = Work(nowhere, nowhere, nowhere, tmp_path, nowhere)
    for _ in tqdm(range(1), "student", file=sys.stdout):
        work.log("student", {"step": 1})
    lines = capsys.readouterr().out.replace("\r", "\n").splitlines()
    assert sum(line.startswith('{"stage": "student"') for line in lines) == 1


def test_a_tiny_run_goes_from_photographs_to_a_card_through_a_cut_and_is_made_again_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from trashbin.training import (
        card,
        export,
        lessons,
        patient,
        quantize,
        recipe,
        scores,
        speed,
        stock,
    )

    monkeypatch.setattr(quantize, "SHRINKS", (1.0, 0.8))  # all of them take minutes
    monkeypatch.setattr(quantize, "REFINED", (0.5,))
    monkeypatch.setattr(export, "GOLDEN_SEEDS", range(12))
    monkeypatch.setattr(scores, "HOME_COVERAGE", 0.0)
    monkeypatch.setattr(speed, "ROUNDS", 3)
    # a rate of the real run's height may throw so few views anywhere, to steps beyond XNNPACK's
    tiny: dict[str, Any] = {"steps": 1, "batch": 4, "rate": 1e-6}
    probe = tiny | {"size": 64, "probe_batches": 2, "probe_steps": 2}
    plan = patient.Plan(
        teachers=tuple(replace(each, **probe) for each in patient.TEACHERS),
        student=replace(patient.STUDENT, **tiny),
        settle=replace(patient.SETTLE, **tiny | {"steps": 2, "save_every": 1}),
        cut=recipe.Plan(
            size=64, max_macs=20_000_000, max_weights=2_000_000, index_away=1, limit=12, workers=1
        ),
        weighed=1,
        stock=stock.Numbers(room=16, first=6, chunk=6, side=128),
        looked=4,
        refined=1,
    )
    work = recipe.Work(
        data_folder(), weights_folder(), tmp_path / "cache", tmp_path / "run", tmp_path / "tiny"
    )
    told = lessons.train

    def cut_off(*args: Any) -> Any:
        if args[4].name == "settle":
            raise KeyboardInterrupt
        return told(*args)

    monkeypatch.setattr(lessons, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        patient.everything(work, plan)
    monkeypatch.setattr(lessons, "train", told)
    parent = patient.everything(work, plan)
    log = [json.loads(line) for line in (work.folder / "log.jsonl").read_text().splitlines()]
    assert [(each["stage"], each.get("step")) for each in log] == [
        *(("begin", None), ("teacher-0", 1), ("teacher-1", 1), ("teacher-2", 1), ("prune", None)),
        *(("student", 1), ("ranges", None), ("settle", 1), ("settle", 2)),
    ]
    network, exported = export.read_parent(parent)
    shape = network.architecture
    assert (shape.input_size, shape.stem_relu) == (64, True) and shape.weights() <= 2_000_000
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    exported.set_mode("pass")
    with torch.no_grad():
        same = torch.cosine_similarity(exported(x)[1], network.features(x + patient.PIXEL / 2))
    assert float(same.min()) > 0.9999
    recipe.ship(work, plan.cut, parent)
    named = find(str(work.out)).manifest
    assert named.version == named.created[:10] != find().manifest.version, "it is none of ours"
    shutil.copyfile(work.folder / "log.jsonl", work.out / "training-log.jsonl")
    for variant in ("int8", "float16"):
        bin_ = TFLiteClassifier(
            find(f"{work.out}:{variant}"), kernels="reference"
        )  # golden answers
        shares = bin_.predict(Frame(golden.pattern(1, 480, 640), 0.0)).scores
        assert sum(shares.values()) == pytest.approx(1)
    again = replace(work, folder=tmp_path / "again", out=tmp_path / "made" / "tiny")
    again.folder.mkdir()
    assert recipe.check(again, plan.cut, work.out) == 0
    told_of = capsys.readouterr()
    assert "DIFFERS" not in told_of.out
    assert "whole run: 0.0 h left" in told_of.err
    facts = recipe.facts(again, plan.cut, work.out)
    text = card.write_card(data_folder(), work.out, facts).read_text()
    assert "| float16 | 64 |" in text and "{" not in text
    assert "(Beyer et al., CVPR 2022): 1 steps of" in text and "least squares, and 2 steps" in text
    assert "about composites. A" in text, "no rendered scene was given"
    assert "round\n  differently.\n" in text and "98.3" not in text, "that is of what ships"
    cut_to = shape.multiply_adds()  # which channels go depends on the workers' pace
    assert 10_000_000 < cut_to <= 20_000_000
    assert f"pruned to {cut_to / 1e6:.0f} M multiply-adds" in text
    assert (work.out / "card" / "risk-coverage.svg").read_text().count("<path") > 5
