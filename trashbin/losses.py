"""What the store lost, or a power cut left undone: each is told once, by an event of its own."""

from __future__ import annotations

import logging

from trashbin.events import Event
from trashbin.record import Recorder

log = logging.getLogger(__name__)

NAMED = 20  # damaged events that one fault names


class Losses:
    """Looks for what no event has told yet."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._outbox, self._config = recorder, recorder.outbox, recorder.config

    def overflow(self) -> str | None:
        """What was dropped undelivered and no event has told yet, in words.

        None where nothing was, and where no broker is waited for: there the store is a
        history, and its end is no loss.
        """
        dropped = self._outbox.dropped()
        if dropped is None or self._config.publisher.kind == "none":
            return None
        return (
            f"{dropped.events} events from seq {dropped.first} to {dropped.last} were dropped "
            f"before the broker had them: store: max_mb ({self._config.store.max_mb}) was reached"
        )

    def commit_overflow(self) -> Event | None:
        """Tell of it by one event, once the broker takes events again; None before."""
        message = self.overflow()
        if message is None or not self._outbox.delivering:
            return None
        return self._recorder.committed(
            self._outbox.append_dropped(self._recorder.notice("store", message))
        )

    def commit_cut_off(self) -> Event | None:
        """Tell of a move that the end of the last run cut off; None where none was."""
        about = self._outbox.cut_off()
        if about is None or about == self._recorder.moving:
            return None
        message = (
            "the power failed, or the process ended, before the move was over: "
            "the item may lie in the tray still, or in the wrong bin"
        )
        log.error("actuator: %s (event %s)", message, about)
        return self._recorder.commit(self._recorder.fault("actuator", message, about))

    def commit_lost_file(self) -> Event | None:
        """Tell what became of a file that was damaged or removed; None where none was."""
        message = self._outbox.lost_file
        if message is None:
            return None
        return self._recorder.committed(
            self._outbox.append_lost_file(self._recorder.fault("store", message))
        )

    def commit_damage(self) -> Event | None:
        """Tell of events that the card has altered; None where there are none to tell of."""
        damaged = self._outbox.damaged()
        if not damaged:
            return None
        named = ", ".join(map(str, damaged[:NAMED])) + (" ..." if len(damaged) > NAMED else "")
        message = (
            f"{len(damaged)} stored event(s) are damaged and set aside (seq {named}): "
            "the card may be wearing out"
        )
        log.error("store: %s", message)
        return self._recorder.committed(
            self._outbox.append_damaged(self._recorder.fault("store", message), damaged)
        )
