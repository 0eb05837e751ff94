"""The subscriber that proves it: drops repeats by ``event_id``, asks again for holes in ``seq``.

It is written from README's MQTT chapter alone, as a stranger would write one, with nothing of
the program's own collector in it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from trashbin.events import ITEM_EVENTS

ANSWER_S = 15.0  # a request or its answer may be lost with a connection; a busy machine is slow
PATIENCE = 10  # rounds that bring nothing new, until what is missing is lost
AT_ONCE = 500  # the most events that a bin sends again for one request


class Subscriber:
    """Of one bin: every event once, as it was first received, and what was wrong with repeats."""

    def __init__(self, port: int, name: str) -> None:
        self.root = f"trashbin/{name}"
        self.events: dict[str, dict[str, Any]] = {}  # by event_id, without ``historical``
        self.arrived: list[tuple[float, dict[str, Any]]] = []  # every message, monotonic
        self.state: dict[str, Any] = {}  # the last that was told
        self.repeats = 0
        self.altered = 0  # repeats that say something else, and seqs given to two events
        self.asked_for = 0
        self._seqs: dict[tuple[str, int], str] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", port)

    def start(self) -> None:
        """Begin to listen, and keep at it whatever becomes of the broker."""
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def items(self) -> int:
        """Item events so far."""
        with self._changed:
            return sum(e["event_type"] in ITEM_EVENTS for e in self.events.values())

    def faults(self, part: str, since: float = 0.0) -> list[str]:
        """The messages of the fault events about a part that came since then, monotonic."""
        with self._changed:
            return [
                event["detail"]["message"]
                for at, event in self.arrived
                if at >= since and event["event_type"] == "fault"
                if event["detail"]["part"] == part
            ]

    def holes(self, last_seq: int, store_id: str) -> Iterator[tuple[int, int]]:
        """Spans of a store that never came: the seq before each, and how many."""
        with self._changed:
            had = sorted(seq for store, seq in self._seqs if store == store_id)
        before = 0
        for seq in [*had, last_seq + 1]:
            if seq > before + 1:
                yield before, seq - before - 1
            before = max(before, seq)

    def ask(self, verb: str, **data: Any) -> dict[str, Any] | None:
        """Ask the bin for something; its answer, or None where none comes."""
        mark = f"{verb} {time.monotonic()}"
        request = json.dumps({"transaction": mark, **data})
        self._client.publish(f"{self.root}/request/{verb}", request, 1)
        with self._changed:
            self._changed.wait_for(lambda: mark in self._answers, ANSWER_S)
            return self._answers.get(mark)

    def complete(self) -> None:
        """Ask until nothing is missing, or nothing more comes; the bin is paused meanwhile."""
        fruitless = 0
        while fruitless < PATIENCE:
            before = len(self.events)
            told = self.ask("events", after_seq=0, limit=1)
            if told is not None and told["status"] == "ok":
                hole = next(self.holes(told["data"]["last_seq"], told["data"]["store_id"]), None)
                if hole is None:
                    return
                self._fill(*hole)
            fruitless = 0 if len(self.events) > before else fruitless + 1

    def _fill(self, after: int, many: int) -> None:
        """Ask for a hole, and wait for what comes."""
        had, many = len(self.events), min(many, AT_ONCE)
        self.asked_for += many
        self.ask("events", after_seq=after, limit=many)
        self.wait(lambda: len(self.events) >= had + many, ANSWER_S)

    def wait(self, true: Callable[[], bool], limit: float) -> bool:
        """Wait until something that came makes it true."""
        with self._changed:
            return self._changed.wait_for(true, limit)

    def _subscribe(self, client: Client, *_: object) -> None:
        client.subscribe(
            [(f"{self.root}/{name}", 1) for name in ("event/#", "response/+", "state")]
        )

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with suppress(ValueError), self._changed:
            data = json.loads(message.payload)
            if "/response/" in message.topic:
                self._answers[data["transaction"]] = data
            elif message.topic.endswith("/state"):
                self.state = data
            else:
                self.take(data)
            self._changed.notify_all()

    def take(self, event: dict[str, Any]) -> None:
        """An event came, perhaps not for the first time."""
        self.arrived.append((time.monotonic(), dict(event)))
        event.pop("historical")
        known = self.events.setdefault(event["event_id"], event)
        if known is not event:
            self.repeats += 1
            self.altered += known != event
        place = (event["store_id"], event["seq"])
        self.altered += self._seqs.setdefault(place, event["event_id"]) != event["event_id"]
