"""The page for everyone: axe-core, keyboard alone, a phone, Indonesian, and who may not see it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.page import site
from tests.page.site import DESKTOP, PAGES, PHONE, ready
from tests.support_cli import spawn
from tests.support_events import NOON, a_fault, an_event
from tests.support_processes import Broker, Listener, free_port, running, wait_until
from trashbin import scenes
from trashbin.dashboard import login
from trashbin.events import Detail, EventType, new_event_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.page.conftest import Open

pytestmark = pytest.mark.page

SCENE = Path(scenes.__file__).parent / "glass-jar.jpg"
# what the page was about to fetch as one logged out is refused, as it should be
REFUSED = "status of 401|WebSocket connection to .* failed"


def serious(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_sticks_out(
    tab: Open, url: str, dark: bool, size: tuple[int, int]
) -> None:
    page = tab(dark=dark, size=size)
    found = []
    for path in (*PAGES, "/bins?bin=yard"):  # one with buttons
        ready(page, url + path)
        if path == "/try":
            page.set_input_files("#picture", SCENE)
            page.locator("#digits").wait_for(state="attached")
        if path in ("/", "/queue"):
            page.locator("article.item").first.wait_for()
        if path == "/figures":
            page.locator(".plot svg path").first.wait_for(state="attached")
        site.settled(page)
        found += [f"{path} {violation}" for violation in serious(page)]
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        if wide > size[0]:
            found.append(f"{path} is {wide} px wide")
    assert found == []


def test_long_names_and_paths_stick_out_on_no_phone(tab: Open, tmp_path: Path) -> None:
    """An id may have 64 letters, and a camera's path is one word: a narrow phone showed half."""
    long, path = "w" * 64, f"/dev/v4l/by-id/{'usb-0' * 20}"
    item = an_event(label="l" * 40, device_id=long, bin=long, store_id="s", seq=1)
    asked = replace(item, event_id=new_event_id(NOON), seq=2, event_type=EventType.UNCERTAIN)
    fault = a_fault(device_id=long, store_id="s", seq=3, detail=Detail("camera", path))
    said = {
        "info": {"device_id": long, "site": long, "bins": {long: ["paper", "cardboard"]}},
        "state": {"problems": {"camera": path}, "levels": {long: {"level": 1, "full": True}}},
    }
    with running(tmp_path, "allow_anonymous true") as broker, site.shown(tmp_path, broker) as url:
        bin = Listener(broker, "trashbin/+/event")
        for topic, payload in said.items():
            bin.send(f"trashbin/{long}/{topic}", json.dumps(payload), retain=True)
        bin.send(f"trashbin/{long}/availability", "online", retain=True)
        for event in (item, asked, fault):
            bin.send(f"trashbin/{long}/event", event.to_json())
        page = tab(size=(320, 640))
        wide = {}
        for path in (*PAGES, f"/bins?bin={long}"):
            ready(page, url + path)
            if path in ("/", "/queue"):
                page.locator("article.item").first.wait_for()
            site.settled(page)
            wide[path] = page.evaluate("() => document.documentElement.scrollWidth")
        bin.close()
        page.context.close()  # before its server: a browser that finds none says so
    assert wide == dict.fromkeys(wide, 320)


def test_dark_and_light_are_chosen_or_the_systems(tab: Open, url: str) -> None:
    page = tab(dark=True)
    ready(page, url)
    background = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    scheme = "() => getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(scheme) == "dark", "what the browser draws itself, too"
    page.get_by_label("Colours").select_option("light")
    page.wait_for_function(f"dark => ({background})() !== dark", arg=dark)
    ready(page, url)
    assert page.evaluate(background) != dark
    page.get_by_label("Colours").select_option("dark")
    page.wait_for_function(f"dark => ({background})() === dark", arg=dark)


def test_the_keyboard_alone_answers_an_item(tab: Open, url: str, listener: Listener) -> None:
    page = tab()
    ready(page, f"{url}/?bin=yard")
    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'content'")
    ready(page, f"{url}/?bin=yard")
    _tab_to(page, "To answer")
    ring = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert ring != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue?bin=yard")
    page.wait_for_function("() => window.socket && window.socket.connected")
    card = page.locator("article.item").first
    card.wait_for()
    event_id = card.get_attribute("data-event")
    _tab_to(page, "paper")
    page.keyboard.press("Enter")
    assert wait_until(
        lambda: (
            [
                event["answer"]["label"]
                for event in listener.events()
                if event["resolves"] == event_id
            ]
            == ["paper"]
        )
    )
    page.locator(f'article[data-event="{event_id}"]').wait_for(state="detached")


def _focused(page: Page) -> str:
    return str(page.evaluate("() => document.activeElement.textContent.trim()"))


def _tab_to(page: Page, text: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if _focused(page).startswith(text):
            return
    raise AssertionError(f"no Tab comes to {text}")


def test_it_speaks_indonesian(tab: Open, url: str) -> None:
    page = tab(locale="id-ID")
    ready(page, f"{url}/queue?bin=yard")
    page.wait_for_function("() => document.documentElement.lang === 'id'")
    page.get_by_role("link", name="Perlu dijawab").wait_for()
    card = page.locator("article.item").first
    card.get_by_text("Benda apa ini?").wait_for()
    nav = page.locator(".bar nav ul")  # words are longer here, and every page is to be seen
    assert nav.evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    labels = {text.strip() for text in card.locator("button.label").all_inner_texts()}
    assert labels == {"kardus", "kaca", "logam", "kertas", "plastik", "sampah lain"}
    ready(page, f"{url}/try")
    page.set_input_files("#picture", SCENE)
    page.locator("#result").get_by_text("keyakinan relatif").wait_for()
    page.get_by_label("Bahasa").select_option("en")
    page.get_by_role("link", name="To answer").wait_for()


def test_a_browser_in_another_time_zone_is_told_so(tab: Open, url: str) -> None:
    for zone, told in ((None, False), ("Asia/Kathmandu", True)):
        page = tab(zone=zone)
        ready(page, f"{url}/events")
        page.locator("caption").wait_for()
        assert page.get_by_text("Your clock is in another time zone").is_visible() == told


def test_a_phone_shows_which_page_it_is(tab: Open, url: str) -> None:
    page = tab(size=PHONE, locale="id-ID")
    for path in PAGES:
        ready(page, url + path)
        left, right = page.locator("nav [aria-current]").evaluate(
            "link => [link.getBoundingClientRect().left, link.getBoundingClientRect().right]"
        )
        assert left >= 0 and right <= PHONE[0], path
        assert page.evaluate("document.activeElement === document.body"), "it takes no focus"


@pytest.fixture
def locked(tmp_path: Path) -> tuple[str, str]:
    """What makes a page ask for the password."""
    secret = tmp_path / "page.password"
    secret.write_text(login.hashed("open sesame") + "\n")
    return "--login", str(secret)


def _log_in(page: Page, password: str = "open sesame") -> None:
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def test_beyond_loopback_it_asks_for_the_password(
    browser: Browser, broker: Broker, bins: None, locked: tuple[str, str], tmp_path: Path
) -> None:
    refused = spawn("dashboard", "--store", tmp_path, "--listen", f"0.0.0.0:{free_port()}")
    assert refused.returncode == 2
    assert "asks for a password" in refused.stderr and "--set-password" in refused.stderr
    with (
        site.shown(tmp_path / "store", broker, *locked, host="0.0.0.0") as url,
        site.tab(browser, failure=REFUSED) as page,
    ):
        page.goto(f"{url}/queue?bin=yard")
        page.wait_for_url("**/login?*")
        assert serious(page) == []
        assert page.request.get(f"{url}/events.csv").status == 401
        _log_in(page)
        page.wait_for_url(f"{url}/queue?bin=yard")
        page.locator("article.item").first.wait_for()
        page.get_by_role("link", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(f"{url}/events")
        page.wait_for_url("**/login?*")


def test_a_wrong_password_is_told(
    browser: Browser, broker: Broker, locked: tuple[str, str], tmp_path: Path
) -> None:
    with (
        site.shown(tmp_path / "store", broker, *locked, host="0.0.0.0") as url,
        site.tab(browser, size=(320, 640), failure="status of 403") as page,
    ):
        page.goto(f"{url}/login")
        assert page.evaluate("() => document.documentElement.scrollWidth") == 320
        _log_in(page, "guess")
        page.get_by_role("alert").get_by_text("That is not the password.").wait_for()


def test_a_logout_ends_the_other_tabs_too(
    browser: Browser, broker: Broker, locked: tuple[str, str], tmp_path: Path
) -> None:
    with (
        site.shown(tmp_path / "store", broker, *locked, host="0.0.0.0") as url,
        site.tab(browser, failure=REFUSED) as page,
    ):
        page.goto(f"{url}/login")
        _log_in(page)
        page.wait_for_url(f"{url}/")
        ready(page, f"{url}/queue")
        other = page.context.new_page()
        other.goto(f"{url}/logout")
        page.wait_for_url("**/login?*")
        _log_in(page)
        page.wait_for_url(f"{url}/queue")


def test_a_way_out_leaves_a_phone_the_names_of_bin_and_language(
    browser: Browser, broker: Broker, locked: tuple[str, str], tmp_path: Path
) -> None:
    with (
        site.shown(tmp_path / "store", broker, *locked, host="0.0.0.0") as url,
        site.tab(browser, size=PHONE, failure=REFUSED) as page,
    ):
        page.goto(f"{url}/login")
        _log_in(page)
        page.wait_for_url(f"{url}/")
        out = page.get_by_role("link", name="Log out").bounding_box()
        chosen = page.locator(".settings select").first.bounding_box()
        assert out and chosen and out["y"] + out["height"] <= chosen["y"]
        page.get_by_role("link", name="Log out").click()  # nothing lies over it
        page.wait_for_url("**/login")


def test_a_page_started_anew_asks_for_the_password_again(
    browser: Browser, broker: Broker, locked: tuple[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with site.tab(browser, locale="id-ID", failure=f"{REFUSED}|net::ERR_") as page:
        with site.shown(store, broker, *locked, host="0.0.0.0") as url:
            page.goto(f"{url}/login")
            _log_in(page)
            page.wait_for_url(f"{url}/")
            ready(page, url)
        page.get_by_text("Koneksi terputus.").wait_for()
        with site.shown(store, broker, *locked, host="0.0.0.0", port=urlsplit(url).port or 0):
            page.wait_for_url("**/login")
