"""How the bin is: its status, what is wrong with it, and telling both to everyone who watches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trashbin import status
from trashbin.actuation import Actuation
from trashbin.errors import CameraHungError, DeviceError, ModelError, StoreError
from trashbin.events import Event, EventType
from trashbin.looking import Looker, Sight
from trashbin.losses import Losses
from trashbin.ports import Buttons, Classifier, Clock, Publisher, Switch, Trigger
from trashbin.record import Recorder
from trashbin.restarts import Restarts
from trashbin.status import Change, Status

log = logging.getLogger(__name__)

# parts without which nothing may be sorted; the bin does without any other as well as it can
BLOCKING = frozenset({"configuration", "camera", "model", "restarts", "stop", "store", "tray"})
# what ends a look or a sort in which another part failed
UNFINISHED = {Status.LOOKING: Change.NOTHING, Status.SORTING: Change.DONE}
STEADY_S = 60.0  # what works so long after it was mended is well; else the pauses grow on
# while these last, something may lie in the tray
ATTENTIVE = frozenset({Status.LOOKING, Status.SORTING, Status.HOLDING})


@dataclass
class Parts:
    """What the composition root opened. ``problems`` maps a part that failed to why.

    Without a looker (no camera or no model) the bin stays up, tells so, and moves nothing.
    """

    clock: Clock
    publisher: Publisher
    recorder: Recorder
    actuation: Actuation
    looker: Looker | None = None
    restarts: Restarts | None = None  # None where nobody would start the process again
    triggers: Sequence[Trigger] = ()
    problems: dict[str, str] = field(default_factory=dict)
    broker_lamp: Switch | None = None
    buttons: Sequence[Buttons] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A thing that waits for a person: what was seen of it, and the status that says so.

    A ``restless`` one was judged while it moved, and is to be judged once more at rest.
    """

    sight: Sight
    event: Event
    waits_as: tuple[Change, str | None]
    until: float = float("inf")  # monotonic seconds
    restless: bool = False


class Condition:
    """The status, moved along its table, the problems, and what is held for a person.

    Each change is shown and told.
    """

    def __init__(
        self, parts: Parts, on_event: Callable[[Event], None] = lambda event: None
    ) -> None:
        self.parts = parts
        self.status = Status.IDLE
        self.bin: str | None = None
        self.problems = parts.problems
        self.on_event = on_event
        self.on_progress: Callable[[Status], None] = lambda status: None
        self.held: Held | None = None
        self.judged: tuple[Event, Sight] | None = None  # the last item, until it is looked at
        self._losses = Losses(parts.recorder)
        self.tries = 0  # at what failed; each next pause is longer
        self.mended_at = float("-inf")  # monotonic seconds
        self.camera_hangs = False  # inside its driver
        self._problems_told: dict[str, str] = {}  # by health

    # what happened

    def commit(self, event: Event, sight: Sight | None = None, *, moving: bool = False) -> Event:
        """Commit first, then let the world know: what follows may be cut off at any time.

        StoreError where it can't be written; then nothing may follow. ``moving`` where
        something will move.
        """
        committed = self.parts.recorder.commit(event, sight, moving=moving)
        if sight is not None:
            self.judged = (committed, sight)
        self._watch_pictures()
        return self._committed(committed)

    def read_levels(self) -> None:
        """How full is each bin? A silent sensor is told; the bin sorts on."""
        levels = self.parts.recorder.levels
        changed = levels.read()
        silent = "; ".join(levels.problems.values())
        if silent != self.problems.get("level", ""):
            changed = True
            self.problems.pop("level", None)
            if silent:
                self.problems["level"] = silent
                self.note(self.parts.recorder.fault("level", silent))
        if changed:
            self.tell_state()

    def _watch_pictures(self) -> None:
        """A bin sorts without pictures, too; that it keeps none is told."""
        problem = self.parts.recorder.album.problem
        if problem is not None:
            self.problems["pictures"] = problem
        else:
            self.problems.pop("pictures", None)

    def _committed(self, event: Event) -> Event:
        self.on_event(event)
        self.tell_state()
        return event

    def note(self, event: Event) -> Event | None:
        """Commit an event that nothing rests on; None where the store fails, which is told."""
        try:
            return self.commit(event)
        except StoreError as error:
            self.store_failed(error)
            return None

    def moved(self) -> None:
        """The move that the last event planned is over."""
        try:
            self.parts.recorder.outbox.moved()
        except StoreError as error:
            self.store_failed(error)

    def change(self, change: Change, bin: str | None = None) -> None:
        """Move along the table, and let lamps and dashboards show it."""
        self.status, self.bin = status.after(self.status, change), bin
        if self.parts.looker is not None:
            self.parts.looker.attend(self.status in ATTENTIVE)
        self.parts.actuation.show(self.status, bin)
        self.tell_state()
        self.on_progress(self.status)

    def tell(self) -> None:
        """Everything that a dashboard wants to know of a bin, now."""
        self.parts.publisher.announce("info", self.parts.recorder.info())
        self.tell_state()
        self.tell_health()

    def tell_state(self) -> None:
        """Publish ``state``, and ``health`` where the problems are others than it said."""
        if self.problems != self._problems_told:
            self._announce_health()
        recorder = self.parts.recorder
        state = recorder.state(self.status, self.bin, self.problems, self.waiting())
        self.parts.publisher.announce("state", state)

    def use(self, classifier: Classifier) -> None:
        """Let another model judge, from the next item on."""
        self.parts.recorder.classifier = classifier
        if self.parts.looker is not None:
            self.parts.looker.classifier, old = classifier, self.parts.looker.classifier
            old.close()

    def prune(self) -> None:
        """Forget what is older than the history and delivered."""
        try:
            forgotten = self.parts.recorder.prune()
        except StoreError as error:
            self.store_failed(error)
            return
        if forgotten:
            log.info(
                "%d delivered events were older than the history, and are forgotten", forgotten
            )

    def tell_health(self) -> None:
        """Publish ``health``, after a look at how the store is."""
        self._watch_store()
        self._announce_health()

    def _announce_health(self) -> None:
        self._problems_told = dict(self.problems)
        looker, restarts = self.parts.looker, self.parts.restarts
        frame = looker.last_frame if looker is not None else None
        age = None if frame is None else self.parts.clock.monotonic() - frame.at
        count = 0 if restarts is None else restarts.count
        health = self.parts.recorder.health(age, self.problems, count)
        self.parts.publisher.announce("health", health)

    # what is wrong

    def fault(self, part: str, message: str, about: str | None = None) -> None:
        """Tell that a part failed; where it is a blocking one, nothing moves until it is back."""
        self._begin_tries()
        self.told(part, message, about)
        if part in BLOCKING:
            self.change(Change.FAIL)
        elif self.status in UNFINISHED:
            self.change(UNFINISHED[self.status])

    def told(self, part: str, message: str, about: str | None = None) -> None:
        """Tell of a problem, by log, state and event, and stop nothing for it."""
        log.error("%s: %s", part, message)
        self.problems[part] = message
        self.note(self.parts.recorder.fault(part, message, about))

    def store_failed(self, error: StoreError) -> None:
        """No event can be written: nothing moves until one can. Told over MQTT all the same."""
        if "store" not in self.problems:
            self._begin_tries()
        if self.problems.get("store") != str(error):
            log.error("store: %s", error)
        self.problems["store"] = str(error)
        self.change(Change.FAIL)

    def switched_off(self) -> None:
        """The stop switch is on, and no move was cut off by it: shown, and no event of its own.

        A lid that is lifted for each item is no fault of a part; a switch that can't be read is.
        """
        unread = self.parts.actuation.unread
        if unread is not None:
            self.fault("stop", unread)
            return
        why = "the lid is open, or the bin is stopped by its switch: nothing moves until that ends"
        log.warning("stop: %s", why)
        self.problems["stop"] = why
        self.change(Change.FAIL)

    def _begin_tries(self) -> None:
        """At once, but where what was mended failed again: it would tell so every second."""
        if self.parts.clock.monotonic() - self.mended_at >= STEADY_S:
            self.tries = 0

    def _watch_store(self) -> None:
        """Tell of what the store lost: at once as a problem, by an event where it is over."""
        try:
            losses = self._losses
            for tell in (
                losses.commit_lost_file,
                losses.commit_cut_off,
                losses.commit_damage,
                self._overflow_told,
                self._promise_told,
            ):
                event = tell()
                if event is not None:
                    self._committed(event)
        except StoreError as error:
            self.store_failed(error)

    def told_over(self, part: str) -> None:
        """A problem that stopped nothing is over."""
        if self.problems.pop(part, None) is not None:
            log.info("%s: it is over", part)
            self.tell_state()

    def _promise_told(self) -> Event | None:
        event = self.parts.recorder.commit_promise()
        if event is not None:
            self.parts.publisher.announce("info", self.parts.recorder.info())
        return event

    def _overflow_told(self) -> Event | None:
        message = self._losses.overflow()
        if message is None:
            return None
        event = self._losses.commit_overflow()
        if event is not None:
            self.problems.pop("overflow", None)
        elif self.problems.get("overflow") != message:
            log.warning("store: %s", message)
            self.problems["overflow"] = message
            self.tell_state()
        return event

    def part_failed(self, error: DeviceError | ModelError, about: str | None = None) -> None:
        """A part raised: cut every drive, and tell."""
        self.parts.actuation.release()
        if error.part == "camera":
            self.camera_hangs = isinstance(error, CameraHungError)
        self.fault(error.part, str(error), about)

    def waiting(self) -> Event | None:
        """The item that is held for an answer now."""
        held, waits = self.held, self.status in (Status.HOLDING, Status.LOOKING)
        if held is None or not waits or held.event.event_type is not EventType.UNCERTAIN:
            return None
        return held.event

    def in_words(self) -> str:
        """What the bin is doing, and why it does not sort where it doesn't."""
        if not self.problems:
            return str(self.status)
        return f"{self.status}: " + "; ".join(
            f"{part}: {why}" for part, why in self.problems.items()
        )
