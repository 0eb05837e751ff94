"""Threshold replay: what other thresholds would have done to the items that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from trashbin import history
from trashbin.dashboard import elements, wire
from trashbin.dashboard.filter import Filter
from trashbin.dashboard.frame import Sheet
from trashbin.events import ITEM_EVENTS, Event
from trashbin.types import Thresholds

NEWEST = 2_000  # items that are judged again; each page that somebody sees holds them, about 9 MB
KEYS = ("gap", "top1", "familiarity")


async def draw(sheet: Sheet) -> None:
    """A slider for each threshold, and what it would have come to; the items follow the page."""
    words = sheet.words
    with ui.element("div").classes("main") as main:
        elements.text(words("replay_intro")).classes("soft")
    if not await sheet.wanted():
        return
    replay = _Replay(sheet, ui.context.client)
    items = await replay.read()
    with main:
        if not items:
            elements.text(words("no_items"))
            return
        applied = next((event.thresholds for event in items if event.thresholds), Thresholds())
        told = any(event.familiarity is not None for event in items)
        with ui.element("div").classes("card sliders"):
            for key in KEYS if told else KEYS[:2]:
                replay.slider(key, getattr(applied, key) or 0.0)
        replay.outcome = elements.html().classes("card scroll")
        replay.outcome.props('tabindex="0" role="region" aria-live="polite"')
        replay.outcome.props["aria-label"] = words("replay")
        alone = sheet.alone()
        if alone is not None:
            replay.buttons(alone.id)
        if len(items) == NEWEST:
            elements.text(words("newest_only", NEWEST)).classes("soft")
    await replay.run()


class _Replay:
    """Judges again at each move of a slider; of moves that come meanwhile, only the last."""

    def __init__(self, sheet: Sheet, client: Client) -> None:
        self.sheet = sheet
        self.client = client
        client.on_disconnect(self.left)
        self._items: list[Event] | None = None
        self.asked: dict[str, float | None] = dict.fromkeys(KEYS)
        self.outcome: ui.html
        self._running = False
        self._again = False

    async def read(self) -> list[Event]:
        """The items that are judged; kept as long as somebody sees the page."""
        items = self._items
        if items is None:
            newest, which = self.sheet.watch.archive.newest, Filter(self.sheet.device, ITEM_EVENTS)
            items = await asyncio.to_thread(newest, NEWEST, which, long=True)
            if self.client.has_socket_connection:
                self._items = items
        return items

    def left(self) -> None:
        """The browser is gone. It may come back, and NiceGUI keeps the page for as long."""
        self._items = None

    def slider(self, key: str, value: float) -> None:
        words = self.sheet.words
        with ui.element("div").classes("slider"):
            elements.text(words(key), "label").props(f'for="{key}"')
            # no element of its own: Vue would put it back to this value at each drawing
            elements.html(
                f'<input id="{key}" type="range" min="0" max="1" step="0.01" value="{value:.2f}">'
            ).on(
                "input",
                lambda event, key=key: self.moved(key, event),
                throttle=0.1,
                js_handler="(event) => emit(Number(event.target.value))",
            )
            elements.text(words.number(value, 2), "output").props(f'for="{key}" id="{key}-value"')

    def buttons(self, device: str) -> None:
        """Let the bin decide by what the sliders say, or by its configuration again."""
        words = self.sheet.words
        with ui.element("div").classes("tools"):
            for text, use in (
                (words("use_these", self.sheet.name(device)), self.use),
                (words("as_configured"), self.forget),
            ):
                elements.button(escape(text), partial(use, device))

    async def use(self, device: str) -> None:
        """Only what was moved: the others may hold a promise."""
        moved = {key: value for key, value in self.asked.items() if value is not None}
        if moved:
            await self._set(device, moved)
        else:
            self.sheet.toast(self.sheet.words("none_moved"))

    async def forget(self, device: str) -> None:
        """As before any request."""
        await self._set(device, dict.fromkeys(KEYS))

    async def _set(self, device: str, thresholds: Mapping[str, float | None]) -> None:
        told = await self.sheet.ask(device, "threshold", thresholds)
        if wire.text(told, "status") == "ok":
            self.sheet.toast(self.sheet.words("done", self.sheet.name(device)))

    async def moved(self, key: str, event: GenericEventArguments) -> None:
        """A slider was moved."""
        self.asked[key] = min(max(float(event.args), 0.0), 1.0)
        await self.run()

    async def run(self) -> None:
        if self._running:
            self._again = True
            return
        self._running = True
        try:
            while True:
                self._again = False
                asked = dict(self.asked)
                items = await self.read()
                figures = await asyncio.to_thread(history.compare, iter(items), asked)
                self.outcome.set_content(_drawn(figures, self.sheet))
                if not self._again:
                    return
        finally:
            self._running = False


def _drawn(figures: dict[str, Any], sheet: Sheet) -> str:
    words = sheet.words
    kinds = ("sorted", "uncertain")
    over = "".join(
        f'<th scope="col" colspan="2" class="n">{escape(words(kind))}</th>' for kind in kinds
    )
    heads = "".join(
        f'<th scope="col" class="n">{escape(words(at))}</th>' for at in ("as_it_was", "then")
    ) * len(kinds)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f'<td class="n">{entry[at][kind]}</td>' for kind in kinds for at in ("now", "then")
        )
        + "</tr>"
        for name, entry in [
            *((words.known(label), entry) for label, entry in figures["labels"].items()),
            (words("all"), figures),
        ]
    )
    told = words("would_change", len(figures["changes"]), figures["items"])
    return (
        f"<table><caption><strong>{escape(told)}</strong></caption>"
        f'<thead><tr><td rowspan="2"></td>{over}</tr><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
