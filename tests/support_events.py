"""Events for tests: one that a real bin could have made, and a strategy for all that it could."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from trashbin.events import Answer, Detail, Event, EventType, new_event_id, timestamp
from trashbin.types import Action, Mode, ModelId, Reason, Source, Thresholds

LABELS = ("cardboard", "glass", "metal", "paper", "plastic", "trash")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STAGES = ("settle", "capture", "preprocess", "invoke", "decide", "total")


def an_event(now: datetime = NOON, **keys: Any) -> Event:
    """Paper, sorted; ``keys`` replace what differs."""
    event = Event(
        event_id=new_event_id(now),
        event_type=EventType.SORTED,
        device_id="bin-1",
        boot_id="0b2c4a1e-8f4f-4c7d-9a43-3f1a5f1d2c11",
        ts=timestamp(now),
        ts_quality="synced",
        uptime_ms=12345,
        mode=Mode.AUTO,
        trigger=Source.PIR,
        decision=Action.ACT,
        reason=Reason.CLEAR,
        label="paper",
        second="cardboard",
        top1=0.8,
        top2=0.1,
        gap=0.7,
        scores=dict(zip(LABELS, (0.1, 0.05, 0.03, 0.8, 0.01, 0.01), strict=True)),
        votes={"paper": 3},
        thresholds=Thresholds(),
        bin="left",
        actuation=["servo", "lamps"],
        timing_ms=dict.fromkeys(STAGES, 1.5),
        model=ModelId("a-model", "int8", "0" * 64),
    )
    return replace(event, **keys)


def a_fault(**keys: Any) -> Event:
    """The camera, gone."""
    return an_event(**(NOTHING | FAULT | keys))


NOTHING: Mapping[str, Any] = {
    "trigger": None,
    "decision": None,
    "reason": None,
    "label": None,
    "second": None,
    "top1": None,
    "top2": None,
    "gap": None,
    "scores": {},
    "votes": {},
    "thresholds": None,
    "bin": None,
    "actuation": None,
    "timing_ms": None,
}
FAULT: Mapping[str, Any] = {
    "event_type": EventType.FAULT,
    "decision": Action.HOLD,
    "reason": Reason.FAULT,
    "detail": Detail("camera", "no picture within 2 s"),
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that a bin can make, of every type."""
    now = draw(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
    common: dict[str, Any] = {
        "uptime_ms": draw(st.integers(0, 10**12)),
        "ts_quality": draw(st.sampled_from(["synced", "unsynced"])),
        "mode": draw(st.sampled_from(Mode)),
        "historical": draw(st.booleans()),
    }
    kind = draw(st.sampled_from(EventType))
    if kind in (EventType.SORTED, EventType.UNCERTAIN):
        return an_event(now, **common, **draw(_judged(kind)))
    about = draw(st.none() | st.just(new_event_id(now)))
    of: dict[EventType, Mapping[str, Any]] = {
        EventType.EMPTY: {
            "trigger": Source.MOTION,
            "decision": Action.HOLD,
            "reason": Reason.EMPTY,
            "timing_ms": dict.fromkeys(STAGES, 0.25),
        },
        EventType.FAULT: FAULT | {"about": about, "detail": Detail("tray", draw(_WORDS))},
        EventType.NOTICE: {"detail": Detail("model", draw(_WORDS)), "model": None},
        EventType.RESOLVED: {
            "resolves": new_event_id(now),
            "answer": Answer("glass", draw(st.sampled_from(["button", "page"]))),
        },
    }
    return an_event(now, **(NOTHING | common | {"event_type": kind} | of[kind]))


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_HELD = [reason for reason in Reason if reason not in (Reason.CLEAR, Reason.EMPTY)]


@st.composite
def _judged(draw: st.DrawFn, kind: EventType) -> dict[str, Any]:
    weights = draw(st.lists(st.floats(0.001, 1), min_size=6, max_size=6))
    scores = {label: w / sum(weights) for label, w in zip(LABELS, weights, strict=True)}
    first, second = sorted(scores, key=scores.__getitem__, reverse=True)[:2]
    acts = kind is EventType.SORTED
    keys: dict[str, Any] = {
        "event_type": kind,
        "decision": Action.ACT if acts else Action.HOLD,
        "reason": Reason.CLEAR if acts else draw(st.sampled_from(_HELD)),
        "label": first,
        "second": second,
        "top1": scores[first],
        "top2": scores[second],
        "gap": scores[first] - scores[second],
        "familiarity": draw(st.none() | st.floats(0, 1)),
        "scores": scores,
        "votes": {first: draw(st.integers(1, 15))},
        "trigger": draw(st.sampled_from(Source)),
        "bin": "left" if acts else None,
        "actuation": draw(st.sampled_from([["servo"], ["lamps"], None])) if acts else None,
        "timing_ms": {stage: draw(st.floats(0, 1e5)) for stage in STAGES},
    }
    if keys["reason"] in (Reason.DARK, Reason.INVALID, Reason.FAULT):
        seen = ("label", "second", "top1", "top2", "gap", "familiarity", "timing_ms")
        keys |= dict.fromkeys(seen) | {"scores": {}, "votes": {}}
    return keys
