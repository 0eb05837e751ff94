"""Numbers, spans and verdicts as people of each language write them."""

from __future__ import annotations

from dataclasses import replace
from string import Formatter

import pytest

from trashbin import classify
from trashbin.dashboard import cards, tryout
from trashbin.dashboard.words import TABLE, Words
from trashbin.decision import decide
from trashbin.types import Prediction, Reason, Thresholds


@pytest.mark.parametrize(("seconds", "told"), [(7, "7 dtk"), (7300, "2 jam"), (864_000, "10 hari")])
def test_indonesian_has_its_own_units_and_comma(seconds: float, told: str) -> None:
    words = Words("id")
    assert words.span(seconds) == told
    assert (words.percent(0.987), words.number(0.98, 2)) == ("98,7%", "0,98")
    assert (Words().percent(0.987), Words().number(0.98, 2)) == ("98.7%", "0.98")


def test_what_may_be_two_things_is_asked_about_as_such_in_both_languages() -> None:
    for language, two in (("en", "two things"), ("id", "dua benda")):
        assert two in Words(language).reason(Reason.DISAGREE)


def test_both_languages_have_the_same_places() -> None:
    for key, texts in TABLE.items():
        english, indonesian = (
            sum(place is not None for _, place, _, _ in Formatter().parse(t)) for t in texts
        )
        assert english == indonesian, key


SHARES = {"glass": 0.8, "metal": 0.15, "paper": 0.05}


@pytest.mark.parametrize(
    ("thresholds", "familiarity"),
    [
        (Thresholds(0.5, 0.5), None),
        (Thresholds(0.9, 0.5), None),
        (Thresholds(0.5, 0.9), None),
        (Thresholds(0.5, 0.5, 0.6), 0.3),
    ],
    ids=["clear", "gap", "top1", "unfamiliar"],
)
def test_the_page_finds_ambiguous_what_classify_does(
    thresholds: Thresholds, familiarity: float | None
) -> None:
    decision = decide([Prediction(SHARES, familiarity)], thresholds)
    told = classify.explanation(decision, thresholds)
    shown = tryout.result("jar.jpg", decision, thresholds, Words())
    assert told.startswith("not ambiguous") == ("Not ambiguous" in shown)
    assert told.startswith("ambiguous") == (">? Ambiguous" in shown)
    assert ("but unlike" in told) == ("but unlike" in shown)


@pytest.mark.parametrize(
    ("familiarity", "told", "shown"),
    [
        (0.8370, "0.837, needed 0.836", "83.7%"),  # enough for 83.58 %, and said to need 84 %
        (0.8357, "0.8357, needed 0.8358", "83.57%"),
        (0.95, "0.95, needed 0.84", "95.0%"),
    ],
)
def test_what_is_written_shows_which_is_larger(familiarity: float, told: str, shown: str) -> None:
    thresholds = Thresholds(0.72, 0.5, 0.8358)
    decision = decide([Prediction({"glass": 0.8422, "metal": 0.1242}, familiarity)], thresholds)
    assert "gap 0.718, needed 0.720" in classify.explanation(decision, thresholds)
    known = replace(decision, reason=Reason.UNFAMILIAR)
    assert f"familiarity {told}" in classify.explanation(known, thresholds)
    html = cards.gate("", familiarity, 0.8358, Words())
    needs = "83.58%" if shown == "83.57%" else "83.6%"
    assert shown in html and f"needs {needs}" in html
    assert "needs 72%: ✕" in cards.gate("", 0.718, 0.72, Words())
