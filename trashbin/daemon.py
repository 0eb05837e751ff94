"""The straight line: signal -> frames -> decision -> event -> actuation. Sees ports only.

The main thread runs everything here. GPIO and network threads only put a signal or
a request into the inbox.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trashbin import status
from trashbin.actuation import Actuation
from trashbin.desk import Desk
from trashbin.errors import DeviceError, ModelError
from trashbin.events import Event, EventType
from trashbin.looking import Looker, Sight
from trashbin.ports import Actuator, Camera, Clock, Publisher, Trigger
from trashbin.record import Recorder
from trashbin.scene import SceneState
from trashbin.settings import Config
from trashbin.status import Change, Status
from trashbin.types import Action, Frame, Mode, Reason, Signal, Source

log = logging.getLogger(__name__)

INBOX_LIMIT = 64
HEALTH_EVERY_S = 60.0
IDENTIFY_S = 5.0
WATCH_EVERY_S = 0.5  # how often a thing that waits in the tray is looked for
# parts without which nothing may be sorted; the bin does without any other as well as it can
BLOCKING = frozenset({"configuration", "camera", "model", "stop", "tray"})
REOPEN_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # pauses between tries at a camera that failed


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as the network thread received it; parsed on the main thread."""

    verb: str
    payload: bytes
    retained: bool


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
    triggers: Sequence[Trigger] = ()
    problems: dict[str, str] = field(default_factory=dict)


class Daemon:
    """One bin. ``run`` blocks until the clock says stop; ``run_once`` is one item's way."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        on_progress: Callable[[Status], None] = lambda status: None,
    ) -> None:
        self.config = config
        self.parts = parts
        self.clock = parts.clock
        self.recorder = parts.recorder
        self._actuation = parts.actuation
        self._desk = Desk(self, parts.clock, parts.recorder, parts.publisher)
        self.status = Status.IDLE
        self.bin: str | None = None
        self.on_event = on_event
        self.on_progress = on_progress
        self._inbox: deque[Signal | RawRequest] = deque()
        self._ran: dict[str, float] = {}
        self._accepted_at = float("-inf")
        self._judged_at = float("-inf")
        self._held: Sight | None = None
        self._give_up_at = float("inf")
        self._reopen_tries = 0
        self._identify = False

    @property
    def looker(self) -> Looker:
        """The looker, where it is known that there is one."""
        assert self.parts.looker is not None
        return self.parts.looker

    # the inbox: called from any thread

    def emit(self, signal: Signal) -> None:
        """A trigger fired."""
        self._put(signal)

    def request(self, verb: str, payload: bytes, retained: bool) -> None:
        """Somebody asks over MQTT."""
        self._put(RawRequest(verb, payload, retained))

    def _put(self, message: Signal | RawRequest) -> None:
        if len(self._inbox) >= INBOX_LIMIT:
            self.recorder.dropped += 1  # a flood: told in health, never waited for
            return
        self._inbox.append(message)
        self.clock.notify()

    # the loop

    def run(self) -> None:
        """Look, sort and tell until the clock says stop."""
        while not self.clock.wait(self._until_due(), until=lambda: bool(self._inbox)):
            self.step()

    def begin(self) -> None:
        """Learn the empty tray, and tell who and how we are."""
        if self.recorder.mode is Mode.PAUSED:
            self._change(Change.PAUSE)
        for part, message in list(self.parts.problems.items()):
            self.fault(part, message)
        if self.parts.looker is not None and "camera" not in self.parts.problems:
            try:
                self.parts.looker.learn_empty_tray()
            except DeviceError as error:
                self._part_failed(error)
        self.tell()

    def step(self) -> None:
        """Do all that is due now: messages first, then what comes round by time."""
        while self._inbox and not self.clock.wait(0):
            message = self._inbox.popleft()
            if isinstance(message, Signal):
                self.take(message)
            else:
                self._desk.answer(message.verb, message.payload, message.retained)
        now = self.clock.monotonic()
        for name, every, task in self._tasks():
            if now - self._ran.setdefault(name, now) >= every:
                self._ran[name] = now
                task()
        self.on_progress(self.status)

    def _tasks(self) -> list[tuple[str, float, Callable[[], None]]]:
        """What comes round by time in the present status: name, seconds between, what."""
        tasks: list[tuple[str, float, Callable[[], None]]] = [
            ("health", HEALTH_EVERY_S, self._tell_health)
        ]
        if self.status is Status.IDLE:
            for index, trigger in enumerate(self.parts.triggers):
                if trigger.poll_every is not None:
                    tasks.append(
                        (f"trigger {index}", trigger.poll_every, self._guarded(trigger.poll))
                    )
        if self._identify:
            tasks.append(("identify", IDENTIFY_S, self._identified))
        if self._held is not None and self.status is not Status.IDLE:
            tasks.append(("watch", WATCH_EVERY_S, self._guarded(self._watch)))
        if self.parts.problems:
            pause = REOPEN_S[min(self._reopen_tries, len(REOPEN_S) - 1)]
            tasks.append(("recover", pause, self._recover))
        return tasks

    def _until_due(self) -> float:
        now = self.clock.monotonic()
        due = (self._ran.setdefault(name, now) + every - now for name, every, _ in self._tasks())
        return max(0.0, min(due))

    def _guarded(self, task: Callable[[], None]) -> Callable[[], None]:
        """A task that uses a device: its failure becomes a fault, not the end."""

        def run() -> None:
            try:
                task()
            except DeviceError as error:
                self._part_failed(error)

        return run

    # one item

    def take(self, signal: Signal) -> Event | None:
        """Follow a signal; None where it is let go: an echo, or the bin cannot look now."""
        if self.status in (Status.FAULT, Status.PAUSED) or self.parts.looker is None:
            log.info("a signal of %s is let go: %s", signal.source, self.in_words())
            return None
        if signal.source is not Source.REQUEST and self._is_echo(signal):
            return None
        quiet = signal.at - self._accepted_at < self.config.look.refractory_s
        self._accepted_at = signal.at
        return self.run_once(signal, quiet=quiet and signal.source is not Source.REQUEST)

    def _is_echo(self, signal: Signal) -> bool:
        """We have looked since: it is the second pulse for one hand, or the servo's own motion."""
        return signal.at <= self._judged_at

    def run_once(self, signal: Signal, *, quiet: bool = False) -> Event | None:
        """One item: look, decide, commit the event, move. The event, or None for no news.

        ``quiet`` makes an empty tray no news: the signal came right after another.
        """
        before = self.status, self.bin
        self._change(Change.SIGNAL)
        try:
            sight = self.looker.look(self.recorder.thresholds)
        except DeviceError as error:
            event = self._commit(self.recorder.unseen(signal))
            self._part_failed(error, about=event.event_id)
            return event
        if self._still_the_same(signal, sight):
            self._back_to(*before)
            return None
        self._held = None
        empty = sight.decision.reason is Reason.EMPTY
        self._judged_at = sight.frame.at if empty else sight.burst_at
        if empty:
            self._change(Change.NOTHING)
            kind = EventType.EMPTY
            return None if quiet else self._commit(self.recorder.item(kind, signal, sight))
        if sight.decision.action is Action.ACT:
            return self._act(signal, sight)
        event = self._commit(self.recorder.item(EventType.UNCERTAIN, signal, sight))
        self._change(Change.HOLD)
        self._wait_for_person(sight)
        return event

    def _still_the_same(self, signal: Signal, sight: Sight) -> bool:
        """A passer-by sets a PIR off: what we hold, or gave up on, lies there unchanged."""
        return (
            signal.source is not Source.REQUEST
            and self._held is not None
            and self.looker.scene.same_thing(self._held.frame, sight.frame)
        )

    def _back_to(self, before: Status, bin: str | None) -> None:
        back = {Status.HOLDING: Change.HOLD, Status.SORTING: Change.ACT}
        self._change(back.get(before, Change.NOTHING), bin)

    def _act(self, signal: Signal, sight: Sight) -> Event:
        assert sight.decision.label is not None
        bin = self.config.bin_of(sight.decision.label)
        broken = "actuator" in self.parts.problems
        movers = [] if broken else self._actuation.movers(self.recorder.mode)
        event = self._commit(
            self.recorder.item(
                EventType.SORTED,
                signal,
                sight,
                bin=bin,
                actuation=[a.name for a in self._actuation.actuators if a in movers or not a.moves],
            )
        )
        self._change(Change.ACT, bin)
        if not movers:  # the lamp says where; a person carries it there
            self._wait_for_person(sight)
            return event
        try:
            self._sort(bin, movers, sight, event)
        except DeviceError as error:
            self._part_failed(error, about=event.event_id)
        return event

    def _sort(self, bin: str, movers: list[Actuator], sight: Sight, event: Event) -> None:
        """Move, and look whether the tray is empty; the same thing still there is a jam."""
        for _ in range(1 + self.config.sorting.jam_retries):
            self._actuation.move(bin, movers)
            if self.config.look.empty_tray == "none":
                break
            view, frame = self.looker.settle(believe_empty=True), self.looker.seen
            if view.state is SceneState.EMPTY:
                self._judged_at = frame.at
                break
            if self._something_new(sight, frame):
                if not any(isinstance(message, Signal) for message in self._inbox):
                    self.emit(Signal(Source.MOTION, self.clock.monotonic()))
                break
        else:
            self._jammed(sight, event)
            return
        self._change(Change.DONE)

    def _something_new(self, sight: Sight, now: Frame) -> bool:
        """Was something dropped since the burst, so that this is no jam but the next item?"""
        signalled = any(isinstance(m, Signal) and m.at > sight.burst_at for m in self._inbox)
        return signalled or not self.looker.scene.same_thing(sight.frame, now)

    def _jammed(self, sight: Sight, event: Event) -> None:
        self.fault(
            "tray",
            f"the item still lies there after {1 + self.config.sorting.jam_retries} moves; "
            "take it out",
            about=event.event_id,
        )
        self._held = sight
        self._give_up_at = float("inf")

    # waiting for a person

    def _wait_for_person(self, sight: Sight) -> None:
        self._held = sight
        self._give_up_at = self.clock.monotonic() + self.config.look.hold_s
        self._ran.pop("watch", None)

    def _watch(self) -> None:
        """Has the held thing been taken out, or is the time for it over?"""
        if self.looker.glance().state is SceneState.EMPTY:
            self._judged_at = self.looker.seen.at
            self._held = None  # else kept, so that nobody is asked about it again
            self.parts.problems.pop("tray", None)
        elif self.clock.monotonic() < self._give_up_at:
            return
        if self.status is not Status.FAULT:
            self._change(Change.DONE)
        else:
            self._recovered()

    # faults

    def fault(self, part: str, message: str, about: str | None = None) -> None:
        """Tell that a part failed; nothing moves until it is back."""
        log.error("%s: %s", part, message)
        self.parts.problems[part] = message
        self._commit(self.recorder.fault(part, message, about))
        if part in BLOCKING:
            self._change(Change.FAIL)
        elif self.status is Status.SORTING:
            self._change(Change.DONE)

    def _part_failed(self, error: DeviceError, about: str | None = None) -> None:
        self._actuation.release()
        self._held = None
        self.fault(error.part, str(error), about)

    def _recover(self) -> None:
        """Try the failed parts again; idle once nothing blocks any more."""
        problems, looker = self.parts.problems, self.parts.looker
        before = set(problems)
        self._reopen_tries += 1
        if "camera" in problems and looker is not None and self._reopened([looker.camera]):
            del problems["camera"]
        if "actuator" in problems and self._reopened(self._actuation.actuators):
            del problems["actuator"]
        if "stop" in problems and self._went_home():
            del problems["stop"]
        if before - set(problems):
            self._reopen_tries = 0
            self._recovered()
            self.tell()

    def _recovered(self) -> None:
        """Idle, or paused as before, once nothing blocks any more."""
        if self.status is Status.FAULT and not BLOCKING & set(self.parts.problems):
            self._change(Change.RECOVER)
            if self.recorder.mode is Mode.PAUSED:
                self._change(Change.PAUSE)

    def _went_home(self) -> bool:
        """The lid is closed again: what was stopped half-way goes back to rest."""
        if self._actuation.stop is None or self._actuation.stop.active:
            return False
        try:
            self._actuation.home()
        except DeviceError as error:
            log.warning("%s: still not at rest (%s)", error.part, error)
            return False
        return True

    def _reopened(self, parts: Sequence[Camera | Actuator]) -> bool:
        """Close and open parts again; opening moves nothing."""
        for part in parts:
            try:
                part.close()
                part.open()
            except DeviceError as error:
                log.warning("%s: still not back (%s)", error.part, error)
                return False
        return True

    # what a request may do (desk.Bin)

    def may_look(self) -> bool:
        """True where the configuration lists a trigger of kind mqtt."""
        return any(trigger.kind == "mqtt" for trigger in self.config.triggers)

    def set_mode(self, mode: Mode) -> None:
        """From now on, and after a restart."""
        self.recorder.mode = mode
        if mode is Mode.PAUSED and self.status is not Status.FAULT:
            self._held = None
            self._change(Change.PAUSE)
        elif mode is not Mode.PAUSED and self.status is Status.PAUSED:
            self._change(Change.RESUME)
        self._tell_state()

    def identify(self) -> None:
        """Show a fault's lamps for a while: nothing else blinks as fast."""
        self._actuation.show(Status.FAULT, None)
        self._identify = True
        self._ran["identify"] = self.clock.monotonic()

    def _identified(self) -> None:
        self._identify = False
        self._actuation.show(self.status, self.bin)

    def selftest(self) -> dict[str, str]:
        """Each part, ``good`` or what is wrong; nothing moves."""
        found = dict.fromkeys(("camera", "model", "actuator", "trigger"), "good")
        looker = self.parts.looker
        if looker is not None:
            try:
                looker.glance()
                looker.classifier.check()
            except (DeviceError, ModelError) as error:
                found["model" if isinstance(error, ModelError) else "camera"] = str(error)
        return found | self.parts.problems

    def in_words(self) -> str:
        """What the bin is doing, and why it does not sort where it doesn't."""
        if not self.parts.problems:
            return str(self.status)
        return f"{self.status}: " + "; ".join(
            f"{part}: {why}" for part, why in self.parts.problems.items()
        )

    # telling

    def _commit(self, event: Event) -> Event:
        """Commit first, then let the world know: what follows may be cut off at any time."""
        event = self.recorder.commit(event)
        self.on_event(event)
        self._tell_state()
        return event

    def _change(self, change: Change, bin: str | None = None) -> None:
        self.status, self.bin = status.after(self.status, change), bin
        self._actuation.show(self.status, bin)
        self._tell_state()
        self.on_progress(self.status)

    def tell(self) -> None:
        """Everything that a dashboard wants to know of a bin, now."""
        self.parts.publisher.announce("info", self.recorder.info())
        self._tell_state()
        self._tell_health()

    def _tell_state(self) -> None:
        state = self.recorder.state(self.status, self.bin, self.parts.problems)
        self.parts.publisher.announce("state", state)

    def _tell_health(self) -> None:
        looker = self.parts.looker
        frame = looker.last_frame if looker is not None else None
        age = None if frame is None else self.clock.monotonic() - frame.at
        self.parts.publisher.announce("health", self.recorder.health(age, self.parts.problems))
