"""The pictures of items on disk: which are kept, in how many bytes, and which give way first.

One JPEG an item, named by the item's event. Before one is written, the oldest of what was
sorted give way to it, and only then the oldest that were uncertain: those a person may still
be asked about. Nothing here sends anything.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from trashbin import pictures
from trashbin.errors import StoreError
from trashbin.leases import Leases
from trashbin.settings import Pictures
from trashbin.types import Pixels

log = logging.getLogger(__name__)

NAME = "pictures"  # a folder beside the event store
KINDS = ("sorted", "uncertain")  # in the order in which they give way
BLOCK = 4096  # bytes that a file takes at least, and by which it grows
SPARE = 32 * 2**20  # bytes of the disk that are left to the events
FILE = re.compile(r"[0-9a-f-]{36}\.jpg")


class Album:
    """The pictures below one folder; ``problem`` says why the last one could not be kept."""

    def __init__(self, folder: Path, settings: Pictures) -> None:
        self.folder = folder
        self.settings = settings
        self.problem: str | None = None
        self._lease = Leases()
        self._kept: dict[str, dict[str, int]] | None = None  # kind -> id -> bytes, oldest first

    def wants(self, *, uncertain: bool) -> bool:
        """True where the configuration has a picture of such an item kept."""
        return self.settings.keep == "all" or (uncertain and self.settings.keep == "uncertain")

    def add(self, image_id: str, pixels: Pixels, *, uncertain: bool) -> str | None:
        """Write a picture; its id, or None where it can't be kept, which ``problem`` tells."""
        jpeg = pictures.encode(pixels, self._lease)
        kind = KINDS[uncertain]
        try:
            self._make_room(_taken(len(jpeg)))
            self._write(self._path(kind, image_id), jpeg)
        except (OSError, StoreError) as error:
            self._tell(f"pictures cannot be kept: {error}")
            return None
        self._files()[kind][image_id] = _taken(len(jpeg))
        self._tell(None)
        return image_id

    def read(self, image_id: str) -> bytes | None:
        """The JPEG of this id; None where it is not kept."""
        if not FILE.fullmatch(f"{image_id}.jpg"):
            return None
        for kind in KINDS:  # on the disk, not in what is known: another process may only look
            try:
                content = self._path(kind, image_id).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("the picture %s cannot be read: %s", image_id, error)
            else:
                return content or None  # a power cut leaves a new file empty
        return None

    def used(self) -> tuple[int, int]:
        """How many pictures there are, and the bytes that they take; none where ``problem`` is."""
        try:
            files = self._files()
        except OSError as error:
            self._tell(f"pictures cannot be read: {error}")
            return 0, 0
        sizes = [size for known in files.values() for size in known.values()]
        return len(sizes), sum(sizes)

    def prune(self, gone: Callable[[Iterable[str]], Iterable[str]]) -> int:
        """Delete the pictures whose events are ``gone``; how many, 0 where ``problem`` is."""
        try:
            lost = set(gone([image_id for files in self._files().values() for image_id in files]))
            for kind, files in self._files().items():
                for image_id in lost & set(files):
                    self._delete(kind, image_id)
        except OSError as error:
            self._tell(f"pictures cannot be deleted: {error}")
            return 0
        return len(lost)

    def _files(self) -> dict[str, dict[str, int]]:
        """What lies in the folder, read once; what a power cut left half-written is deleted."""
        if self._kept is None:
            found: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
            for kind in KINDS:
                for path in sorted((self.folder / kind).glob("*")):  # ids sort by time
                    if path.suffix == ".part":
                        with suppress(OSError):  # a card that a power cut made read-only
                            path.unlink()
                    elif FILE.fullmatch(path.name):
                        found[kind][path.stem] = _taken(path.stat().st_size)
            self._kept = found
        return self._kept

    def _make_room(self, coming: int) -> None:
        """Delete until ``coming`` bytes fit below the cap. StoreError where they never will."""
        cap = self.settings.max_mb * 2**20
        if coming > cap:
            raise StoreError(f"one takes more than pictures: max_mb ({self.settings.max_mb})")
        for kind in KINDS:
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
        over = self.used()[1] + coming - cap
        for kind, files in self._files().items():
            for image_id in list(files):
                if over <= 0:
                    break
                over -= files[image_id]
                self._delete(kind, image_id)
        free = shutil.disk_usage(self.folder).free
        if free - coming < SPARE:
            raise StoreError(
                f"the disk of {self.folder} has {free // 2**20} MB left, and events need them"
            )

    def _write(self, path: Path, jpeg: bytes) -> None:
        """No half picture has a picture's name, and none stays: nobody would count it."""
        part = path.with_suffix(".part")
        try:
            part.write_bytes(jpeg)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise

    def _delete(self, kind: str, image_id: str) -> None:
        self._path(kind, image_id).unlink(missing_ok=True)
        del self._files()[kind][image_id]

    def _path(self, kind: str, image_id: str) -> Path:
        return self.folder / kind / f"{image_id}.jpg"

    def _tell(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            log.warning(problem)
        self.problem = problem


def _taken(size: int) -> int:
    """Bytes that a file of ``size`` takes on the disk."""
    return -(-size // BLOCK) * BLOCK
