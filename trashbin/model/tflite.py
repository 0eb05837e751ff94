"""The runtime adapter: one .tflite behind ``Classifier``; ai-edge-litert or tflite-runtime."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trashbin.errors import ModelError
from trashbin.leases import Leases
from trashbin.model import golden, manifest, trial
from trashbin.model.head import Head
from trashbin.model.manifest import Golden, ModelFile
from trashbin.model.runtime import Output, runtime
from trashbin.preprocess import InputSpec, close_up, fill
from trashbin.settings import Model
from trashbin.types import Features, Frame, ModelId, Prediction, Thresholds

Kernels = Literal["xnnpack", "builtin", "reference"]

# How far a gap may lie from the golden one under other kernels. Measured between kernels
# and machines: float kernels differ by less than 1e-4, integer ones by up to 0.05.
GOLDEN_GAP_TOLERANCE = 0.1
GOLDEN_FAMILIARITY_TOLERANCE = 0.05

PATTERNS = 24  # by which the last layer is fitted
LAYER_TOLERANCE = 0.05  # share of the range of the logits that rounding may make of difference


class TFLiteClassifier:
    """Runs one .tflite on the CPU; satisfies ``ports.Classifier``.

    Opening it loads the file, refuses one whose tensors or golden answers do not fit
    the manifest (ModelError), and warms up. One that did not come with trashbin runs in a
    child process first (``trial``) unless ``tried``. Not for use from two threads at once.
    """

    def __init__(
        self,
        file: ModelFile,
        *,
        threads: int = 1,
        kernels: Kernels = "xnnpack",
        prefer: str | None = None,
        check: bool = True,
        tried: bool = False,
    ) -> None:
        self.model: ModelId = file.id
        self.thresholds: Thresholds = file.thresholds
        self.labels = file.manifest.labels
        self.file = file
        self.runtime = runtime(prefer)
        self.threads = threads
        self.kernels: Kernels = kernels
        self._spec: InputSpec = file.input_spec
        self._turned = file.manifest.input.turned
        self.setup = file.manifest.setup
        self._lease = Leases()
        self._temperature = file.manifest.output.temperature
        self._stamp = file.stamp
        self._changed: str | None = None
        self._check_header()
        if not tried:
            trial.try_out(file, kernels, threads, self.runtime.name)
        self._interpreter = self._load(kernels)
        self._input = self._checked_input()
        self._output = self._checked_output()
        self._features = self._checked_features()
        self._familiarity = self._shipped = file.familiarity
        self._head: Head | None = None
        if check:
            self.check()
        self.invoke()  # the first invoke of a process allocates; users should not wait for it

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        """Shares, features and familiarity of one frame; the two times are in milliseconds.

        The frame is turned by ``turns`` quarters before, where the network knows turned pictures.

        Reading the outputs, familiarity included, counts as invoke: what is left to
        ``decide`` is the rules alone.
        """
        start = time.perf_counter()
        self.load_input(frame, turns if self._turned else 0)
        ready = time.perf_counter()
        self.invoke()
        logits, features = self.logits(), self.features()
        if self._head is not None and features is not None:
            logits = self._head.logits(logits, features)
        shares = softmax(logits, self._temperature)
        familiarity = self.familiarity(features, shares.index(max(shares)))
        done = time.perf_counter()
        return Prediction(
            scores=dict(zip(self.labels, shares, strict=True)),
            familiarity=familiarity,
            features=features,
            preprocess_ms=(ready - start) * 1e3,
            invoke_ms=(done - ready) * 1e3,
        )

    def use_head(self, head: Head | None) -> None:
        """Wear a taught head from the next frame on, None for the network's own.

        ModelError where it was taught to another network; then nothing changes.
        """
        if head is not None:
            if head.about.network != self.file.id.sha256:
                raise ModelError(
                    f"the head {head.digest[:12]} was taught to another network "
                    f"({head.about.network[:12]}, this one is {self.file.id.sha256[:12]})"
                )
            if head.weights.shape != (len(self.labels), self.file.manifest.output.features):
                raise ModelError(f"the head {head.digest[:12]} does not fit the network's outputs")
        known = self._shipped
        if head is not None and known is not None:
            known = known.with_known(head.known, head.labels)
        self._head, self._familiarity = head, known
        self.model = replace(self.file.id, head=None if head is None else head.digest)

    @property
    def taught(self) -> frozenset[str]:
        """The items, by event id, that the head it wears learned from: no test for that head."""
        return frozenset() if self._head is None else frozenset(self._head.about.items)

    def load_input(self, frame: Frame, turns: int = 0) -> None:
        """Preprocess a frame, or what lies in it, into the interpreter's own input buffer."""
        view = self._interpreter.tensor(self._input["index"])
        fill(view(), close_up(frame.pixels, frame.thing), self._spec, self._lease, turns)

    def invoke(self) -> None:
        """One bare run of the network on what its input buffer holds. ModelError if it fails."""
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"{self.file.path}: does not run ({_one_line(error)})") from error

    def logits(self) -> npt.NDArray[np.float64]:
        """The first output as float64 (labels,), dequantized where the file is integer."""
        return self._output.read(self._interpreter)

    def features(self) -> Features | None:
        """The second output as float32 (C,), dequantized likewise; None where there is none."""
        return None if self._features is None else self._features.read(self._interpreter)

    def last_layer(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Weights (labels, C) and bias (labels,): the logits are weights @ features + bias.

        They are read out of the file, the bias and what the features are scaled by from what it
        gives for a few patterns. ModelError where it has no such layer.
        """
        shape = (len(self.labels), self.file.manifest.output.features)
        for detail in self._interpreter.get_tensor_details():
            if tuple(int(n) for n in detail["shape"]) != shape:
                continue
            try:
                raw = self._interpreter.get_tensor(detail["index"]).astype(np.float64)
            except (ValueError, RuntimeError):
                continue  # what a delegate has swallowed
            scales = np.asarray(detail["quantization_parameters"]["scales"], np.float64)
            weights = raw if not len(scales) else raw * scales.reshape(-1, 1)
            found = self._fitted(weights)
            if found is not None:
                return found
        raise ModelError(
            f"{self.file.path}: has no last layer from features to labels, so that the bin cannot "
            "be taught"
        )

    def _fitted(
        self, weights: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """The layer with these weights, but for a factor; None where the outputs contradict it."""
        seen, told = [], []
        for seed in range(PATTERNS):
            picture = golden.pattern(seed, self._spec.height, self._spec.width)
            self.load_input(Frame(picture, 0.0))
            self.invoke()
            features = self.features()
            assert features is not None
            seen.append(weights @ features)
            told.append(self.logits())
        said, wanted = np.array(seen), np.array(told)
        spread = said - said.mean(0)
        if not float((spread**2).sum()) > 0:
            return None
        factor = float((spread * (wanted - wanted.mean(0))).sum() / (spread**2).sum())
        bias = (wanted - factor * said).mean(0)
        off = np.abs(factor * said + bias - wanted).max()
        if not off <= LAYER_TOLERANCE * max(1.0, float(np.ptp(wanted))):
            return None
        return factor * weights, bias

    def familiarity(self, features: Features | None, label: int) -> float | None:
        """How like known things of a label features are, 0..1; None where the model can't tell."""
        if self._familiarity is None or features is None:
            return None
        return self._familiarity.score(features, label)

    def check(self) -> None:
        """Compare the golden inputs' answers with the manifest's; ModelError where they differ.

        Under reference kernels the logits must be the same; under any others the label
        and, within a tolerance, the gap.
        """
        for wanted in self.file.manifest.variants[self.file.variant].golden:
            picture = golden.pattern(wanted.seed, self._spec.height, self._spec.width)
            self.load_input(Frame(picture, 0.0))
            self.invoke()
            logits = self.logits()
            if self.kernels == "reference":
                same = bool(np.allclose(logits, wanted.logits_reference, rtol=0, atol=1e-4))
            else:
                same = self._resembles(logits, wanted)
            self._check_familiarity(wanted)
            if not same:
                raise ModelError(
                    f"{self.file.path}: golden input {wanted.seed} gives logits "
                    f"{np.round(logits, 3).tolist()}, the manifest promises "
                    f"{np.round(wanted.logits_reference, 3).tolist()}. The file, its manifest or "
                    f"the kernels of {self.runtime.name} {self.runtime.version} "
                    "do not fit together."
                )

    def changed(self) -> str | None:
        """Is what runs not what lies on the disk? Read again where the file was touched."""
        stamp = self.file.stamp
        if stamp != self._stamp:
            self._stamp, self._changed = stamp, None
            try:
                _ = ModelFile(self.file.path, self.file.manifest, self.file.variant).content
            except ModelError as error:
                self._changed = (
                    f"{str(error).removesuffix('.')}. What was loaded before goes on; "
                    "the next start would not load this."
                )
        return self._changed

    def close(self) -> None:
        """Nothing to free before the process ends: the interpreter frees itself."""

    def _resembles(self, logits: npt.NDArray[np.float64], wanted: Golden) -> bool:
        shares = softmax(logits, self._temperature)
        ranked = sorted(shares, reverse=True)
        label = self.labels[shares.index(ranked[0])]
        gap = ranked[0] - ranked[1]
        return label == wanted.label and abs(gap - wanted.gap) <= GOLDEN_GAP_TOLERANCE

    def _check_header(self) -> None:
        content = self.file.content
        if content[4:8] != b"TFL3":
            raise ModelError(f"{self.file.path}: is no .tflite file (its header lacks TFL3)")
        if not _root_lies_inside(content):
            raise ModelError(f"{self.file.path}: is no .tflite file (its root lies outside of it)")

    def _check_familiarity(self, wanted: Golden) -> None:
        features = self.features()
        if wanted.familiarity is None or self._shipped is None or features is None:
            return
        found = self._shipped.score(features, self.labels.index(wanted.label))
        if abs(found - wanted.familiarity) > GOLDEN_FAMILIARITY_TOLERANCE:
            raise ModelError(
                f"{self.file.path}: golden input {wanted.seed} has a familiarity of {found:.3f}, "
                f"the manifest promises {wanted.familiarity:.3f}. The file, its manifest and "
                "its familiarity index do not fit together."
            )

    def _load(self, kernels: Kernels) -> Any:
        module = self.runtime.module
        resolver = {
            "xnnpack": module.OpResolverType.AUTO,
            "builtin": module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "reference": module.OpResolverType.BUILTIN_REF,
        }[kernels]
        try:
            interpreter = module.Interpreter(
                model_content=self.file.content,
                num_threads=self.threads,
                experimental_op_resolver_type=resolver,
            )
            interpreter.allocate_tensors()
        # the runtime documents ValueError for a bad file and RuntimeError for a refused graph
        except (ValueError, RuntimeError) as error:
            hint = ""
            if "XNNPACK" in str(error):
                hint = " Set kernels: builtin in the model's section to run without XNNPACK."
            raise ModelError(
                f"{self.file.path}: {self.runtime.name} refuses it ({_one_line(error)}).{hint}"
            ) from error
        return interpreter

    def _checked_input(self) -> dict[str, Any]:
        details = self._interpreter.get_input_details()
        spec = self._spec
        wanted = (1, spec.height, spec.width, 3)
        found = [(tuple(int(n) for n in d["shape"]), np.dtype(d["dtype"]).name) for d in details]
        if found != [(wanted, spec.dtype)]:
            raise ModelError(
                f"{self.file.path}: input is {found}, the manifest says {(wanted, spec.dtype)}"
            )
        return details[0]  # type: ignore[no-any-return]

    def _checked_output(self) -> Output:
        details = self._interpreter.get_output_details()
        wanted = (1, len(self.labels))
        for detail in details:
            if tuple(int(n) for n in detail["shape"]) == wanted:
                return Output(detail, np.float64)
        found = [tuple(int(n) for n in d["shape"]) for d in details]
        raise ModelError(
            f"{self.file.path}: outputs are {found}, "
            f"the manifest's {len(self.labels)} labels need one of {wanted}"
        )

    def _checked_features(self) -> Output | None:
        length = self.file.manifest.output.features
        if length is None:
            return None
        details = self._interpreter.get_output_details()
        for detail in details:
            shape = tuple(int(n) for n in detail["shape"])
            if detail["index"] != self._output.index and shape == (1, length):
                return Output(detail, np.float32)
        found = [tuple(int(n) for n in d["shape"]) for d in details]
        raise ModelError(
            f"{self.file.path}: outputs are {found}, "
            f"the manifest's output.features needs one more, of {(1, length)}"
        )


def _root_lies_inside(content: bytes) -> bool:
    """Does the FlatBuffer's root table, and that table's vtable, lie within the file?

    tflite-runtime 2.14 reads on without a look, and crashes. What lies deeper is
    found out by a trial (``trial.py``). Layout: flatbuffers.dev, "FlatBuffer Internals".
    """
    size = len(content)
    (root,) = struct.unpack_from("<I", content)
    if root + 4 > size:
        return False
    vtable = root - struct.unpack_from("<i", content, root)[0]
    if not 0 <= vtable <= size - 4:
        return False
    vtable_bytes, table_bytes = struct.unpack_from("<HH", content, vtable)
    return bool(vtable + vtable_bytes <= size and root + table_bytes <= size)


def open_model(section: Model, name: str | None = None) -> TFLiteClassifier:
    """The network of a configuration's ``model`` section, or another by ``name``, run its way."""
    return open_file(manifest.find(section.name if name is None else name), section)


def open_file(file: ModelFile, section: Model, *, tried: bool = False) -> TFLiteClassifier:
    """A network that was found, run as the ``model`` section says."""
    return TFLiteClassifier(
        file,
        threads=section.threads,
        kernels=section.kernels,
        prefer=None if section.runtime == "auto" else section.runtime,
        tried=tried,
    )


def softmax(logits: npt.NDArray[np.float64], temperature: float) -> Sequence[float]:
    """Shares of ``logits / temperature``: non-negative, summing to 1; NaN stays NaN."""
    scaled = [v / temperature for v in logits.tolist()]
    top = max(scaled)
    powers = [math.exp(v - top) for v in scaled]
    total = math.fsum(powers)
    return [p / total for p in powers]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
