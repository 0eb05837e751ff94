"""A page that nobody waits for: a link's preview, or a browser that went on at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from nicegui import Client, core, ui
from starlette.requests import Request

from trashbin.dashboard import pages
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.settings import MqttPublisher


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    archive = Archive(tmp_path / NAME)
    yield Watch(archive, MqttPublisher(kind="mqtt"))
    archive.close()


@pytest.mark.parametrize("path", ["/figures", "/replay"])
def test_nothing_is_drawn_for_who_never_came(
    watch: Watch, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pages._page(watch, path, pages.DRAWN[path], False)
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
