"""Ten thousand events: the first paint, the browser's and the page's memory, and no stutter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.page import site
from tests.page.site import PAGES, ready
from tests.support_events import LABELS, an_event
from tests.support_processes import Broker, running
from trashbin.clock import SystemClock
from trashbin.dashboard.archive import NAME, Archive
from trashbin.events import EventType, new_event_id, timestamp
from trashbin.fleet import cost
from trashbin.types import Action, Reason

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.conftest import Open

pytestmark = pytest.mark.page

EVENTS = 10_000
FIRST_PAINT_MS = 2000  # where no more work is about than there are cores; else as many times that
PAINT_CPU_S = 0.25  # of the page's process, request to paint: to read 10,000 takes more
PAGE_MB = 300
NODES = 6000  # of the page: the table shows fifty rows, the queue twenty cards
JUDGED = 2000  # items by the replay
TRIES = 3  # of which the best counts: other work on the machine is not the page's
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@pytest.fixture(scope="module")
def quiet_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(tmp_path_factory.mktemp("broker"), "allow_anonymous true") as made:
        yield made


def kept(store: Path) -> None:
    """A third of them uncertain and unanswered."""
    now = SystemClock().now()
    events = []
    for number in range(1, EVENTS + 1):
        at = now - timedelta(seconds=8 * (EVENTS - number))
        label = LABELS[number % 6]
        event = an_event(at, event_id=new_event_id(at), ts=timestamp(at), seq=number, label=label)
        if number % 3 == 0:
            event = replace(
                event,
                event_type=EventType.UNCERTAIN,
                decision=Action.HOLD,
                reason=Reason.LOW_GAP,
                gap=0.05,
                bin=None,
                actuation=None,
            )
        events.append(event)
    archive = Archive(store / NAME)
    archive.add(events)
    archive.close()


def test_ten_thousand_events_stay_usable(
    tab: Open, quiet_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path)
    page = tab()
    dashboard = site.Dashboard(tmp_path, quiet_broker)
    pid, load_before = dashboard.process.pid, os.getloadavg()[0]
    try:
        ready(page, f"{dashboard.url}/events")
        assert page.locator("caption").inner_text().startswith(f"{EVENTS} ")
        paints: dict[str, list[float]] = {path: [] for path in PAGES}
        spent: dict[str, list[float]] = {path: [] for path in PAGES}
        sizes = {}
        for _ in range(TRIES):  # in turn, so that what slows one try slows all pages alike
            for path in PAGES:
                before = _cpu(pid)
                ready(page, dashboard.url + path)
                page.wait_for_function(PAINT)
                paints[path].append(page.evaluate(PAINT))
                spent[path].append(_cpu(pid) - before)
                _filled(page, path)
                sizes[path] = page.evaluate(
                    "() => [document.querySelectorAll('*').length,"
                    " performance.memory.usedJSHeapSize / 2 ** 20]"
                )
        usage = cost.usage(pid)
        assert usage is not None
        busy = max(
            1.0, *(load / (os.cpu_count() or 1) for load in (load_before, os.getloadavg()[0]))
        )
        within = FIRST_PAINT_MS * busy
        lines = [
            f"{EVENTS} events; the page's process {usage.rss_mb:.0f} MB; "
            f"{busy:.1f} processes to a core, so a first paint may take {within:.0f} ms"
        ]
        lines += [
            f"{path:9} first paint {min(paints[path]):5.0f} ms (of {TRIES}, longest "
            f"{max(paints[path]):.0f}), for {min(spent[path]):.2f} s of the process's CPU; "
            f"{sizes[path][0]} elements, {sizes[path][1]:.0f} MB of scripts"
            for path in PAGES
        ]
        with capsys.disabled():
            print("\n" + "\n".join(lines))
        assert {path for path in PAGES if min(paints[path]) >= within} == set(), lines
        assert {path for path in PAGES if min(spent[path]) >= PAINT_CPU_S} == set(), lines
        assert {path for path in PAGES if sizes[path][0] >= NODES} == set(), lines
        assert usage.rss_mb <= PAGE_MB
        ready(page, f"{dashboard.url}/events?page={EVENTS // 50}")
        page.locator("caption").wait_for()
        assert page.locator("tbody tr").count() == 50
        ready(page, f"{dashboard.url}/figures?hours=720")
        page.get_by_text("Of the newest 1500 items.").wait_for()
    finally:
        page.context.close()  # before its server: a browser that finds none says so
        dashboard.close()


def _filled(page: Page, path: str) -> None:
    """Wait for what comes after the first paint."""
    if path in ("/", "/queue"):
        page.locator("article.item").first.wait_for()
    if path == "/events":
        page.locator("tbody tr").first.wait_for()
    if path == "/replay":
        page.locator("caption").get_by_text(f"of {JUDGED}").wait_for()


def _cpu(pid: int) -> float:
    usage = cost.usage(pid)
    assert usage is not None
    return usage.cpu_s


def test_a_file_that_cannot_be_read_is_told_on_the_page(
    tab: Open, quiet_broker: Broker, tmp_path: Path
) -> None:
    """As where the disk is full: a search said that it goes on, and was over."""
    page = tab()
    with site.shown(tmp_path, quiet_broker) as url:
        file = tmp_path / NAME
        for each in tmp_path.glob(f"{NAME}*"):
            each.rename(tmp_path / f"away-{each.name}")
        file.mkdir()
        for path in ("/events?q=paper", "/replay", "/figures"):
            page.goto(url + path)
            page.get_by_text(f"{NAME} is a folder").wait_for()
        file.rmdir()
        ready(page, f"{url}/events")
        assert page.get_by_text(f"{NAME} is a folder").count() == 0
        page.context.close()
