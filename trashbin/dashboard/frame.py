"""What stands around every page: language, colours, header, and a place for messages."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request

from trashbin.dashboard import cards, elements, glyphs, wire
from trashbin.dashboard.bins import Bin, in_order
from trashbin.dashboard.watch import Reply, Watch
from trashbin.dashboard.words import LANGUAGES, Words, for_whom
from trashbin.errors import StoreError
from trashbin.settings import ID_PATTERN

PAGES = {
    "/": "live",
    "/queue": "queue",
    "/figures": "figures",
    "/events": "events",
    "/replay": "replay",
    "/try": "try",
    "/bins": "bins",
}
THEMES = {"auto": None, "light": False, "dark": True}
REFRESH_S = 0.2  # how often an open page looks whether something changed
BUSY_S = 0.55  # between drawings, where more bins tell something than
FEW_BINS = 20
TOAST_S = 8.0
ANSWER_S = 15.0  # a bin that is moving answers when it is done


@dataclass
class Sheet:
    """One page that somebody has open."""

    watch: Watch
    words: Words
    path: str
    query: Mapping[str, str]
    device: str | None  # show this bin alone
    theme: str
    toasts: ui.element
    spoken: ui.html
    broken: ui.html
    failing: dict[object, str] = field(default_factory=dict)

    def name(self, device: str) -> str:
        """What people call a bin."""
        bin = self.watch.bins.get(device)
        return bin.name if bin else device

    @property
    def bin_field(self) -> str:
        """What keeps a form with the bin that is shown alone; empty where none is."""
        if self.device is None:
            return ""
        return f'<input type="hidden" name="bin" value="{escape(self.device)}">'

    async def wanted(self) -> bool:
        """Wait until a browser shows the page; False where it left before, or never was one."""
        client = ui.context.client
        await client.connected()
        return not client.is_deleted

    def toast(self, text: str) -> None:
        """Say something for a while; screen readers read it out."""
        with self.toasts:
            shown = elements.text(text)
            ui.timer(TOAST_S, shown.delete, once=True)

    def alone(self) -> Bin | None:
        """The bin that this page is about: the chosen one, or the only one there is."""
        if self.device is not None:
            return self.watch.bins.get(self.device)
        bins = list(self.watch.bins.values())
        return bins[0] if len(bins) == 1 else None

    async def ask(self, device: str, verb: str, data: Mapping[str, Any]) -> Reply | None:
        """Ask a bin: its answer, or None where there was none. Says what went wrong."""
        words, watch, name = self.words, self.watch, self.name(device)
        bin = watch.bins.get(device)
        if not watch.connected:
            self.toast(words("broker_lost"))
            return None
        if bin is not None and not bin.online:
            self.toast(words("is_offline", name))
            return None
        future = watch.ask(device, verb, data)
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
        except (TimeoutError, asyncio.CancelledError):
            self.toast(words("no_answer", name))
            return None
        if verb == "resolve" and wire.text(told, "status") == "refused":
            self.toast(words("forgotten", name))
        elif wire.text(told, "status") != "ok":
            self.toast(words("refused", name, wire.text(told, "error")))
        return told

    def say(self, text: str) -> None:
        """For screen readers alone."""
        self.spoken.set_content(escape(text))

    def cannot_read(self, what: object, why: str = "") -> None:
        """Say why ``what`` cannot be drawn from the page's own file; nothing where it can."""
        if why or what in self.failing:
            self.failing.pop(what, None)
            if why:
                self.failing[what] = why
            told = next(iter(self.failing.values()), "")
            self.broken.classes(replace="warnbar" if told else "")
            self.broken.set_content(escape(told))

    def every_change(self, draw: Callable[[], None], seconds: float = REFRESH_S) -> None:
        """Draw now, and at each change."""
        self.on_change(draw, seconds)
        try:
            draw()
        except StoreError as error:
            self.cannot_read(draw, str(error))

    def on_change(self, draw: Callable[[], Awaitable[None] | None], seconds: float) -> None:
        """Draw soon after something was heard; not more often than ``seconds``.

        Where many bins tell something all the time, only each ``BUSY_S``: browsers shall keep up.
        """
        seen = self.watch.version
        drawn = time.monotonic()

        async def look() -> None:
            nonlocal seen, drawn
            now = time.monotonic()
            busy = len(self.watch.bins) > FEW_BINS and now - drawn < BUSY_S
            if self.watch.version != seen and not busy:
                seen, drawn = self.watch.version, now
                try:
                    drawing = draw()
                    if drawing is not None:
                        await drawing
                    self.cannot_read(draw)
                except StoreError as error:
                    self.cannot_read(draw, str(error))

        ui.timer(seconds, look)


@contextmanager
def sheet(watch: Watch, request: Request, path: str, *, logout: bool) -> Iterator[Sheet]:
    """The frame; what is drawn inside the block is the page's content."""
    words = for_whom(request)
    theme = request.cookies.get("theme", "auto")
    theme = theme if theme in THEMES else "auto"
    device = request.query_params.get("bin") or None
    if device is not None and not _is_id(device):
        device = None
    heading = words(PAGES[path])
    now = datetime.now().astimezone()
    minutes = (now.utcoffset() or timedelta()) // timedelta(minutes=1)
    ui.page_title(f"{heading} · {words('title')}")
    ui.add_head_html(
        f'<script>document.documentElement.lang = "{words.language}"</script>'
        '<link rel="stylesheet" href="/look/style.css"><script src="/look/page.js" defer '
        f'data-lost="{escape(words("page_lost"))}" data-minutes="{minutes}" '
        f'data-reconnecting="{escape(words("reconnecting"))}"></script>'
    )
    # once more, after Quasar has set its own
    ui.run_javascript(f'document.documentElement.lang = "{words.language}"')
    ui.dark_mode(THEMES[theme])
    with ui.header(fixed=False, bordered=False, elevated=False, wrap=True).classes("bar"):
        links = _header(watch, words, path, device, theme, logout)
    with ui.element("div").props('id="content" tabindex="-1"').classes("content"):
        warning, broken = (elements.html().props('role="alert"') for _ in range(2))
        zone = words("zone", f"UTC{now.isoformat()[-6:]}")
        elements.text(zone).classes("soft zone")
        elements.text(heading, "h1").classes("unseen")
        toasts = ui.element("div").classes("toast").props('role="status"')
        spoken = elements.html().classes("unseen").props('role="status"')
        query = request.query_params
        made = Sheet(watch, words, path, query, device, theme, toasts, spoken, broken)

        def around() -> None:
            told = f"{words('not_kept')}: {watch.unkept}" if watch.unkept else ""
            if not watch.connected and watch.problem:
                told = f"{words('broker_lost')}: {watch.problem}"
            warning.classes(replace="warnbar" if told else "")
            warning.set_content(escape(told))
            waiting = watch.waiting_count(device)
            links.set_content(str(waiting) if waiting else "")
            links.classes(replace="count" if waiting else "")

        made.every_change(around, 0.5)
        yield made


def _header(
    watch: Watch, words: Words, path: str, device: str | None, theme: str, logout: bool
) -> ui.html:
    """Navigation and settings; what is returned shows how many items wait."""
    query = f"?{urlencode({'bin': device})}" if device else ""
    with ui.element("div"):
        elements.text(words("skip"), "a").classes("skip").props('href="#content"')
        elements.html(glyphs.of("trash") + words("title"), "a").classes("brand").props(
            f'href="/{query}"'
        )
        with ui.element("nav").props(f'aria-label="{words("pages")}"'), ui.element("ul"):
            for target, key in PAGES.items():
                current = 'aria-current="page"' if target == path else ""
                link = f'<a href="{target}{query}" {current}>{escape(words(key))}'
                with ui.element("li"):
                    if key == "queue":
                        with ui.element("a").props(f'href="{target}{query}" {current}'):
                            elements.text(words(key), "span")
                            count = elements.html("", "span")
                    else:
                        elements.html(link + "</a>")
        settings = _settings(watch, words, device, theme)
        if logout:
            settings += f'<a class="plain" href="/logout">{escape(words("logout"))}</a>'
        elements.html(settings).classes("settings")
    return count


def _settings(watch: Watch, words: Words, device: str | None, theme: str) -> str:
    known = {bin.id: bin.name for bin in list(watch.bins.values())}
    if device:
        known.setdefault(device, device)
    named = sorted(known.items(), key=lambda pair: in_order(pair[1]))
    bins = [("", words("all_bins")), *named]
    themes = [(name, words(f"theme_{name}")) for name in THEMES]
    return (
        _select("bin", words("bin"), bins, device or "")
        + _select("language", words("language"), list(LANGUAGES.items()), words.language)
        + _select("theme", words("theme"), themes, theme)
    )


def _select(name: str, label: str, pairs: list[tuple[str, str]], chosen: str) -> str:
    """A native select: ``page.js`` does what it says."""
    return (
        f'<label class="field"><span class="tight">{escape(label)}</span>'
        f'<select data-set="{name}">{cards.options(pairs, chosen)}</select></label>'
    )


def _is_id(text: str) -> bool:
    return re.fullmatch(ID_PATTERN, text) is not None
