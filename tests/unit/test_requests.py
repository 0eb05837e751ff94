"""Requests: any bytes on any verb are a request or a refusal, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support_events import NOON
from trashbin import requests
from trashbin.errors import RequestError
from trashbin.requests import MAX_BYTES, RATE, VERBS, Bucket, Request, parse

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["transaction", "expires", "mode", "gap", "top1", "familiarity", "after_seq", "limit", "more"]
)
PAYLOADS = st.one_of(
    st.binary(),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(KEYS, ANY_JSON).map(lambda value: json.dumps(value).encode()),
)


@given(st.sampled_from([*VERBS]) | st.text(), PAYLOADS, st.booleans())
@example("look", b"[" * MAX_BYTES, False)
@example("threshold", b'{"gap":1' + b"0" * 4000 + b"}", False)
@example("events", b'{"after_seq":9223372036854775808}', False)
@example("look", b'{"expires":"0001-01-01T00:00:00+23:59"}', False)
@example("look", b'{"transaction":"\\ud800"}', False)
def test_any_bytes_are_a_request_or_a_refusal(verb: str, payload: bytes, retained: bool) -> None:
    try:
        request = parse(verb, payload, retained, NOON)
    except RequestError as refusal:
        assert str(refusal).endswith(".")
        assert len(str(refusal)) < 700
    else:
        assert isinstance(request, Request)
        assert request.verb in VERBS
        assert not retained


@pytest.mark.parametrize(
    ("verb", "sent", "data"),
    [
        ("look", None, {}),
        ("identify", {}, {}),
        ("selftest", {}, {}),
        ("mode", {"mode": "paused"}, {"mode": "paused"}),
        ("threshold", {"gap": 0.3, "top1": None}, {"gap": 0.3, "top1": None}),
        ("threshold", {"familiarity": 1}, {"familiarity": 1.0}),
        (
            "resolve",
            {"event_id": "x", "label": "glass"},
            {"event_id": "x", "label": "glass", "way": "request"},
        ),
        ("events", {"after_seq": 7}, {"after_seq": 7, "limit": 500}),
        ("events", {"after_seq": 0, "limit": 1}, {"after_seq": 0, "limit": 1}),
    ],
)
def test_what_may_be_asked(verb: str, sent: dict[str, Any] | None, data: dict[str, Any]) -> None:
    payload = b"" if sent is None else json.dumps(sent).encode()
    assert parse(verb, payload, False, NOON) == Request(verb, None, data)


@pytest.mark.parametrize(
    ("verb", "sent", "says"),
    [
        ("dance", {}, "there are look, mode, threshold"),
        ("resolve", {"event_id": "x"}, "label: field required"),
        ("resolve", {"event_id": "x", "label": "glass", "way": "button"}, "'page'"),
        ("image", {}, "image_id: field required"),
        ("mode", {}, "mode: field required"),
        ("mode", {"mode": "turbo"}, "'auto', 'advisory' or 'paused'"),
        ("threshold", {}, "at least one"),
        ("threshold", {"gap": 1.5}, "gap: input should be less than or equal to 1"),
        ("threshold", {"gap": "0.5"}, "gap: input should be a valid number"),
        ("threshold", {"gap": True}, "gap: input should be a valid number"),
        ("look", {"fast": True}, "unknown key 'fast'"),
        ("events", {"after_seq": 0, "limit": 501}, "limit"),
        ("look", ["look"], "JSON object"),
        ("look", {"transaction": 7}, "transaction must be text"),
        ("look", {"expires": "tomorrow"}, "expires must be UTC text"),
        ("look", {"expires": "2026-11-23T12:00:00"}, "expires must be UTC text"),
    ],
)
def test_a_refusal_says_why(verb: str, sent: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        parse(verb, json.dumps(sent).encode(), False, NOON)


def test_an_expired_request_is_refused_with_its_transaction() -> None:
    expires = NOON.isoformat().replace("+00:00", "Z")
    payload = json.dumps({"transaction": "t-1", "expires": expires}).encode()
    assert parse("look", payload, False, NOON - timedelta(seconds=1)).transaction == "t-1"
    with pytest.raises(RequestError, match="expired") as refusal:
        parse("look", payload, False, NOON)
    assert refusal.value.transaction == "t-1"


def test_a_retained_or_long_request_is_refused() -> None:
    with pytest.raises(RequestError, match="retained"):
        parse("look", b"{}", True, NOON)
    with pytest.raises(RequestError, match="at most 4096 bytes"):
        parse("look", b" " * (MAX_BYTES + 1), False, NOON)


def test_an_answer_has_the_agreed_keys() -> None:
    assert requests.answer("ok", {"mode": "auto"}, None, "1") == {
        "status": "ok",
        "data": {"mode": "auto"},
        "error": None,
        "transaction": "1",
    }


@given(st.lists(st.floats(0, 0.3), max_size=200))
def test_a_flood_is_let_through_at_its_rate_and_no_faster(pauses: list[float]) -> None:
    bucket, now, passed = Bucket(), 1000.0, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)
        assert passed <= RATE + (now - 1000.0) * RATE + 1e-6
    assert passed >= min(len(pauses), RATE)


@given(st.lists(st.floats(1.001 / RATE, 10), min_size=1, max_size=50))
def test_who_asks_slowly_is_never_turned_away(pauses: list[float]) -> None:
    bucket, now = Bucket(), 0.0
    for pause in pauses:
        now += pause
        assert bucket.take(now)
