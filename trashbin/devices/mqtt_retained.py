"""What the broker keeps of a bin: how it is, and how Home Assistant finds it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

from pydantic_core import from_json

import trashbin
from trashbin import homeassistant, resources
from trashbin.errors import StoreError
from trashbin.events import Topics
from trashbin.outbox import Outbox
from trashbin.settings import Config, MqttPublisher

FOUND_AT = "discovery"  # in the store: the topic at which Home Assistant was told of the bin
NUMBERED = "discovery_bins"  # in the store: which bin has which number in Home Assistant
SOON_S, TIMES = 5.0, 3  # so soon after a picture a connection ends, so often, for its size
QOS = {"info": 1, "state": 1, "health": 0, "image/last": 0}


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that the broker is to keep for whoever comes later."""

    topic: str
    payload: str | bytes
    qos: int = 1


class Retained:
    """The newest of each, said again on every connection, in the order of their first time.

    ``kept`` is False once ``forget`` was called: from then on the same is said, and the
    broker keeps nothing.
    """

    def __init__(self, config: Config, section: MqttPublisher, outbox: Outbox) -> None:
        self._topics = Topics(config.device.id)
        self.picture_topic = self._topics.image_last
        self._discovery = (
            homeassistant.topic(section.discovery_prefix, self._topics.device_id)
            if section.discovery
            else None
        )
        self._newest: dict[str, Kept] = {}
        if self._discovery is not None:  # before the states that it names
            labels, bins = resources.labels(), _numbered(config, outbox)
            found = homeassistant.discovery(config, labels, trashbin.__version__, bins)
            self._newest[self._discovery] = Kept(self._discovery, as_json(found))
        self.kept = True

    def message(self, name: str, payload: Mapping[str, Any] | bytes) -> Kept:
        """A new ``info``, ``state``, ``health`` or ``image/last``, as it is now. On any thread."""
        content = payload if isinstance(payload, bytes) else as_json(payload)
        return Kept(f"{self._topics.root}/{name}", content, QOS[name])

    def take(self, message: Kept) -> None:
        """Remember it in place of the last one."""
        self._newest[message.topic] = message

    def all(self) -> Iterator[Kept]:
        """Everything but the picture, as a new connection has to say it."""
        yield from (each for topic, each in self._newest.items() if topic != self.picture_topic)

    @property
    def discovery_bytes(self) -> int:
        """How large Home Assistant's message is, 0 where it is left out. On any thread."""
        found = self._newest.get(self._discovery or "")
        return 0 if found is None else len(found.payload)

    @property
    def picture(self) -> Kept | None:
        """What ``image/last`` shows."""
        return self._newest.get(self.picture_topic)

    def left(self, outbox: Outbox) -> Iterator[Kept]:
        """The message that takes away the discovery of an earlier configuration, once. StoreError.

        Of this bin's id alone: that of another may be in use, where a card was copied.
        """
        before = outbox.get(FOUND_AT) or ""
        if before == (self._discovery or ""):
            return
        # first: a broker may end connections for it
        outbox.set(FOUND_AT, self._discovery, synced=False)
        own = homeassistant.topic("[a-zA-Z0-9_/-]+", self._topics.device_id)
        if re.fullmatch(own, before):  # and nothing that the card has altered
            yield Kept(before, "")

    def forget(self) -> Iterator[Kept]:
        """Keep nothing from now on; the message that takes the device out of Home Assistant."""
        self.kept = False
        if self._discovery is not None:
            self._newest.pop(self._discovery, None)
            yield Kept(self._discovery, "")

    def nothing(self) -> Iterator[Kept]:
        """Empty messages, which let a broker forget what it kept of this bin."""
        yield from self.forget()
        topics = self._topics
        for topic in (
            topics.availability,
            topics.info,
            topics.state,
            topics.health,
            topics.image_last,
        ):
            yield Kept(topic, "")


class PictureSize:
    """Finds out which pictures are larger than the broker takes.

    It ends the connection for one, and MQTT 3.1.1 has no word for why. Connections in a row that
    end soon after a picture say it; one that ends without a picture says that it is not that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most = inf  # bytes: of these and more, none is sent
        self._sent: tuple[int, float] | None = None  # the last on this connection: bytes, when
        self._ended = 0  # connections in a row

    def takes(self, size: int) -> bool:
        """False where the broker is known to take nothing of so many bytes. On any thread."""
        return size < self._most

    def may(self, picture: Kept) -> bool:
        """True where it is to be sent now."""
        size = len(picture.payload)
        if not self.takes(size):
            return False
        if size:  # no bytes take the last one away
            self._sent = size, self._clock()
        return True

    def ended(self) -> int | None:
        """The connection did; how large a picture is too large where that is certain by now."""
        sent, self._sent = self._sent, None
        if sent is None or self._clock() - sent[1] > SOON_S:
            self._ended = 0
            return None
        self._ended += 1
        if self._ended < TIMES:
            return None
        self._ended, self._most = 0, sent[0]
        return sent[0]


def _numbered(config: Config, outbox: Outbox) -> list[str]:
    """Which bin has which number, as the store remembers it; in safe mode there are no bins."""
    before: Any = []
    with suppress(StoreError, ValueError):  # ValueError: the card has altered it
        before = json.loads(outbox.get(NUMBERED) or "[]")
    known = before if isinstance(before, list) else []
    now = homeassistant.numbered([*config.bins], known, len(resources.labels()))
    if config.bins and now != before:
        with suppress(StoreError):
            outbox.set(NUMBERED, json.dumps(now), synced=False)
    return now


def newest_seq(told: bytes, store_id: str) -> int:
    """The newest event of this store that a kept ``state`` or ``health`` tells of; 0 where none."""
    try:
        payload = from_json(told)
    except ValueError:
        return 0
    found = payload if isinstance(payload, dict) else {}
    last = found.get("last")
    seqs = [found.get("last_seq")] if found.get("store_id") == store_id else []
    if isinstance(last, dict) and last.get("store_id") == store_id:
        seqs.append(last.get("seq"))
    return max((seq for seq in seqs if isinstance(seq, int)), default=0)


def as_json(payload: Mapping[str, Any]) -> str:
    """Compact JSON; ValueError on NaN, which is never written."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
