"""What is written down of a message on ``trashbin/<id>/event``: a row, or why it is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trashbin.fleet.holes import MAX_SEQ, Lost
from trashbin.settings import ID_PATTERN

MAX_BYTES = 65536  # of an event; they have about a thousand
NO_TEXT = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON, of a character that no database takes


class Place(BaseModel):
    """Which of a store's events it is."""

    model_config = ConfigDict(extra="ignore")

    store_id: UUID
    seq: Annotated[int, Field(ge=1, lt=MAX_SEQ)]


class Head(Place):
    """What every event must have to be told from others; the rest is kept as it is."""

    event_id: UUID
    event_type: Annotated[str, Field(min_length=1, max_length=40)]
    device_id: Annotated[str, Field(pattern=ID_PATTERN)]
    ts: AwareDatetime
    historical: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One event, as it is kept. ``received`` is the monotonic time at which it came."""

    head: Head
    body: str
    received: float

    @property
    def store_id(self) -> str:
        """As the bins write it."""
        return str(self.head.store_id)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is no event: kept as well, so that nothing is lost without a word.

    ``place`` is where the bin counts it, as far as that can be read: store and ``seq``.
    """

    topic: str
    payload: bytes
    why: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed at once. ``complete`` maps a bin and its store to their settled ``seq``."""

    rows: Sequence[Row] = ()
    refused: Sequence[Refused] = ()
    lost: Sequence[Lost] = ()
    complete: Mapping[tuple[str, str], int] = field(default_factory=dict)


def read(topic: str, payload: bytes, received: float) -> Row | Refused:
    """Check a message that came on a topic of events."""
    try:
        if len(payload) > MAX_BYTES:
            raise ValueError(f"longer than {MAX_BYTES} bytes")
        text = payload.decode()
        head = Head.model_validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{where}: {first['msg']}".removeprefix(": ")
        return Refused(topic, payload[:MAX_BYTES], why, _place(text))
    except ValueError as exc:  # UnicodeDecodeError is one
        return Refused(topic, payload[:MAX_BYTES], str(exc))
    if topic.split("/")[1] != head.device_id:
        return Refused(topic, payload, f"it says that it is of {head.device_id}")
    # with what stands for a character that cannot be shown
    return Row(head, NO_TEXT.sub(r"\1\\ufffd", text), received)


def _place(text: str) -> Place | None:
    try:
        return Place.model_validate_json(text)
    except ValidationError:
        return None
