"""The familiarity index: features of training pictures, small enough for a Pi, as the daemon reads.

A feature is looked at from where things of no class lie on average: a cosine then tells which way
from there a thing lies, and what is of no class lies no way in particular. Centred at the known
things' own mean, as is usual, the same neighbours tell the two apart far worse: an AUROC of 0.69
against 0.94 on the calib fold's other backgrounds. Turned onto the axes along which known things
differ most (principal components), each row scaled to int8; as many rows of each label, composites
and photographs alike. See ``trashbin.model.familiarity`` for the score.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trashbin.training.data import LABELS

AXES, ROWS, NEIGHBOURS = 96, 1800, 5


def write_index(
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    centre: NDArray[np.float32],
    path: Path,
    seed: int = 0,
) -> None:
    """`features` (N, C) of things with a label (N,), seen from `centre` (C,)."""
    rng = np.random.default_rng(seed)
    chosen = []
    for label in range(len(LABELS)):
        rows = np.flatnonzero(targets == label)
        chosen.append(rng.permutation(rows)[: ROWS // len(LABELS)])
    rows = np.concatenate(chosen)
    spread = (features - features.mean(0)).astype(np.float64)
    _, vectors = np.linalg.eigh(spread.T @ spread)
    basis = vectors[:, ::-1][:, :AXES].astype(np.float16)
    turned = (features[rows] - centre).astype(np.float64) @ basis.astype(np.float64)
    scaled = np.rint(turned / np.abs(turned).max(1, keepdims=True) * 127).astype(np.int8)
    np.savez(
        path,
        index=scaled,
        labels=targets[rows].astype(np.uint8),
        k=np.int64(NEIGHBOURS),
        mean=centre.astype(np.float32),
        basis=basis,
    )


def write_rehearsal(
    features: NDArray[np.float32], targets: NDArray[np.int64], path: Path, each: int = 40
) -> None:
    """Features of `each` training photographs and composites a label, for `trashbin teach`."""
    rng = np.random.default_rng(1)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(targets == k))[:each] for k in range(len(LABELS))]
    )
    np.savez(
        path, features=features[rows].astype(np.float16), targets=targets[rows].astype(np.uint8)
    )
