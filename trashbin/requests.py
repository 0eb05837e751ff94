"""Pure: the bytes of a request over MQTT -> what is asked, or a refusal in one sentence.

Also how many may be asked a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from trashbin.errors import RequestError

MAX_BYTES = 4096
MAX_TRANSACTION = 128  # characters; it is sent back
MAX_EVENTS = 500
RATE = 10  # requests read a second, and as many at once

Share = Annotated[float, Field(ge=0, le=1)]


class _Nothing(BaseModel):
    """A verb without arguments, and the base of the others: what is unknown is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def data(self) -> dict[str, Any]:
        return self.model_dump()


class _Mode(_Nothing):
    mode: Literal["auto", "advisory", "paused"]


class _Threshold(_Nothing):
    """A number sets one, null clears it, and one that is left out stays as it is."""

    gap: Share | None = None
    top1: Share | None = None
    familiarity: Share | None = None

    def data(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class _Resolve(_Nothing):
    """A person's answer; a dashboard says which way it came."""

    event_id: str = Field(min_length=1, max_length=64)
    label: str = Field(min_length=1, max_length=64)
    way: Literal["page", "homeassistant", "request"] = "request"


class _Emptied(_Nothing):
    bin: str = Field(min_length=1, max_length=64)


class _Image(_Nothing):
    image_id: str = Field(min_length=1, max_length=64)


class _Events(_Nothing):
    after_seq: int = Field(ge=0, lt=2**63)  # what SQLite can count to
    limit: int = Field(default=MAX_EVENTS, ge=1, le=MAX_EVENTS)


VERBS: dict[str, type[_Nothing]] = {
    "look": _Nothing,
    "mode": _Mode,
    "threshold": _Threshold,
    "resolve": _Resolve,
    "identify": _Nothing,
    "selftest": _Nothing,
    "image": _Image,
    "emptied": _Emptied,
    "events": _Events,
    "remove": _Nothing,
}


class Bucket:
    """A token bucket: lets through RATE a second, and RATE at once after a quiet second."""

    def __init__(self) -> None:
        self._tokens = float(RATE)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Take one at the monotonic time ``now``; False where there is none left."""
        self._tokens = min(RATE, self._tokens + (now - self._at) * RATE)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks: ``data`` holds the verb's own keys, checked."""

    verb: str
    transaction: str | None
    data: Mapping[str, Any]


def parse(verb: str, payload: bytes, retained: bool, now: datetime) -> Request:
    """Check a request; an empty payload is ``{}``.

    RequestError says why it is refused, and carries its transaction where it could be read.
    """
    if len(payload) > MAX_BYTES:  # before anything else: this one is not even read
        raise RequestError(f"The request is too long: at most {MAX_BYTES} bytes are read.")
    body = _body(payload)
    transaction = body.pop("transaction", None)
    if transaction is not None and not _short_text(transaction):
        raise RequestError(f"transaction must be text of at most {MAX_TRANSACTION} characters.")
    try:
        return _checked(verb, body, transaction, retained, now)
    except RequestError as exc:
        exc.transaction = transaction
        raise


def answer(
    status: Literal["ok", "refused", "error"],
    data: Mapping[str, Any] | None,
    error: str | None,
    transaction: str | None,
) -> dict[str, Any]:
    """The payload of a response."""
    return {"status": status, "data": data, "error": error, "transaction": transaction}


def _checked(
    verb: str, body: dict[str, Any], transaction: str | None, retained: bool, now: datetime
) -> Request:
    if retained:
        raise RequestError("A retained request is refused: send it without the retain flag.")
    if verb not in VERBS:
        raise RequestError(f"Unknown request {verb[:40]!r}; there are {', '.join(VERBS)}.")
    _refuse_expired(body.pop("expires", None), now)
    try:
        data = VERBS[verb].model_validate(body).data()
    except ValidationError as exc:
        raise RequestError(_in_words(verb, exc)) from exc
    if verb == "threshold" and not data:
        raise RequestError("threshold needs at least one of gap, top1, familiarity.")
    return Request(verb, transaction, data)


def _body(payload: bytes) -> dict[str, Any]:
    try:
        body = from_json(payload or b"{}", allow_inf_nan=False)
    except ValueError as exc:
        raise RequestError(f"The request is not JSON: {exc}.") from exc
    if not isinstance(body, dict):
        raise RequestError('The request must be a JSON object, such as {"transaction": "1"}.')
    return body


def _short_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TRANSACTION


def _refuse_expired(expires: object, now: datetime) -> None:
    if expires is None:
        return
    try:
        if not isinstance(expires, str):
            raise ValueError
        moment = datetime.fromisoformat(expires)
        if moment.tzinfo is None:
            raise ValueError
        late = moment <= now
    except (ValueError, OverflowError) as exc:
        raise RequestError("expires must be UTC text such as 2026-11-23T19:30:00Z.") from exc
    if late:
        raise RequestError(f"The request expired at {expires}.")


def _in_words(verb: str, exc: ValidationError) -> str:
    """All that is wrong with a request's keys, in one sentence."""
    known = ", ".join([*VERBS[verb].model_fields, "transaction", "expires"])
    wrong = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        key = str(error["loc"][0])[:40] if error["loc"] else verb
        if error["type"] == "extra_forbidden":
            wrong.append(f"unknown key {key!r} (there are {known})")
        else:
            wrong.append(f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}")
    return f"{verb}: {'; '.join(wrong[:3])}."
