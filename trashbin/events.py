"""The whole wire contract: one event, its JSON and its schema, and the MQTT topics.

``event.schema.json`` beside this file says the same to programs in other languages.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from json.encoder import encode_basestring as _quoted
from math import isfinite
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


ITEM_EVENTS = (EventType.SORTED, EventType.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Detail:
    """For people, on ``fault`` and ``notice``: which part, and what is wrong with it."""

    part: str
    message: str


@dataclass(frozen=True, kw_only=True)  # without slots: ``vars`` is what is written, in order
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

    @property
    def think_ms(self) -> float | None:
        """Milliseconds of preprocessing, network and rules for each frame; None where untold."""
        timing = self.timing_ms or {}
        told = [timing[stage] for stage in ("preprocess", "invoke", "decide") if stage in timing]
        return sum(told) / max(1, sum(self.votes.values())) if told else None

    def to_json(self) -> str:
        """Compact JSON; shares have six digits, times three. ValueError on NaN, never written."""
        data = vars(self)
        if self.gap is not None and self.top1 is not None and self.top2 is not None:
            # of the rounded shares, so that a reader's own subtraction agrees
            data = data | {"gap": round(self.top1, 6) - round(self.top2, 6)}
        pairs = zip(_WRITERS, data.values(), strict=True)
        return _FORM % tuple(["null" if value is None else write(value) for write, value in pairs])

    def stored_as(self, store_id: str, seq: int) -> Event:
        """This event with its place in a store: what ``replace`` does, in a tenth of the time."""
        copy = object.__new__(Event)
        vars(copy).update(vars(self), store_id=store_id, seq=seq)
        return copy

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


# An item waits while its event is written, and json's encoder with the rounding before it took
# longer than a commit: so each key has a writer of its own. What they write is json's text to the
# byte, so that an event that an older trashbin stored is sent again as it was.


@lru_cache(maxsize=64)  # of a few sets of labels and stages
def _form(keys: tuple[str, ...], value: str) -> str:
    """A JSON object of these keys, to be filled in by ``%``."""
    return f"{{{','.join(_quoted(key).replace('%', '%%') + ':' + value for key in keys)}}}"


def _rounded(digits: int) -> Callable[[float], str]:
    form = f"%.{digits}f"

    def write(value: float) -> str:
        if 1e-4 <= value < 1e9:  # where Python writes no exponent; a third of what round costs
            text = (form % value).rstrip("0")
            return f"{text}0" if text[-1] == "." else text
        if not isfinite(value):
            raise ValueError(f"JSON has no such number: {value}")
        return float.__repr__(round(float(value), digits))  # never as NumPy writes its own

    return write


_share, _time = _rounded(6), _rounded(3)


def _numbers(write: Callable[[float], str]) -> Callable[[Mapping[str, float]], str]:
    return lambda numbers: _form(tuple(numbers), "%s") % tuple(map(write, numbers.values()))


def _part(write: Callable[[Any], str]) -> Callable[[Any], str]:
    @lru_cache(maxsize=8)  # one model judges many items, by the same thresholds
    def whole(part: Any) -> str:
        keys = part.__slots__
        values = [getattr(part, key) for key in keys]
        return _form(keys, "%s") % tuple(["null" if v is None else write(v) for v in values])

    return whole


_OBJECTS = {"thresholds": Thresholds, "model": ModelId, "answer": Answer, "detail": Detail}
_BY_KEY: dict[str, Callable[[Any], str]] = {entry.name: _quoted for entry in fields(Event)}
_BY_KEY |= dict.fromkeys(_OBJECTS, _part(_quoted))
_BY_KEY |= {
    "seq": str,
    "uptime_ms": str,
    "historical": ("false", "true").__getitem__,
    "top1": _share,
    "top2": _share,
    "gap": _share,
    "familiarity": _share,
    "scores": _numbers(_share),
    "votes": _numbers(str),
    "thresholds": _part(_share),
    "actuation": lambda names: f"[{','.join(map(_quoted, names))}]",
    "timing_ms": _numbers(_time),
}
_WRITERS = tuple(_BY_KEY.values())
_FORM = _form(("schema", *_BY_KEY), "%s").replace("%s", _quoted(SCHEMA), 1)


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
        self.device_id = device_id
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
