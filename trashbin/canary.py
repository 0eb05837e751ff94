"""A new model beside the running one: it judges the same items, moves nothing, and may take over.

What it is worth nobody knows here, as nobody labels; but a model that fails, holds nearly
everything or contradicts the running one would not be an update. After as many items as were
asked for it runs instead, at one stroke and between two items; the way back stays open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from trashbin.condition import Condition
from trashbin.decision import decide
from trashbin.errors import ModelError
from trashbin.events import Event
from trashbin.looking import Sight, turned
from trashbin.model.shelf import Ref, Shelf, State, Trial
from trashbin.ports import Classifier
from trashbin.status import Status
from trashbin.types import Action, Reason

log = logging.getLogger(__name__)

STARTS = 3  # of the bin without one item compared: then the new model ends the process
SAME = 0.8  # of the items on which both would act, at least so many must get the same label ...
SAME_FROM = 5  # ... once there are so many
ACTED = 0.5  # of the items on which the running one acts, it must act on at least so many
_LEFT = ". What that one was taught stays with it: this one learns from the answers to what it sees"


class Canary:
    """Follows the shelf: begins trials, ends them, and changes the model that judges.

    ``open_model`` opens a model, the configuration's for None. ``told`` are notices of the
    start; it adds to them where a network cannot wear its head.
    """

    def __init__(
        self,
        condition: Condition,
        shelf: Shelf,
        open_model: Callable[[Ref | None], Classifier],
        told: list[str],
    ) -> None:
        self.condition = condition
        self.recorder = condition.parts.recorder
        self.shelf = shelf
        self.open_model = open_model
        self._told = told
        self._running = shelf.state().active
        self._read_at = 0
        self._new: Classifier | None = None
        self._of: Ref | None = None  # whose classifier that is

    def poll(self) -> None:
        """Has somebody installed a model, or taken one back? Only between two items."""
        if self.condition.status not in (Status.IDLE, Status.PAUSED):
            return
        while self._told:
            self._tell(self._told.pop(0))
        if self._read_at != (read_at := self.shelf.changed_at()):
            self._read_at = read_at
            try:
                self._follow(self.shelf.state())
            except ModelError as error:  # the disk is full or read-only: the next start goes on
                log.warning("model: %s", error)

    def judged(self, event: Event, sight: Sight) -> None:
        """An item was judged and all that it led to is over: what would the new model have done?"""
        try:
            self.shelf.judged()
            if self._new is None:
                return
            trial = self.shelf.state().trial
            if trial is None or trial.ref != self._of:
                return  # changed meanwhile: ``poll`` will see it
            self._decide(self._compared(trial, self._new, event, sight))
        except ModelError as error:
            log.warning("model: %s", error)

    def _follow(self, state: State) -> None:
        if state.active != self._running:
            self._change_to(state.active, state.told)
        if state.trial is None:
            self._forget()
        elif state.trial.ref != self._of:
            self._begin(state.trial)
        self._read_at = self.shelf.changed_at()  # what we wrote ourselves is no news

    def _begin(self, trial: Trial) -> None:
        """Open the new model; one that ended the process before is not opened again."""
        if trial.starts >= STARTS:
            self._end(trial, f"the bin started {STARTS} times and compared no item")
            return
        try:
            self._save(trial.model_copy(update={"starts": trial.starts + 1}))
            if trial.done >= trial.items:  # ``--now``: it was verified as it was installed
                self._switch(trial, "as asked for, without a trial")
                return
            self._new, self._of = self.open_model(trial.ref), trial.ref
        except ModelError as error:
            self._end(trial, str(error))
            return
        log.info("model: %s judges %d items beside the running one", trial.ref, trial.items)
        self.recorder.trial = self._new.model
        self.condition.tell()

    def _compared(self, trial: Trial, new: Classifier, event: Event, sight: Sight) -> Trial:
        """The trial with one item more."""
        try:
            thresholds = self.recorder.thresholds_of(new)
            found = decide(turned(new, sight.frame), thresholds)
        except ModelError as error:
            self._end(trial, str(error))
            raise
        acts, acted = found.action is Action.ACT, event.decision is Action.ACT
        if found.reason is Reason.INVALID:
            self._end(trial, "it gave shares that are none")
            raise ModelError(f"{trial.ref}: gave shares that are none")
        return trial.model_copy(
            update={
                "starts": 0,
                "done": trial.done + 1,
                "acted": trial.acted + acts,
                "acted_before": trial.acted_before + acted,
                "both": trial.both + (acts and acted),
                "same": trial.same + (acts and acted and found.label == event.label),
            }
        )

    def _decide(self, trial: Trial) -> None:
        self._save(trial)
        in_words = (
            f"after {trial.done} items: it would have acted on {trial.acted} "
            f"(the other on {trial.acted_before}), and of {trial.both} that both would have "
            f"acted on, {trial.same} got the same label"
        )
        if trial.both >= SAME_FROM and trial.same < SAME * trial.both:
            self._end(trial, in_words)
        elif trial.done >= trial.items:
            if trial.acted < ACTED * trial.acted_before:
                self._end(trial, in_words)
            else:
                self._switch(trial, in_words)

    def _save(self, trial: Trial) -> None:
        self.shelf.change(lambda state: state.model_copy(update={"trial": trial}))

    def _switch(self, trial: Trial, why: str) -> None:
        self.shelf.switch(trial.ref, why)
        self._change_to(trial.ref, why)

    def _change_to(self, ref: Ref | None, why: str) -> None:
        """It judges from the next item on; one that cannot be opened is taken back."""
        known = self._new if ref is not None and ref == self._of else None
        self._forget()
        try:
            classifier = known or self.open_model(ref)
        except ModelError as error:
            if ref is None:
                self._tell(f"the configuration's model cannot be opened: {error}")
                return
            self._tell(self.shelf.go_back(str(error)))
            state = self.shelf.state()
            if state.active != self._running:  # where it was itself a way back
                self._change_to(state.active, state.told)
            return
        before = self.recorder.classifier
        self.condition.use(classifier)
        self._running = ref
        self._tell(
            f"{classifier.model.name} ({classifier.model.sha256[:12]}) runs now, instead of "
            + ("none" if before is None else f"{before.model.name} ({before.model.sha256[:12]})")
            + f": {why}"
            + (_LEFT if before and before.model.head and not classifier.model.head else "")
        )
        self.condition.tell()

    def _end(self, trial: Trial, why: str) -> None:
        self._forget()
        said = f"{trial.ref} is not taken over: {why}"
        self.shelf.end_trial(said)
        self._tell(said)
        self.condition.tell()

    def _forget(self) -> None:
        """No trial is under way."""
        self._new = self._of = self.recorder.trial = None

    def _tell(self, message: str) -> None:
        log.warning("model: %s", message)
        self.condition.note(self.recorder.notice("model", message))
