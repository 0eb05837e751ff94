"""What falls in is on the page at once; what a person answers there, the bin does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from uuid6 import uuid7

from tests.page import site
from tests.page.site import ready
from tests.support_processes import Broker, Listener, wait_until
from trashbin.events import timestamp

if TYPE_CHECKING:
    from tests.page.conftest import Open

pytestmark = pytest.mark.page

ITEMS = 5
# when each card came into the page, by its event
NOTE = """() => {
  window.came = {};
  const look = () => document.querySelectorAll('article[data-event]').forEach(
    card => { window.came[card.dataset.event] ??= Date.now(); });
  look();
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  return Date.now();
}"""


def of_type(listener: Listener, device: str, kind: str) -> list[dict[str, Any]]:
    events = listener.events()
    return [e for e in events if (e["device_id"], e["event_type"]) == (device, kind)]


def tell_uncertain(listener: Listener, device: str, **changes: Any) -> str:
    """Send an event as a bin would that keeps it no more; its id."""
    assert wait_until(lambda: bool(of_type(listener, "yard", "uncertain")))
    event_id, now = str(uuid7()), timestamp(datetime.now(UTC))
    known = of_type(listener, "yard", "uncertain")[-1] | {"device_id": device, "image_id": None}
    new = {"event_id": event_id, "ts": now, "store_id": event_id, "seq": 1}
    listener.send(f"trashbin/{device}/event", json.dumps(known | new | changes))
    return event_id


def test_an_item_is_on_the_page_within_a_second(
    tab: Open, url: str, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tab()
    ready(page, f"{url}/?bin=hall")
    began = page.evaluate(NOTE)

    def committed(event: dict[str, Any]) -> float:
        return 1e3 * datetime.fromisoformat(event["ts"]).timestamp()

    def came() -> list[tuple[float, dict[str, Any]]]:
        """When each card came, and its event; not those from before, which the page asks for."""
        told = {event["event_id"]: event for event in listener.events()}
        cards = page.evaluate("() => window.came").items()
        found = [(at, told[event_id]) for event_id, at in cards if event_id in told]
        return [(at, event) for at, event in found if committed(event) > began]

    assert any(wait_until(lambda: len(came()) >= ITEMS) for _ in range(6))
    since_commit = [at - committed(event) for at, event in came()]
    since_drop = [at - committed(event) + event["timing_ms"]["total"] for at, event in came()]
    with capsys.disabled():
        print(
            f"\n{len(since_commit)} items: on the page {median(since_commit):.0f} ms after the "
            f"commit (longest {max(since_commit):.0f}), {median(since_drop):.0f} ms after they "
            f"fell (longest {max(since_drop):.0f})"
        )
    assert median(since_commit) <= 1000


def test_an_answer_on_the_page_sorts_the_item(tab: Open, url: str, listener: Listener) -> None:
    page = tab()
    ready(page, f"{url}/queue?bin=yard")
    card = page.locator("article.item.uncertain").first
    card.wait_for()
    event_id = card.get_attribute("data-event")
    before = len(of_type(listener, "yard", "uncertain"))
    card.locator('button[data-label="glass"]').click()
    assert wait_until(
        lambda: any(e["resolves"] == event_id for e in of_type(listener, "yard", "resolved"))
    )
    (resolved,) = (e for e in of_type(listener, "yard", "resolved") if e["resolves"] == event_id)
    assert (resolved["answer"]["label"], resolved["answer"]["way"]) == ("glass", "page")
    assert resolved["bin"] == "glass" and "servo" in resolved["actuation"]
    # the next one falls only once the tray is empty
    assert wait_until(lambda: len(of_type(listener, "yard", "uncertain")) > before)
    page.locator(f'article[data-event="{event_id}"]').wait_for(state="detached")
    ready(page, f"{url}/?bin=yard")
    answered = page.locator(f'article[data-event="{event_id}"]')
    answered.get_by_text("A person said: glass (on this page) into glass").wait_for()


@pytest.mark.parametrize(
    ("locale", "told"),
    [("en-GB", "does not keep this item any more"), ("id-ID", "tidak menyimpan benda ini lagi")],
)
def test_an_item_that_its_bin_does_not_keep_leaves_the_queue(
    tab: Open, url: str, listener: Listener, locale: str, told: str
) -> None:
    event_id = tell_uncertain(listener, "yard", ts="2026-01-02T03:04:05.678Z")
    page = tab(locale=locale)
    ready(page, f"{url}/queue?bin=yard")
    card = page.locator(f'article[data-event="{event_id}"]')
    card.get_by_text("2026-01-02").wait_for()
    card.locator('button[data-label="glass"]').click()
    page.get_by_text(told).wait_for()
    card.wait_for(state="detached")


def test_a_wrong_sort_is_corrected_on_its_card(tab: Open, url: str, listener: Listener) -> None:
    page = tab()
    ready(page, f"{url}/?bin=hall")
    card = page.locator("article.item.sorted").first
    event_id = card.get_attribute("data-event")
    card = page.locator(f'article[data-event="{event_id}"]')
    card.get_by_text("Wrong? Say what it is").click()
    card.locator('button[data-label="metal"]').click()
    card.get_by_text("A person said: metal (on this page)").wait_for()

    def told() -> list[dict[str, Any]]:
        return [e for e in of_type(listener, "hall", "resolved") if e["resolves"] == event_id]

    assert wait_until(lambda: bool(told()))
    assert [(e["answer"]["label"], e["answer"]["way"]) for e in told()] == [("metal", "page")]


def test_new_items_slide_no_button_from_under_the_pointer(
    tab: Open, url: str, listener: Listener
) -> None:
    page = tab()
    event_id = tell_uncertain(listener, "alone")
    ready(page, f"{url}/queue?bin=alone")
    button = page.locator(f'article[data-event="{event_id}"] button[data-label="paper"]')
    button.wait_for()
    site.settled(page)
    button.hover()
    place = button.evaluate("button => button.getBoundingClientRect().top")
    # the page is too short to scroll; then it is scrolled
    for _ in range(2):
        other = tell_uncertain(listener, "alone")
        page.locator(f'article[data-event="{other}"]').wait_for()
        top = button.evaluate("button => button.getBoundingClientRect().top")
        assert top == pytest.approx(place, abs=1)
    page.mouse.move(0, 0)
    ready(page, f"{url}/queue?bin=alone")
    site.settled(page)  # or a card that grows puts a button under the pointer
    page.locator("article.item h3").first.hover()  # nothing there to press: let new items be seen
    other = tell_uncertain(listener, "alone")
    page.locator(f'article[data-event="{other}"]').wait_for()
    assert page.evaluate("scrollY") == 0


def test_new_items_slide_no_card_from_under_a_finger(
    tab: Open, url: str, listener: Listener
) -> None:
    page = tab(size=site.PHONE)
    event_id = tell_uncertain(listener, "alone")
    ready(page, f"{url}/queue?bin=alone")
    page.add_style_tag(content="* { overflow-anchor: none }")  # as of a browser that keeps no place
    button = page.locator(f'article[data-event="{event_id}"] button[data-label="paper"]')
    button.scroll_into_view_if_needed()
    site.settled(page)
    for _ in range(2):
        place = button.evaluate("button => button.getBoundingClientRect().top")
        other = tell_uncertain(listener, "alone")
        page.locator(f'article[data-event="{other}"]').wait_for()
        top = button.evaluate("button => button.getBoundingClientRect().top")
        assert top == pytest.approx(place, abs=1)
        page.evaluate("scrollBy(0, 40)")
        site.settled(page)


def test_who_clicks_as_a_card_goes_does_not_answer_the_next_one(
    tab: Open, url: str, broker: Broker, listener: Listener
) -> None:
    asked = Listener(broker, "trashbin/alone/request/resolve")
    page = tab()
    next_id, event_id = (tell_uncertain(listener, "alone") for _ in range(2))
    ready(page, f"{url}/queue?bin=alone")
    card, after = (page.locator(f'article[data-event="{id}"]') for id in (event_id, next_id))
    after.wait_for()
    site.settled(page)
    card.locator('button[data-label="paper"]').hover()
    place = card.locator('button[data-label="paper"]').bounding_box()
    assert place is not None
    # somebody else was faster
    answer = {"answer": {"label": "glass", "way": "button"}, "resolves": event_id}
    item = {"label": None, "reason": None, "decision": None}
    tell_uncertain(listener, "alone", event_type="resolved", **answer, **item)
    card.wait_for(state="detached")
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.click(x, y)
    beneath = f"document.elementFromPoint({x}, {y}).closest('article').dataset.event"
    assert page.evaluate(beneath) == next_id
    page.wait_for_timeout(1000)
    assert not asked.seen
    page.mouse.click(x, y)
    assert wait_until(lambda: len(asked.seen) == 1)
    asked.close()


def test_a_pressed_button_keeps_the_focus_and_asks_once(
    tab: Open, url: str, broker: Broker, listener: Listener
) -> None:
    asked = Listener(broker, "trashbin/alone/request/resolve")
    page = tab()
    event_id = tell_uncertain(listener, "alone")
    ready(page, f"{url}/queue?bin=alone")
    button = page.locator(f'article[data-event="{event_id}"] button[data-label="paper"]')
    button.press("Enter")
    page.locator(f'article[data-event="{event_id}"] [aria-disabled="true"]').last.wait_for()
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
    assert button.evaluate("button => button === document.activeElement")
    page.locator(f'article[data-event="{event_id}"] [aria-disabled="false"]').last.wait_for()
    page.get_by_text("alone did not answer").wait_for()
    assert len(asked.seen) == 1 and button.is_visible(), "the item stays"
    asked.close()


def test_a_second_click_that_comes_late_is_no_second_answer(
    tab: Open, url: str, listener: Listener
) -> None:
    page = tab()
    ready(page, f"{url}/?bin=hall")
    event_id = page.locator("article.item.sorted").first.get_attribute("data-event")
    card = page.locator(f'article[data-event="{event_id}"]')
    card.locator("summary").click()
    button = card.locator('button[data-label="plastic"]')
    button.click()

    def told() -> int:
        return sum(e["resolves"] == event_id for e in of_type(listener, "hall", "resolved"))

    assert wait_until(lambda: told() == 1)
    button.click()
    card.locator('button[data-label="metal"]').click()
    assert wait_until(lambda: told() >= 2)
    labels = [
        e["answer"]["label"]
        for e in of_type(listener, "hall", "resolved")
        if e["resolves"] == event_id
    ]
    assert labels == ["plastic", "metal"]


def test_a_bin_that_is_offline_is_not_asked(
    tab: Open, url: str, broker: Broker, listener: Listener
) -> None:
    asked = Listener(broker, "trashbin/gone/request/resolve")
    listener.send("trashbin/gone/availability", "offline", retain=True)
    page = tab()
    event_id = tell_uncertain(listener, "gone")
    ready(page, f"{url}/queue?bin=gone")
    button = page.locator(f'article[data-event="{event_id}"] button[data-label="paper"]')
    button.click()
    page.get_by_text("gone is offline. Try again once it is back.").wait_for()
    listener.send("trashbin/gone/availability", "", retain=True)
    assert not asked.seen and button.is_visible(), "the item stays"
    asked.close()


def test_a_card_tells_the_whole_decision(tab: Open, url: str, listener: Listener) -> None:
    page = tab()
    ready(page, f"{url}/queue?bin=yard")
    card = page.locator("article.item.uncertain").first
    card.wait_for()
    event_id = card.get_attribute("data-event")
    # the page may have had it earlier
    assert wait_until(lambda: any(e["event_id"] == event_id for e in listener.events()))
    event = next(e for e in listener.events() if e["event_id"] == event_id)
    shares = card.locator(".num[data-share]").evaluate_all(
        "all => Object.fromEntries(all.map(one => [one.dataset.label, Number(one.dataset.share)]))"
    )
    assert shares == event["scores"]
    assert card.locator(".gate", has_text="Gap").locator(".num").inner_text() == (
        f"{event['gap']:.1%}"
    )
    assert card.get_by_text("needs 100%: ✕ too little").is_visible()
    asks = card.get_by_role("group", name=f"Yard: {event['label']}, Uncertain")
    assert asks.get_by_role("button").count() == 6
    picture = card.locator(".photo img")
    picture.scroll_into_view_if_needed()
    page.wait_for_function(
        "id => document.querySelector(`[data-event='${id}'] img`).naturalWidth > 100", arg=event_id
    )


def test_a_bins_state_and_health_are_shown(tab: Open, url: str, listener: Listener) -> None:
    page = tab()
    ready(page, f"{url}/bins")
    yard = page.locator("article.card", has_text="Yard")
    yard.get_by_text("Holding: needs an answer").wait_for()
    assert page.locator("article.card").count() == 2
    info = listener.told("trashbin/yard/info")[-1]
    assert info["model"]["name"] in yard.inner_text()
    for compartment in info["bins"]:
        assert yard.get_by_role("rowheader", name=compartment).is_visible()
