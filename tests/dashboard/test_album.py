"""Pictures of items: what is remembered of them stays small."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import Future
from typing import Any

import pytest

from trashbin.dashboard import album
from trashbin.dashboard.album import Album
from trashbin.dashboard.bins import Bin

JPEG = b"\xff\xd8" + bytes(1000)


class Bins:
    """``hall`` gives its pictures, ``yard`` none, ``shed`` is away."""

    def __init__(self) -> None:
        self.bins = {id: Bin(id, online=id != "shed") for id in ("hall", "yard", "shed")}
        self.asked: list[str] = []

    def ask(self, device: str, verb: str, data: dict[str, Any]) -> Future[dict[str, Any]]:
        self.asked.append(data["image_id"])
        future: Future[dict[str, Any]] = Future()
        given = {"status": "ok", "data": {"jpeg": b64encode(JPEG).decode()}}
        future.set_result(given if device == "hall" else {"status": "refused"})
        return future


@pytest.fixture
def bins(monkeypatch: pytest.MonkeyPatch) -> Bins:
    monkeypatch.setattr(album, "SPACING_S", 0)
    monkeypatch.setattr(album, "MAX_BYTES", 5000)
    monkeypatch.setattr(album, "MAX_MISSING", 5)
    return Bins()


def test_only_the_newest_are_kept_and_refusals_are_forgotten(bins: Bins) -> None:
    watch: Any = bins
    made = Album(watch)

    async def look() -> None:
        for number in range(20):
            assert await made.get("hall", f"h{number}") == JPEG
            assert await made.get("yard", f"y{number}") is None
            assert await made.get("shed", f"s{number}") is None
            assert await made.get(f"nobody-{number}", "n") is None
        assert await made.get("hall", "h19") == JPEG
        assert await made.get("yard", "y19") is None

    asyncio.run(look())
    assert bins.asked == [f"{bin}{number}" for number in range(20) for bin in "hy"]
    assert (len(made._kept), made._size) == (4, 4 * len(JPEG))
    assert len(made._missing) <= 5 and len(made._turns) <= 2
