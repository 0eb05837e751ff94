"""The words that every room shares: signal, frame, prediction, decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
Features: TypeAlias = npt.NDArray[np.float32]
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom; 0..1 of a picture


class Source(StrEnum):
    """What fired a trigger; the event's ``trigger``."""

    PIR = "pir"
    BUTTON = "button"
    MOTION = "motion"
    REQUEST = "request"
    TIMER = "timer"
    SIMULATED = "simulated"


class Mode(StrEnum):
    """How far the bin may go: sort, show lamps only, or ignore its triggers."""

    AUTO = "auto"
    ADVISORY = "advisory"
    PAUSED = "paused"


class Action(StrEnum):
    """The two outcomes of a look."""

    ACT = "act"
    HOLD = "hold"


class Reason(StrEnum):
    """Why the bin acted or held; ``clear`` is the only reason to act."""

    CLEAR = "clear"
    LOW_GAP = "low_gap"
    LOW_TOP1 = "low_top1"
    TIE = "tie"
    DISAGREE = "disagree"
    UNFAMILIAR = "unfamiliar"
    BLURRED = "blurred"
    DARK = "dark"
    EMPTY = "empty"
    INVALID = "invalid"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Signal:
    """A trigger fired; ``at`` is monotonic seconds."""

    source: Source
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture: ``pixels`` is RGB uint8 (height, width, 3); ``at`` is monotonic seconds.

    ``small`` is the same view at 160 x 120 where the camera made one besides, or None.
    ``thing`` is where something lies in it, or None where nobody has found that out.
    Whoever receives a frame may read it and must not write to it.
    """

    pixels: Pixels
    at: float
    small: Pixels | None = None
    thing: Box | None = None


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which weights gave an answer; the event's ``model``."""

    name: str
    variant: str
    sha256: str
    head: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one frame.

    ``scores`` maps each label to its share (they sum to 1; they are relative
    between classes and none is an absolute probability). ``familiarity`` is in
    0..1, higher is more familiar, or None where the model has no such output.
    ``features`` (C,) are what the network saw before it named a label, or None likewise.
    """

    scores: Mapping[str, float]
    familiarity: float | None = None
    preprocess_ms: float = 0.0
    invoke_ms: float = 0.0
    features: Features | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to act: gap >= ``gap`` and top-1 share >= ``top1`` and, where known, familiarity.

    All in 0..1.
    """

    gap: float = 0.2
    top1: float = 0.4
    familiarity: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Act on ``label`` or hold, always with a reason.

    ``top1``, ``top2`` and ``gap`` are shares in 0..1, None where there is none
    (an empty tray, no valid prediction). ``votes`` counts frames by their best label.
    """

    action: Action
    reason: Reason
    label: str | None = None
    second: str | None = None
    top1: float | None = None
    top2: float | None = None
    gap: float | None = None
    familiarity: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    votes: Mapping[str, int] = field(default_factory=dict)
