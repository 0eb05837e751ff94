"""Try a picture, the table with its CSV, the replay and the plots."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from tests.page.site import PHONE, ready
from tests.support_cli import spawn
from tests.support_processes import Listener, wait_until
from trashbin import scenes
from trashbin.dashboard.figures import COLOURS

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.page.conftest import Open

pytestmark = pytest.mark.page

SCENES = Path(scenes.__file__).parent


@pytest.mark.parametrize(
    ("scene", "name"),
    [("glass-jar", "jar.jpg"), ("metal-can-red", "can.jpeg"), ("paper-news", "news.png")],
)
def test_a_photograph_gets_the_digits_of_classify(
    tab: Open, url: str, tmp_path: Path, scene: str, name: str
) -> None:
    picture = tmp_path / name
    if name.endswith("png"):
        cv2.imwrite(str(picture), cv2.imread(str(SCENES / f"{scene}.jpg")))
    else:
        picture.write_bytes((SCENES / f"{scene}.jpg").read_bytes())
    said = spawn("classify", "--json", picture, check=True)
    expected = json.loads(said.stdout)
    page = tab()
    ready(page, f"{url}/try")
    page.set_input_files("#picture", picture)
    page.locator("#digits").wait_for(state="attached")
    shown = json.loads(page.locator("#digits").text_content() or "")
    assert shown == expected | {"file": name}
    shares = page.locator("#result .num[data-share]").evaluate_all(
        "all => all.map(one => [one.dataset.label, one.dataset.share])"
    )
    assert dict(shares) == {label: repr(share) for label, share in expected["scores"].items()}
    result = page.locator("#result").inner_text()
    acts = expected["decision"] == "act"
    assert f"relative confidence {expected['top1']:.1%}" in result
    assert ("would be sorted" if acts else "held as uncertain") in result
    clear = acts or expected["reason"] == "unfamiliar"
    assert ("Not ambiguous" if clear else "Ambiguous") in result
    kardus = {"cardboard": "kardus", "glass": "kaca", "metal": "logam", "paper": "kertas"}
    for label, indonesian in kardus.items():
        assert f"{label} ({indonesian})" in result
    assert page.locator("#preview").evaluate("image => image.decode().then(() => true)")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("notes.jpg", b"this is no picture", "notes.jpg"),
        ("empty.png", b"", "empty.png"),
        ("half.jpg", (SCENES / "glass-jar.jpg").read_bytes()[:2000], "half.jpg"),
    ],
)
def test_a_broken_file_gets_a_clear_message(
    tab: Open, url: str, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    broken = tmp_path / name
    broken.write_bytes(content)
    page = tab()
    ready(page, f"{url}/try")
    page.set_input_files("#picture", broken)
    alert = page.locator("#result [role=alert]")
    alert.wait_for()
    text = alert.inner_text()
    assert "This picture cannot be judged" in text and told in text
    assert "Traceback" not in text and len(text) < 200
    good = SCENES / "glass-jar.jpg"
    page.set_input_files("#picture", good)
    page.locator("#digits").wait_for(state="attached")
    assert page.locator("#result [role=alert]").count() == 0


def test_a_picture_that_could_not_be_sent_is_chosen_again(tab: Open, url: str) -> None:
    page = tab(failure="net::ERR_FAILED")
    ready(page, f"{url}/try")
    page.route("**/judge?*", lambda route: route.abort())
    for again in (False, True):
        with page.expect_file_chooser() as chooser:
            page.locator("#picture").click()
        chooser.value.set_files(SCENES / "glass-jar.jpg")
        if not again:
            page.get_by_role("alert").get_by_text("could not be sent").wait_for()
            page.unroute("**/judge?*")
    page.locator("#digits").wait_for(state="attached")


def test_a_picture_is_dropped_anywhere(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/try")
    page.evaluate(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], "jar.jpg", {type: "image/jpeg"}));
          for (const kind of ["dragover", "drop"]) {
            const how = {dataTransfer: data, bubbles: true, cancelable: true};
            const event = new DragEvent(kind, how);
            document.querySelector("header").dispatchEvent(event);
            if (!event.defaultPrevented) throw new Error("the browser would show the file");
          }
        }""",
        list((SCENES / "glass-jar.jpg").read_bytes()),
    )
    page.locator("#digits").wait_for(state="attached")


def test_the_table_is_filtered_and_downloaded_as_csv(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/?bin=hall")
    page.locator("article.item.sorted").first.wait_for()  # a table is not drawn anew
    ready(page, f"{url}/events?bin=hall")
    page.locator("select[name=kind]").select_option("sorted")
    page.wait_for_url("**kind=sorted**")
    page.locator("caption").wait_for()
    time = page.locator("tbody time").first
    assert time.evaluate("time => time.getClientRects().length") == 1, "on one line"
    kinds = page.locator("tbody td:nth-child(3)").all_inner_texts()
    assert kinds and set(kinds) == {"Sorted"}
    label = page.locator("tbody td:nth-child(4)").first.inner_text()
    page.locator("select[name=label]").select_option(label)
    page.wait_for_url(f"**label={label}**")
    page.locator("caption").wait_for()
    assert set(page.locator("tbody td:nth-child(4)").all_inner_texts()) == {label}
    with page.expect_download() as waited:
        page.get_by_role("link", name="Download as CSV").click()
    with Path(waited.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    chosen = {(row["device_id"], row["event_type"], row["label"]) for row in rows}
    assert chosen == {("hall", "sorted", label)}
    page.get_by_role("searchbox").fill("no event says this")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_text("0 events").wait_for()


def test_the_sliders_judge_the_kept_items_again(tab: Open, url: str, listener: Listener) -> None:
    assert wait_until(lambda: any(one["device_id"] == "hall" for one in listener.events()))
    page = tab()
    ready(page, f"{url}/replay?bin=hall")
    told = page.locator("caption")
    told.get_by_text("would change").wait_for()
    assert told.inner_text().startswith("0 of ")
    gap = page.get_by_role("slider", name="Gap")
    gap.focus()
    gap.press("End")
    assert wait_until(lambda: _changed(told.inner_text()) > 0)
    count = _changed(told.inner_text())
    row = page.locator("tbody tr").last.locator("td").all_inner_texts()
    sorted_now, sorted_then, held_now, held_then = map(int, row)
    assert sorted_now - sorted_then == held_then - held_now == count
    gap.press("Home")
    assert wait_until(lambda: _changed(told.inner_text()) == 0), told.inner_text()


def _changed(caption: str) -> int:
    return int(caption.split()[0])


def test_the_plots_draw_what_their_tables_say(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/figures")
    for title in ("Items by class and hour", "Share of uncertain items", "Time to a decision"):
        plot = page.get_by_role("img", name=title)
        plot.locator("svg path").first.wait_for(state="attached")
    table = page.locator("section", has_text="Items by class and hour").locator("details")
    table.locator("summary").click()
    table.locator("th").get_by_text("uncertain").wait_for()  # once the bin was unsure of an item
    assert table.locator("th").first.inner_text() == "Hour"
    cells = table.locator("tbody tr").last.locator("td").all_inner_texts()
    assert sum(map(int, cells[1:])) > 0
    shown = "document.querySelector('details[open] tbody')?.textContent"
    page.wait_for_function(f"before => {shown} !== before", arg=page.evaluate(shown))
    assert table.get_attribute("open") is not None, "who reads it is not interrupted"


def test_of_thirty_days_each_day_is_one(tab: Open, url: str) -> None:
    """720 hours of them were a smear on a phone."""
    page = tab()
    ready(page, f"{url}/figures?hours=720")
    for title in ("Items by class and day", "Share of uncertain items"):
        page.get_by_role("img", name=title).locator("svg path").first.wait_for(state="attached")
        table = page.locator("section", has_text=title).locator("details")
        table.locator("summary").click()
        assert table.locator("th").first.inner_text() == "Day"
        day, *numbers = table.locator("tbody tr").last.locator("td").all_inner_texts()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", day) and any(text[0] != "0" for text in numbers)


def test_events_are_found_by_the_words_that_the_table_shows(tab: Open, url: str) -> None:
    page = tab(locale="id-ID")
    ready(page, f"{url}/events?bin=hall&kind=sorted")
    shown = page.locator("tbody td:nth-child(4)").first.inner_text()
    page.get_by_role("searchbox").fill(shown)
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url("**q=**")
    page.locator("caption").wait_for()
    assert set(page.locator("tbody td:nth-child(4)").all_inner_texts()) == {shown}
    page.get_by_role("searchbox").fill("gap")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_text("0 peristiwa").wait_for()


def test_a_late_verdict_replaces_no_newer_one(tab: Open, url: str) -> None:
    page = tab()
    ready(page, f"{url}/try")
    late: list[Route] = []
    page.route("**/judge?name=late.jpg", lambda route: late.append(route))
    jar = (SCENES / "glass-jar.jpg").read_bytes()
    page.set_input_files("#picture", {"name": "late.jpg", "mimeType": "image/jpeg", "buffer": jar})
    page.set_input_files("#picture", SCENES / "paper-news.jpg")
    page.locator("#digits").wait_for(state="attached")
    with page.expect_response("**/judge?name=late.jpg") as answered:
        late[0].fulfill(body="that was the jar")
    answered.value.finished()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert "paper-news.jpg" in page.locator("#result").inner_text()


def test_a_phone_shows_the_share_of_a_lone_hour(tab: Open, url: str) -> None:
    page = tab(size=PHONE)
    ready(page, f"{url}/figures")
    plot = page.get_by_role("img", name="Share of uncertain items")
    # the line's own symbol; the legend's stands elsewhere
    symbol = plot.locator(f'path[stroke="{COLOURS["uncertain"]}"][transform^="matrix"]')
    symbol.first.wait_for(state="attached")


def test_the_plots_numbers_are_indonesian(tab: Open, url: str) -> None:
    """1,000 ms would be 1 there."""
    page = tab(locale="id-ID")
    ready(page, f"{url}/figures")
    page.get_by_role("img", name="Waktu sampai keputusan").get_by_text("1.000").wait_for(
        state="attached"
    )
    hours = page.get_by_role("img", name="Benda per kelas dan jam").locator("text")
    assert re.search(r"\d\d-\d\d \d\d:00", " ".join(hours.all_text_contents()))


def test_the_replays_numbers_are_indonesian(tab: Open, url: str) -> None:
    page = tab(locale="id-ID")
    ready(page, f"{url}/replay?bin=hall")
    page.locator("caption").wait_for()
    shown = page.locator("output").first
    assert "," in shown.inner_text()
    page.get_by_role("slider").first.press("End")
    assert shown.inner_text() == "1,00"
