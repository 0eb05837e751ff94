"""A taught head: what a bin's own tray adds to the network's last layer, in one file.

The keys of the .npz; D is the length of the network's features, L the number of labels:

weights  float32 (L, D)  the last layer for this tray, and
bias     float32 (L,)    its bias: logits are weights @ features + bias
gate     float32 (D,)    how much a thing looks as on this tray, and
lean     float32 ()      its bias: the share 1 / (1 + exp(-gate @ features - lean)) of this layer
                         and the rest of the network's own make the logits
known    float16 (M, D)  features of taught items, which the familiarity index is to know
labels   uint8 (M,)      their labels' places
about    text            JSON, see ``About``

A head belongs to one network, by digest, and is named by the sha256 of its own file.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from trashbin.model import arrays
from trashbin.types import Features

KEYS = ("weights", "bias", "gate", "lean", "known", "labels", "about")
MAX_BYTES = 16 * 2**20
SHA256 = r"^[0-9a-f]{64}$"


class About(BaseModel):
    """Where a head comes from.

    ``parent`` is the digest of the head that ran before, None for the network's own. ``answers``
    counts by label what it was taught with, up to the event ``last_seq`` of the event store with
    the id ``store`` (empty in older heads). ``before`` and ``after`` were right of those answers,
    each judged by a fit that had not seen it; likewise of the ``rehearsed`` items that came with
    the network. ``items`` are the item events that it was taught with, by id; older heads do not
    tell them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    network: str = Field(pattern=SHA256)
    parent: str | None = Field(pattern=SHA256)
    made: str
    answers: dict[str, int]
    last_seq: int
    before: int
    after: int
    rehearsed: int
    rehearsed_before: int
    rehearsed_after: int
    store: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """A head that was read; ``digest`` is that of its file."""

    digest: str
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    gate: npt.NDArray[np.float32]
    lean: float
    known: Features
    labels: npt.NDArray[np.uint8]
    about: About

    def logits(self, own: npt.NDArray[np.float64], features: Features) -> npt.NDArray[np.float64]:
        """The logits (L,) of a thing with these features (D,); ``own`` are the network's."""
        # einsum, not BLAS, whose threads would wake every core
        taught = np.einsum("ld,d->l", self.weights, features) + self.bias
        leans = float(np.einsum("d,d->", self.gate, features)) + self.lean
        share = 1.0 / (1.0 + math.exp(-min(max(leans, -50.0), 50.0)))
        return np.asarray(own + share * (taught - own), np.float64)


def packed(
    weights: npt.ArrayLike,
    bias: npt.ArrayLike,
    gate: npt.ArrayLike,
    lean: float,
    known: npt.ArrayLike,
    labels: npt.ArrayLike,
    about: About,
) -> bytes:
    """The bytes of a head's file; the same for the same head."""
    file = io.BytesIO()
    np.savez(
        file,
        weights=np.asarray(weights, np.float32),
        bias=np.asarray(bias, np.float32),
        gate=np.asarray(gate, np.float32),
        lean=np.float32(lean),
        known=np.asarray(known, np.float16),
        labels=np.asarray(labels, np.uint8),
        about=np.str_(about.model_dump_json()),
    )
    return file.getvalue()


def parse(content: bytes) -> Head:
    """The head in the bytes of a file; ValueError names what is wrong."""
    found = arrays.unpacked(content, KEYS)
    weights = arrays.taken(found, "weights", ("float32",), 2)
    bias = arrays.taken(found, "bias", ("float32",), 1)
    gate = arrays.taken(found, "gate", ("float32",), 1)
    lean = float(arrays.taken(found, "lean", ("float32",), 0))
    known = arrays.taken(found, "known", ("float16",), 2)
    labels = arrays.taken(found, "labels", ("uint8",), 1)
    if bias.shape != (len(weights),):
        raise ValueError(f"bias: {len(bias)} of them for the {len(weights)} rows of weights")
    if known.shape != (len(labels), weights.shape[1]):
        raise ValueError(f"known: shape {known.shape}, expected {(len(labels), weights.shape[1])}")
    if gate.shape != (weights.shape[1],):
        raise ValueError(f"gate: {len(gate)} long, but weights are {weights.shape[1]} wide")
    if "about" not in found or found["about"].dtype.kind != "U" or found["about"].ndim:
        raise ValueError("about: is missing, or no text")
    return Head(
        hashlib.sha256(content).hexdigest(),
        weights,
        bias,
        gate,
        lean,
        known.astype(np.float32),
        labels,
        About.model_validate_json(str(found["about"])),
    )
