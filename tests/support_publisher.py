"""What tests of the publisher share: a bin's context, and what it has to tell."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import FakeClock
from tests.support_events import an_event
from trashbin.devices.mqtt import MqttPublisher
from trashbin.outbox import Outbox
from trashbin.ports import Context, Publisher
from trashbin.settings import Config

ROOT = "trashbin/bin-1"

Make = Callable[..., MqttPublisher]


def context(outbox: Outbox) -> Context:
    config = Config.model_validate(
        {
            "version": 1,
            "device": {"id": "bin-1"},
            "bins": {"only": {"labels": ["paper"]}},
            "camera": {"kind": "simulated"},
            "triggers": [{"kind": "timer", "every_s": 1}],
            "actuators": [{"kind": "none"}],
            "publisher": {"kind": "none"},
        }
    )
    return Context(FakeClock(), config, outbox=outbox)


def ignore(verb: str, payload: bytes, retained: bool) -> None:
    """For tests in which nobody asks."""


def tell(outbox: Outbox, publisher: Publisher, count: int = 1) -> None:
    for _ in range(count):
        outbox.append(an_event())
        publisher.wake()
