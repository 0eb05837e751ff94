"""Every address of the page, and what is drawn there."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

from nicegui import Client, app, ui
from starlette.requests import Request
from starlette.responses import Response

from trashbin.dashboard import figures, live, replay, table, tryout
from trashbin.dashboard.album import Album
from trashbin.dashboard.frame import Sheet, sheet
from trashbin.dashboard.tryout import Judge
from trashbin.dashboard.watch import Watch
from trashbin.errors import StoreError

Draw = Callable[[Sheet], Awaitable[None] | None]
NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240"><path fill="none" '
    'stroke="#808a84" stroke-width="4" d="M115 85h90v70h-90zM115 155l90-70"/></svg>'
)

UNSEEN = 40  # pages, of 1.1 MB at most; a browser opens its socket within a second or so

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
    unseen = Unseen()
    for path, draw in DRAWN.items():
        ui.page(path)(_page(watch, path, draw, unseen, logout))
    here = Path(__file__).parent
    for name in ("style.css", "page.js"):
        app.add_static_file(local_file=here / name, url_path=f"/look/{name}")
    table.serve(watch)
    tryout.serve(judge)
    album = Album(watch)
    safe = {"x-content-type-options": "nosniff"}
    keep, again = {"cache-control": "private, max-age=3600"}, {"cache-control": "no-store"}

    @app.get("/picture/{device}/{image}")
    async def picture(device: str, image: str) -> Response:
        found = await album.get(device, image)
        if found is None:  # a bin may be off, or have let the picture go: no error of the page
            return Response(NO_PICTURE, media_type="image/svg+xml", headers={**safe, **again})
        return Response(found, media_type="image/jpeg", headers={**safe, **keep})


class Unseen:
    """Pages that were asked for and that no browser shows yet: NiceGUI keeps each for a minute.

    Of more than ``most`` the oldest goes. Whoever asks and never opens a socket, as curl does,
    would cost a megabyte each time; a browser that comes too late loads its page again.
    """

    def __init__(self, most: int = UNSEEN) -> None:
        self._most = most
        self._clients: dict[str, Client] = {}

    def add(self, client: Client) -> None:
        """One more."""
        self._clients[client.id] = client
        client.on_connect(lambda: self._clients.pop(client.id, None))
        client.on_delete(lambda: self._clients.pop(client.id, None))
        while len(self._clients) > self._most:
            next(iter(self._clients.values())).delete()


def _page(
    watch: Watch, path: str, draw: Draw, unseen: Unseen, logout: bool
) -> Callable[[Request], Awaitable[None]]:
    async def page(request: Request) -> None:
        unseen.add(ui.context.client)
        with sheet(watch, request, path, logout=logout) as made:
            try:
                drawn = draw(made)
                if inspect.isawaitable(drawn):
                    await drawn
            except StoreError as error:
                made.cannot_read(draw, str(error))

    return page
