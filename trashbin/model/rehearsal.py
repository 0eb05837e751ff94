"""rehearsal.npz: what the network saw of some pictures of the shipped classes.

``trashbin teach`` learns from them beside a tray's own items, so that nothing is forgotten. They
should be of as many pictures for each label. The keys:

features  float16 (N, D)  the network's second output
targets   uint8 (N,)      the label's place in labels.txt
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trashbin.model import arrays

NAME = "rehearsal.npz"
KEYS = ("features", "targets")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``features`` (N, D) and ``targets`` (N,)."""

    features: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]


def packed(features: npt.ArrayLike, targets: npt.ArrayLike) -> bytes:
    """The bytes of a rehearsal.npz; the same for the same arrays."""
    file = io.BytesIO()
    np.savez(file, features=np.asarray(features, np.float16), targets=np.asarray(targets, np.uint8))
    return file.getvalue()


def parse(content: bytes, width: int, labels: int) -> Rehearsal:
    """What ``packed`` wrote for a network of these sizes; ValueError names what is wrong."""
    found = arrays.unpacked(content, KEYS)
    features = arrays.taken(found, "features", ("float16",), 2)
    targets = arrays.taken(found, "targets", ("uint8",), 1)
    if features.shape != (len(targets), width):
        raise ValueError(f"features: shape {features.shape}, expected {(len(targets), width)}")
    if len(set(targets.tolist())) < labels or int(targets.max()) >= labels:
        raise ValueError(f"targets: expected the places of all {labels} labels, and no others")
    return Rehearsal(features.astype(np.float32), targets.astype(np.int64))
