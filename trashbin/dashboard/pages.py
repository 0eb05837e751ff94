"""Every address of the page, and what is drawn there."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response

from trashbin.dashboard import figures, live, replay, table, tryout
from trashbin.dashboard.album import Album
from trashbin.dashboard.frame import Sheet, sheet
from trashbin.dashboard.tryout import Judge
from trashbin.dashboard.watch import Watch

Draw = Callable[[Sheet], Awaitable[None] | None]

DRAWN: dict[str, Draw] = {
    "/": live.live,
    "/queue": live.queue,
    "/figures": figures.draw,
    "/events": table.draw,
    "/replay": replay.draw,
    "/try": tryout.draw,
    "/bins": live.bins,
}


def register(watch: Watch, judge: Judge, *, logout: bool) -> None:
    """Let NiceGUI know them all."""
    for path, draw in DRAWN.items():
        ui.page(path)(_page(watch, path, draw, logout))
    here = Path(__file__).parent
    for name in ("style.css", "page.js"):
        app.add_static_file(local_file=here / name, url_path=f"/look/{name}")
    table.serve(watch.archive)
    tryout.serve(judge)
    album = Album(watch)

    @app.get("/picture/{device}/{image}")
    async def picture(device: str, image: str) -> Response:
        found = await album.get(device, image)
        if found is None:
            return Response(status_code=404)
        keep = {"cache-control": "private, max-age=3600", "x-content-type-options": "nosniff"}
        return Response(found, media_type="image/jpeg", headers=keep)


def _page(
    watch: Watch, path: str, draw: Draw, logout: bool
) -> Callable[[Request], Awaitable[None]]:
    async def page(request: Request) -> None:
        with sheet(watch, request, path, logout=logout) as made:
            drawn = draw(made)
            if inspect.isawaitable(drawn):
                await drawn

    return page
