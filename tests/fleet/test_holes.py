"""What is missing is asked for, what the bin has no more is known to be lost, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trashbin import requests
from trashbin.fleet.holes import ANSWER_S, CHECK_S, GRACE_S, PATIENCE_S, Ledger, Lost, Watch

STORE, NEWER = "0190a1c0-0000-4000-8000-000000000001", "0190a1c0-0000-4000-8000-000000000002"


def watch(*seqs: int) -> Watch:
    """Of a bin of which these events came, at time 0."""
    made = Watch("bin-1")
    for seq in seqs:
        made.here(STORE, seq, False, 0.0)
    return made


def answered(made: Watch, now: float, **data: object) -> list[Lost]:
    question = made.ask("t", now)
    given = {"events": 0, "first_seq": None, "last_seq": 0, "store_id": STORE} | data
    return made.answered(
        {"status": "ok", "data": given, "transaction": question["transaction"]}, now
    )


@given(st.permutations(range(1, 13)), st.integers(1, 12))
def test_a_ledger_does_not_mind_the_order(seqs: list[int], held_back: int) -> None:
    ledger = Ledger()
    others = [seq for seq in seqs if seq != held_back]
    assert all(ledger.add(seq) for seq in others)
    assert not any(ledger.add(seq) for seq in others)  # repeats
    assert list(ledger.missing()) == ([held_back] if held_back < 12 else [])
    ledger.add(held_back)
    assert (ledger.complete, list(ledger.missing())) == (12, [])


@given(st.lists(st.one_of(st.integers(1, 30), st.tuples(st.integers(0, 30), st.integers(1, 40)))))
def test_a_ledger_knows_what_a_set_would(steps: list[int | tuple[int, int]]) -> None:
    ledger, here = Ledger(), set[int]()
    for step in steps:
        if isinstance(step, int):
            assert ledger.add(step) == (step not in here)
            here.add(step)
        else:
            after, up_to = step
            gone = [seq for run in ledger.settle(after, up_to) for seq in run]
            assert gone == [
                n for n in range(after + 1, min(up_to, ledger.last) + 1) if n not in here
            ]
            here.update(gone)
        missing = [seq for seq in range(1, ledger.last + 1) if seq not in here]
        assert ledger.complete == (missing[0] - 1 if missing else ledger.last)
        found, after = [], 0
        while hole := ledger.missing(after):
            found += hole
            after = hole[-1]
        assert found == missing


@given(st.lists(st.integers(1, 3 * requests.MAX_EVENTS)))
def test_every_question_is_one_that_a_bin_takes(seqs: list[int]) -> None:
    question = json.dumps(watch(*seqs).ask("t", 5.0)).encode()
    assert requests.parse("events", question, False, datetime.now(UTC)).transaction == "t"


def test_a_hole_that_nothing_fills_holds_up_no_other() -> None:
    made, now, asked = watch(1, 3, 5), 5.0, []
    for _ in range(4):
        asked.append(made.ask("t", now)["after_seq"])
        data = {"events": 1, "first_seq": asked[-1] + 1, "last_seq": 5, "store_id": STORE}
        made.answered({"status": "ok", "data": data, "transaction": "t"}, now)
        now = made.due
    assert asked == [1, 3, 1, 3]
    made.here(STORE, 4, True, now)
    assert made.ask("t", now)["after_seq"] == 1


def test_a_refusal_is_known_and_the_next_hole_asked_for() -> None:
    made = watch(1, 3, 5)
    made.ask("t", 5.0)
    made.answered({"status": "error", "error": "disk I/O error", "transaction": "t"}, 5.0)
    assert made.refusal == "disk I/O error"
    assert made.ask("u", made.due)["after_seq"] == 3
    data = {"events": 1, "first_seq": 4, "last_seq": 5, "store_id": STORE}
    assert made.answered({"status": "ok", "data": data, "transaction": "u"}, 90.0) == []
    assert made.refusal is None


def test_what_the_bin_lacks_behind_a_hole_that_nothing_fills_is_lost() -> None:
    made = watch(1, 3, 8)
    answered(made, 5.0, first_seq=2, last_seq=8)
    assert answered(made, 9.0, first_seq=6, last_seq=8) == [Lost("bin-1", STORE, 4, 5)]
    assert list(made.ledgers[STORE].missing()) == [2]


def test_a_hole_is_asked_for_after_a_grace() -> None:
    made = watch(1, 2, 5)
    assert made.due == GRACE_S
    assert made.ask("t", GRACE_S) == {"after_seq": 2, "limit": 2, "transaction": "t"}
    assert made.due > GRACE_S  # and again where no answer comes


def test_late_events_on_their_way_put_the_question_off() -> None:
    made = watch(1, 2, 9)
    made.here(STORE, 3, True, 1.5)
    assert made.due == 1.5 + GRACE_S


def test_live_events_do_not_put_it_off() -> None:
    made = watch(1, 3)
    for second in range(10):
        made.here(STORE, 4 + second, False, float(second))
    assert made.due == GRACE_S


def test_a_bin_that_comes_back_is_asked_for_what_nobody_heard() -> None:
    made = watch(1, 2, 3)
    made.online(0.5, 10.0)
    assert made.due == 10.5
    assert made.ask("t", 10.5)["after_seq"] == 3
    made.answered(
        {
            "status": "ok",
            "data": {"events": 4, "first_seq": 4, "last_seq": 7, "store_id": STORE},
            "transaction": "t",
        },
        11.0,
    )
    assert list(made.ledgers[STORE].missing()) == [4, 5, 6, 7]


def test_a_bin_that_is_away_is_not_asked() -> None:
    made = watch(1, 3)
    made.offline()
    assert made.due == float("inf")


def test_nothing_missing_is_asked_again_only_to_be_sure() -> None:
    made = watch(1, 2, 3)
    assert made.due == CHECK_S
    assert answered(made, 50.0, last_seq=3) == []
    assert made.due == 50.0 + CHECK_S


def test_what_the_bin_pruned_is_lost_and_the_rest_is_asked_for() -> None:
    made = watch(1000)
    assert answered(made, 5.0, first_seq=701, last_seq=1000) == [Lost("bin-1", STORE, 1, 700)]
    assert list(made.ledgers[STORE].missing()) == list(range(701, 1000))


def test_a_hole_in_the_middle_that_the_bin_has_not_is_lost_alone() -> None:
    made = watch(1, 2, 6, 9)
    assert answered(made, 5.0, first_seq=6, last_seq=9) == [Lost("bin-1", STORE, 3, 5)]
    assert list(made.ledgers[STORE].missing()) == [7, 8]


def test_events_at_the_end_that_the_bin_has_no_more_are_lost() -> None:
    made = watch(1, 2)
    assert answered(made, 5.0, first_seq=None, last_seq=4) == [Lost("bin-1", STORE, 3, 4)]


def test_a_new_store_ends_the_old_ones_holes_and_begins_at_one() -> None:
    made = watch(1, 2, 5)
    lost = answered(made, 5.0, first_seq=9, last_seq=30, store_id=NEWER)
    assert lost == [Lost("bin-1", STORE, 3, 4)]
    assert made.ask("t", 6.0)["after_seq"] == 0


def test_a_new_store_is_asked_from_its_beginning_and_nothing_of_it_lost_before() -> None:
    made = watch(1)
    assert answered(made, 5.0, first_seq=3, last_seq=5, store_id=NEWER) == [], "of those after 1"
    assert made.ask("t", 6.0)["after_seq"] == 0


@pytest.mark.parametrize("data", [None, [], "no", 7])
def test_an_answer_without_data_changes_nothing(data: object) -> None:
    made = watch(1, 4)
    made.ask("t", 5.0)
    assert made.answered({"status": "ok", "data": data, "transaction": "t"}, 5.0) == []
    assert list(made.ledgers[STORE].missing()) == [2, 3]
    assert made.due == 5.0 + ANSWER_S


def test_an_answer_to_somebody_else_changes_nothing() -> None:
    made = watch(1, 4)
    made.ask("mine", 5.0)
    data = {"events": 0, "first_seq": None, "last_seq": 4, "store_id": STORE}
    assert made.answered({"status": "ok", "data": data, "transaction": "theirs"}, 5.0) == []
    assert list(made.ledgers[STORE].missing()) == [2, 3]


def test_what_was_promised_and_does_not_come_is_asked_for_ever_more_rarely() -> None:
    made, pauses, now = watch(1, 4), [], 5.0
    for _ in range(4):
        assert answered(made, now, first_seq=2, last_seq=4) == []
        pauses.append(made.due - now)
        now = made.due
    assert pauses == [GRACE_S, 2 * GRACE_S, 4 * GRACE_S, 8 * GRACE_S]
    made.here(STORE, 2, True, now)  # it moves
    assert answered(made, now, first_seq=3, last_seq=4) == []
    assert made.due == now + GRACE_S


def test_a_bin_that_does_not_answer_is_asked_ever_more_rarely() -> None:
    made, pauses, now = watch(1, 4), [], 5.0
    for _ in range(10):
        made.ask("t", now)
        pauses.append(made.due - now)
        now = made.due
    assert pauses[0] == ANSWER_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == PATIENCE_S


@pytest.mark.parametrize("answers", [False, True])
def test_once_nothing_was_missing_a_new_hole_is_asked_for_at_once(answers: bool) -> None:
    """Though none of the questions before was answered."""
    made, now = watch(1, 4) if answers else watch(1), 5.0
    for _ in range(5):
        now = made.due
        made.ask("t", now)
    if answers:
        assert answered(made, now, last_seq=4) == [Lost("bin-1", STORE, 2, 3)]
        assert answered(made, now, first_seq=5, last_seq=5) == []
    else:
        made.here(STORE, 3, False, now)
    assert made.due == now + GRACE_S


def test_what_is_sent_again_shows_that_asking_helps_be_it_the_newest() -> None:
    made, now = watch(1, 3), 5.0
    for _ in range(4):
        assert answered(made, now, first_seq=2, last_seq=4) == []
        now = made.due
    made.here(STORE, 4, True, now)
    assert made.due == now + GRACE_S


def test_a_bin_that_has_told_nothing_yet_is_asked_again_only_to_be_sure() -> None:
    made = Watch("bin-1")
    made.online(0.5, 10.0)
    assert answered(made, 10.5, last_seq=0) == []
    assert made.due == 10.5 + CHECK_S


def test_a_hole_that_nothing_fills_is_not_asked_for_at_every_event() -> None:
    """As where the bin's event is refused here: what comes after it comes nevertheless."""
    made, asked = watch(1, 3), 0
    for second in range(4, 3604):
        made.here(STORE, second, False, float(second))
        if made.due <= second:
            asked += 1
            made.ask("t", float(second))
            data = {"events": 1, "first_seq": 2, "last_seq": second, "store_id": STORE}
            answer = {"status": "ok", "data": data, "transaction": "t"}
            assert made.answered(answer, float(second)) == []
            made.here(STORE, 3, True, float(second))  # sent again with it
    assert 12 <= asked <= 24
    made.here(STORE, 2, True, 3604.0)  # and yet it came
    made.here(STORE, 3610, False, 3605.0)
    assert made.due == 3605.0 + GRACE_S


def test_an_older_bin_that_does_not_say_what_it_has_loses_nothing() -> None:
    made = watch(1, 4)
    made.ask("t", 5.0)
    old = {"events": 2, "last_seq": 4}
    assert made.answered({"status": "ok", "data": old, "transaction": "t"}, 5.0) == []
    assert list(made.ledgers[STORE].missing()) == [2, 3]
    assert made.due == 5.0 + ANSWER_S
    pauses = []
    for _ in range(8):  # and is asked ever more rarely
        at = made.due
        made.ask("t", at)
        assert made.answered({"status": "ok", "data": old, "transaction": "t"}, at) == []
        pauses.append(made.due - at)
    assert pauses[-1] == PATIENCE_S


@pytest.mark.parametrize(
    "odd",
    [
        {"store_id": "x", "last_seq": 9},
        {"store_id": 7, "last_seq": 9},
        {"last_seq": 10**30},
        {"last_seq": -1},
        {"last_seq": "9"},
        {"last_seq": 4, "first_seq": "2"},
    ],
)
def test_an_answer_that_no_database_could_hold_changes_nothing(odd: dict[str, object]) -> None:
    """One bin's would stop the collector for all: it writes them until the database takes them."""
    made = watch(1, 4)
    assert answered(made, 5.0, **odd) == []
    assert made.ledgers.keys() == {STORE}
    assert list(made.ledgers[STORE].missing()) == [2, 3]


def test_a_store_is_known_however_its_id_is_written() -> None:
    made = watch(1, 4)
    assert answered(made, 5.0, store_id=STORE.upper(), last_seq=4) == [Lost("bin-1", STORE, 2, 3)]


def test_what_was_kept_in_an_earlier_run_is_not_asked_for_again() -> None:
    made = Watch("bin-1")
    made.knows(NEWER, Ledger(9))
    made.knows(STORE, Ledger(2, [4, 6]))
    made.online(0.5, 10.0)
    assert made.due == 10.5
    assert made.ask("t", 10.5) == {"after_seq": 2, "limit": 1, "transaction": "t"}
    made.here(STORE, 3, True, 11.0)
    assert made.ask("u", 12.0)["after_seq"] == 4
    assert made.ledgers[NEWER].complete == 9


def test_a_bin_that_is_heard_of_for_the_first_time_is_asked_for_all_it_has() -> None:
    made = Watch("bin-1")
    made.online(0.5, 10.0)
    assert answered(made, 10.5, first_seq=5, last_seq=6) == [Lost("bin-1", STORE, 1, 4)]
    assert made.ask("u", 12.0) == {"after_seq": 4, "limit": 2, "transaction": "u"}


@pytest.mark.parametrize("asked", [False, True])
def test_an_answer_that_nobody_asked_for_changes_nothing(asked: bool) -> None:
    made = watch(1, 4)
    data = {"events": 0, "first_seq": None, "last_seq": 9, "store_id": STORE}
    if asked:
        assert answered(made, 5.0, **data) == [
            Lost("bin-1", STORE, n, m) for n, m in [(2, 3), (5, 9)]
        ]
    due, complete = made.due, made.ledgers[STORE].complete
    assert made.answered({"status": "ok", "data": data | {"last_seq": 20}}, 6.0) == []
    assert (made.due, made.ledgers[STORE].complete) == (due, complete)


def test_a_refusal_is_none_even_where_it_brings_data() -> None:
    made = watch(1, 4)
    made.ask("t", 5.0)
    data = {"events": 0, "first_seq": None, "last_seq": 4, "store_id": STORE}
    refused = {"status": "error", "error": "x" * 999, "data": data, "transaction": "t"}
    assert made.answered(refused, 5.0) == []
    assert list(made.ledgers[STORE].missing()) == [2, 3]
    assert made.refusal == "x" * 200, "a log line, and no more"


def test_a_bin_that_comes_back_is_asked_as_if_it_had_always_answered() -> None:
    made, now = watch(1, 4), 5.0
    for _ in range(5):
        made.ask("t", now)
        now = made.due
    made.offline()
    made.online(0.5, now)
    assert made.due == now + 0.5
    assert answered(made, now + 0.5, first_seq=2, last_seq=4) == []
    assert made.due < now + 0.5 + 3 * GRACE_S
