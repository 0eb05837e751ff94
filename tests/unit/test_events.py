"""The wire contract: what is written is valid, reads back, and anything else is refused."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support_events import NOON, a_fault, an_event, events
from trashbin import events as wire
from trashbin.events import SCHEMA, Event, Topics, boot_id, new_event_id, timestamp
from trashbin.types import Action, Mode, Reason, Source

CHECK = jsonschema.Draft202012Validator(
    wire.schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
STORED = {"store_id": "1f0c6f3e-6c1a-4b53-9d25-5a4f6f1f7e11", "seq": 7}


def as_sent(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(replace(event, **STORED).to_json())
    return data


def test_the_schema_is_a_schema_and_knows_every_word() -> None:
    jsonschema.Draft202012Validator.check_schema(wire.schema())
    properties = wire.schema()["properties"]
    assert list(properties) == list(as_sent(an_event()))
    for key, words in [("mode", Mode), ("trigger", Source), ("decision", Action)]:
        assert set(properties[key]["enum"]) - {None} == {str(word) for word in words}
    assert set(properties["reason"]["enum"]) - {None} == {str(word) for word in Reason}
    assert set(properties["event_type"]["enum"]) == {str(word) for word in wire.EventType}


@given(events())
def test_every_event_is_valid_and_reads_back(event: Event) -> None:
    text = replace(event, **STORED).to_json()
    CHECK.validate(json.loads(text))
    assert Event.from_json(text).to_json() == text
    assert Event.from_json(text.encode()).event_type is event.event_type


@given(
    st.dictionaries(st.text(max_size=5), st.floats(0, 1) | st.floats(0, 1e6) | st.integers(0, 9)),
    st.floats(0, 1) | st.just(1),
)
@example({"%s": 0.8, '"': 0.0000004, "ü": 1.0}, 0.0000120001)
def test_what_is_written_is_what_json_would_write(numbers: dict[str, float], share: float) -> None:
    event = an_event(scores=numbers, timing_ms=numbers, familiarity=share)
    text = event.to_json()
    assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) == text
    data = json.loads(text)
    assert data["scores"] == {key: round(value, 6) for key, value in numbers.items()}
    assert data["timing_ms"] == {key: round(value, 3) for key, value in numbers.items()}
    assert data["familiarity"] == round(share, 6)


@given(st.floats(0, 2e9) | st.floats(0, 1e-3) | st.integers(0, 9).map(float))
@example(9.99995e-05)
@example(np.float64(0.25))
def test_a_number_is_written_as_python_writes_it(value: float) -> None:
    text = an_event(familiarity=value, timing_ms={"total": value}).to_json()
    assert f'"familiarity":{float(round(value, 6))!r},' in text
    assert f'"timing_ms":{{"total":{float(round(value, 3))!r}}}' in text


@given(events())
def test_the_gap_is_what_a_reader_subtracts(event: Event) -> None:
    data = as_sent(event)
    if data["gap"] is not None:
        assert data["gap"] == round(data["top1"] - data["top2"], 6)
        assert data["scores"][data["label"]] == data["top1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": "trashbin.event/2"},
        {"event_id": str(uuid.uuid4())},
        {"event_type": "binned"},
        {"device_id": "a/b"},
        {"seq": 0},
        {"ts": "2026-11-23T12:00:00Z"},
        {"ts": "2026-13-23T12:00:00.000Z"},
        {"decision": "hold"},
        {"reason": "low_gap"},
        {"bin": None},
        {"label": None},
        {"top1": 1.5},
        {"gap": "0.7"},
        {"scores": {}},
        {"scores": {"paper": -0.1}},
        {"votes": {"paper": 0.5}},
        {"timing_ms": {"total": 3}},
        {"model": {"name": "x", "variant": "int8", "sha256": "short", "head": None}},
        {"actuation": []},
        {"resolves": as_sent(an_event())["event_id"]},
        {"color": "red"},
        {"event_type": "uncertain"},
        {"event_type": "fault"},
    ],
)
def test_a_wrong_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        CHECK.validate(as_sent(an_event()) | wrong)


@pytest.mark.parametrize("key", list(as_sent(an_event())))
def test_no_key_may_be_left_out(key: str) -> None:
    data = as_sent(an_event())
    del data[key]
    with pytest.raises(jsonschema.ValidationError):
        CHECK.validate(data)


def test_a_fault_says_what_is_wrong() -> None:
    data = as_sent(a_fault())
    CHECK.validate(data)
    assert data["detail"]["part"] == "camera"
    with pytest.raises(jsonschema.ValidationError):
        CHECK.validate(data | {"detail": None})


@given(st.sampled_from([math.nan, math.inf, -math.inf]))
def test_no_number_that_json_lacks_is_ever_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        an_event(familiarity=value).to_json()


def test_keys_stand_in_the_agreed_order() -> None:
    assert list(as_sent(an_event())) == ["schema", *asdict(an_event())]
    assert as_sent(an_event())["schema"] == SCHEMA


@given(st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1)), st.integers(-12, 14))
def test_ids_and_timestamps_sort_by_time(naive: datetime, hours: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    later = moment + timedelta(milliseconds=2)
    if moment.timestamp() >= 0:
        assert new_event_id(moment) < new_event_id(later)
        assert uuid.UUID(new_event_id(moment)).version == 7
        assert timestamp(moment) < timestamp(later)
    assert new_event_id(moment) != new_event_id(moment)
    assert abs(datetime.fromisoformat(timestamp(moment)) - moment) < timedelta(milliseconds=1)


def test_a_timestamp_is_utc_with_milliseconds() -> None:
    jakarta = datetime(2026, 11, 23, 19, 0, 0, 42999, tzinfo=timezone(timedelta(hours=7)))
    assert timestamp(jakarta) == "2026-11-23T12:00:00.042Z"
    assert timestamp(NOON.astimezone(UTC)) == "2026-11-23T12:00:00.000Z"


def test_topics_of_a_bin() -> None:
    topics = Topics("bin-1")
    assert topics.backlog == "trashbin/bin-1/event/backlog"
    assert topics.request("look") == "trashbin/bin-1/request/look"
    assert topics.response("look") == "trashbin/bin-1/response/look"


@given(st.text())
def test_an_id_never_changes_the_shape_of_a_topic(device_id: str) -> None:
    try:
        topics = Topics(device_id)
    except ValueError as refusal:
        assert "device id" in str(refusal)
    else:
        assert topics.event.count("/") == 2
        assert not set("+#\n") & set(topics.event)


def test_the_boot_id_is_the_kernels_and_stays_while_the_machine_is_up() -> None:
    told = boot_id()
    boot_id.cache_clear()  # as another process asks
    assert boot_id() == told == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert uuid.UUID(told)
