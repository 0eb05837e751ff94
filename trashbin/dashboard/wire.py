"""What comes from the broker -> events and objects that are safe to draw, or None.

Bins of another version may send keys that we don't know, and anybody may send anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trashbin.events import Event
from trashbin.settings import ID_PATTERN

MAX_BYTES = 2 * 2**20  # of one message; an event has about 1.5 KB, a picture some 100 KB
TOPIC = re.compile(r"trashbin/([^/]+)/(.+)")

_event: TypeAdapter[Event] = TypeAdapter(Event)


def address(topic: str) -> tuple[str, str] | None:
    """The bin's id and what follows it in a topic; None where it is no bin's."""
    match = TOPIC.fullmatch(topic)
    if match is None or re.fullmatch(ID_PATTERN, match[1]) is None:
        return None
    return match[1], match[2]


def event(payload: str | bytes) -> Event | None:
    """An event whose fields have their types; None where it is none."""
    try:
        found = _event.validate_json(payload)
    except ValidationError:
        return None
    return found if len(found.event_id) <= 64 and found.seq > 0 else None


def mapping(payload: bytes) -> dict[str, Any] | None:
    """A JSON object; None where it is none."""
    try:
        found = json.loads(payload)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def text(data: Any, *keys: str) -> str:
    """A text in nested objects; empty where there is none."""
    found = at(data, *keys)
    return found if isinstance(found, str) else ""


def number(data: Any, *keys: str) -> float | None:
    """A number in nested objects; None where there is none."""
    found = at(data, *keys)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def table(data: Any, *keys: str) -> Mapping[str, Any]:
    """An object in nested objects; empty where there is none."""
    found = at(data, *keys)
    return found if isinstance(found, dict) else {}


def at(data: Any, *keys: str) -> Any:
    """What stands at the end of a way through nested objects, or None."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
