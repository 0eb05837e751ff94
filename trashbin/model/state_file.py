"""A folder of the store with a state.json in it, which daemon and command line both change.

One at a time and at one stroke; what root writes there belongs to the store's owner.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from trashbin import whole_file
from trashbin.errors import ModelError

log = logging.getLogger(__name__)

CHANGED_S = 5.0  # another's change; the daemon's loop may wait for it

S = TypeVar("S", bound=BaseModel)


class StateFile(Generic[S]):
    """What ``state.json`` in a folder says. ``kind`` is what holds where there is none."""

    def __init__(self, folder: Path, kind: type[S]) -> None:
        self.folder = folder
        self._kind = kind

    def state(self) -> S:
        """What holds now; as if there were none where nothing is written, or nonsense."""
        try:
            return self._kind.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return self._kind()
        except (OSError, ValueError) as error:
            log.warning("%s: %s; it is left out of account", self._file, error)
            return self._kind()

    def change(self, change: Callable[[S], S]) -> S:
        """Write what ``change`` makes of the state, whole or not at all. ModelError if it can't."""
        with self.locked():
            state = change(self.state())
            self.write(self._file, (json.dumps(state.model_dump(), indent=2) + "\n").encode())
        return state

    def write(self, path: Path, content: bytes) -> None:
        """Put a file of the folder in place as a whole, durably. ModelError if that fails."""
        try:
            with whole_file.writing(path) as file:
                file.write(content)
            self.give_to_owner(path)
        except OSError as error:
            raise ModelError(f"{path}: cannot be written ({error.strerror})") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the folder meanwhile.

        ModelError where it cannot be written to, or another process does not come to an end.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.give_to_owner(self.folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
            lock = os.open(self.folder / "lock", flags, 0o644)
        except OSError as error:
            raise ModelError(f"{self.folder}: cannot be written ({error.strerror})") from error
        try:
            self.give_to_owner(self.folder / "lock")
            try:
                whole_file.lock(lock, self.folder / "lock", CHANGED_S)
            except OSError as error:
                raise ModelError(f"{self.folder}: is being changed ({error.strerror})") from error
            yield
        finally:
            os.close(lock)

    def give_to_owner(self, path: Path) -> None:
        """What root puts there belongs to the daemon's user, as the store does.

        No link is followed: that user may have laid it, to a file of root's own.
        """
        with suppress(OSError):
            owner = self.folder.parent.stat()
            if os.geteuid() == 0 and owner.st_uid != 0:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def changed_at(self) -> int:
        """A number that changes with the state; 0 where there is none."""
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def _file(self) -> Path:
        return self.folder / "state.json"
