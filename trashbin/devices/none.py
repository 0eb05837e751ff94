"""Parts that are only a name in the configuration: nothing stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trashbin.ports import Context, Emit
from trashbin.settings import MqttTrigger as MqttSettings
from trashbin.settings import NoActuator as NoSettings
from trashbin.settings import NoPublisher as NoPublisherSettings
from trashbin.status import Status


class NoActuator:
    """Nothing moves and nothing lights: a bin that only tells."""

    name = "none"
    moves = False
    lights = False

    def __init__(self, settings: NoSettings, context: Context) -> None:
        """Need nothing."""

    def open(self) -> None:
        """Nothing to take."""

    def show(self, status: Status, bin: str | None) -> None:
        """Nothing lights."""

    def sort(self, bin: str) -> None:
        """Nothing moves."""

    def rest(self) -> None:
        """Nothing moved."""

    def release(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing to free."""


class MqttTrigger:
    """Allows ``request/look``: the daemon makes the signal from the request that it receives."""

    poll_every: float | None = None
    problem: str | None = None

    def __init__(self, settings: MqttSettings, context: Context) -> None:
        """Need nothing."""

    def open(self, emit: Emit) -> None:
        """Nothing to watch: the publisher's session hears the request."""

    def poll(self) -> None:
        """Nothing to look at."""

    def close(self) -> None:
        """Nothing to free."""


class NoPublisher:
    """No broker: events stay in the store."""

    connected = False
    progressed_at: float | None = None
    problem: str | None = None

    def __init__(self, settings: NoPublisherSettings, context: Context) -> None:
        """Need nothing."""

    def open(self, on_request: Callable[[str, bytes, bool], None]) -> None:
        """Nobody can ask."""

    def announce(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        """Nobody listens."""

    def respond(self, verb: str, payload: Mapping[str, Any]) -> None:
        """Nobody asked."""

    def wake(self) -> None:
        """Nothing is sent."""

    def resend(self, after_seq: int, limit: int) -> int:
        """Nothing is sent."""
        return 0

    def forget(self) -> None:
        """Nobody knows of this bin."""

    def drain(self, timeout: float) -> bool:
        """Nothing waits for a broker."""
        return True

    def close(self) -> None:
        """Nothing to close."""
