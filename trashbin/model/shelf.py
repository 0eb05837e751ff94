"""The models that were installed beside those that came with trashbin, and which one runs.

They lie in the store, as ``models/NAME-DIGEST/``, for the program's own folder belongs to root.
``models/state.json`` says which one runs, which is tried beside it, and what to go back to;
the command line and the daemon both change it, one at a time and at one stroke.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from trashbin.errors import ModelError
from trashbin.model import manifest, tflite
from trashbin.model.manifest import ModelFile
from trashbin.model.state_file import StateFile
from trashbin.settings import Model

log = logging.getLogger(__name__)

NAME = "models"  # a folder in the store
STARTS = 3  # without one item judged: then the model, not chance, ends the process
BACK = 5  # how many changes can be taken back


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Ref(_Kept):
    """An installed .tflite: its place below ``models/``, and the digest that was verified."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    sha256: str

    def __str__(self) -> str:
        return self.file


class Trial(_Kept):
    """A model that judges ``items`` beside the running one, and moves nothing.

    ``acted`` and ``acted_before`` count those on which it and the running one would act,
    ``both`` those on which both would, ``same`` those of them with the same label.
    ``starts`` counts the starts since the last item.
    """

    ref: Ref
    items: int
    done: int = 0
    acted: int = 0
    acted_before: int = 0
    both: int = 0
    same: int = 0
    starts: int = 0


class State(_Kept):
    """None stands for the model that the configuration names.

    ``starts`` counts those of a new model until it has judged an item; then it is None.
    """

    active: Ref | None = None
    before: tuple[Ref | None, ...] = ()  # what to go back to, the last one last
    starts: int | None = None
    trial: Trial | None = None
    told: str = ""  # how the last change came about, for people


class Shelf(StateFile[State]):
    """The installed models of one store. ModelError where one is no good or can't be written."""

    def __init__(self, store: Path) -> None:
        super().__init__(store / NAME, State)

    # what is there

    def installed(self) -> list[ModelFile]:
        """One entry for each .tflite that lies here; a folder that is no good is left out.

        ModelError where the shelf is not ours to read.
        """
        found = []
        try:
            manifests = sorted(self.folder.glob("*/manifest.json"))
        except OSError as error:
            message = f"{self.folder}: cannot be read ({error.strerror}); use sudo"
            raise ModelError(message) from error
        for path in manifests:
            try:
                read = manifest.read_manifest(path)
            except ModelError as error:
                log.warning("%s", error)
                continue
            found += [
                ModelFile(path.parent / entry.file, read, variant)
                for variant, entry in read.variants.items()
            ]
        return found

    def find(self, ref: Ref) -> ModelFile:
        """The file of a reference. ModelError where it is gone or another one stands there."""
        file = manifest.find(str(self.folder / ref.file))
        if file.id.sha256 != ref.sha256:
            raise ModelError(
                f"{file.path}: has another digest than the one that was installed; install it again"
            )
        return file

    def open(self, ref: Ref | None, section: Model) -> tflite.TFLiteClassifier:
        """The network, run as ``section`` says; the one that it names for None.

        An installed one is not tried in a child process again: it was, when new.
        """
        if ref is None:
            return tflite.open_model(section)
        return tflite.open_file(self.find(ref), section, tried=True)

    def current(self, section: Model) -> tflite.TFLiteClassifier:
        """The network that the bin runs now; nothing is counted or changed."""
        return self.open(self.state().active, section)

    # which one runs

    def start(self, section: Model) -> tuple[tflite.TFLiteClassifier, list[str]]:
        """The network to run from this start on, and what there is to tell of the way there.

        A model that cannot be used, or with which the process ended several times before one
        item was judged, is taken back. ModelError where not even the configuration's can be used.
        """
        told: list[str] = []
        trial = self.state().trial
        if trial is not None and trial.done >= trial.items:  # ``--now``, while no daemon ran
            self.switch(trial.ref, "as asked for, without a trial")
            told.append(f"{trial.ref} runs now, as asked for, without a trial")
        while (active := (state := self.state()).active) is not None:
            if state.starts is not None and state.starts >= STARTS:
                why = f"the bin started {STARTS} times with it and judged no item"
            else:
                try:
                    if state.starts is not None:
                        self.change(_one_start_more)
                    return self.open(active, section), told
                except ModelError as error:
                    why = str(error)
            try:
                told.append(self.go_back(why))
            except ModelError as error:  # the disk is full, or read-only: for this time at least
                told.append(f"the configuration's model runs instead of {active}: {why}; {error}")
                break
        return self.open(None, section), told

    def begin_trial(self, ref: Ref, items: int) -> None:
        """From now on the daemon has it judge beside the running one."""
        self.change(lambda state: state.model_copy(update={"trial": Trial(ref=ref, items=items)}))

    def switch(self, ref: Ref | None, why: str) -> None:
        """It runs from now on; the one before is what to go back to."""

        def switch(state: State) -> State:
            again = ref == state.active  # else the way back would lead to itself
            before = state.before if again else (*state.before, state.active)[-BACK:]
            starts = None if ref is None else 0
            return State(active=ref, before=before, starts=starts, told=why)

        self.change(switch)

    def end_trial(self, why: str) -> None:
        """It is not switched to."""
        self.change(lambda state: state.model_copy(update={"trial": None, "told": why}))

    def go_back(self, why: str) -> str:
        """The model before runs from now on; what was done, in words. ModelError where none is."""
        said = ""

        def go_back(state: State) -> State:
            nonlocal said
            if state.active is None and not state.before:
                raise ModelError("there is nothing to go back to: the configuration's model runs")
            to = state.before[-1] if state.before else None
            said = f"{to or 'the configuration'}'s model runs instead of {state.active}: {why}"
            return State(active=to, before=state.before[:-1], told=said, trial=state.trial)

        self.change(go_back)
        return said

    def judged(self) -> None:
        """The running model has judged an item: it is no longer new."""
        if self.state().starts is not None:
            self.change(lambda state: state.model_copy(update={"starts": None}))


def _one_start_more(state: State) -> State:
    return state.model_copy(update={"starts": (state.starts or 0) + 1})
