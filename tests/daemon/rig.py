"""A whole daemon on a fake clock: a drawn tray, a network that obeys, a real store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.support import FakeClock
from trashbin.actuation import Actuation
from trashbin.condition import Condition, Parts
from trashbin.daemon import Daemon
from trashbin.errors import ActuatorError, CameraError, ModelError
from trashbin.events import Event
from trashbin.looking import Looker, scene_of
from trashbin.outbox import Outbox
from trashbin.record import Recorder
from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Features, Frame, ModelId, Pixels, Prediction, Signal, Source, Thresholds

LABELS = ("cardboard", "glass", "metal", "paper", "plastic", "trash")


def sure(label: str, share: float = 0.9) -> dict[str, float]:
    """Shares that leave no doubt."""
    rest = (1 - share) / (len(LABELS) - 1)
    return {name: share if name == label else rest for name in LABELS}


UNSURE = sure("metal", 0.3)


class Bulb:
    """A lamp; without the one over it the tray is dark where ``night`` says so."""

    lit = False
    broken = False
    problem: str | None = None

    def on(self) -> None:
        if self.broken:
            raise ActuatorError("the lamp cannot be lit")
        self.lit = True

    def off(self) -> None:
        self.lit = False

    def close(self) -> None:
        self.off()


class Tray:
    """A drawn tray with things in it; every frame takes 50 ms."""

    def __init__(self, clock: FakeClock) -> None:
        rng = np.random.default_rng(0)
        self.clock = clock
        self.empty: Pixels = rng.integers(90, 110, (120, 160, 3), dtype=np.uint8)
        self.things: dict[str, tuple[int, int]] = {}
        self.light = 1.0
        self.bulb = Bulb()
        self.night = False
        self.broken: str | None = None
        self.frames: int | None = None  # that it gives until it is opened again
        self.left: int | None = None
        self.opened = 0

    def put(self, name: str = "can", x: int = 60, y: int = 40) -> None:
        self.things[name] = (x, y)

    def clear(self) -> None:
        self.things.clear()

    def open(self) -> None:
        if self.broken:
            raise CameraError(self.broken)
        self.opened += 1
        self.left = self.frames

    def capture(self, timeout: float) -> Frame:
        self.clock.advance(0.05)
        if self.broken:
            raise CameraError(self.broken)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise CameraError("unplugged")
        pixels = self.empty.copy()
        for x, y in self.things.values():
            cv2.rectangle(pixels, (x, y), (x + 34, y + 34), (220, 40, 40), -1)
            cv2.line(pixels, (x, y), (x + 34, y + 34), (250, 250, 250), 2)
        light = 0.03 if self.night and not self.bulb.lit else self.light
        return Frame((pixels * light).astype(np.uint8), self.clock.monotonic())

    def close(self) -> None: ...


class Network:
    """Says what it is told."""

    model = ModelId("fake", "int8", "0" * 64)
    setup = "fake"
    thresholds = Thresholds(gap=0.3, top1=0.4)
    exchanged: str | None = None

    def __init__(self) -> None:
        self.answers: list[Mapping[str, float]] = []
        self.usual: Mapping[str, float] = sure("metal")
        self.broken: str | None = None
        self.features: Features | None = None

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        if self.broken:
            raise ModelError(self.broken)
        scores = self.answers.pop(0) if self.answers else self.usual
        return Prediction(scores, features=self.features)

    def check(self) -> None: ...

    def changed(self) -> str | None:
        return self.exchanged

    def close(self) -> None: ...


class Hand:
    """An actuator that remembers where it is."""

    moves = True
    lights = False

    def __init__(self, name: str = "servo") -> None:
        self.name = name
        self.at: str | None = None
        self.driven = False
        self.visited: list[str] = []
        self.rests = 0
        self.shown: list[tuple[Status, str | None]] = []
        self.broken: str | None = None
        self.on_sort: Callable[[str], None] = lambda bin: None

    def open(self) -> None: ...

    def show(self, status: Status, bin: str | None) -> None:
        self.shown.append((status, bin))

    def sort(self, bin: str) -> None:
        if self.broken:
            raise ActuatorError(self.broken)
        self.at, self.driven = bin, True
        self.visited.append(bin)
        self.on_sort(bin)

    def rest(self) -> None:
        self.at, self.driven = None, True
        self.rests += 1

    def release(self) -> None:
        self.driven = False

    def close(self) -> None:
        self.release()


class Lamp(Hand):
    moves = False
    lights = True


class Told:
    """A publisher that keeps what it was told."""

    connected = True
    progressed_at: float | None = None
    problem: str | None = None

    def __init__(self) -> None:
        self.topics: dict[str, Mapping[str, Any]] = {}
        self.picture: bytes | None = None
        self.answers: list[tuple[str, Mapping[str, Any]]] = []

    def open(self, on_request: Callable[[str, bytes, bool], None]) -> None: ...

    def announce(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        if isinstance(payload, bytes):
            self.picture = payload
        else:
            self.topics[topic] = payload

    def respond(self, verb: str, payload: Mapping[str, Any]) -> None:
        self.answers.append((verb, payload))

    def wake(self) -> None: ...

    def resend(self, after_seq: int, limit: int) -> int:
        return 0

    def forget(self) -> None:
        self.topics.clear()

    def drain(self, timeout: float) -> bool:
        return True

    def close(self) -> None: ...


class Lid:
    """A stop input."""

    active = False
    problem: str | None = None

    def close(self) -> None: ...


class PowerCut(BaseException):
    """Nothing of the bin's own code runs after it."""


def _power_cut(bin: str) -> None:
    raise PowerCut


class Rig:
    """One bin on the bench. ``drop`` puts something in and fires the PIR."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.clock = FakeClock()
        self.tray = Tray(self.clock)
        self.network = Network()
        self.servo, self.lamps, self.lid = Hand(), Lamp("lamps"), Lid()
        self.told = Told()
        self.folder = folder
        self.changes = changes
        self.levels: dict[str, Any] = {}  # bin -> sensor
        self.servo.on_sort = lambda bin: self.tray.clear()
        self.start()

    def start(self) -> None:
        """Boot: also what a restart does, on the same store."""
        self.config = Config.model_validate(
            {
                "version": 1,
                "device": {"id": "rig"},
                "bins": {
                    "paper": {"labels": ["cardboard", "paper"]},
                    "rest": {"labels": ["glass", "metal", "plastic", "trash"]},
                },
                "camera": {"kind": "simulated"},
                "triggers": [{"kind": "pir", "pin": 4}, {"kind": "mqtt"}],
                "actuators": [{"kind": "servo", "pin": 18}],
                "publisher": {"kind": "none"},
                "store": {"path": self.folder},
            }
            | self.changes
        )
        self.outbox = Outbox(
            self.folder / "events.sqlite", max_bytes=self.config.store.max_mb * 2**20
        )
        look = self.config.look
        self.scene = scene_of(look)
        recorder = Recorder(
            self.config, self.clock, self.outbox, self.told, self.network, self.levels
        )
        self.daemon = Daemon(
            self.config,
            Condition(
                Parts(
                    clock=self.clock,
                    publisher=self.told,
                    recorder=recorder,
                    looker=Looker(
                        look, self.clock, self.scene, self.tray, 2.0, self.network, self.tray.bulb
                    ),
                    actuation=Actuation(
                        [self.servo, self.lamps], self.lid, self.config.sorting, self.clock
                    ),
                )
            ),
        )
        self.daemon.begin()

    def signal(self, source: Source = Source.PIR) -> None:
        self.daemon.emit(Signal(source, self.clock.monotonic()))

    def drop(self, name: str = "can", x: int = 60, y: int = 40) -> None:
        self.tray.put(name, x, y)
        self.signal()

    def roll(self) -> None:
        """A can rolls in and fires the PIR; it takes longer than the bin waits for rest."""
        for frame in range(60):
            place = partial(self.tray.put, "can", 10 + 2 * frame, 40)
            self.clock.at(self.clock.elapsed + 0.05 * frame, place)
        self.signal()

    def sorts_the_next(self) -> None:
        """A letter falls in, and all is as it is to be."""
        self.network.usual = sure("paper")
        before = len(self.servo.visited)
        self.drop("letter", 20, 60)
        self.go(5)
        assert self.servo.visited[before:] == ["paper"] and not self.tray.things
        assert self.daemon.status is Status.IDLE

    def go_until_the_servo_takes_the_power_down(self) -> None:
        """What is to be moved lies there as before; ``start`` is to follow."""
        clears, self.servo.on_sort = self.servo.on_sort, _power_cut
        with suppress(PowerCut):
            self.go(10)
            raise AssertionError("nothing was to be moved")
        self.servo.on_sort = clears
        self.clock.due.clear()  # the end of that run

    def answer(self, event: Event, label: str) -> None:
        """Somebody says what an item is."""
        self.request("resolve", event_id=event.event_id, label=label)

    def request(self, verb: str, **data: Any) -> None:
        """A request comes over MQTT; it is read with the next ``go``."""
        self.daemon.request(verb, json.dumps(data).encode(), False)

    def go(self, seconds: float = 20.0) -> None:
        """Let the daemon run for a while."""
        end = self.clock.elapsed + seconds
        self.clock.stopped = False
        self.clock.at(end, self.clock.stop)
        self.daemon.run()
        self.clock.stopped = False

    def events(self) -> list[Event]:
        return self.outbox.span(0, 1000)

    def kinds(self) -> list[str]:
        return [str(event.event_type) for event in self.events()]


def holding(folder: Path, **changes: Any) -> Rig:
    """A daemon that holds a can, and asks what it is."""
    rig = Rig(folder, **changes)
    rig.network.usual = UNSURE
    rig.drop()
    rig.go(5)
    assert rig.kinds() == ["uncertain"]
    return rig
