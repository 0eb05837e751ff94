"""The event table: filtered on the server, a page at a time, and the same as CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import StreamingResponse

from trashbin import history, resources
from trashbin.dashboard import cards, elements
from trashbin.dashboard.archive import Archive
from trashbin.dashboard.filter import ANSWERED, PART, Filter
from trashbin.dashboard.frame import Sheet
from trashbin.dashboard.watch import Watch
from trashbin.dashboard.words import PARTS, Words, for_whom
from trashbin.events import Event, EventType
from trashbin.types import Reason

CSV = "/events.csv"
ROWS = 50
MAX_TEXT = 100
FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("device_id", *history.COLUMNS)


def chosen(query: Mapping[str, str], words: Words, watch: Watch) -> Filter:
    """The filter that an address names; what makes no sense in it is left out."""
    kind = query.get("kind", "")
    text = query.get("q", "")[:MAX_TEXT].strip()
    return Filter(
        device=query.get("bin") or None,
        kinds=[kind] if kind in set(EventType) else (),
        label=query.get("label") or None,
        text=text,
        meant=_meant(text.lower(), words, watch) if text else {},
    )


def _meant(text: str, words: Words, watch: Watch) -> dict[str, list[str]]:
    """What the table shows in words that hold ``text``, by the archive's columns."""

    def among(keys: Iterable[str], shown: Callable[[str], str]) -> list[str]:
        return [key for key in keys if text in shown(key).lower()]

    labels = among(resources.labels(), words.known)
    names = {bin.id: bin.name for bin in list(watch.bins.values())}
    return {
        "device_id": among(names, names.__getitem__),
        "kind": among(EventType, words.known),
        "label": labels,
        ANSWERED: labels,
        "reason": among(Reason, words.reason),
        PART: among(PARTS, words.part),
    }


def serve(watch: Watch) -> None:
    """The CSV's address."""

    @app.get(CSV)
    def as_csv(request: Request) -> StreamingResponse:
        which = chosen(request.query_params, for_whom(request), watch)
        return StreamingResponse(
            _lines(watch.archive.read(which)),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="trashbin-events.csv"'},
        )


def _lines(events: Iterator[Event]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, "answer", "part", "message"])
    for event in events:
        data = json.loads(event.to_json())
        detail = data["detail"] or {"part": None, "message": None}
        answer = (data["answer"] or {}).get("label")
        row = [*(data[key] for key in COLUMNS), answer, *detail.values()]
        writer.writerow(map(_inert, row))
        if buffer.tell() > 32_768:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _inert(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula, as a text: bins send what they like."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


@dataclass(frozen=True)
class _Found:
    """What the archive has for a filter: how many, the rows of one page, and every label."""

    count: int
    page: int
    pages: int
    events: list[Event]
    labels: list[str]


def _found(archive: Archive, which: Filter, number: str) -> _Found:
    """For a thread: a text is searched in every event."""
    count = archive.count(which)
    pages = max(1, -(-count // ROWS))
    page = min(max(int(number) if number.isdecimal() and len(number) < 9 else 1, 1), pages)
    before = (page - 1) * ROWS
    # not more than there are: who looks for another one looks through all of them
    events = archive.newest(min(ROWS, count - before), which, before, long=True) if count else []
    return _Found(count, page, pages, events, archive.labels())


async def draw(sheet: Sheet) -> None:
    """Filters, the table, and ways to the next page and to the CSV; they follow the page."""
    words, query = sheet.words, sheet.query
    which = chosen(query, words, sheet.watch)
    with ui.element("div").classes("main") as main:
        searching = elements.text(words("searching")).classes("soft")
        searching.set_visibility(bool(which.text))
    if not await sheet.wanted():
        return
    found = await asyncio.to_thread(_found, sheet.watch.archive, which, query.get("page", "1"))
    count, page, pages = found.count, found.page, found.pages
    kinds = [("", words("any"))] + [(str(kind), words.known(kind)) for kind in EventType]
    labels = [("", words("any"))] + [(name, words.known(name)) for name in found.labels]
    asked = {key: query[key] for key in ("bin", "kind", "label", "q") if query.get(key)}
    csv_link = f"{CSV}?{urlencode(asked)}"
    rows = "".join(_row(event, sheet) for event in found.events)
    heads = "".join(
        f'<th scope="col"{" class=n" if key in ("top1", "gap") else ""}>{escape(words(key))}</th>'
        for key in ("time", "bin", "kind", "label", "top1", "gap", "reason", "compartment")
    )
    steps = []
    for at, key in ((page - 1, "newer"), (page + 1, "older")):
        if 1 <= at <= pages:
            address = f"/events?{urlencode({**asked, 'page': at})}"
            steps.append(f'<a class="plain" href="{escape(address)}">{escape(words(key))}</a>')
    if not await sheet.wanted():
        return
    searching.delete()
    with main:
        elements.html(
            f'<form class="tools" action="/events" method="get" role="search">{sheet.bin_field}'
            f'<label class="field">{escape(words("kind"))} <select name="kind" data-go>'
            f"{cards.options(kinds, query.get('kind', ''))}</select></label>"
            f'<label class="field">{escape(words("label"))} <select name="label" data-go>'
            f"{cards.options(labels, query.get('label', ''))}</select></label>"
            f'<label class="field">{escape(words("search"))} <input type="search" name="q" '
            f'maxlength="{MAX_TEXT}" value="{escape(which.text)}"></label>'
            f'<button class="plain">{escape(words("search"))}</button>'
            f'<a class="plain" href="{escape(csv_link)}" download>{escape(words("csv"))}</a>'
            "</form>"
        )
        elements.html(
            '<div class="card scroll" tabindex="0" role="region" '
            f'aria-label="{escape(words("events"))}">'
            f'<table class="wide"><caption>{escape(words("found", count))} · '
            f"{escape(words('page_of', page, pages))}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
            f'<p class="tools">{"".join(steps)}</p>'
        )


def _row(event: Event, sheet: Sheet) -> str:
    words = sheet.words
    moment = cards.when(event)
    why = escape(words.reason(str(event.reason))) if event.reason else ""
    if event.detail is not None:
        why = cards.trouble(event.detail.part, event.detail.message, words)
    label = event.label or (event.answer.label if event.answer else None)
    cells = (
        (f'<time datetime="{escape(event.ts)}">{moment:%Y-%m-%d %H:%M:%S}</time>', ""),
        (escape(sheet.name(event.device_id)), ""),
        (escape(words.known(event.event_type)), ""),
        (escape(words.known(label)) if label else "", ""),
        ("" if event.top1 is None else words.percent(event.top1), "n"),
        ("" if event.gap is None else words.percent(event.gap), "n"),
        (why, ""),
        (escape(event.bin or ""), ""),
    )
    return "<tr>" + "".join(f'<td class="{kind}">{text}</td>' for text, kind in cells) + "</tr>"
