"""A trigger that fires every so often, whatever happens."""

from __future__ import annotations

from trashbin.ports import Context, Emit
from trashbin.settings import TimerTrigger as TimerSettings
from trashbin.types import Signal, Source


class TimerTrigger:
    """Fires whenever it is polled: ``poll_every`` is the timer."""

    problem: str | None = None

    def __init__(self, settings: TimerSettings, context: Context) -> None:
        self.poll_every: float | None = settings.every_s
        self._clock = context.clock
        self._emit: Emit | None = None

    def open(self, emit: Emit) -> None:
        """Begin to fire."""
        self._emit = emit

    def poll(self) -> None:
        """Fire."""
        if self._emit is not None:
            self._emit(Signal(Source.TIMER, self._clock.monotonic()))

    def close(self) -> None:
        """Fire no more."""
        self._emit = None
