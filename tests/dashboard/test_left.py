"""A page that nobody waits for: a link's preview, or a browser that went on at once."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from nicegui import Client, core, ui
from starlette.requests import Request

from tests.support_events import an_event
from tests.support_processes import free_port
from trashbin.dashboard import pages, replay
from trashbin.dashboard.frame import Sheet
from trashbin.dashboard.watch import Watch
from trashbin.dashboard.words import Words
from trashbin.events import EventType

UPLOAD = "POST /try/judge HTTP/1.1\r\nContent-Length: 100000\r\n"


@pytest.mark.parametrize("path", ["/events", "/figures", "/replay"])
def test_nothing_is_drawn_for_who_never_came(
    watch: Watch, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pages._page(watch, path, pages.DRAWN[path], pages.Unseen(), False)
    request = Request({"type": "http", "path": path, "headers": [], "query_string": b""})

    async def draw(client: Client) -> None:
        with client:
            await shown(request)

    async def open_and_leave() -> None:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        client = Client(ui.page(""), request=request)
        drawing = asyncio.create_task(draw(client))
        await client._waiting_for_connection.wait()
        client.delete()
        await drawing

    with caplog.at_level(logging.WARNING):
        asyncio.run(open_and_leave())
    assert caplog.text == ""


def test_of_pages_that_nobody_comes_for_a_few_are_kept(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ``curl`` cost a megabyte for a minute."""
    unseen = pages.Unseen(3)
    shown = pages._page(watch, "/", pages.DRAWN["/"], unseen, False)
    request = Request({"type": "http", "path": "/", "headers": [], "query_string": b""})

    async def ask(times: int) -> list[Client]:
        made = [Client(ui.page(""), request=request) for _ in range(times)]
        for client in made:
            with client:
                await shown(request)
        return made

    async def flood() -> None:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        (early,) = await ask(1)
        for handler in early.connect_handlers:  # a browser comes for it
            early.safe_invoke(handler)
        first, left, *others = await ask(4)
        assert (first.is_deleted, early.is_deleted) == (True, False)
        left.delete()  # as NiceGUI does after a minute
        assert not any(client.is_deleted for client in (*others, *await ask(1)))
        await ask(1)
        assert others[0].is_deleted and not others[1].is_deleted

    asyncio.run(flood())


class Browser:
    """What ``replay`` asks NiceGUI's client."""

    has_socket_connection = True

    def on_disconnect(self, handler: Callable[[], None]) -> None:
        self.left = handler


def test_nothing_is_held_for_a_browser_that_left(watch: Watch) -> None:
    """NiceGUI keeps a page for half a minute: a hundred reloads of it took a gigabyte."""
    watch.archive.add([an_event(), an_event(event_type=EventType.UNCERTAIN)])
    sheet = Sheet(watch, Words("en"), "/replay", {}, None, "auto", None, None, None)  # type: ignore[arg-type]
    browser = Browser()
    shown = replay._Replay(sheet, browser)  # type: ignore[arg-type]
    items = asyncio.run(shown.read())
    assert len(items) == 2 and asyncio.run(shown.read()) is items
    browser.has_socket_connection = False
    browser.left()
    held = weakref.ref(items[0])
    del items
    assert held() is None
    assert len(asyncio.run(shown.read())) == 2, "it may come back"
    assert shown._items is None


def test_a_browser_that_goes_on_leaves_no_traceback(tmp_path: Path) -> None:
    port, broker = free_port(), free_port()
    page = subprocess.Popen(
        [
            *(sys.executable, "-m", "trashbin", "dashboard", "--store", str(tmp_path)),
            *("--broker", f"127.0.0.1:{broker}", "--listen", f"127.0.0.1:{port}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert page.stdout is not None and page.stdout.readline()
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", port)) as browser:
                asked = f"GET /look/style.css HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
                browser.sendall(asked.encode())
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(f"{UPLOAD}Host: 127.0.0.1:{port}\r\n\r\n".encode() + b"\xff\xd8")
        with urlopen(f"http://127.0.0.1:{port}/look/style.css") as answer:
            assert answer.read()
    finally:
        page.terminate()
        _, told = page.communicate()
    assert "cannot be reached" in told and "Traceback" not in told
