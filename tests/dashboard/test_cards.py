"""What is drawn of bins and their items."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from tests.support_events import NOON, a_fault, an_event
from trashbin.dashboard import cards
from trashbin.dashboard.bins import Bin, in_order
from trashbin.dashboard.words import Words
from trashbin.events import Detail, timestamp

EARLIER = timedelta(days=3)


@pytest.mark.parametrize(
    ("said", "measured", "told", "untold"),
    [
        (NOON, NOON, "42\u00a0glass", "Last heard"),
        (NOON - EARLIER, NOON - EARLIER, "2026-11-20", "42\u00a0glass"),
        (NOON - EARLIER, NOON, "", "42\u00a0glass"),  # it is there, and has sorted nothing today
        (NOON - EARLIER, NOON, "", "Last heard"),
    ],
)
def test_no_counts_of_another_day_are_todays(
    said: datetime, measured: datetime, told: str, untold: str
) -> None:
    state = {"ts": timestamp(said), "counts": {"today": {"glass": 42}}}
    tile = cards.tile(Bin("hall", True, {}, state, {"ts": timestamp(measured)}), Words(), NOON)
    assert told in tile and untold not in tile


def test_a_part_has_a_word_in_each_language_and_the_bins_own_words_are_marked_english() -> None:
    state = {"problems": {"camera": "No <frames>.", "hatch": "Stuck."}}
    tile = cards.tile(Bin("hall", True, {}, state, {}), Words("id"), NOON)
    assert '<li>✕ kamera: <span lang="en">No &lt;frames&gt;.</span></li>' in tile
    assert '<li>✕ hatch: <span lang="en">Stuck.</span></li>' in tile


def test_a_class_of_two_words_is_no_name() -> None:
    card = cards.article(an_event(label="trash"), "Yard", None, Words("id"))
    assert "Sampah lain</h3>" in card


def test_a_sign_is_no_part_of_the_word_after_it() -> None:
    line = cards.line(a_fault(detail=Detail("camera", "hangs")), "Yard", Words())
    assert re.sub("<[^>]+>", "", line).startswith("✕ Fault Yard")


def test_what_is_full_is_told_and_needs_somebody() -> None:
    levels = {
        "paper": {"level": 0.4, "full": False},
        "rest": {"level": 0.97, "full": True},
        "<glass>": {"level": None, "full": None},
        "odd": "much",
    }
    bin = Bin("hall", True, {}, {"levels": levels}, {})
    tile = cards.tile(bin, Words(), NOON)
    assert "paper\u00a040%, rest\u00a097%" in tile and "<li>✕ Full: rest</li>" in tile
    assert "odd" not in tile and "glass" not in tile
    assert bin.needs_somebody
    assert not Bin("yard", True, {}, {"levels": {"rest": {"level": 0.4, "full": False}}}, {}).full


def test_a_bin_that_is_away_says_since_when() -> None:
    state = {"ts": timestamp(NOON)}
    heard = f"{NOON.astimezone():%Y-%m-%d %H:%M}"
    assert heard in cards.tile(Bin("hall", False, {}, state, {}), Words(), NOON)
    assert heard not in cards.tile(Bin("hall", True, {}, state, {}), Words(), NOON)


def test_names_are_sorted_as_people_count() -> None:
    names = ["Bin 10", "room 10", "Bin 2", "Hall", "bin 1", "Room 9a"]
    told = ["bin 1", "Bin 2", "Bin 10", "Hall", "Room 9a", "room 10"]
    assert sorted(names, key=in_order) == told
