"""Every address of the page, and what is drawn there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nicegui import app, ui
from starlette.requests import Request

from trashbin.dashboard import live
from trashbin.dashboard.frame import Sheet, sheet
from trashbin.dashboard.watch import Watch

DRAWN: dict[str, Callable[[Sheet], None]] = {
    "/": live.live,
    "/queue": live.queue,
    "/bins": live.bins,
}


def register(watch: Watch) -> None:
    """Let NiceGUI know them all."""
    for path, draw in DRAWN.items():
        ui.page(path)(_page(watch, path, draw))
    here = Path(__file__).parent
    for name in ("style.css", "page.js"):
        app.add_static_file(local_file=here / name, url_path=f"/look/{name}")


def _page(watch: Watch, path: str, draw: Callable[[Sheet], None]) -> Callable[[Request], None]:
    def page(request: Request) -> None:
        with sheet(watch, request, path) as made:
            draw(made)

    return page
