"""manifest.json: what stands beside a .tflite and says how to feed and read it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trashbin import resources
from trashbin.errors import ModelError
from trashbin.model import arrays, familiarity, rehearsal
from trashbin.model.familiarity import Familiarity
from trashbin.model.rehearsal import Rehearsal
from trashbin.preprocess import InputSpec
from trashbin.types import ModelId, Thresholds

DEFAULT_MODEL = "trashnet-mobilenetv3-large"
DEFAULT_VARIANT = "int8"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Input(_Strict):
    """The network's input: see ``preprocess.InputSpec``.

    ``turned`` says that it was trained on pictures in any of the four quarter turns: a burst's
    frames are then turned, else each is shown upright. ``restored`` says that it does better where
    what lens and lamp did to a picture is undone first (``preprocess.restore``).
    """

    width: int = Field(ge=16, le=2048)
    height: int = Field(ge=16, le=2048)
    color: Literal["RGB", "BGR"]
    layout: Literal["NHWC"]
    dtype: Literal["float32", "uint8", "int8"]
    fit: Literal["stretch"]
    scale: float = Field(gt=0, allow_inf_nan=False)
    offset: float = Field(allow_inf_nan=False)
    turned: bool = False
    restored: bool = False


class Output(_Strict):
    """The network's outputs: logits, turned to shares by softmax(logits / temperature).

    ``features`` is the length of the second output, the pooled features, where there is one.
    """

    kind: Literal["logits"]
    temperature: float = Field(gt=0, allow_inf_nan=False)
    features: int | None = Field(default=None, ge=2, le=65536)


class Golden(_Strict):
    """What the file must answer to ``golden.pattern(seed)``.

    ``logits_reference`` are exact under the runtime's reference kernels; label and
    gap (and familiarity, where it is told) hold within a tolerance under any kernels.
    """

    seed: int
    logits_reference: tuple[float, ...]
    label: str
    gap: float = Field(ge=0, le=1)
    familiarity: float | None = Field(default=None, ge=0, le=1)


class Variant(_Strict):
    """One .tflite of the model. ``dtype`` is its input's, where that is not the manifest's."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    dtype: Literal["float32", "uint8", "int8"] | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    golden: tuple[Golden, ...] = ()


class Beside(_Strict):
    """A file that goes with all variants: familiarity.npz or rehearsal.npz."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)


class ManifestThresholds(_Strict):
    """The thresholds that the model was calibrated with."""

    gap: float = Field(ge=0, le=1)
    top1: float = Field(ge=0, le=1)
    familiarity: float | None = Field(default=None, ge=0, le=1)


class Source(_Strict):
    """Where weights or data came from, and their licence."""

    what: str
    license: str
    url: str = ""


class Manifest(_Strict):
    """The whole manifest. Unknown keys are refused: they would be promises nobody keeps."""

    schema_: Literal["trashbin.model/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    version: str
    created: str = ""
    labels: tuple[str, ...] = Field(min_length=2)
    input: Input
    output: Output
    thresholds: ManifestThresholds
    calibration: dict[str, Any] | None = None
    variants: dict[str, Variant] = Field(min_length=1)
    familiarity: Beside | None = None
    rehearsal: Beside | None = None
    sources: tuple[Source, ...] = ()

    @property
    def beside(self) -> tuple[Beside, ...]:
        """The files that go with all variants."""
        return tuple(entry for entry in (self.familiarity, self.rehearsal) if entry is not None)

    @property
    def setup(self) -> str:
        """Digest of what an answer comes from besides the weights."""
        index = self.familiarity.sha256 if self.familiarity else None
        parts = [self.input.model_dump(), self.output.model_dump(), index]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _labels_differ(self) -> Manifest:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a label stands twice")
        for variant in self.variants.values():
            for golden in variant.golden:
                if golden.label not in self.labels:
                    raise ValueError(f"golden label {golden.label!r} is not among the labels")
                if len(golden.logits_reference) != len(self.labels):
                    raise ValueError("golden: one logit for each label is needed")
                if golden.familiarity is not None and self.familiarity is None:
                    raise ValueError("golden: has a familiarity, but the model has no such file")
        if self.familiarity is not None and self.output.features is None:
            raise ValueError("familiarity: needs output.features, the length of that output")
        if self.rehearsal is not None and self.output.features is None:
            raise ValueError("rehearsal: needs output.features, the length of that output")
        return self


@dataclass(frozen=True)
class ModelFile:
    """A .tflite that was found, with the manifest that describes it."""

    path: Path
    manifest: Manifest
    variant: str

    @cached_property
    def content(self) -> bytes:
        """The file's bytes, checked against the manifest's digest."""
        wanted = self.manifest.variants[self.variant]
        return arrays.read(self.path, wanted.sha256, wanted.bytes)

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What changes with the file on the disk; zeros where it is gone."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_ino, found.st_size, found.st_mtime_ns

    @cached_property
    def familiarity(self) -> Familiarity | None:
        """What scores the features, or None where the manifest names no such file."""
        entry = self.manifest.familiarity
        if entry is None:
            return None
        path = self.path.parent / entry.file
        read = familiarity.read(path, entry.sha256, entry.bytes)
        if read.width != self.manifest.output.features:
            raise ModelError(
                f"{path}: mean: {read.width} long, "
                f"but the manifest's output.features is {self.manifest.output.features}"
            )
        return read

    @cached_property
    def rehearsal(self) -> Rehearsal | None:
        """What ``trashbin teach`` rehearses; None where there is no such file."""
        entry, width = self.manifest.rehearsal, self.manifest.output.features
        if width is None:
            return None
        path = self.path.parent / (rehearsal.NAME if entry is None else entry.file)
        if entry is None and not path.is_file():
            return None
        try:
            # one that the manifest does not name has no digest to fit
            content = (
                path.read_bytes() if entry is None else arrays.read(path, entry.sha256, entry.bytes)
            )
            return rehearsal.parse(content, width, len(self.manifest.labels))
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise ModelError(f"{path}: {error}") from error

    @property
    def id(self) -> ModelId:
        """Name, variant and digest, as they go into every event."""
        return ModelId(
            self.manifest.name, self.variant, self.manifest.variants[self.variant].sha256
        )

    @property
    def input_spec(self) -> InputSpec:
        """What ``preprocess`` has to make."""
        spec = self.manifest.input
        dtype = self.manifest.variants[self.variant].dtype or spec.dtype
        return InputSpec(
            spec.width,
            spec.height,
            spec.color,
            dtype,
            spec.scale,
            spec.offset,
            restored=spec.restored,
        )

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds that hold where neither a request nor the YAML gives others."""
        given = self.manifest.thresholds
        return Thresholds(given.gap, given.top1, given.familiarity)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.json; ModelError names the file, the key and what is wrong."""
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {_first_fault(error)}") from error
    if manifest.labels != resources.labels():
        raise ModelError(
            f"{path}: labels are {', '.join(manifest.labels)}; "
            f"labels.txt has {', '.join(resources.labels())}, in this order"
        )
    return manifest


def find(wanted: str | None = None) -> ModelFile:
    """``NAME[:VARIANT]`` or a path to a .tflite with its manifest beside it.

    Without one, the shipped model. ModelError where there is none, with what exists.
    """
    wanted = DEFAULT_MODEL if wanted is None else wanted
    try:
        return _found(wanted)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise ModelError(f"model {wanted!r} cannot be looked for: {error.strerror}") from error


def _found(wanted: str) -> ModelFile:
    if wanted.endswith(".tflite"):
        path = Path(wanted)
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        manifest = read_manifest(path.parent / "manifest.json")
        for variant, entry in manifest.variants.items():
            if entry.file == path.name:
                return ModelFile(path, manifest, variant)
        raise ModelError(
            f"{path}: its manifest lists no such file, only "
            + ", ".join(entry.file for entry in manifest.variants.values())
        )
    if Path(wanted).is_file():
        raise ModelError(
            f"{wanted}: neither a .tflite nor, where one is installed, a .zip made by "
            "`trashbin model pack`"
        )
    name, _, variant = wanted.partition(":")
    if not name:
        raise ModelError("a model has a name: NAME[:VARIANT], or a path to a .tflite")
    variant = variant or DEFAULT_VARIANT
    folder = Path(name) if "/" in name else resources.root() / "models" / name
    if not folder.is_dir():
        models = sorted(p.parent.name for p in resources.root().glob("models/*/manifest.json"))
        raise ModelError(
            f"model {name!r}: no such folder {folder}; there is {', '.join(models) or 'none'}"
        )
    manifest = read_manifest(folder / "manifest.json")
    if variant not in manifest.variants:
        raise ModelError(
            f"model {name!r} has no variant {variant!r}; there is {', '.join(manifest.variants)}"
        )
    return ModelFile(folder / manifest.variants[variant].file, manifest, variant)


def _first_fault(error: Exception) -> str:
    """The first of a validation's complaints, in one line."""
    if not isinstance(error, ValidationError):
        return f"no valid JSON ({error})"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")  # pydantic's, before words of our own
    return f"{where}: {message}" if where else message
