"""One item's way: look, decide, commit the event, move, look again; or wait for a person."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from trashbin import decision
from trashbin.condition import BLOCKING, Condition, Held
from trashbin.errors import DeviceError, ModelError, StoreError
from trashbin.events import ITEM_EVENTS, Answer, Event, EventType, boot_id
from trashbin.looking import Looker, Sight
from trashbin.ports import Actuator
from trashbin.remembered import Memory, Remembered
from trashbin.scene import SceneState, too_dark
from trashbin.settings import Config
from trashbin.status import Change, Status
from trashbin.types import Action, Frame, Mode, Reason, Signal, Source

log = logging.getLogger(__name__)

MAX_TRIES = 3  # to sort what a move that failed left
MAX_ROUNDS = 5  # a thing that shifts with every move is a jam, too, and not for ever the next item


class Cycle:
    """Follows signals, one at a time, and remembers the thing that waits in the tray.

    ``signalled_since(at)`` tells whether a signal later than ``at`` waits to be followed;
    ``emit`` adds one.
    """

    def __init__(
        self,
        config: Config,
        condition: Condition,
        signalled_since: Callable[[float], bool],
        emit: Callable[[Signal], None],
    ) -> None:
        self.config = config
        self.condition = condition
        self.parts = condition.parts
        self.clock = condition.parts.clock
        self.recorder = condition.parts.recorder
        self.actuation = condition.parts.actuation
        self._signalled_since = signalled_since
        self._emit = emit
        self._accepted_at = float("-inf")
        self._own: Signal | None = None  # the last one that no sensor gave, but the cycle itself
        self._unheeded = False  # the last sensor's signal: it came through an open lid
        self._judged_at = float("-inf")  # until when what happened in the tray has been judged
        self.memory = Memory(
            self.recorder.outbox,
            self.recorder.album,
            keeps=self._knows_empty and config.pictures.keep != "none",
        )
        # since the tray was empty last: sorts that left something else, and moves that failed
        self._rounds = self._failed = 0

    @property
    def waits(self) -> bool:
        """True while something in the tray is to be watched until it is taken out."""
        return (
            self.condition.held is not None
            and self.condition.status not in (Status.IDLE, Status.PAUSED)
            and "camera" not in self.condition.problems
        )

    @property
    def _knows_empty(self) -> bool:
        return self.config.look.empty_tray == "learn"

    @property
    def looker(self) -> Looker:
        """The looker, where it is known that there is one."""
        assert self.parts.looker is not None
        return self.parts.looker

    def take(self, signal: Signal) -> Event | None:
        """Follow a signal; None where it is let go: an echo, or the bin cannot look now."""
        if self.condition.status in (Status.FAULT, Status.PAUSED) or self.parts.looker is None:
            if signal.source is not Source.REQUEST:  # who asked is told so
                self._unheeded = BLOCKING & self.condition.problems.keys() == {"stop"}
                log.info("a signal of %s is let go: %s", signal.source, self.condition.in_words())
            self.memory.noticed()  # or a start, or a camera that comes late, would learn it
            return None
        # looked at since: a second pulse for one hand, or the servo's own motion; but one that came
        # shortly before may be of an item that was still falling
        echo = signal.at <= self._judged_at - self.config.look.settle_s
        if echo and signal.source is not Source.REQUEST:
            return None
        again = signal.at - self._accepted_at < self.config.look.refractory_s
        quiet = again or signal is self._own or signal.at <= self._judged_at
        self._accepted_at = signal.at
        try:
            return self.run_once(signal, quiet=quiet and signal.source is not Source.REQUEST)
        except StoreError as error:  # before anything moved: the item lies there until it is over
            self.condition.store_failed(error)
            return None

    def run_once(self, signal: Signal, *, quiet: bool) -> Event | None:
        """One item: look, decide, commit the event, move. The event, or None for no news.

        ``quiet`` makes an empty tray no news: the signal came right after another, or from us.
        StoreError where the event cannot be committed; then nothing has moved.
        """
        self.condition.change(Change.SIGNAL)
        self.memory.noticed()
        try:
            sight = self.looker.look(self.recorder.thresholds)
        except (DeviceError, ModelError) as error:
            event = None
            if signal is not self._own:  # else no sensor saw anything fall: it is no item
                event = self.condition.note(self.recorder.unseen(signal))
            self.condition.part_failed(error, about=event.event_id if event else None)
            return event
        if self._still_the_same(signal, sight):
            if not self._joined(sight):
                self._wait_on()
                return None
            sight = replace(sight, decision=decision.overrule(sight.decision, Reason.DISAGREE))
        self._let_go()
        self._judged_at = sight.burst_at
        if sight.decision.reason is Reason.EMPTY:
            self._seen_empty(sight.frame)
            self.condition.change(Change.NOTHING)
            kind = EventType.EMPTY
            return None if quiet else self.condition.commit(self.recorder.item(kind, signal, sight))
        if sight.decision.action is Action.ACT:
            assert sight.decision.label is not None
            bin = self.config.bin_of(sight.decision.label)
            return self._act(
                sight,
                bin,
                lambda planned: self.recorder.item(EventType.SORTED, signal, sight, bin, planned),
            )
        event = self.condition.commit(self.recorder.item(EventType.UNCERTAIN, signal, sight), sight)
        once = signal is not self._own  # or what flutters is judged for ever
        restless = self._knows_empty and once and not sight.at_rest
        self._wait_for_person(sight, event, restless=restless)
        return event

    def _still_the_same(self, signal: Signal, sight: Sight) -> bool:
        """A passer-by sets a PIR off: what we hold, or gave up on, lies there unchanged."""
        held = self.condition.held
        return (
            signal.source is not Source.REQUEST
            and held is not None
            and held.sight.decision.reason is not Reason.DARK  # what could not be seen
            and self.looker.scene.same_thing(held.sight.frame, sight.frame)
        )

    def _joined(self, sight: Sight) -> bool:
        """Something lies beside what we hold, and it is no hand that reaches in."""
        held = self.condition.held
        assert held is not None
        seen = sight.at_rest and sight.decision.reason is not Reason.DARK
        return seen and self.looker.scene.joined(held.sight.frame, sight.frame)

    def recovered(self) -> None:
        """Idle, or paused as before, once nothing blocks any more."""
        condition = self.condition
        if condition.status is Status.FAULT and not BLOCKING & set(condition.problems):
            condition.change(Change.RECOVER)
            if self.recorder.mode is Mode.PAUSED:
                condition.change(Change.PAUSE)
            else:
                self.look_again()

    def look_again(self) -> None:
        """A part is back: something may have been dropped, or lie there still.

        What cannot be moved is let be: a lid that every move shakes open would have it
        moved, and counted, for ever.
        """
        looks = self._knows_empty or self._unheeded
        if self.parts.looker is not None and looks and self._failed <= MAX_TRIES:
            self._signal()
        self._unheeded = False

    def _signal(self) -> None:
        """Have a look at what may lie there, though no sensor fired."""
        self._own = Signal(Source.MOTION, self.clock.monotonic())
        self._emit(self._own)

    def _act(self, sight: Sight, bin: str, planned_as: Callable[[Sequence[str]], Event]) -> Event:
        """Commit the event that ``planned_as`` makes of the actuators to be used, and move them."""
        broken = "actuator" in self.condition.problems
        movers = [] if broken else self.actuation.movers(self.recorder.mode)
        planned = planned_as(self.actuation.planned(movers))
        seen = sight if planned.event_type in ITEM_EVENTS else None  # else it is kept already
        event = self.condition.commit(planned, seen, moving=bool(movers))
        if not movers:  # the lamp says where; a person carries it there
            self._wait_for_person(sight, event, bin)
            return event
        self.condition.change(Change.ACT, bin)
        try:
            self._sort(bin, movers, sight, event)
        except DeviceError as error:
            self._failed += 1
            self.condition.part_failed(error, about=event.event_id)
        else:
            self.condition.moved()
            self.memory.forget()  # not before: a servo that starts may take the power down
        return event

    def _sort(self, bin: str, movers: list[Actuator], sight: Sight, event: Event) -> None:
        """Move, and look whether the tray is empty; the same thing still there is a jam."""
        for _ in range(1 + self.config.sorting.jam_retries):
            self.actuation.move(bin, movers)
            if not self._knows_empty:
                break
            view, frame = self.looker.at_rest(), self.looker.seen
            if view.state is SceneState.EMPTY:
                self._seen_empty(frame)
                break
            # something new; that a sensor fired says nothing, as the move itself sets a PIR off
            if not self.looker.scene.same_thing(sight.frame, frame):
                self._rounds += 1
                if self._rounds > MAX_ROUNDS:  # and none of it belongs into this bin
                    what = f"something lies there after {self._rounds} items in a row"
                    self._jammed(what, sight, event)
                    return
                if not self._signalled_since(self._judged_at):
                    self._signal()
                break
        else:
            moves = 1 + self.config.sorting.jam_retries
            self._jammed(f"the item still lies there after {moves} moves", sight, event)
            return
        self.condition.change(Change.DONE)

    def _seen_empty(self, frame: Frame) -> None:
        """Nothing lies there, so nothing is held, and what comes next is the next item."""
        self._judged_at, self.condition.held = frame.at, None
        self._rounds = self._failed = 0
        self.memory.emptied()

    def _jammed(self, what: str, sight: Sight, event: Event) -> None:
        self.condition.fault(
            "tray",
            f"{what}; take it out; if the tray is empty, start the bin again to learn it",
            about=event.event_id,
        )
        self.memory.emptied()  # so that the next start does
        self.condition.held = Held(sight, event, (Change.HOLD, None))

    # what a person says

    def resolve(self, item: Event, answer: Answer) -> Event:
        """A person says what an item is: what we hold and lies there still is sorted by it.

        Any other answer labels, and moves nothing: one that comes late, corrects a sort, or
        finds the bin paused or at fault. StoreError where it can't be written; then nothing
        has moved.
        """
        held = self.condition.held
        try:
            if held is not None and self._may_sort(held, item):
                return self._sort_as_told(held, item, answer)
            return self.condition.commit(self.recorder.resolved(item, answer))
        except StoreError as error:
            self.condition.store_failed(error)
            raise

    def press(self, label: str, asked: Event | None) -> Event | None:
        """A button at the bin: about what we hold, or else corrects what was just sorted.

        ``asked`` is what waited for an answer as the button was pressed: something else may
        have been looked at since. None where there is no such item, or the answer can't be written.
        """
        held = self.condition.held
        if asked is None and held is not None and held.event.event_type is EventType.UNCERTAIN:
            asked = held.event  # the last item's may be of a look that failed
        item = asked or self.recorder.last_item
        since = self.clock.monotonic() - self.config.look.hold_s
        late = item is not None and (item.uptime_ms < since * 1e3 or item.boot_id != boot_id())
        if item is None or (asked is None and held is None and late):
            log.info("the button for %s was pressed, and there is nothing to answer", label)
            return None
        answer, last = Answer(label, "button"), self.recorder.last_answer
        told = last is not None and (last.resolves, last.answer) == (item.event_id, answer)
        if told and not (held is not None and self._may_sort(held, item)):
            return None  # a press too many, or contacts that bounce
        try:
            return self.resolve(item, answer)
        except StoreError:
            return None  # told already

    def _may_sort(self, held: Held, item: Event) -> bool:
        return (
            held.event.event_id == item.event_id
            and item.event_type is EventType.UNCERTAIN
            and self.condition.status in (Status.HOLDING, Status.IDLE)
        )

    def _sort_as_told(self, held: Held, item: Event, answer: Answer) -> Event:
        """Look again, and move what we hold only where it is seen to lie there unchanged."""
        self.condition.change(Change.SIGNAL)
        bin = self.config.bin_of(answer.label)
        try:
            view, frame = self.looker.at_rest(), self.looker.seen
        except DeviceError as error:
            event = self.condition.commit(self.recorder.resolved(item, answer))
            self.condition.part_failed(error)
            return event
        dark = too_dark(view, self.config.look.dark_level)
        scene, before = self.looker.scene, held.sight.frame
        same = not dark and scene.same_thing(before, frame) and not scene.joined(before, frame)
        if same and view.state is SceneState.SETTLED:
            self.condition.held, self._judged_at = None, frame.at
            return self._act(
                held.sight,
                bin,
                lambda planned: self.recorder.resolved(item, answer, bin, planned),
            )
        event = self.condition.commit(self.recorder.resolved(item, answer))
        if dark or not self._knows_empty:  # nobody can tell what lies there
            self._wait_on()
            return event
        self._let_go()
        self.condition.change(Change.NOTHING)
        if view.state is SceneState.EMPTY:
            self._seen_empty(frame)
        else:  # the answer was of something else: this one is to be judged, or asked about
            self._signal()
        return event

    # waiting for a person

    def _wait_for_person(
        self, sight: Sight, event: Event, bin: str | None = None, *, restless: bool = False
    ) -> None:
        """Hold it; with a ``bin``, the lamp says where a person is to carry it."""
        held = self._hold(sight, event, bin, restless=restless)
        if sight.at_rest:
            self.memory.keep(event, sight.frame, self.looker)
        self.condition.change(*held.waits_as)

    def _hold(self, sight: Sight, event: Event, bin: str | None, *, restless: bool = False) -> Held:
        change = Change.HOLD if bin is None else Change.ACT
        until = self.clock.monotonic() + self.config.look.hold_s
        self.condition.held = held = Held(sight, event, (change, bin), until, restless)
        return held

    def _let_go(self) -> None:
        """Nothing is held any more."""
        self.condition.held = None
        self.memory.forget()

    def learn(self) -> None:
        """Learn the empty tray, but for what lay there as the power went and lies there still.

        DeviceError where the camera gives no frame.
        """
        held = self.memory.learn(self.looker)
        if held is not None:
            self._hold_on(held)
        elif self.memory.is_occupied:
            self._signal()

    def _hold_on(self, held: Remembered) -> None:
        event = held.event
        log.info("what was held at the last end is held on: event %s", event.event_id)
        carried = self.recorder.mode is Mode.ADVISORY and event.bin in self.config.bins
        seen = Frame(held.seen, self.clock.monotonic())
        sight = Sight(decision.hold(event.reason or Reason.CLEAR), seen, seen.at, {})
        self._hold(sight, event, event.bin if carried else None)
        if self.condition.status is Status.IDLE:
            self.condition.change(Change.SIGNAL)
            self._wait_on()

    def _wait_on(self) -> None:
        """The look is over, and what we hold lies there unchanged."""
        held = self.condition.held
        assert held is not None
        given_up = self.clock.monotonic() >= held.until
        self.condition.change(*((Change.NOTHING, None) if given_up else held.waits_as))

    def watch(self) -> None:
        """Has the held thing been taken out, or is the time for it over?"""
        held, state = self.condition.held, self.looker.now()
        restless = held is not None and held.restless
        if restless and state is SceneState.SETTLED and self.condition.status is Status.HOLDING:
            self._let_go()
            self.condition.change(Change.DONE)
            self._signal()
            return
        if state is SceneState.EMPTY:
            self._seen_empty(self.looker.seen)  # else kept, so that nobody is asked about it again
            self.condition.problems.pop("tray", None)
        elif held is not None and self.clock.monotonic() < held.until:
            return
        if self.condition.status is not Status.FAULT:
            self.condition.change(Change.DONE)
        else:
            self.recovered()
