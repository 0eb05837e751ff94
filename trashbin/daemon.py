"""The straight line: signal -> frames -> decision -> event -> actuation. Sees ports only.

The main thread runs everything here. GPIO and network threads only put a signal into
the inbox, or a request on the desk: two queues, so that neither crowds out the other.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from trashbin.canary import Canary
from trashbin.condition import ATTENTIVE, BLOCKING, Condition
from trashbin.cycle import Cycle
from trashbin.desk import Desk
from trashbin.errors import DeviceError, GivenUpError, ModelError, StoreError
from trashbin.events import Answer, Event
from trashbin.recovery import Recovery
from trashbin.settings import Config
from trashbin.status import Change, Status
from trashbin.surroundings import Surroundings
from trashbin.types import Mode, Signal
from trashbin.wearing import Wearing

log = logging.getLogger(__name__)

INBOX_LIMIT = 64
PRESSES_LIMIT = 4  # a person who presses more often means the last ones
HEALTH_EVERY_S = 60.0
CATCHING_UP_S = 2.0  # the same while events wait for the broker: people watch how many
PRUNE_EVERY_S = 3600.0
TRAY_EVERY_S = 3600.0  # how often it is remembered how the empty tray looks
IDENTIFY_S = 5.0
LEVELS_EVERY_S = 5.0
MODELS_EVERY_S = 2.0  # how often it is seen whether a model or head came or was taken back
LOOK_ROUND_S = 5.0  # how often broker, clock and model file are looked at
WATCH_EVERY_S = 0.5  # how often a thing that waits in the tray, or an open lid, is looked for


class Daemon:
    """One bin: an inbox, a loop, and what requests may do. ``run`` blocks until it is stopped."""

    def __init__(
        self,
        config: Config,
        condition: Condition,
        canary: Canary | None = None,
        wearing: Wearing | None = None,
    ) -> None:
        self.config = config
        self.condition = condition
        self.canary = canary
        self.wearing = wearing
        self.parts = parts = condition.parts
        self.clock = parts.clock
        self.recorder = parts.recorder
        self.cycle = Cycle(config, self.condition, self._signalled_since, self.emit)
        self.recovery = Recovery(self.condition, self.cycle)
        self._desk = Desk(self, parts.clock, parts.recorder, parts.publisher)
        self._surroundings = Surroundings(self.condition, config.watch.broker_away_s)
        self._inbox: deque[Signal] = deque()
        # labels, and what waited for an answer then
        self._presses: deque[tuple[str, Event | None]] = deque(maxlen=PRESSES_LIMIT)
        self._emptied: deque[str] = deque(maxlen=len(config.bins) or 1)
        self._ran: dict[str, float] = {}
        self._identify = False

    @property
    def status(self) -> Status:
        """What the bin is doing."""
        return self.condition.status

    # the inbox: called from any thread

    def emit(self, signal: Signal) -> None:
        """A trigger fired."""
        if len(self._inbox) >= INBOX_LIMIT:
            self.recorder.dropped += 1  # a flood: told in health, never waited for
            return
        self._inbox.append(signal)
        self.clock.notify()

    def press(self, label: str) -> None:
        """Somebody pressed the button for ``label`` at the bin."""
        self._presses.append((label, self.condition.waiting()))
        self.clock.notify()

    def press_emptied(self, bin: str) -> None:
        """Somebody pressed the button that says that a bin was emptied."""
        self._emptied.append(bin)
        self.clock.notify()

    def request(self, verb: str, payload: bytes, retained: bool) -> None:
        """Somebody asks over MQTT."""
        if self._desk.put(verb, payload, retained):
            self.clock.notify()

    def _signalled_since(self, at: float) -> bool:
        # a copy: other threads may add to the inbox meanwhile
        return any(signal.at > at for signal in self._inbox.copy())

    def _has_mail(self) -> bool:
        return bool(self._inbox or self._presses or self._emptied or self._desk.waiting)

    # the loop

    def run(self) -> None:
        """Look, sort and tell until the clock says stop."""
        while not self.clock.wait(self._until_due(), until=self._has_mail):
            self.step()

    def begin(self) -> None:
        """Learn the empty tray, and tell who and how we are."""
        self.recorder.recall()
        self.cycle.memory.begin()
        if BLOCKING & self.parts.problems.keys():  # else the first that is told of it says idle
            self.condition.change(Change.FAIL)
        elif self.recorder.mode is Mode.PAUSED:
            self.condition.change(Change.PAUSE)
        for part, message in list(self.parts.problems.items()):
            self.condition.fault(part, message)
        self._go_home()
        if self.parts.looker is not None and "camera" not in self.parts.problems:
            try:
                self.cycle.learn()
                if not self.parts.looker.scene.learned:
                    log.info("it is too dark to learn the empty tray: it is learned in the light")
            except DeviceError as error:
                self.condition.part_failed(error)
        if not self.config.pictures.publish:  # what an earlier configuration left on the broker
            self.parts.publisher.announce("image/last", b"")
        self.condition.tell()

    def end(self) -> None:
        """After ``run``, where the bin was told to stop."""
        self.cycle.memory.stop()

    def _go_home(self) -> None:
        """Back to rest from a move that the power cut off: a tipped tray is none to learn.

        Told first, and tried once: a supply that fails at each move must not do so for ever.
        """
        try:
            cut_off = self.recorder.outbox.cut_off()
        except StoreError:
            return  # it is told as the store's problem
        if cut_off is None:
            return
        self.condition.tell_health()
        failed = {"store", "actuator"} & self.parts.problems.keys()
        if not failed and self.recorder.mode is Mode.AUTO:
            try:
                self.parts.actuation.home()
            except DeviceError as error:
                self.condition.part_failed(error)

    def step(self) -> None:
        """Follow a signal, answer a request, do what is due by time: none waits for a flood."""
        if self._inbox:
            self.cycle.take(self._inbox.popleft())
        if self._presses and not self.clock.wait(0):
            self.cycle.press(*self._presses.popleft())
        while self._emptied:
            try:
                self.emptied(self._emptied.popleft())
            except StoreError as error:
                self.condition.store_failed(error)
        if self._desk.waiting and not self.clock.wait(0):
            self._desk.answer_next()
        if self.condition.judged is not None:
            judged, self.condition.judged = self.condition.judged, None
            if self.canary is not None:
                self.canary.judged(*judged)
        now = self.clock.monotonic()
        for name, every, task in self._tasks():
            # less what rounding may add to a time that was waited for
            if now - self._ran.setdefault(name, now) >= every - 1e-6:
                self._ran[name] = now
                task()
        self.condition.on_progress(self.condition.status)

    def _tasks(self) -> list[tuple[str, float, Callable[[], None]]]:
        """What comes round by time in the present status: name, seconds between, what."""
        tasks: list[tuple[str, float, Callable[[], None]]] = [
            (
                "health",
                CATCHING_UP_S if self.recorder.behind else HEALTH_EVERY_S,
                self.condition.tell_health,
            ),
            ("prune", PRUNE_EVERY_S, self.condition.prune),
            ("surroundings", LOOK_ROUND_S, self._surroundings.look),
        ]
        if self.parts.actuation.stop is not None:
            tasks.append(("stop", WATCH_EVERY_S, self._look_at_stop))
        if self.parts.looker is not None and "camera" not in self.parts.problems:
            tasks.append(("probe", self.config.watch.frame_every_s, self._guarded(self._probe)))
            keep_tray = partial(self.cycle.memory.keep_tray, self.parts.looker)
            tasks.append(("tray", TRAY_EVERY_S, keep_tray))
        if "restarts" in self.parts.problems:
            tasks.append(("begin anew", self.config.watch.restarts_within_s, self._begin_anew))
        if self.condition.status is Status.IDLE:
            for index, trigger in enumerate(self.parts.triggers):
                if trigger.poll_every is not None:
                    tasks.append(
                        (f"trigger {index}", trigger.poll_every, self._guarded(trigger.poll))
                    )
        if self.canary is not None:
            tasks.append(("models", MODELS_EVERY_S, self.canary.poll))
        if self.wearing is not None:
            tasks.append(("heads", MODELS_EVERY_S, self.wearing.poll))
        if self.recorder.levels.sensors:
            tasks.append(("levels", LEVELS_EVERY_S, self.condition.read_levels))
        if self._identify:
            tasks.append(("identify", IDENTIFY_S, self._identified))
        if self.cycle.waits:
            tasks.append(("watch", WATCH_EVERY_S, self._guarded(self.cycle.watch)))
        if self.recovery.due:
            tasks.append(("recover", self.recovery.pause_s, self.recovery.try_again))
        return tasks

    def _probe(self) -> None:
        """Nothing asked the camera for a while: a cable may be loose before the next item falls.

        A tray that it was too dark for to learn is learned once there is light.
        """
        looker = self.parts.looker
        assert looker is not None
        if not looker.scene.learned:
            self.cycle.learn()
            return
        last, now = looker.last_frame, self.clock.monotonic()
        if last is None or now - last.at >= self.config.watch.frame_every_s / 2:
            looker.probe()
            looker.attend(self.condition.status in ATTENTIVE)

    def _look_at_stop(self) -> None:
        """Whoever opened the lid, or stopped the bin, is shown at once that it will not move."""
        if {"stop", "actuator"} & self.parts.problems.keys():
            return
        # first the pin, which costs nothing
        if self.parts.actuation.switched_off and self.parts.actuation.movers(self.recorder.mode):
            self.condition.switched_off()

    def _begin_anew(self) -> None:
        """What ended the bin again and again may be over: one more start, and not more an hour."""
        if self.parts.restarts is not None:
            self.parts.restarts.end()  # not one of those that are counted
        raise GivenUpError("the bin was off for long enough; it ends, to be started anew")

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
                self.condition.part_failed(error)

        return run

    # what a request may do (desk.Bin)

    def take(self, signal: Signal) -> Event | None:
        """Look now; None where the bin cannot."""
        return self.cycle.take(signal)

    def emptied(self, bin: str) -> None:
        """A bin was emptied: count anew. StoreError where that can't be kept."""
        self.recorder.levels.empty(bin)
        self.condition.tell_state()

    def resolve(self, item: Event, answer: Answer) -> Event:
        """A person says what an item is; what lies there still is sorted by it."""
        return self.cycle.resolve(item, answer)

    def tell(self) -> None:
        """Publish info, state and health anew."""
        self.condition.tell()

    def in_words(self) -> str:
        """What the bin is doing, and why it does not sort where it doesn't."""
        return self.condition.in_words()

    def may_look(self) -> bool:
        """True where a trigger of kind mqtt is listed, or nobody knows what is."""
        triggers = self.config.triggers  # none in safe mode, and then that is why it cannot look
        return not triggers or any(trigger.kind == "mqtt" for trigger in triggers)

    def set_mode(self, mode: Mode) -> None:
        """From now on, and after a restart."""
        self.recorder.mode = mode
        if mode is Mode.PAUSED and self.condition.status is not Status.FAULT:
            self.condition.change(Change.PAUSE)
        elif mode is not Mode.PAUSED and self.condition.status is Status.PAUSED:
            self.condition.change(Change.RESUME)
            self.cycle.look_again()  # something may lie there, or wait still for an answer
        self.condition.tell_state()

    def identify(self) -> None:
        """Show a fault's lamps for a while: nothing else blinks as fast."""
        self.parts.actuation.show(Status.FAULT, None)
        self._identify = True
        self._ran["identify"] = self.clock.monotonic()

    def _identified(self) -> None:
        self._identify = False
        self.parts.actuation.show(self.condition.status, self.condition.bin)

    def selftest(self) -> dict[str, str]:
        """Each part that is there to be tried, ``good`` or what is wrong; nothing moves."""
        looker = self.parts.looker
        there = {
            "camera": looker,
            "model": looker,
            "actuator": self.parts.actuation.actuators,
            "trigger": self.parts.triggers,
        }
        found = {part: "good" for part, what in there.items() if what}
        if looker is not None:
            try:
                looker.probe()
                looker.classifier.check()
            except (DeviceError, ModelError) as error:
                found["model" if isinstance(error, ModelError) else "camera"] = str(error)
        return found | self.parts.problems
