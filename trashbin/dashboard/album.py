"""Pictures of items, asked of their bin when somebody looks at a card; kept in memory only."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections import OrderedDict, defaultdict

from trashbin.dashboard import wire
from trashbin.dashboard.watch import Watch

MAX_BYTES = 48 * 2**20
ANSWER_S = 8.0
SPACING_S = 0.12  # between requests to one bin, which reads ten a second
MISSING_S = 30.0  # before a picture that was refused is asked for again
MAX_MISSING = 10_000  # of these; most bins refuse all of theirs


class Album:
    """At most ``MAX_BYTES`` of pictures, the least recently seen go first."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        self._missing: dict[tuple[str, str], float] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, device: str, image: str) -> bytes | None:
        """A JPEG; None where the bin does not give it."""
        key = device, image
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        bin = self._watch.bins.get(device)
        if bin is None or not bin.online:
            return None
        async with self._turns[device]:
            if key not in self._kept and time.monotonic() >= self._missing.get(key, 0.0):
                found = await self._ask(device, image)
                if found is None:
                    if len(self._missing) >= MAX_MISSING:
                        self._missing.clear()
                    self._missing[key] = time.monotonic() + MISSING_S
                else:
                    self._keep(key, found)
        return self._kept.get(key)

    async def _ask(self, device: str, image: str) -> bytes | None:
        await asyncio.sleep(SPACING_S)
        future = self._watch.ask(device, "image", {"image_id": image})
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
            content = base64.b64decode(wire.text(told, "data", "jpeg"), validate=True)
        except (TimeoutError, asyncio.CancelledError, binascii.Error, ValueError):
            return None
        return content if content.startswith(b"\xff\xd8") else None

    def _keep(self, key: tuple[str, str], content: bytes) -> None:
        self._kept[key] = content
        self._size += len(content)
        while self._size > MAX_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone)
