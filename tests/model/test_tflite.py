"""The shipped network through its adapter, and every way in which a model can be unfit."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trashbin import resources
from trashbin.decision import decide
from trashbin.errors import ModelError
from trashbin.model import golden
from trashbin.model.manifest import Golden, ModelFile, find, read_manifest
from trashbin.model.runtime import Output
from trashbin.model.tflite import GOLDEN_GAP_TOLERANCE, Kernels, TFLiteClassifier, softmax
from trashbin.types import Frame

SHIPPED = find()
VARIANTS = list(SHIPPED.manifest.variants)
Manifest = dict[str, Any]


def opened(variant: str, kernels: Kernels = "xnnpack", check: bool = True) -> TFLiteClassifier:
    return TFLiteClassifier(
        find(f"{SHIPPED.manifest.name}:{variant}"), kernels=kernels, check=check
    )


def picture_of(network: TFLiteClassifier, wanted: Golden) -> Frame:
    spec = network.file.input_spec
    return Frame(golden.pattern(wanted.seed, spec.height, spec.width), 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model, to be spoilt."""
    copy = tmp_path / "model"
    copy.mkdir()
    for name in ("manifest.json", "familiarity.npz", SHIPPED.path.name):
        shutil.copy(SHIPPED.path.parent / name, copy)
    return copy


def rewrite(folder: Path, change: Callable[[Manifest], object]) -> ModelFile:
    """The copied model after a change to its manifest."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return find(str(folder / SHIPPED.path.name))


def variant_of(manifest: Manifest) -> Any:
    return manifest["variants"][SHIPPED.variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_inputs_are_answered_exactly_by_reference_kernels(variant: str) -> None:
    network = opened(variant, "reference", check=False)
    promised = SHIPPED.manifest.variants[variant].golden
    assert promised
    for wanted in promised:
        network.load_input(picture_of(network, wanted))
        network.invoke()
        assert network.logits() == pytest.approx(wanted.logits_reference, rel=0, abs=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kernels", ["xnnpack", "builtin"])
def test_golden_inputs_keep_label_and_gap_under_fast_kernels(
    variant: str, kernels: Kernels
) -> None:
    network = opened(variant, kernels)
    for wanted in SHIPPED.manifest.variants[variant].golden:
        decided = decide([network.predict(picture_of(network, wanted))], network.thresholds)
        assert decided.label == wanted.label
        assert decided.gap == pytest.approx(wanted.gap, abs=GOLDEN_GAP_TOLERANCE)


def test_shares_of_any_frame_sum_to_one_in_the_labels_order() -> None:
    network = opened(SHIPPED.variant)
    for size in ((480, 640), (1, 1), (224, 224), (1000, 30)):
        picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        picture.flags.writeable = False
        prediction = network.predict(Frame(picture, 0.0))
        assert tuple(prediction.scores) == resources.labels()
        assert sum(prediction.scores.values()) == pytest.approx(1)
        assert min(prediction.scores.values()) >= 0
        assert prediction.preprocess_ms > 0 and prediction.invoke_ms > 0


def test_the_same_frame_gets_the_same_answer_whatever_came_before() -> None:
    network = opened(SHIPPED.variant)
    one, other = (Frame(golden.pattern(seed, 480, 640), 0.0) for seed in (5, 6))
    first = network.predict(one).scores
    network.predict(other)
    assert network.predict(one).scores == first


def test_only_a_network_that_knows_turned_pictures_is_shown_them(folder: Path) -> None:
    frame = Frame(golden.pattern(5, 480, 640), 0.0)

    def answers(told: bool) -> list[dict[str, float]]:
        file = rewrite(folder, lambda manifest: manifest["input"].update(turned=told))
        network = TFLiteClassifier(file)
        return [dict(network.predict(frame, turns).scores) for turns in range(3)]

    upright, *others = answers(False)
    assert others == [upright, upright]
    turned = answers(True)
    assert turned[0] == upright and upright not in turned[1:]
    untold = rewrite(folder, lambda manifest: manifest["input"].pop("turned"))
    assert not untold.manifest.input.turned


def test_light_is_restored_for_networks_whose_manifest_asks_for_it(folder: Path) -> None:
    asked = rewrite(folder, lambda manifest: manifest["input"].update(restored=True))
    assert asked.input_spec.restored
    untold = rewrite(folder, lambda manifest: manifest["input"].pop("restored"))
    assert not untold.input_spec.restored


def test_a_manifest_that_promises_other_answers_is_refused(folder: Path) -> None:
    def promise(manifest: Manifest) -> None:
        for entry in variant_of(manifest)["golden"]:
            entry["logits_reference"][0] += 0.01

    with pytest.raises(ModelError, match="the manifest promises"):
        TFLiteClassifier(rewrite(folder, promise), kernels="reference")

    def claim(manifest: Manifest) -> None:
        for entry in variant_of(manifest)["golden"]:
            entry["label"] = next(x for x in manifest["labels"] if x != entry["label"])

    with pytest.raises(ModelError, match="the manifest promises"):
        TFLiteClassifier(rewrite(folder, claim))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["labels"].reverse(), "labels are trash, plastic, .*labels.txt has cardboard"),
        (lambda m: m.update(speed="fast"), "speed: Extra inputs"),
        (lambda m: m["input"].pop("color"), "input.color: Field required"),
        (lambda m: m["input"].update(scale=0), "input.scale"),
        (lambda m: m.update(schema="trashbin.model/2"), "schema: "),
        (lambda m: m["labels"].__setitem__(0, "glass"), r"json: labels: a label stands twice"),
        (lambda m: variant_of(m).update(file="other.tflite"), "its manifest lists no such file"),
        (lambda m: variant_of(m).update(sha256="0" * 64), "digest does not fit"),
        (lambda m: m["input"].update(width=224), r"input is .*160, 160.*224"),
        (lambda m: variant_of(m).update(dtype="uint8"), "the manifest says .*uint8"),
    ],
)
def test_an_unfit_manifest_is_refused_in_one_message(
    folder: Path, change: Callable[[Manifest], object], told: str
) -> None:
    with pytest.raises(ModelError, match=told) as raised:
        TFLiteClassifier(rewrite(folder, change))
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_goes_while_its_network_runs_is_told_in_whole_sentences(folder: Path) -> None:
    path = folder / SHIPPED.path.name
    classifier = TFLiteClassifier(find(str(path)))
    assert classifier.changed() is None
    content = path.read_bytes()
    path.unlink()
    assert str(classifier.changed()).startswith(
        f"{path}: cannot be read (No such file or directory). What was loaded before goes on"
    )
    path.write_bytes(content[:-1])
    assert "install the model again. What was loaded before goes on" in str(classifier.changed())
    path.write_bytes(content)
    assert classifier.changed() is None


def test_a_torn_file_is_refused(folder: Path) -> None:
    path = folder / SHIPPED.path.name
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"digest does not fit .* torn or was exchanged"):
        TFLiteClassifier(find(str(path)))


@pytest.mark.parametrize(
    ("content", "told"), [(b"no network", "lacks TFL3"), (b"\x1c\0\0\0TFL3", "root lies outside")]
)
def test_what_is_no_network_is_refused_though_its_digest_fits(
    folder: Path, content: bytes, told: str
) -> None:
    (folder / SHIPPED.path.name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    file = rewrite(folder, lambda m: variant_of(m).update(sha256=digest, bytes=len(content)))
    with pytest.raises(ModelError, match=told):
        TFLiteClassifier(file)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("resnet", f"no such folder .*there is .*{SHIPPED.manifest.name}"),
        (f"{SHIPPED.manifest.name}:int4", f"no variant 'int4'; there is .*{VARIANTS[0]}"),
        (__file__, "neither a .tflite nor"),
        ("nowhere/x.tflite", "no such file"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(wanted: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        find(wanted)


def test_a_model_without_its_manifest_is_told(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"manifest\.json: cannot be read"):
        find(str(folder / SHIPPED.path.name))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, SHIPPED.path.stat().st_size - 1), st.integers(1, 255))
def test_a_changed_byte_never_reaches_the_runtime(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    spoilt = bytearray(CONTENT)
    spoilt[at] ^= flip
    path = tmp_path_factory.getbasetemp() / "spoilt.tflite"
    path.write_bytes(spoilt)
    with pytest.raises(ModelError, match="digest does not fit"):
        _ = replace(SHIPPED, path=path).content


CONTENT = SHIPPED.path.read_bytes()
MANIFEST: Manifest = json.loads((SHIPPED.path.parent / "manifest.json").read_text(encoding="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_manifest_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_manifest(path)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(MANIFEST)), st.sampled_from(["", "width", "int8", "gap"]), json_values
)
def test_a_manifest_with_one_odd_value_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, inner: str, value: object
) -> None:
    content = json.loads(json.dumps(MANIFEST))
    if inner and isinstance(content[key], dict):
        content[key][inner] = value
    else:
        content[key] = value
    path = tmp_path_factory.getbasetemp() / "odd.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        assert read_manifest(path).labels == resources.labels()
    except ModelError as error:
        assert str(error).startswith(str(path))


def test_a_manifest_of_endless_brackets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ModelError):
        read_manifest(path)


finite = st.floats(-500, 500)


@given(st.lists(finite, min_size=2, max_size=6), st.floats(0.1, 10))
def test_softmax_sums_to_one_and_keeps_the_order(logits: list[float], temperature: float) -> None:
    shares = softmax(np.array(logits), temperature)
    assert sum(shares) == pytest.approx(1)
    assert shares[logits.index(max(logits))] == max(shares)


def test_softmax_lets_what_is_no_number_show() -> None:
    assert not all(np.isfinite(softmax(np.array([1.0, np.nan, 0.0]), 1.0)))


@pytest.mark.parametrize("stored", [np.int8, np.uint8, np.int16, np.float32])
def test_an_output_is_what_its_scale_and_zero_point_say(stored: type[np.generic]) -> None:
    raw = np.arange(256).astype(stored)[None]  # of int8 the second half is below zero

    class Told:
        def get_tensor(self, index: int) -> Any:
            return {7: raw}[index]

    scale, zero = (0.0, 0) if stored is np.float32 else (0.25, -3)
    detail = {"index": 7, "dtype": stored, "quantization": (scale, zero)}
    found = Output(detail, np.float32).read(Told())
    wanted = raw[0] if not scale else (raw[0].astype(np.float64) - zero) * scale
    assert found.dtype == np.float32 and found.tolist() == wanted.tolist()
