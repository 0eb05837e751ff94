"""Simulated bins: all of a real one but its tray, camera and network.

Store, recorder, publisher and desk are the ones that run on a Pi, so what is committed, sent,
sent again and answered is the real thing. Only what falls in, and its shares, are drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trashbin import config as configuration
from trashbin import database, decision, devices, resources
from trashbin.clock import SystemClock
from trashbin.desk import Desk
from trashbin.events import Answer, Event, EventType
from trashbin.looking import STAGES, Sight
from trashbin.outbox import Outbox
from trashbin.ports import Context, Publisher
from trashbin.record import Recorder
from trashbin.settings import Config, MqttPublisher
from trashbin.status import Status
from trashbin.store_file import StoreFile
from trashbin.types import (
    Action,
    Decision,
    Frame,
    Mode,
    ModelId,
    Prediction,
    Signal,
    Source,
    Thresholds,
)

FRAMES = 3  # of a burst
FADING = 3.0  # how steeply the drawn shares fall: about one item in six is held
NO_FRAME = Frame(np.zeros((1, 1, 3), np.uint8), 0.0)
STAGE_MS = dict(zip(STAGES, (600.0, 90.0, 6.0, 30.0, 0.2, 740.0), strict=True))


class NoNetwork:
    """Stands where a network stands in a real bin; its answers are drawn elsewhere."""

    model = ModelId("simulated", "none", "0" * 64)
    setup = ""
    thresholds = Thresholds()

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        """Never asked: a simulated bin has no frames."""
        raise NotImplementedError

    def check(self) -> None:
        """Nothing to ask again."""

    def changed(self) -> str | None:
        """Nothing lies on a disk."""
        return None

    def close(self) -> None:
        """Nothing to free."""


class Store(Outbox):
    """A bin's store without the megabyte that it keeps free for a full disk: there are many."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = StoreFile(path, reserve_bytes=0)


class SimulatedBin:
    """One bin: ``drop`` lets an item fall in. Satisfies ``desk.Bin``.

    ``on_request`` is called on the network's thread when ``desk`` has something to answer.
    """

    def __init__(self, device_id: str, store: Path, broker: MqttPublisher, seed: int) -> None:
        self.config = _config(device_id, store, broker)
        self._random = random.Random(f"{seed} {device_id}")
        self._outbox = Store(store / database.NAME)
        clock = SystemClock()
        self.publisher: Publisher = devices.load("publisher", "mqtt")(
            broker, Context(clock, self.config, outbox=self._outbox)
        )
        self.recorder = Recorder(self.config, clock, self._outbox, self.publisher, NoNetwork())
        self.desk = Desk(self, clock, self.recorder, self.publisher)
        self._clock = clock
        self._waiting: Event | None = None  # held for an answer, until the next item falls
        self.committed_at = 0.0  # monotonic, of the last event

    def open(self, on_request: Callable[[SimulatedBin], None]) -> None:
        """Open the store, and begin to connect."""

        def put(verb: str, payload: bytes, retained: bool) -> None:
            if self.desk.put(verb, payload, retained):
                on_request(self)

        with ExitStack() as undo:
            undo.callback(self._outbox.close)
            self._outbox.open()
            self.tell()
            self.publisher.open(put)
            undo.pop_all()

    def close(self) -> None:
        """Say offline, and close the store."""
        self.publisher.close()
        self._outbox.close()

    def depth(self) -> int:
        """Events that the broker does not have."""
        return self._outbox.depth()

    def drop(self, source: Source = Source.SIMULATED) -> Event:
        """An item falls in: commit its event, and tell the state. StoreError if it can't."""
        judged = self._judged()
        acts = judged.action is Action.ACT
        kind = EventType.SORTED if acts else EventType.UNCERTAIN
        bin = self.config.bin_of(judged.label) if acts and judged.label else None
        timing = {
            stage: round(ms * self._random.uniform(0.8, 1.3), 3) for stage, ms in STAGE_MS.items()
        }
        signal = Signal(source, self._clock.monotonic())
        sight = Sight(judged, NO_FRAME, signal.at, timing)
        actuation = ["simulated"] if acts else None
        event = self.recorder.commit(self.recorder.item(kind, signal, sight, bin, actuation))
        self.committed_at = self._clock.monotonic()
        self._waiting = None if acts else event
        self.tell_state()
        return event

    def _judged(self) -> Decision:
        """Shares of a burst that all say nearly the same, as the rules judge them."""
        labels = list(resources.labels())
        self._random.shuffle(labels)
        weights = [self._random.random() ** FADING for _ in labels]
        weights[0] += 0.4 + self._random.random() * FADING
        burst = []
        for _ in range(FRAMES):
            seen = [max(1e-6, weight * self._random.uniform(0.97, 1.03)) for weight in weights]
            burst.append(Prediction({n: w / sum(seen) for n, w in zip(labels, seen, strict=True)}))
        return decision.decide(burst, self.recorder.thresholds)

    # what a request may do

    def may_look(self) -> bool:
        """Always."""
        return True

    def take(self, signal: Signal) -> Event | None:
        """Something falls in because somebody asked."""
        return self.drop(signal.source)

    def resolve(self, item: Event, answer: Answer) -> Event:
        """A person says what an item was: it labels, as nothing lies there any more."""
        event = self.recorder.commit(self.recorder.resolved(item, answer))
        if self._waiting is not None and self._waiting.event_id == item.event_id:
            self._waiting = None
        self.tell_state()
        return event

    def set_mode(self, mode: Mode) -> None:
        """Kept and told; what falls in falls in all the same."""
        self.recorder.mode = mode
        self.tell_state()

    def identify(self) -> None:
        """It has no lamp."""

    def selftest(self) -> Mapping[str, str]:
        """The parts that it has."""
        return {"store": "good", "publisher": "good"}

    def in_words(self) -> str:
        """Nothing is ever wrong with it."""
        return str(Status.IDLE)

    def tell(self) -> None:
        """Publish info, state and health."""
        self.publisher.announce("info", self.recorder.info())
        self.tell_state()
        self.tell_health()

    def tell_state(self) -> None:
        """Publish ``state``, as after every item."""
        status = Status.IDLE if self._waiting is None else Status.HOLDING
        state = self.recorder.state(status, None, {}, self._waiting)
        self.publisher.announce("state", state)

    def tell_health(self) -> None:
        """Publish ``health``, as every minute."""
        self.publisher.announce("health", self.recorder.health(None, {}))


@cache
def _demo() -> Config:
    return configuration.read(resources.root() / "config" / "demo.yaml")


def _config(device_id: str, store: Path, broker: MqttPublisher) -> Config:
    """config/demo.yaml under another name."""
    config = _demo()
    device: Any = config.device.model_copy(update={"id": device_id, "name": f"Bin {device_id}"})
    kept = config.store.model_copy(update={"path": store})
    return config.model_copy(update={"device": device, "publisher": broker, "store": kept})
