"""Try a picture: a photograph through the same network and rules as ``trashbin classify``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

from nicegui import app, ui
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse

from trashbin import classify, pictures
from trashbin import config as configuration
from trashbin.dashboard import cards, elements, glyphs
from trashbin.dashboard.frame import Sheet
from trashbin.dashboard.words import PICTURES, Words, for_whom
from trashbin.errors import PictureError, TrashbinError
from trashbin.model import manifest
from trashbin.ports import Classifier
from trashbin.settings import Look
from trashbin.types import Action, Decision, Reason, Thresholds

ADDRESS = "/try/judge"
MAX_NAME = 200
MAX_HELD = 2 * pictures.MAX_BYTES  # of all pictures that are sent or wait; a phone's has some 5 MB


class Judge:
    """The network, opened at the first picture, a bin's at each; for one picture at a time.

    ConfigError or ModelError at once where what was named is not there.
    """

    def __init__(self, config: Path | None = None, model: str | None = None) -> None:
        self._read = configuration.read(config) if config is not None else None
        if model is not None:
            manifest.find(model)
        self._model = model
        self._opened: tuple[Classifier, Thresholds] | None = None

    def judge(self, content: bytes) -> tuple[Decision, Thresholds]:
        """What the bin would do. PictureError, ModelError or StoreError where it can't be told."""
        pixels = pictures.decode(content)
        # of a bin, network, head and thresholds may be others than at the last picture
        if self._opened is None or self._read is not None:
            self._opened = classify.opened(self._read, self._model)
        classifier, thresholds = self._opened
        look = self._read.look if self._read is not None else Look()
        decision = classify.judge(
            pixels, classifier, thresholds, burst=look.burst, alone=look.closely
        )
        return decision, thresholds


def serve(judge: Judge) -> None:
    """Take pictures at ``ADDRESS``; the answer is a piece of HTML."""

    sent = Sent()
    # a thread of its own: pictures that wait for each other keep none from the other pages
    worker = ThreadPoolExecutor(1, "judge")

    @app.post(ADDRESS)
    async def judged(request: Request) -> HTMLResponse:
        words = for_whom(request)
        name = request.query_params.get("name", "")[:MAX_NAME]
        try:
            async with sent.content(request) as content:
                judging = asyncio.get_running_loop().run_in_executor(worker, judge.judge, content)
                decision, thresholds = await judging
        except ClientDisconnect:  # nobody waits for an answer
            return HTMLResponse("", 400)
        except Crowded:
            return HTMLResponse(_failed(words("crowded")))
        except TrashbinError as error:
            return HTMLResponse(complaint(name, error, words))
        return HTMLResponse(result(name, decision, thresholds, words))


class Crowded(Exception):
    """Too many pictures are sent at once."""


class Sent:
    """The pictures that are on their way to us or wait to be judged: ``MAX_HELD`` bytes of them."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def content(self, request: Request) -> AsyncIterator[bytes]:
        """The upload, or more of it than any picture may have; Crowded where there is no room."""
        content = bytearray()
        held = 0
        try:
            async for chunk in request.stream():
                if self._held + len(chunk) > MAX_HELD:
                    raise Crowded
                content += chunk
                held += len(chunk)
                self._held += len(chunk)
                if held > pictures.MAX_BYTES:
                    break
            whole = bytes(content)
            content.clear()  # or there would be two of it for as long as it waits
            yield whole
        finally:
            self._held -= held


def complaint(name: str, error: TrashbinError, words: Words) -> str:
    """Why a file cannot be judged, as HTML."""
    told = str(error)
    if isinstance(error, PictureError) and error.what in PICTURES:
        told = words(error.what, *error.values)
    return _failed(words("cannot_judge", f"{name} {told}".strip()))


def _failed(told: str) -> str:
    return f'<p class="error" role="alert">✕ {escape(told)}</p>'


def draw(sheet: Sheet) -> None:
    """Where a picture is chosen, and where its result appears."""
    words = sheet.words
    with ui.element("div").classes("main"):
        elements.text(words("try_intro")).classes("soft")
        elements.html(
            f'<div class="drop">{glyphs.of(None)}<label for="picture">{escape(words("choose"))}'
            '</label><input id="picture" type="file" accept=".jpg,.jpeg,.png">'
            f'<span class="soft">{escape(words("drop_here"))}</span></div>'
        )
        judging = escape(f'<p class="soft">{escape(words("judging"))}</p>')
        failed = escape(_failed(words("not_sent")))
        elements.html(
            f'<div id="result" aria-live="polite" data-judging="{judging}" '
            f'data-failed="{failed}"></div>'
        )


def result(name: str, decision: Decision, thresholds: Thresholds, words: Words) -> str:
    """What ``trashbin classify`` prints, as HTML."""
    label = words.both(decision.label) if decision.label else words("no_class")
    acts = decision.action is Action.ACT
    clear = acts or decision.reason is Reason.UNFAMILIAR
    chip = words("unambiguous") if clear else words("ambiguous")
    would = words("would_sort") if acts else words("would_hold")
    confidence = words("confidence", words.percent(decision.top1 or 0.0))
    gates = [
        cards.gate(words("gap"), decision.gap, thresholds.gap, words),
        cards.gate(words("top1"), decision.top1, thresholds.top1, words),
    ]
    if thresholds.familiarity:
        gates.append(
            cards.gate(words("familiarity"), decision.familiarity, thresholds.familiarity, words)
        )
    every = json.dumps(classify.as_dict(name, decision), allow_nan=False, ensure_ascii=False)
    return (
        '<div class="card result"><figure><img id="preview" alt="">'
        f'<figcaption class="meta">{escape(name)}</figcaption></figure><div class="facts">'
        f'<div class="top"><h2>{glyphs.of(decision.label)} {escape(label)}</h2>'
        f'<span class="chip {"sorted" if acts else "uncertain"}">{"✓" if acts else "?"} '
        f"{escape(chip)}</span></div>"
        f"<p><strong>{escape(confidence)}</strong>: {escape(would)}</p>"
        f"<p>{escape(_why(decision, thresholds, words))}</p>"
        f"{cards.bars(decision.scores, decision.label, words, exact=True)}"
        f'<ul class="bars gates">{"".join(gates)}</ul>'
        f'<p class="soft">{escape(words("relative"))}</p>'
        f"<details><summary>{escape(words('every_digit'))}</summary>"
        f'<pre class="digits" id="digits">{escape(every)}</pre></details></div></div>'
    )


def _why(decision: Decision, thresholds: Thresholds, words: Words) -> str:
    if decision.reason is Reason.CLEAR:
        second = words.known(decision.second) if decision.second else "-"
        gap, needed = (words.number(value, 2) for value in (decision.gap or 0.0, thresholds.gap))
        return words("not_ambiguous", gap, needed, second)
    if decision.reason is Reason.UNFAMILIAR:
        return words("unambiguous_but", words.reason(decision.reason))
    return f"{words('ambiguous')}: {words.reason(decision.reason)}"
