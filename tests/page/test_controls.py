"""What a person asks a bin on the page, the bin does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.page import site
from tests.page.site import ready
from tests.support_processes import Broker, Listener, wait_until

if TYPE_CHECKING:
    from tests.page.conftest import Open

pytestmark = pytest.mark.page

State = Callable[[], dict[str, Any]]


@pytest.fixture
def state(broker: Broker) -> Iterator[State]:
    """What ``yard`` last said of itself."""
    heard = Listener(broker, "trashbin/yard/state")

    def last() -> dict[str, Any]:
        return heard.told("trashbin/yard/state")[-1]

    assert wait_until(lambda: bool(heard.on("trashbin/yard/state")))
    yield last
    heard.close()


def test_a_bin_is_paused_and_goes_on(tab: Open, url: str, state: State) -> None:
    page = tab()
    ready(page, f"{url}/bins")
    page.get_by_role("link", name="Yard").click()
    modes = page.get_by_role("group", name="Mode")
    modes.get_by_role("button", name="sorts by itself", pressed=True).wait_for()
    paused = modes.get_by_role("button", name="Paused")
    paused.click()
    assert wait_until(lambda: state()["mode"] == "paused")
    modes.get_by_role("button", name="Paused", pressed=True).wait_for()
    assert paused.evaluate("one => one === document.activeElement"), "nothing was drawn anew"
    modes.get_by_role("button", name="sorts by itself").click()
    assert wait_until(lambda: state()["mode"] == "auto")


@pytest.mark.parametrize("size", [site.DESKTOP, site.PHONE])
def test_a_mode_that_no_bin_took_does_not_look_chosen(
    tab: Open, url: str, listener: Listener, size: tuple[int, int]
) -> None:
    listener.send("trashbin/attic/availability", "offline", retain=True)
    listener.send("trashbin/attic/state", '{"mode": "auto"}', retain=True)
    page = tab(size=size)
    ready(page, f"{url}/bins?bin=attic")
    modes = page.get_by_role("group", name="Mode")
    modes.get_by_role("button", name="sorts by itself", pressed=True).wait_for()
    paused = modes.get_by_role("button", name="Paused")
    (paused.tap if size == site.PHONE else paused.click)()
    page.get_by_text("attic is offline").wait_for()
    fill = "one => getComputedStyle(one).backgroundColor"
    chosen = modes.get_by_role("button", name="sorts by itself").evaluate(fill)
    assert paused.evaluate(fill) != chosen
    for topic in ("availability", "state"):
        listener.send(f"trashbin/attic/{topic}", "", retain=True)


def test_a_compartment_is_emptied(tab: Open, url: str, state: State) -> None:
    before = state()["levels"]["paper"]["emptied"]
    page = tab()
    ready(page, f"{url}/bins?bin=yard")
    page.get_by_role("group", name="I emptied").get_by_role("button", name="paper").click()
    page.get_by_text("Yard: done").wait_for()
    assert wait_until(lambda: state()["levels"]["paper"]["emptied"] != before)


def test_its_self_test_and_a_refusal_are_told(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/bins?bin=yard")
    now = page.get_by_role("group", name="Now")
    now.get_by_role("button", name="Self-test").click()
    page.get_by_text("Yard: every part is well").wait_for()
    now.get_by_role("button", name="Look").click()  # it holds an item, or may do so soon
    page.get_by_text("Yard refused: the bin cannot look now").or_(
        page.get_by_text("Yard: Uncertain")
    ).first.wait_for()


def test_all_bins_have_no_common_buttons(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/bins")
    page.get_by_role("link", name="Hall").wait_for()
    assert not page.get_by_role("group", name="Mode").is_visible()


def test_the_sliders_thresholds_are_used_and_taken_back(tab: Open, url: str, state: State) -> None:
    before = state()["thresholds"]
    page = tab()
    ready(page, f"{url}/replay?bin=yard")
    use = page.get_by_role("button", name="Use them at Yard")
    use.click()
    page.get_by_text("Move a slider first.").wait_for()
    gap = page.get_by_role("slider", name="Gap")
    gap.focus()
    gap.press("ArrowLeft")
    use.click()
    page.get_by_text("Yard: done").wait_for()
    assert wait_until(lambda: state()["thresholds"]["gap"] == before["gap"] - 0.01)
    assert state()["thresholds"]["familiarity"] == before["familiarity"], "nobody moved it"
    page.get_by_role("button", name="Back to its configuration").click()
    assert wait_until(lambda: state()["thresholds"] == before)
