"""Ten thousand events: the first paint, the browser's and the page's memory, and no stutter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.page import site
from tests.page.site import PAGES, ready
from tests.support_events import LABELS, an_event
from tests.support_processes import Broker, Listener, running, wait_until
from trashbin.clock import SystemClock
from trashbin.events import EventType, new_event_id, timestamp
from trashbin.fleet import cost
from trashbin.types import Action, Reason

if TYPE_CHECKING:
    from tests.page.conftest import Open

pytestmark = pytest.mark.page

EVENTS = 10_000
FIRST_PAINT_MS = 2000
PAGE_MB = 300
NODES = 6000  # of the page: the table shows fifty rows, the queue twenty cards
TRIES = 3  # of which the best counts: other work on the machine is not the page's
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@pytest.fixture(scope="module")
def quiet_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(tmp_path_factory.mktemp("broker"), "allow_anonymous true") as made:
        yield made


def told(listener: Listener) -> None:
    """A third of them uncertain and unanswered."""
    now = SystemClock().now()
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
        listener.client.publish(f"trashbin/{event.device_id}/event", event.to_json(), 1)


def test_ten_thousand_events_stay_usable(
    tab: Open, quiet_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = Listener(quiet_broker, "trashbin/+/availability")
    dashboard = site.Dashboard(tmp_path, quiet_broker)
    try:
        page = tab()
        told(listener)
        ready(page, f"{dashboard.url}/events")
        assert any(wait_until(lambda: _counted(page, dashboard.url) == EVENTS) for _ in range(8))
        lines = []
        for path in PAGES:
            paints = []
            for _ in range(TRIES):
                ready(page, dashboard.url + path)
                page.wait_for_function(PAINT)
                paints.append(page.evaluate(PAINT))
            if path in ("/", "/queue"):
                page.locator("article.item").first.wait_for()
            nodes = page.evaluate("() => document.querySelectorAll('*').length")
            heap = page.evaluate("() => performance.memory.usedJSHeapSize / 2 ** 20")
            lines.append(
                f"{path:9} first paint {min(paints):5.0f} ms (of {TRIES}, longest "
                f"{max(paints):.0f}), {nodes} elements, {heap:.0f} MB of scripts"
            )
            assert min(paints) < FIRST_PAINT_MS, lines
            assert nodes < NODES, lines
        usage = cost.usage(dashboard.process.pid)
        assert usage is not None
        with capsys.disabled():
            print(f"\n{EVENTS} events; the page's process {usage.rss_mb:.0f} MB")
            print("\n".join(lines))
        assert usage.rss_mb <= PAGE_MB
        ready(page, f"{dashboard.url}/events?page={EVENTS // 50}")
        assert page.locator("tbody tr").count() == 50
    finally:
        dashboard.close()
        listener.close()


def _counted(page: object, url: str) -> int:
    page.goto(f"{url}/events")  # type: ignore[attr-defined]
    text: str = page.locator("caption").inner_text()  # type: ignore[attr-defined]
    return int(text.split()[0])
