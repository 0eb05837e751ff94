"""What changes under the bin: the broker, the clock, the model's file, a button that sticks."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from trashbin.clock import is_synchronized
from trashbin.condition import Condition
from trashbin.errors import DeviceError
from trashbin.ports import Buttons, Trigger

log = logging.getLogger(__name__)

CLOCK_JUMP_S = 5.0  # more is told; a time server's small corrections are not
# the problems; none stops anything
BROKER, MODEL_FILE = "broker", "model file"
BROKER_LAMP, TRAY_LAMP = "broker_lamp", "tray_lamp"
STUCK_TRIGGER = "stuck trigger"
TRIGGER, BUTTONS = "trigger", "buttons"  # of the start: what could not be opened


class Surroundings:
    """Looks round now and then, and tells once of what it finds."""

    def __init__(self, condition: Condition, broker_away_s: float) -> None:
        self._condition = condition
        self._parts = condition.parts
        self._broker_away_s = broker_away_s
        self._away_since: float | None = None
        self._synchronized = is_synchronized()
        self._clock_runs = self._clock_offset()

    def look(self) -> None:
        """Each of them."""
        self._look_at_broker()
        self._look_at_lamps()
        self._look_at_clock()
        self._look_at_model()
        self._look_at_triggers()
        self._look_at_buttons()

    def _look_at_broker(self) -> None:
        """Away for long. It is told with its end, when the event gets through."""
        problem, now = self._parts.publisher.problem, self._parts.clock.monotonic()
        if problem in (None, self._condition.problems.get("store")):  # the store's is told as such
            self._away_since = None
            self._condition.told_over(BROKER)
            return
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= self._broker_away_s and not self._told(BROKER):
            message = f"{problem}. Events are kept, and sent when it is back."
            self._condition.told(BROKER, message)

    def _look_at_lamps(self) -> None:
        """The broker's shows at the bin whether its events leave it."""
        parts, looker = self._parts, self._parts.looker
        if parts.broker_lamp is not None:
            wrong = parts.broker_lamp.problem
            try:
                (parts.broker_lamp.on if parts.publisher.connected else parts.broker_lamp.off)()
            except DeviceError as error:
                wrong = str(error)
            self._tell(BROKER_LAMP, wrong)
        if looker is not None and looker.tray_lamp is not None:
            self._tell(TRAY_LAMP, looker.tray_lamp.problem)

    def _look_at_clock(self) -> None:
        """Set by hand or by a time server: dates before and after do not fit together."""
        runs, synchronized = self._clock_offset(), is_synchronized()
        jump, first = runs - self._clock_runs, synchronized and not self._synchronized
        self._clock_runs, self._synchronized = runs, synchronized
        if abs(jump) < CLOCK_JUMP_S:
            return
        way = "forward" if jump > 0 else "back"
        message = f"the clock was set {way} by {abs(jump):.0f} s; order events by boot_id and seq"
        log.warning("clock: %s", message)
        recorder = self._parts.recorder
        # the Pi has no clock of its own: the first answer of a time server is no fault
        event = recorder.notice("clock", message) if first else recorder.fault("clock", message)
        self._condition.note(event)

    def _look_at_model(self) -> None:
        """Exchanged on the disk: what is loaded goes on."""
        looker = self._parts.looker
        self._tell(MODEL_FILE, None if looker is None else looker.classifier.changed())

    def _look_at_triggers(self) -> None:
        """On for good: nothing that falls is noticed, which nobody would be told otherwise."""
        triggers = self._parts.triggers
        wrong = _problems(triggers)
        if not wrong:
            self._condition.told_over(STUCK_TRIGGER)
            if len(triggers) == len(self._parts.recorder.config.triggers):  # none was left out
                self._condition.told_over(TRIGGER)
        elif not (self._told(STUCK_TRIGGER) or self._told(TRIGGER)):
            self._condition.told(STUCK_TRIGGER, wrong)

    def _look_at_buttons(self) -> None:
        """One that stays pressed answers nothing."""
        self._tell(BUTTONS, _problems(self._parts.buttons) or None)

    def _clock_offset(self) -> float:
        return self._parts.clock.now().timestamp() - self._parts.clock.monotonic()

    def _tell(self, part: str, wrong: str | None) -> None:
        """Tell once what is wrong with a part, and that it is over."""
        if wrong is None:
            self._condition.told_over(part)
        elif not self._told(part):
            self._condition.told(part, wrong)

    def _told(self, part: str) -> bool:
        return part in self._condition.problems


def _problems(parts: Iterable[Trigger | Buttons]) -> str:
    return "; ".join(problem for part in parts if (problem := part.problem) is not None)
