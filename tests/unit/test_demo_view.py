"""What the demo draws and prints."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tests.support import FakeClock
from tests.support_events import a_fault, an_event
from trashbin.demo import HOLD_S, demo_config
from trashbin.demo_view import BAR, EVENT_ROWS, View, bar, dial
from trashbin.events import Event, EventType
from trashbin.settings import SimulatedActuator, SimulatedTrigger
from trashbin.status import Status
from trashbin.types import Action, Reason, Thresholds

CONFIG = demo_config(Path("/nowhere"), "127.0.0.1", 1884, 7, 12)
HELD: dict[str, Any] = {
    "event_type": EventType.UNCERTAIN,
    "decision": Action.HOLD,
    "reason": Reason.LOW_GAP,
    "bin": None,
    "gap": 0.1,
}


@pytest.fixture
def view() -> View:
    return View(CONFIG, FakeClock(), "127.0.0.1:1884")


def a_console() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def shown(view: View) -> str:
    console = a_console()
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def printed(view: View, *events: Event) -> list[str]:
    console = a_console()
    view.lines_to(console)
    for event in events:
        view.event(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def a_bin(status: Status, bin: str | None = None) -> Any:
    dropped = SimpleNamespace(dropped=[SimpleNamespace(name=name) for name in ("mug", "tin can")])
    return SimpleNamespace(
        status=status,
        condition=SimpleNamespace(bin=bin),
        parts=SimpleNamespace(triggers=[object(), dropped]),
        recorder=SimpleNamespace(classifier=None, outbox=SimpleNamespace(depth=lambda: 3)),
    )


@pytest.mark.parametrize(
    ("share", "full"), [(-0.1, 0), (0.0, 0), (0.03, 0), (0.5, 8), (0.97, 15), (1.0, 15), (1.2, 15)]
)
def test_a_bar_is_as_long_as_a_share_is_large(share: float, full: int) -> None:
    assert bar(share, "blue").plain == "█" * full + "░" * (BAR - full)


@pytest.mark.parametrize(("mark", "at"), [(0.0, 0), (0.2, 3), (1.0, 14)])
def test_a_threshold_is_a_mark_that_makes_no_bar_longer(mark: float, at: int) -> None:
    told = bar(0.6, "blue", mark).plain
    assert len(told) == BAR and told.index("┃") == at


@pytest.mark.parametrize(
    ("angle", "at", "told"), [(-90.0, 0, "-90°"), (0.0, 6, "+0°"), (90.0, 12, "+90°")]
)
def test_a_servos_angle_is_a_place_on_its_scale(angle: float, at: int, told: str) -> None:
    scale, _, number = dial(angle, -90, 90).partition(" ")
    assert (scale.index("▼") - 1, len(scale), number) == (at, 15, told)


def test_a_line_says_what_an_event_says(view: View) -> None:
    sorted_, held, fault = printed(view, an_event(seq=1), an_event(seq=2, **HELD), a_fault(seq=3))
    assert sorted_.split()[0] == "1" and sorted_.split()[2:] == [
        *("sorted", "paper", "gap", "0.70", "left")
    ]
    assert held.split()[2:] == ["uncertain", "paper", "gap", "0.10", "low_gap"]
    assert fault.endswith("fault      -          gap -     no picture within 2 s")


def test_where_the_page_is_or_why_there_is_none_is_printed_once(view: View) -> None:
    console = a_console()
    view.lines_to(console)
    view.page("http://127.0.0.1:8080")
    view.page("no page: it ended")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "The page is at http://127.0.0.1:8080",
        "no page: it ended",
    ]


@pytest.mark.parametrize(
    ("events", "delivered", "told"),
    [
        ([], True, "0 items: -. Every event reached the broker at 127.0.0.1:1884."),
        (
            [an_event()],
            True,
            "1 item: 1 paper. Every event reached the broker at 127.0.0.1:1884.",
        ),
        (
            [an_event(), an_event(**HELD), a_fault(), an_event(label="glass"), an_event()],
            False,
            "4 items: 1 glass, 2 paper, 1 uncertain. "
            "Not every event reached the broker at 127.0.0.1:1884.",
        ),
    ],
)
def test_the_end_says_what_it_came_to(
    view: View, events: list[Event], delivered: bool, told: str
) -> None:
    for event in events:
        view.event(event)
    console = a_console()
    view.summary(console, delivered)
    assert isinstance(console.file, io.StringIO)
    assert " ".join(console.file.getvalue().split()).startswith(told)


def test_times_are_those_of_one_frame_and_the_middle_of_all_items(view: View) -> None:
    for ms in (100.0, 1.0, 2.0):
        stages = {"settle": 9e3, "capture": 9e3, "preprocess": ms, "invoke": 3 * ms, "decide": ms}
        view.event(an_event(votes={"paper": 2, "glass": 1}, timing_ms=stages | {"total": 9e9}))
    view.event(an_event(votes={}, timing_ms=None))
    console = a_console()
    view.summary(console, True)
    assert isinstance(console.file, io.StringIO)
    told = " ".join(console.file.getvalue().split())
    assert "From a frame to the decision: 3.3 ms (median), of which the network 2.0 ms." in told
    assert "frame -> decision 3.3 ms (network 2.0 ms)" in shown(view)


def test_the_screen_shows_shares_gap_servo_lamps_and_events(view: View) -> None:
    blank = shown(view)
    assert "IDLE" in blank and "acts from" not in blank
    thresholds = Thresholds(gap=0.3, top1=0.4, familiarity=0.2)
    view.event(an_event(seq=41, bin="paper", familiarity=0.55, thresholds=thresholds))
    view.watch(a_bin(Status.SORTING, "paper"))
    view.page("http://127.0.0.1:8080")
    screen = shown(view)
    for told in (
        *("SORTING", "paper     ████████████░░░  80%", "70%", "55%", "acts from a gap of 30%"),
        *("tin can", "paper -> paper", "-60°", "●\xa0paper", "○\xa0rest", "○\xa0uncertain"),
        *("1 paper", "  41 ", "0.70", "page: http://127.0.0.1:8080", "trashbin/demo/event"),
    ):
        assert told in screen, told
    assert max(map(len, screen.splitlines())) <= 80
    assert "not yet delivered: 3" in screen and "Ctrl-C ends" in screen
    assert len(screen.splitlines()) == 24, "as many as a terminal has"
    view.watch(a_bin(Status.HOLDING))
    view.event(an_event(seq=42, **HELD))
    for told in ("uncertain (low_gap)", "+0°", "○\xa0paper", "●\xa0uncertain", "1 uncertain"):
        assert told in shown(view), told
    view.watch(a_bin(Status.LOOKING))
    assert "uncertain (low_gap)" not in shown(view), "that was decided of another item"


def test_the_screen_has_room_for_the_last_events_alone(view: View) -> None:
    for seq in range(1, EVENT_ROWS + 3):
        view.event(an_event(seq=1000 + seq))
    screen = shown(view)
    assert "1002" not in screen and "1003" in screen and f"{1000 + EVENT_ROWS + 2}" in screen


def test_a_demo_that_ends_by_itself_is_quick_and_any_other_lets_people_answer() -> None:
    (trigger,) = [t for t in CONFIG.triggers if isinstance(t, SimulatedTrigger)]
    assert (trigger.seed, trigger.items, CONFIG.store.path) == (7, 12, Path("/nowhere"))
    watched = demo_config(Path("/nowhere"), "127.0.0.1", 1884, 7, None)
    (person,) = [a for a in watched.actuators if isinstance(a, SimulatedActuator)]
    assert CONFIG.look.hold_s < watched.look.hold_s == HOLD_S
    assert person.person_s is not None and person.person_s < HOLD_S, "who waits takes it out"
    assert len(watched.actuators) == len(CONFIG.actuators) == 3
