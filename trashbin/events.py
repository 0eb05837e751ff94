"""The whole wire contract: one event, its JSON and its schema, and the MQTT topics.

``event.schema.json`` beside this file says the same to programs in other languages.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import uuid6

from trashbin.settings import ID_PATTERN
from trashbin.types import Action, Mode, ModelId, Reason, Source, Thresholds

SCHEMA = "trashbin.event/1"

# of an item that waits for an answer, and of the last answer, in ``state``
WAITING = ("event_id", "ts", "reason", "label", "second", "top1", "gap", "scores", "image_id")
ANSWERED = ("event_id", "ts", "resolves", "answer", "bin")


class EventType(StrEnum):
    """What an event is about; the first two are *item events*."""

    SORTED = "sorted"
    UNCERTAIN = "uncertain"
    EMPTY = "empty"
    RESOLVED = "resolved"
    FAULT = "fault"
    NOTICE = "notice"


Way = Literal["button", "page", "homeassistant", "request"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said an item is, and by which way: a button at the bin, or a dashboard."""

    label: str
    way: Way


ITEM_EVENTS = frozenset({EventType.SORTED, EventType.UNCERTAIN})


@dataclass(frozen=True, slots=True)
class Detail:
    """For people, on ``fault`` and ``notice``: which part, and what is wrong with it."""

    part: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened, as it is stored and published; fields stand in the order of the JSON.

    ``ts`` is UTC text from ``timestamp``. ``store_id`` and ``seq`` are assigned by
    ``Outbox.append``. ``actuation`` names the actuators that are to move or light, None
    where none does. A ``fault`` has the decision hold and the reason fault; ``notice`` and
    ``resolved`` have neither. A ``resolved`` has a ``bin`` where the answer lets its item be
    sorted, and none where it only labels. ``detail`` is this project's one addition to the
    agreed keys.
    """

    event_id: str
    event_type: EventType
    device_id: str
    store_id: str = ""
    seq: int = 0
    boot_id: str
    ts: str
    ts_quality: Literal["synced", "unsynced"]
    uptime_ms: int
    historical: bool = False
    mode: Mode
    trigger: Source | None = None
    decision: Action | None = None
    reason: Reason | None = None
    label: str | None = None
    second: str | None = None
    top1: float | None = None
    top2: float | None = None
    gap: float | None = None
    familiarity: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    votes: Mapping[str, int] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    bin: str | None = None
    actuation: Sequence[str] | None = None
    timing_ms: Mapping[str, float] | None = None
    model: ModelId | None = None
    image_id: str | None = None
    about: str | None = None
    resolves: str | None = None
    answer: Answer | None = None
    detail: Detail | None = None

    @property
    def sorted_as(self) -> str | None:
        """The label that an item is sorted by: the bin's own, or a person's where it had held."""
        if self.event_type is EventType.SORTED:
            return self.label
        # an answer without a bin only labels: it may be the second one for an item
        return self.answer.label if self.answer is not None and self.bin is not None else None

    def to_json(self) -> str:
        """Compact JSON; shares have six digits, times three. ValueError on NaN, never written."""
        data: dict[str, Any] = {"schema": SCHEMA}
        for key in _KEYS:
            value = getattr(self, key)
            data[key] = _plain(value) if key in _OBJECTS and value is not None else value
        for key in ("top1", "top2", "familiarity", "scores", "thresholds"):
            data[key] = _rounded(data[key], 6)
        data["timing_ms"] = _rounded(data["timing_ms"], 3)
        if self.gap is not None and self.top1 is not None and self.top2 is not None:
            # of the rounded shares, so that a reader's own subtraction agrees
            data["gap"] = round(data["top1"] - data["top2"], 6)
        return _compact(data)

    def sent(self, keys: Sequence[str] | None = None) -> dict[str, Any]:
        """What ``to_json`` says, as data; only some ``keys`` of it where they are named."""
        data: dict[str, Any] = json.loads(self.to_json())
        return data if keys is None else {key: data[key] for key in keys}

    @classmethod
    def from_json(cls, text: str | bytes) -> Event:
        """The event that ``to_json`` wrote."""
        data = json.loads(text)
        del data["schema"]
        enums = {
            "event_type": EventType,
            "mode": Mode,
            "trigger": Source,
            "decision": Action,
            "reason": Reason,
        }
        for key, enum in enums.items():
            data[key] = None if data[key] is None else enum(data[key])
        for key, kind in _OBJECTS.items():
            data[key] = None if data[key] is None else kind(**data[key])
        return cls(**data)


# never ``asdict``, which copies deeply what is flat: an event is written on the item's way
_KEYS = tuple(entry.name for entry in fields(Event))
_OBJECTS = {"thresholds": Thresholds, "model": ModelId, "answer": Answer, "detail": Detail}
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _plain(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner, digits) for key, inner in value.items()}
    return round(value, digits) if isinstance(value, float) else value


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event."""
    text = resources.files("trashbin").joinpath("event.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def timestamp(now: datetime) -> str:
    """UTC with milliseconds, as ``ts`` has it: ``2026-11-23T19:33:21.042Z``."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def new_event_id(now: datetime) -> str:
    """A UUIDv7 (RFC 9562): sorts by time to the millisecond, and is otherwise random."""
    milliseconds = max(0, int(now.timestamp() * 1000))
    return str(uuid6.UUID(int=milliseconds << 80 | secrets.randbits(80), version=7))


@cache
def boot_id() -> str:
    """The kernel's id of this boot; where there is none, one for this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


class Topics:
    """The MQTT topics of one bin. ValueError where the id cannot stand in a topic."""

    def __init__(self, device_id: str) -> None:
        if not re.fullmatch(ID_PATTERN, device_id):
            raise ValueError(f"{device_id!r} is no device id: only letters, digits, - and _")
        self.root = f"trashbin/{device_id}"
        self.availability = f"{self.root}/availability"
        self.info = f"{self.root}/info"
        self.state = f"{self.root}/state"
        self.health = f"{self.root}/health"
        self.event = f"{self.root}/event"
        self.backlog = f"{self.root}/event/backlog"
        self.image_last = f"{self.root}/image/last"
        self.request_filter = f"{self.root}/request/+"

    def request(self, verb: str) -> str:
        """Where a request is sent."""
        return f"{self.root}/request/{verb}"

    def response(self, verb: str) -> str:
        """Where it is answered."""
        return f"{self.root}/response/{verb}"
