"""The history: what is read while the daemon writes, and what other thresholds would have done."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_cli import call
from tests.support_events import LABELS, NOON, a_fault, an_event
from trashbin.decision import decide
from trashbin.errors import NoStoreError
from trashbin.events import Answer, Detail, Event, EventType, timestamp
from trashbin.history import again, compare, moment
from trashbin.outbox import Outbox
from trashbin.types import Action, Prediction, Reason, Thresholds


def an_item(top1: float, gap: float, **keys: Any) -> Event:
    """Glass, judged by the rules from its shares."""
    rest = (1 - top1 - (top1 - gap)) / 4
    scores = dict.fromkeys(LABELS, rest) | {"glass": top1, "metal": top1 - gap}
    return judged(scores, Thresholds(), **keys)


def judged(scores: dict[str, float], thresholds: Thresholds, **keys: Any) -> Event:
    found = decide([Prediction(scores)], thresholds)
    acts = found.action is Action.ACT
    return an_event(
        event_type=EventType.SORTED if acts else EventType.UNCERTAIN,
        decision=found.action,
        reason=found.reason,
        label=found.label,
        second=found.second,
        top1=found.top1,
        top2=found.top2,
        gap=found.gap,
        scores=found.scores,
        thresholds=thresholds,
        **keys,
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    box = Outbox(tmp_path / "events.sqlite")
    for day, event in enumerate(
        [an_item(0.8, 0.7), an_item(0.5, 0.1), a_fault(), an_event(reason=Reason.CLEAR)]
    ):
        box.append(Event.from_json(_dated(event, day)))
    box.close()
    return tmp_path


def _dated(event: Event, day: int) -> str:
    return event.to_json().replace(event.ts, timestamp(NOON + timedelta(days=day)))


def test_events_are_read_while_the_daemon_writes(store: Path) -> None:
    box = Outbox(store / "events.sqlite")
    box.append(an_event())
    result = call("events", "--store", store, "--json")
    box.close()
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["label"] == "glass"


@pytest.mark.parametrize("terminal", ["ascii", "latin-1"])
def test_json_is_utf_8_whatever_the_terminal_takes(store: Path, terminal: str) -> None:
    box = Outbox(store / "events.sqlite")
    box.append(an_event(bin="Küche"))
    box.close()
    command = [sys.executable, "-m", "trashbin", "events", "--store", str(store), "--json"]
    env = os.environ | {"PYTHONIOENCODING": terminal}
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    assert json.loads(done.stdout.decode().splitlines()[-1])["bin"] == "Küche"


@pytest.mark.parametrize(
    ("options", "seqs"),
    [
        (["--limit", 2], [3, 4]),
        (["--label", "glass"], [1, 2]),
        (["--type", "fault", "--type", "uncertain"], [2, 3]),
        (["--since", "2026-11-25T12:00:00Z"], [3, 4]),
        (["--label", "glass", "--limit", 1], [2]),
    ],
)
def test_events_are_chosen(store: Path, options: list[object], seqs: list[int]) -> None:
    result = call("events", "--store", store, "--csv", *options)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [int(row["seq"]) for row in rows] == seqs


def test_the_table_fits_80_columns(store: Path) -> None:
    result = call("events", "--store", store)
    assert "camera: no picture" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("columns", [40, 60])
def test_a_narrow_terminal_is_not_told_less(
    store: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone's: it folds the lines by itself."""

    def told(*given: object) -> list[list[str]]:
        return [line.split() for line in call(*given, "--store", store).stdout.splitlines()]

    commands: list[list[object]] = [["events", "--type", "sorted"], ["replay", "--gap", 0.9]]
    wide = [told(*given) for given in commands]
    monkeypatch.setenv("COLUMNS", str(columns))
    assert [told(*given) for given in commands] == wide


def test_a_long_message_leaves_the_other_columns_their_room(store: Path) -> None:
    box = Outbox(store / "events.sqlite")
    message = "the power failed, or the process ended, before the move was over: " * 3
    box.append(replace(a_fault(), detail=Detail("actuator", message)))
    box.close()
    shown = call("events", "--store", store).stdout
    assert max(map(len, shown.splitlines())) <= 80
    head, first, *_ = shown.splitlines()
    assert head.split() == ["seq", "time", "event", "label", "top-1", "gap", "why"]
    assert first.split()[3:] == ["sorted", "glass", "0.80", "0.70", "clear"]
    told = " ".join(line[56:].strip() for line in shown.splitlines())
    assert message.strip() in told


def test_what_a_person_answered_is_told_and_found_by_its_label(store: Path) -> None:
    asked = {"event_type": EventType.RESOLVED, "label": None, "resolves": "x"}
    box = Outbox(store / "events.sqlite")
    box.append(an_event(**asked, answer=Answer("metal", "page")))
    box.append(an_event(**asked, answer=Answer("metal", "button"), bin=None))
    box.close()
    lines = call("events", "--store", store, "--label", "metal").stdout.splitlines()[1:]
    assert [line.split()[3:5] for line in lines] == [["resolved", "metal"]] * 2
    whys = [line.split("answered ")[1].strip() for line in lines]
    assert whys == ["(page), to left", "(button)"]
    rows = csv.DictReader(io.StringIO(call("events", "--store", store, "--csv").stdout))
    told = [(row["answer"], row["way"], row["part"], row["message"]) for row in rows]
    assert told[2] == ("", "", "camera", "no picture within 2 s")
    assert told[3:] == [("", "", "", ""), ("metal", "page", "", ""), ("metal", "button", "", "")]


def test_a_label_that_no_event_has_is_told_with_those_that_there_are(store: Path) -> None:
    told = call("events", "--store", store, "--label", "gless").stdout
    assert told == "No events of the label gless. There are: glass, paper.\n"


def test_long_tables_show_the_newest_rows_and_say_so(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "events.sqlite")
    box.open()
    assert "No such events." in call("events", "--store", tmp_path).stdout
    assert "No items" in call("replay", "--store", tmp_path, "--gap", 0.3).stdout
    for _ in range(52):
        box.append(an_item(0.5, 0.1))
    box.close()

    def seqs(*arguments: object) -> list[int]:
        words = [line.split()[:1] for line in call(*arguments).stdout.splitlines()]
        return [int(first) for (first,) in filter(None, words) if first.isdigit()]

    events = ("events", "--store", tmp_path)
    assert seqs(*events) == list(range(3, 53))
    assert seqs(*events, "--limit", 51) == list(range(2, 53))
    replay = ("replay", "--store", tmp_path, "--gap")
    # the line that says of how many items begins with a number too
    assert seqs(*replay, 0.05) == [52, 52, *range(3, 53)]
    shown = call(*replay, 0.05).stdout
    assert "52 items as they were, and with gap 0.05:" in shown
    counts = next(line.split() for line in shown.splitlines() if "glass" in line)
    assert counts == ["glass", "0", "52", "52", "0"]
    assert "The newest 50 are shown; --json has all." in shown
    nothing = call(*replay, 0.6).stdout
    assert "\n0 would change.\n" in nothing and "newest" not in nothing


def test_a_damaged_event_is_left_out_and_named(store: Path) -> None:
    file = store / "events.sqlite"
    file.write_bytes(file.read_bytes().replace(b'"seq":2,', b'"seq":\xff,'))
    before = file.read_bytes()
    result = call("events", "--store", store, "--json")
    assert len(result.stdout.splitlines()) == 3
    assert "seq 2" in result.stderr
    assert result.exit_code == 1
    assert file.read_bytes() == before
    replayed = call("replay", "--store", store, "--gap", 0.3)
    assert (replayed.exit_code, "seq 2" in replayed.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["events", "--store", "{}", "--since", "yesterday"], 2, "2h or 3d"),
        (["events", "--store", "{}", "--json", "--csv"], 2, "give one"),
        (["events", "--store", "{}", "--config", "x.yaml"], 2, "give one"),
        (["replay", "--store", "{}"], 2, "--gap, --top1"),
    ],
)
def test_mistakes_are_told(store: Path, arguments: list[str], status: int, words: str) -> None:
    result = call(*(argument.format(store) for argument in arguments))
    assert result.exit_code == status
    assert words in result.stderr


@pytest.mark.parametrize(
    "command",
    [["events"], ["replay", "--gap", 0.3], ["teach"], ["teach", "--dry-run"], ["export-labels"]],
)
@pytest.mark.parametrize("folder", ["", "none"])  # without a store in it; not there at all
def test_every_command_ends_alike_without_a_store(
    tmp_path: Path, command: list[object], folder: str
) -> None:
    result = call(*command, *["out"] * ("export-labels" in command), "--store", tmp_path / folder)
    assert result.exit_code == 2
    assert result.stderr == f"trashbin: {NoStoreError(tmp_path / folder)}\n"


def test_who_may_not_read_the_store_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bool:  # as for everybody but root and the bin's user
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    for command in (["events"], ["replay", "--gap", 0.3]):
        result = call(*command)
        assert result.exit_code == 3
        assert "use sudo" in result.stderr


def test_when_is_a_span_or_a_time() -> None:
    assert moment("2h", NOON) == NOON - timedelta(hours=2)
    assert moment("3d", NOON) == NOON - timedelta(days=3)
    assert moment("2026-11-23T13:00:00+01:00", NOON) == NOON


def test_replay_counts_what_would_change(store: Path) -> None:
    figures = json.loads(call("replay", "--store", store, "--gap", 0.05, "--json").stdout)
    assert figures["now"] == {"sorted": 2, "uncertain": 1}
    assert figures["then"] == {"sorted": 3, "uncertain": 0}
    assert figures["labels"]["glass"]["then"] == {"sorted": 2, "uncertain": 0}
    (change,) = figures["changes"]
    assert (change["seq"], change["now"], change["then"]) == (2, "uncertain", "sorted")
    shown = call("replay", "--store", store, "--gap", 0.05).stdout
    assert "1 would change" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("reason", [Reason.BLURRED, Reason.DISAGREE, Reason.TIE, Reason.INVALID])
def test_what_no_threshold_has_a_say_in_stays_held(reason: Reason) -> None:
    event = an_event(event_type=EventType.UNCERTAIN, decision=Action.HOLD, reason=reason)
    assert again(event, {"gap": 0.0, "top1": 0.0}) == (Action.HOLD, reason)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.8, (Action.HOLD, Reason.UNFAMILIAR)),
        (0.7, (Action.ACT, Reason.CLEAR)),
        (0.0, (Action.ACT, Reason.CLEAR)),
    ],
)
def test_replay_judges_the_stored_familiarity(
    threshold: float, expected: tuple[Action, Reason]
) -> None:
    assert again(an_item(0.8, 0.7, familiarity=0.7), {"familiarity": threshold}) == expected


SHARE = st.floats(0, 1)


@given(st.lists(st.floats(0.001, 1), min_size=6, max_size=6), SHARE, SHARE, SHARE, SHARE)
def test_replay_says_what_the_rules_would_have_said(
    weights: list[float], gap: float, top1: float, other_gap: float, other_top1: float
) -> None:
    scores = {label: w / sum(weights) for label, w in zip(LABELS, weights, strict=True)}
    event = judged(scores, Thresholds(gap, top1))
    assert again(event, {"gap": gap, "top1": top1}) == (event.decision, event.reason)
    expected = judged(scores, Thresholds(other_gap, other_top1))
    assert again(event, {"gap": other_gap, "top1": other_top1}) == (
        expected.decision,
        expected.reason,
    )
    assert compare(iter([event]), {"gap": gap, "top1": top1})["changes"] == []
