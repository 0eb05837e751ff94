"""What comes from the broker -> events and objects that are safe to draw, or None.

Bins of another version may send keys that we don't know, and anybody may send anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from trashbin.events import Event, EventType, timestamp
from trashbin.settings import ID_PATTERN

MAX_BYTES = 2 * 2**20  # of a picture that a bin answers with: some 100 KB
MAX_SAID = 64 * 2**10  # of any other message, which is kept; an event, a state: some 2 KB
LARGEST = 2**53  # whole numbers up to there are exact everywhere, in browsers too
TOPIC = re.compile(r"trashbin/([^/]+)/(.+)")

_event: TypeAdapter[Event] = TypeAdapter(Event)


def address(topic: str) -> tuple[str, str] | None:
    """The bin's id and what follows it in a topic; None where it is no bin's."""
    match = TOPIC.fullmatch(topic)
    if match is None or re.fullmatch(ID_PATTERN, match[1]) is None:
        return None
    return match[1], match[2]


def event(payload: str | bytes) -> Event | None:
    """An event whose fields hold what they must; None where it is none."""
    try:
        found = _event.validate_json(payload)
        found.to_json()  # not where a share is NaN: JSON itself has none, its readers do
        return found if _is_sound(found) else None
    except (ValueError, OverflowError):  # a ValidationError is one, and what no calendar has
        return None


def _is_sound(event: Event) -> bool:
    """What types alone don't say, and what keeps, sorts and draws events goes by."""
    return (
        re.fullmatch(ID_PATTERN, event.event_id) is not None
        and 0 < event.seq < LARGEST
        and sum(event.votes.values()) < LARGEST
        and timestamp(datetime.fromisoformat(event.ts).astimezone()) == event.ts
        and (event.event_type is not EventType.SORTED or event.label is not None)
    )


def mapping(payload: bytes) -> dict[str, Any] | None:
    """A JSON object; None where it is none.

    Not by ``json``: that takes half a character for one, and fails at what is nested deeply.
    """
    try:
        found = from_json(payload, allow_inf_nan=False)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def text(data: Any, *keys: str) -> str:
    """A text in nested objects; empty where there is none."""
    found = at(data, *keys)
    return found if isinstance(found, str) else ""


def number(data: Any, *keys: str) -> float | None:
    """A number in nested objects; None where there is none that can be shown."""
    found = at(data, *keys)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return None
    return found if abs(found) < LARGEST else None


def table(data: Any, *keys: str) -> Mapping[str, Any]:
    """An object in nested objects; empty where there is none."""
    found = at(data, *keys)
    return found if isinstance(found, dict) else {}


def at(data: Any, *keys: str) -> Any:
    """What stands at the end of a way through nested objects, or None."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
