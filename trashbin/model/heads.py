"""The heads that a bin was taught, in its store, and which one each of its networks wears.

``heads/DIGEST.npz`` are the heads; each names its parent, which is the way back. ``state.json``
says which one each network wears, by digest of both.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from trashbin.errors import ModelError
from trashbin.model import arrays, head
from trashbin.model.head import Head
from trashbin.model.state_file import StateFile
from trashbin.model.tflite import TFLiteClassifier

NAME = "heads"  # a folder in the store
BACK = 10  # how many changes can be taken back


class State(BaseModel):
    """``worn`` maps a network's digest to its head's, where it does not wear its own.

    ``told`` says how the last change came about. ``tried`` is the ``seq`` of the last answer that
    teaching took into account, whether it came to anything or not, and ``store`` the id of the
    event store that counted so.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    worn: dict[str, str] = {}
    told: str = ""
    tried: int = 0
    store: str = ""

    def with_tried(self, tried: int, store: str) -> State:
        """Teaching took the answers up to ``tried`` into account; a new store counts anew."""
        last = max(tried, self.tried) if store == self.store else tried
        return self.model_copy(update={"tried": last, "store": store})


class Heads(StateFile[State]):
    """The heads of one store. ModelError where one is no good or can't be written."""

    def __init__(self, store: Path) -> None:
        super().__init__(store / NAME, State)

    def worn(self, network: str) -> str | None:
        """The digest of the head that a network is to wear; None for its own."""
        return self.state().worn.get(network)

    def read(self, digest: str) -> Head:
        """A head of this store. ModelError where it is gone or damaged."""
        path = self._path(digest)
        try:
            return head.parse(arrays.read(path, digest, 0))
        except ValueError as error:
            why = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: is no head ({why})") from error

    def current(self, network: str) -> Head | None:
        """The head that a network is to wear, None for its own. ModelError as ``read``."""
        digest = self.worn(network)
        return None if digest is None else self.read(digest)

    def dress(self, classifier: TFLiteClassifier) -> TFLiteClassifier:
        """Let a network wear its head. ModelError where it cannot; then it wears its own."""
        classifier.use_head(self.current(classifier.file.id.sha256))
        return classifier

    def install(self, content: bytes, tried: int) -> Head:
        """Keep a head, and let its network wear it from now on."""
        made = head.parse(content)
        with self.locked():
            self.write(self._path(made.digest), content)
        about = made.about

        def install(state: State) -> State:
            told = (
                f"taught with {sum(about.answers.values())} answers: of those, each unseen, "
                f"{about.after} right instead of {about.before}"
            )
            worn = state.worn | {about.network: made.digest}
            changed = state.model_copy(update={"worn": worn, "told": told})
            return changed.with_tried(tried, about.store)

        self.change(install)
        self._forget_old()
        return made

    def note_tried(self, tried: int, store: str) -> None:
        """Teaching came to nothing, and need not be tried with the same answers again."""
        self.change(lambda state: state.with_tried(tried, store))

    def go_back(self, network: str, why: str) -> str:
        """The network wears its head's parent from now on; what was done, in words.

        Its own where the parent is not to be found. ModelError where it wears its own already.
        """
        said = ""

        def go_back(state: State) -> State:
            nonlocal said
            digest = state.worn.get(network)
            if digest is None:
                raise ModelError("there is nothing to go back to: the network wears its own head")
            worn = {key: value for key, value in state.worn.items() if key != network}
            parent = self._parent(digest)
            if parent is not None:
                worn[network] = parent
            to = "the network's own head" if parent is None else f"the head {parent[:12]}"
            said = f"{to} instead of {digest[:12]}: {why}"
            return state.model_copy(update={"worn": worn, "told": said})

        self.change(go_back)
        return said

    def _forget_old(self) -> None:
        """Delete the heads that are neither worn nor a way back: one of many answers takes 2 MB."""
        with self.locked(), suppress(OSError):
            kept: set[str] = set()
            for worn in self.state().worn.values():
                digest: str | None = worn
                for _ in range(1 + BACK):
                    if digest is not None:
                        kept.add(digest)
                        digest = self._parent(digest)
            for file in self.folder.glob("*.npz"):
                if file.stem not in kept:
                    file.unlink()

    def _parent(self, digest: str) -> str | None:
        try:
            parent = self.read(digest).about.parent
            return None if parent is None else self.read(parent).digest
        except ModelError:
            return None

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.npz"
