"""The first page: what falls in as it falls in, and how the bins are; and the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from nicegui import ui

from trashbin.dashboard import cards, elements
from trashbin.dashboard.bins import Bin, in_order
from trashbin.dashboard.controls import Controls
from trashbin.dashboard.feed import Feed
from trashbin.dashboard.filter import Filter
from trashbin.dashboard.frame import Sheet
from trashbin.events import ITEM_EVENTS, EventType

CARDS = 10
WAITING = 20
TILES = 6  # bins beside the cards; the rest is on a page of their own
LINES = 6
OTHERS = (EventType.FAULT, EventType.NOTICE, EventType.RESOLVED)


def live(sheet: Sheet) -> None:
    """Cards, and beside them the bins."""
    words = sheet.words
    with ui.element("div").classes("main two"):
        with ui.element("section").classes("stack").props('aria-labelledby="newest"'):
            elements.text(words("newest"), "h2").props('id="newest"')
            nothing = elements.text(words("no_items")).classes("soft")
            feed = Feed(sheet)
        with ui.element("section").classes("stack").props('aria-labelledby="beside"'):
            elements.text(words("bins"), "h2").props('id="beside"')
            tiles = elements.html().classes("stack")
            others = elements.html().classes("stack")

    def draw() -> None:
        archive = sheet.watch.archive
        items = archive.newest(CARDS, Filter(sheet.device, ITEM_EVENTS))
        nothing.set_visibility(not items)
        feed.show(items)
        bins = _bins(sheet)
        now = datetime.now(UTC)
        drawn = [
            f'<article class="card">{cards.tile(bin, words, now)}</article>' for bin in bins[:TILES]
        ]
        if len(bins) > TILES:
            more = f"{words('all_bins')} ({len(bins)})"
            drawn.append(f'<a class="plain" href="/bins">{escape(more)}</a>')
        _set(tiles, "".join(drawn) or f'<p class="soft">{escape(words("no_bins"))}</p>')
        lines = archive.newest(LINES, Filter(sheet.device, OTHERS))
        told = [cards.line(event, sheet.name(event.device_id), words) for event in lines]
        _set(others, "".join(f'<p class="card line">{line}</p>' for line in told))

    sheet.every_change(draw)


def queue(sheet: Sheet) -> None:
    """Uncertain items that nobody answered."""
    words = sheet.words
    with ui.element("div").classes("main"):
        elements.text(words("queue_intro")).classes("soft")
        empty = elements.text(words("queue_empty"))
        feed = Feed(sheet)
        more = elements.html("", "p").classes("soft")

    def draw() -> None:
        items = sheet.watch.archive.waiting(WAITING, sheet.device)
        empty.set_visibility(not items)
        feed.show(items)
        left = sheet.watch.waiting_count(sheet.device) - len(items)
        more.set_content(escape(words("more_wait", left)) if left > 0 else "")

    sheet.every_change(draw)


def bins(sheet: Sheet) -> None:
    """Every bin: state, health, compartments; and what one may be asked, where it is alone."""
    words = sheet.words
    with ui.element("div").classes("main") as main:
        tiles = elements.html()
        controls = Controls(sheet)

    def draw() -> None:
        now = datetime.now(UTC)
        drawn: dict[str, list[str]] = {}
        alone = sheet.alone()
        main.classes(replace="main alone" if alone else "main")
        controls.show(alone)
        for bin in _bins(sheet):
            drawn.setdefault(bin.site, []).append(
                f'<article class="card">{cards.tile(bin, words, now)}'
                f"{cards.compartments(bin, words)}</article>"
            )
        text = "".join(
            (f"<h2>{escape(site)}</h2>" if site else "")
            + f'<div class="tiles">{"".join(group)}</div>'
            for site, group in sorted(drawn.items())
        )
        _set(tiles, text or f'<p class="soft">{escape(words("no_bins"))}</p>')

    sheet.every_change(draw, 1.0)


def _bins(sheet: Sheet) -> list[Bin]:
    """Those that need somebody first, then those that are away, then by name."""
    found = [bin for bin in list(sheet.watch.bins.values()) if sheet.device in (None, bin.id)]
    return sorted(found, key=lambda bin: (not bin.needs_somebody, bin.online, in_order(bin.name)))


def _set(element: ui.html, content: str) -> None:
    if element.content != content:
        element.set_content(content)
