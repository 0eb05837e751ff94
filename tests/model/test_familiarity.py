"""The familiarity score: what it promises of any index, what is refused, and a network with it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from trashbin.cli import main
from trashbin.decision import decide
from trashbin.errors import ModelError
from trashbin.model import golden
from trashbin.model.familiarity import Familiarity, parse
from trashbin.model.manifest import find
from trashbin.model.tflite import TFLiteClassifier
from trashbin.types import Frame, Reason, Thresholds

FIXTURE = Path(__file__).with_name("two_outputs.tflite")  # see make_two_outputs.py
SIZE, WIDTH = 32, 24
Arrays = dict[str, Any]


def arrays(seed: int = 0, rows: int = 40, width: int = WIDTH, k: int = 5) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "index": rng.integers(-127, 128, (rows, width)).astype(np.int8),
        "labels": (np.arange(rows) % 6).astype(np.uint8),
        "k": np.int64(k),
        "mean": np.zeros(width, np.float32),
    }


def packed(content: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **content)
    return file.getvalue()


seeds = st.integers(0, 2**32 - 1)


labels = st.integers(0, 5)


@given(seeds, st.lists(st.floats(width=32), min_size=6, max_size=6), labels)
def test_any_feature_scores_from_0_to_1(seed: int, feature: list[float], label: int) -> None:
    with np.errstate(all="ignore"):
        known = parse(packed(arrays(seed, width=6)))
        score = known.score(np.array(feature, np.float32), label)
    assert 0.0 <= score <= 1.0
    if not all(np.isfinite(feature)):
        assert score == 0.0


@given(seeds, st.integers(0, 39))
def test_what_stands_in_the_index_scores_highest_as_its_own_label(seed: int, row: int) -> None:
    content = arrays(seed, k=1)
    known, feature, own = parse(packed(content)), content["index"][row], int(content["labels"][row])
    assert known.score(feature, own) == pytest.approx(1.0, abs=1e-6)
    assert known.score(-feature.astype(np.float32), own) < 1.0
    assert all(known.score(feature, other) < 0.999 for other in {*range(6)} - {own})
    assert known.score(feature, 6) == 0.0  # a label that the index has nothing of


@given(seeds, st.integers(1, 40), labels)
def test_it_is_the_mean_of_the_labels_nearest_cosines(seed: int, k: int, label: int) -> None:
    given_arrays = arrays(seed, k=k)
    feature = np.random.default_rng(seed + 1).standard_normal(WIDTH)
    index = given_arrays["index"][given_arrays["labels"] == label].astype(np.float64)
    cosines = index @ feature / np.linalg.norm(index, axis=1) / np.linalg.norm(feature)
    expected = (1 + np.sort(cosines)[-k:].mean()) / 2
    found = parse(packed(given_arrays)).score(feature, label)
    assert found == pytest.approx(expected, abs=1e-5)


@given(seeds, st.floats(1e-30, 1e30), labels)
def test_without_a_mean_the_length_of_a_feature_does_not_count(
    seed: int, factor: float, label: int
) -> None:
    known = parse(packed(arrays(seed)))
    feature = np.random.default_rng(seed + 1).standard_normal(WIDTH).astype(np.float32)
    found = known.score(feature * np.float32(factor), label)
    assert found == pytest.approx(known.score(feature, label))


@given(seeds, labels)
def test_mean_and_basis_map_a_feature_into_the_index(seed: int, label: int) -> None:
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((9, WIDTH)).astype(np.float32)
    mean = rng.standard_normal(9).astype(np.float32)
    mapped = parse(packed(arrays(seed) | {"mean": mean, "basis": basis}))
    feature = rng.standard_normal(9).astype(np.float32)
    wanted = parse(packed(arrays(seed))).score((feature - mean) @ basis, label)
    assert mapped.width == 9
    assert mapped.score(feature, label) == pytest.approx(wanted, abs=1e-5)


@given(seeds, labels)
def test_what_is_added_is_known_and_nothing_is_less_so(seed: int, label: int) -> None:
    known, rng = parse(packed(arrays(seed, k=2))), np.random.default_rng(seed + 1)
    feature, other = rng.standard_normal((2, WIDTH)).astype(np.float32)
    before = known.score(feature, label)
    # what has no direction adds nothing, and spoils nothing
    none = np.zeros((1, WIDTH), np.float32), np.full((1, WIDTH), np.nan, np.float32)
    added = np.concatenate([[feature, feature], *none, *none])
    more = known.with_known(added, np.array([*[label] * 4, 6, 6], np.uint8))
    assert known.score(feature, label) == before, (
        "the index that came with the network is as it was"
    )
    assert more.score(feature, label) == pytest.approx(1.0, abs=1e-6)
    assert more.score(other, label) >= known.score(other, label)
    others = {*range(6)} - {label}
    assert all(more.score(other, each) == known.score(other, each) for each in others)
    assert more.score(other, 6) == 0.0
    assert 6 not in more.of


def test_the_more_alike_the_higher() -> None:
    content = arrays(k=1)
    known, feature = parse(packed(content)), content["index"][3].astype(np.float32)
    away = 100 * np.random.default_rng(9).standard_normal(WIDTH)
    scores = [known.score(feature + step * away, 3) for step in np.linspace(0, 0.2, 9)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"index": None}, "index: is missing"),
        ({"speed": np.zeros(2)}, "speed: unknown"),
        ({"index": np.zeros((40, WIDTH), np.float32)}, "index: is float32, expected int8"),
        ({"index": np.zeros((40, WIDTH), np.int8)}, "index: has a row of zeros"),
        ({"index": np.zeros((0, WIDTH), np.int8)}, "index: shape"),
        ({"labels": np.zeros(39, np.uint8)}, "labels: 39 of them for the 40 rows"),
        ({"k": np.int64(41)}, "k: is 41, expected 1 to the 40"),
        ({"k": np.int64(0)}, "k: is 0"),
        ({"k": np.array([1])}, "k: shape"),
        ({"mean": np.full(WIDTH, np.nan, np.float32)}, "mean: holds what is no finite number"),
        ({"mean": np.zeros(7, np.float32)}, "mean: 7 long, but without a basis"),
        ({"basis": np.zeros((7, WIDTH), np.float32)}, "basis: shape"),
        ({"basis": np.full((WIDTH, WIDTH), np.inf, np.float16)}, "basis: holds"),
        ({"labels": np.array([{}], object)}, "is no .npz of plain arrays"),
    ],
)
def test_an_unfit_index_is_told_with_its_key(change: Arrays, told: str) -> None:
    content = {k: v for k, v in (arrays() | change).items() if v is not None}
    with pytest.raises(ValueError, match=told):
        parse(packed(content))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80) | st.tuples(st.integers(0, 2000), st.integers(1, 255)))
def test_any_bytes_are_an_index_or_refused(content: bytes | tuple[int, int]) -> None:
    if isinstance(content, tuple):
        spoilt = bytearray(packed(arrays()))
        spoilt[content[0] % len(spoilt)] ^= content[1]
        content = bytes(spoilt)
    try:
        assert isinstance(parse(content), Familiarity)
    except ValueError as error:
        assert str(error)


# -- a network that has it ------------------------------------------------------------------------


def a_model(folder: Path, change: Callable[[Arrays], object] = lambda manifest: None) -> Path:
    """A model folder around the network of random weights, with an index of its own features."""
    path = folder / FIXTURE.name
    shutil.copy(FIXTURE, path)
    content = path.read_bytes()
    manifest: Arrays = json.loads(find().path.with_name("manifest.json").read_text("utf-8"))
    manifest["name"] = "two-outputs"
    for shipped in ("familiarity", "rehearsal"):
        manifest.pop(shipped, None)
    manifest["input"] = {
        "width": SIZE, "height": SIZE, "color": "RGB", "layout": "NHWC", "dtype": "float32",
        "fit": "stretch", "scale": 1 / 127.5, "offset": -1.0,
    }  # fmt: skip
    manifest["output"] = {"kind": "logits", "temperature": 1.0, "features": WIDTH}
    manifest["thresholds"] = {"gap": 0.0, "top1": 0.0, "familiarity": 0.9}
    manifest["variants"] = {"float32": {
        "file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content),
    }}  # fmt: skip
    write(folder, manifest)
    bare = opened(path)
    features = np.stack([bare.predict(picture(seed)).features for seed in range(20)])
    mean = features.mean(0)
    rows = features - mean
    index = np.round(127 * rows / np.abs(rows).max(1, keepdims=True)).astype(np.int8)
    every = {"index": np.tile(index, (6, 1)), "labels": np.repeat(np.arange(6, dtype=np.uint8), 20)}
    npz = packed(arrays(k=1) | every | {"mean": mean.astype(np.float32)})
    (folder / "familiarity.npz").write_bytes(npz)
    manifest["familiarity"] = {
        "file": "familiarity.npz", "sha256": hashlib.sha256(npz).hexdigest(), "bytes": len(npz),
    }  # fmt: skip
    change(manifest)
    write(folder, manifest)
    return path


def opened(path: Path) -> TFLiteClassifier:
    return TFLiteClassifier(find(str(path)), tried=True)


def write(folder: Path, manifest: Arrays) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def picture(seed: int) -> Frame:
    return Frame(golden.pattern(seed, SIZE, SIZE), 0.0)


def test_a_prediction_tells_features_and_familiarity(tmp_path: Path) -> None:
    network = opened(a_model(tmp_path))
    known, other = network.predict(picture(3)), network.predict(picture(77))
    assert known.features is not None
    assert (known.features.shape, known.features.dtype) == ((WIDTH,), np.float32)
    assert known.familiarity == pytest.approx(1.0, abs=1e-3)
    assert other.familiarity is not None
    assert other.familiarity < known.familiarity


def test_the_unfamiliar_is_held_unless_the_owner_leaves_that_rule_out(tmp_path: Path) -> None:
    network = opened(a_model(tmp_path))
    burst = [network.predict(picture(77))]
    assert decide(burst, Thresholds(0, 0, 1.0)).reason is Reason.UNFAMILIAR
    assert decide(burst, Thresholds(0, 0, 0.0)).reason is Reason.CLEAR


def test_a_network_without_an_index_tells_its_features_alone(tmp_path: Path) -> None:
    path = a_model(tmp_path, lambda m: m.pop("familiarity"))
    found = opened(path).predict(picture(0))
    assert found.familiarity is None
    assert found.features is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["output"].pop("features"), "familiarity: needs output.features"),
        (lambda m: m["output"].update(features=25), "output.features needs one more"),
        (lambda m: m["familiarity"].update(sha256="0" * 64), "digest does not fit"),
        (lambda m: m["familiarity"].update(file="none.npz"), "none.npz: cannot be read"),
        (lambda m: m["familiarity"].update(file="../x.npz"), "familiarity.file"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[Arrays], object], told: str
) -> None:
    path = a_model(tmp_path, change)
    with pytest.raises(ModelError, match=told) as raised:
        opened(path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unfit_index_names_file_and_key(tmp_path: Path) -> None:
    npz = packed(arrays() | {"k": np.int64(99)})

    def change(manifest: Arrays) -> None:
        (tmp_path / "familiarity.npz").write_bytes(npz)
        manifest["familiarity"]["sha256"] = hashlib.sha256(npz).hexdigest()

    with pytest.raises(ModelError, match=r"familiarity\.npz: k: is 99"):
        opened(a_model(tmp_path, change))


def test_an_index_of_other_features_is_refused(tmp_path: Path) -> None:
    def change(manifest: Arrays) -> None:
        shipped = find()
        manifest["input"] = shipped.manifest.input.model_dump()
        manifest["variants"]["float32"] |= {
            "sha256": shipped.id.sha256, "bytes": len(shipped.content), "dtype": "int8",
        }  # fmt: skip
        (tmp_path / FIXTURE.name).write_bytes(shipped.content)

    path = a_model(tmp_path, change)
    with pytest.raises(ModelError, match=r"needs one more, of \(1, 24\)"):
        opened(path)


@pytest.mark.parametrize(("promised", "good"), [(1.0, True), (0.9, False)])
def test_golden_inputs_promise_a_familiarity(tmp_path: Path, promised: float, good: bool) -> None:
    found = opened(a_model(tmp_path)).predict(picture(3))
    decision = decide([found], Thresholds())

    def change(manifest: Arrays) -> None:
        manifest["variants"]["float32"]["golden"] = [{
            "seed": 3, "logits_reference": [0.0] * 6, "label": decision.label,
            "gap": decision.gap, "familiarity": promised,
        }]  # fmt: skip

    path = a_model(tmp_path, change)
    if good:
        opened(path)
    else:
        with pytest.raises(ModelError, match=r"has a familiarity of 1\.000.*promises 0\.900"):
            opened(path)


def test_classify_and_evaluate_tell_it(tmp_path: Path) -> None:
    model = str(a_model(tmp_path))
    for folder, frames in (("glass", range(3)), ("unknown", range(70, 73))):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for seed in frames:
            rgb = picture(seed).pixels
            _, code = cv2.imencode(".png", rgb[..., ::-1])
            (tmp_path / "pictures" / folder / f"{seed}.png").write_bytes(code.tobytes())
    odd = str(tmp_path / "pictures" / "unknown" / "70.png")
    run = CliRunner().invoke
    told = json.loads(run(main, ["classify", "--model", model, "--json", odd]).stdout)
    assert (told["decision"], told["reason"]) == ("hold", "unfamiliar")
    assert 0 < told["familiarity"] < 0.9
    shown = run(main, ["classify", "--model", model, odd]).stdout
    assert "unlike what the network knows as" in shown
    free = run(main, ["classify", "--model", model, "--familiarity", "0", "--json", odd])
    assert json.loads(free.stdout)["decision"] == "act"
    folder, rule = str(tmp_path / "pictures"), ("--familiarity", "0.99")
    figures = json.loads(run(main, ["evaluate", "--model", model, *rule, "--json", folder]).stdout)
    assert figures["unknown"] == {"images": 3, "acted": 0, "auroc": 1.0}
