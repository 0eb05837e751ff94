"""Is this a thing that the network knows? Its features against an index of training features.

A score by nearest neighbours in feature space (Sun, Ming, Zhu and Li, "Out-of-Distribution
Detection with Deep Nearest Neighbors", ICML 2022), with cosine as the measure of nearness, among
the entries of the label that the thing was taken for: what is like glass is no known kind of metal.
Exact: every such entry of the index is compared.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trashbin.errors import ModelError
from trashbin.model import arrays
from trashbin.model.arrays import Arrays, taken, unpacked
from trashbin.types import Features

KEYS = ("index", "labels", "k", "mean", "basis")


class Familiarity:
    """Scores a feature vector by its ``k`` nearest neighbours of one label in an index.

    A feature (C,) is centred by ``mean`` (C,) and turned by ``basis`` (C, D); without a
    basis D is C. ``index`` is int8 (N, D): training features treated in the same way, each
    scaled as a whole to use the range of int8, since its direction alone counts. ``labels``
    uint8 (N,) says which label's picture an entry stands for, counted as the model counts them.
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
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.of = {label: rows[labels == label] for label in set(labels.tolist())}
        self.k = k
        self.mean = mean
        # lies as it is read: a row for each of the D directions
        self._directions = None if basis is None else np.ascontiguousarray(basis.T, np.float32)

    @property
    def width(self) -> int:
        """C, the length of the feature vectors that it scores."""
        return len(self.mean)

    def score(self, features: npt.ArrayLike, label: int) -> float:
        """(1 + mean of the k largest cosines) / 2 of a feature vector (C,), in 0..1.

        Among the entries of ``label``, all of them where they are fewer than k. 1 is such an entry
        itself. 0 where the index has none, a feature is no number or the vector has no direction,
        so that every threshold above 0 holds it.
        """
        direction, rows = self._direction(features), self.of.get(label)
        if direction is None or rows is None:
            return 0.0
        cosines, k = np.einsum("nd,d->n", rows, direction), min(self.k, len(rows))
        cosines.partition(len(cosines) - k)
        return min(1.0, max(0.0, (1.0 + float(cosines[-k:].sum()) / k) / 2.0))

    def with_known(self, features: Features, labels: npt.NDArray[np.uint8]) -> Familiarity:
        """The same index with things added that it is to know, features (M, C), labels (M,).

        What has no direction adds nothing. Nothing that was familiar is less so.
        """
        more = copy.copy(self)
        more.of = dict(self.of)
        for feature, label in zip(features, labels.tolist(), strict=True):
            row = self._direction(feature)
            if row is not None:
                before = more.of.get(label, np.empty((0, len(row)), np.float32))
                more.of[label] = np.concatenate([before, row[None]])
        return more

    def _direction(self, features: npt.ArrayLike) -> Features | None:
        """A feature vector (C,) as the index has it, of length 1; None where it has none."""
        # einsum, not BLAS, whose threads would wake every core for a tenth of a millisecond
        centred = np.asarray(features, np.float32) - self.mean
        if self._directions is not None:
            centred = np.einsum("dc,c->d", self._directions, centred)
        length = math.hypot(*centred.tolist())  # which no square of what is huge or tiny spoils
        if not (math.isfinite(length) and length > 0.0):
            return None
        return np.asarray(centred.astype(np.float64) / length, np.float32)


def read(path: Path, sha256: str, size: int) -> Familiarity:
    """Read a familiarity.npz of ``size`` bytes with this digest.

    ModelError names the file, the key and what is wrong.
    """
    content = arrays.read(path, sha256, size)
    try:
        return parse(content)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error


def parse(content: bytes) -> Familiarity:
    """The index in the bytes of an .npz; ValueError names the key and what is wrong."""
    return _checked(unpacked(content, KEYS))


def _checked(arrays: Arrays) -> Familiarity:
    index = taken(arrays, "index", ("int8",), 2)
    labels = taken(arrays, "labels", ("uint8",), 1)
    k = int(taken(arrays, "k", ("int64", "int32", "uint8"), 0))
    mean = taken(arrays, "mean", ("float32",), 1)
    rows, width = index.shape
    if labels.shape != (rows,):
        raise ValueError(f"labels: {len(labels)} of them for the {rows} rows of index")
    if not 1 <= k <= rows:
        raise ValueError(f"k: is {k}, expected 1 to the {rows} rows of index")
    if not index.any(axis=1).all():
        raise ValueError("index: has a row of zeros, which has no direction")
    basis = None
    if "basis" in arrays:
        basis = taken(arrays, "basis", ("float32", "float16"), 2)
        if basis.shape != (len(mean), width):
            raise ValueError(f"basis: shape {basis.shape}, expected {(len(mean), width)}")
    elif len(mean) != width:
        raise ValueError(f"mean: {len(mean)} long, but without a basis index is {width} wide")
    return Familiarity(index, labels, k, mean, basis)
