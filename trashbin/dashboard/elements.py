"""The elements that a page is put together from: plain HTML, without the looks of NiceGUI's own."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from nicegui import ui


def html(content: str = "", tag: str = "div") -> ui.html:
    """HTML, in which whatever a bin or a person sent is escaped already."""
    return ui.html(content, sanitize=False, tag=tag)


def text(content: str, tag: str = "p") -> ui.html:
    """Text, which is escaped here."""
    return html(escape(content), tag)


def button(content: str, clicked: Callable[[], Any]) -> ui.html:
    """A button that shows HTML; ``clicked`` may be a coroutine."""
    made = html(content, "button").classes("label")
    made.props["type"] = "button"
    return made.on("click", clicked)
