"""Is this a thing that the network knows? Its features against an index of training features.

A score by nearest neighbours in feature space (Sun, Ming, Zhu and Li, "Out-of-Distribution
Detection with Deep Nearest Neighbors", ICML 2022), with cosine as the measure of nearness.
Exact: every entry of the index is compared.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trashbin.errors import ModelError
from trashbin.types import Features

KEYS = ("index", "labels", "k", "mean", "basis")
MAX_BYTES = 64 * 2**20  # unpacked; what is larger is no index but a bomb


class Familiarity:
    """Scores a feature vector by its ``k`` nearest neighbours in an index.

    A feature (C,) is centred by ``mean`` (C,) and turned by ``basis`` (C, D); without a
    basis D is C. ``index`` is int8 (N, D): training features treated in the same way, each
    scaled as a whole to use the range of int8, since its direction alone counts. ``labels``
    uint8 (N,) says which label's picture an entry stands for.
    """

    def __init__(
        self,
        index: npt.NDArray[np.int8],
        labels: npt.NDArray[np.uint8],
        k: int,
        mean: Features,
        basis: npt.NDArray[np.floating] | None = None,
    ) -> None:
        rows = index.astype(np.float32)
        self.index: Features = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self.labels = labels
        self.k = k
        self.mean = mean
        # lies as it is read: a row for each of the D directions
        self._directions = None if basis is None else np.ascontiguousarray(basis.T, np.float32)

    @property
    def width(self) -> int:
        """C, the length of the feature vectors that it scores."""
        return len(self.mean)

    def score(self, features: npt.ArrayLike) -> float:
        """(1 + mean of the k largest cosines) / 2 of a feature vector (C,), in 0..1.

        1 is a thing of the index itself. 0 where a feature is no number or the vector has no
        direction, so that every threshold above 0 holds it.
        """
        # einsum, not BLAS, whose threads would wake every core for a tenth of a millisecond
        centred = np.asarray(features, np.float32) - self.mean
        if self._directions is not None:
            centred = np.einsum("dc,c->d", self._directions, centred)
        # the largest component first: squares of what is huge or tiny are no float32
        largest = float(np.max(np.abs(centred)))
        if not (math.isfinite(largest) and largest > 0.0):
            return 0.0
        centred = centred / np.float32(largest)
        cosines = np.einsum("nd,d->n", self.index, centred) / np.sqrt(centred @ centred)
        nearest = np.partition(cosines, len(cosines) - self.k)[-self.k :]
        return min(1.0, max(0.0, (1.0 + float(nearest.mean())) / 2.0))


def read(path: Path, sha256: str, size: int) -> Familiarity:
    """Read a familiarity.npz of ``size`` bytes with this digest.

    ModelError names the file, the key and what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path}: digest does not fit its manifest ({len(content)} bytes with sha256 "
            f"{found[:12]}..., expected {size} bytes with {sha256[:12]}...). "
            "The file is torn or was exchanged; install the model again."
        )
    try:
        return parse(content)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error


def parse(content: bytes) -> Familiarity:
    """The index in the bytes of an .npz; ValueError names the key and what is wrong."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > MAX_BYTES:
                raise ValueError(f"unpacks to more than {MAX_BYTES} bytes")
            arrays = {key: archive[key] for key in archive.files}
    # what NumPy and zipfile raise on bytes that are no archive of plain arrays
    except (ValueError, TypeError, OSError, EOFError, KeyError, AttributeError, RuntimeError,
            NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"is no .npz of plain arrays ({told})") from error
    return _checked(arrays)


def _checked(arrays: Mapping[str, npt.NDArray[Any]]) -> Familiarity:
    for key in arrays:
        if key not in KEYS:
            raise ValueError(f"{key}: unknown; expected are {', '.join(KEYS)}")
    index = _array(arrays, "index", ("int8",), 2)
    labels = _array(arrays, "labels", ("uint8",), 1)
    k = int(_array(arrays, "k", ("int64", "int32", "uint8"), 0))
    mean = _array(arrays, "mean", ("float32",), 1)
    rows, width = index.shape
    if labels.shape != (rows,):
        raise ValueError(f"labels: {len(labels)} of them for the {rows} rows of index")
    if not 1 <= k <= rows:
        raise ValueError(f"k: is {k}, expected 1 to the {rows} rows of index")
    if not index.any(axis=1).all():
        raise ValueError("index: has a row of zeros, which has no direction")
    basis = None
    if "basis" in arrays:
        basis = _array(arrays, "basis", ("float32", "float16"), 2)
        if basis.shape != (len(mean), width):
            raise ValueError(f"basis: shape {basis.shape}, expected {(len(mean), width)}")
    elif len(mean) != width:
        raise ValueError(f"mean: {len(mean)} long, but without a basis index is {width} wide")
    return Familiarity(index, labels, k, mean, basis)


def _array(
    arrays: Mapping[str, npt.NDArray[Any]], key: str, dtypes: tuple[str, ...], ndim: int
) -> npt.NDArray[Any]:
    """An array of one of the dtypes, with so many dimensions, not empty, all finite."""
    if key not in arrays:
        raise ValueError(f"{key}: is missing")
    array = arrays[key]
    if array.dtype.name not in dtypes:
        raise ValueError(f"{key}: is {array.dtype.name}, expected {' or '.join(dtypes)}")
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{key}: shape {array.shape}, expected {ndim} dimensions, not empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{key}: holds what is no finite number")
    return array
