"""A camera that shows the pictures of a folder, one after the other, for ever."""

from __future__ import annotations

import logging
import random
from pathlib import Path

from trashbin import pictures
from trashbin.errors import CameraError, PictureError
from trashbin.ports import Context
from trashbin.settings import FolderCamera as FolderSettings
from trashbin.types import Frame, Pixels

log = logging.getLogger(__name__)


class FolderCamera:
    """Each picture stands before the camera for ``seconds_each`` of the clock.

    The folder is listed when opened, subfolders included; a picture that cannot be read is
    skipped with a warning, until its file changes.
    """

    def __init__(self, settings: FolderSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._paths: list[Path] = []
        self._broken: dict[Path, tuple[int, int] | None] = {}  # as its file then was
        self._opened_at = 0.0
        self._shown: tuple[Path, Pixels] | None = None

    def open(self) -> None:
        """List the folder. CameraError where there is no folder or no picture in it."""
        self.close()
        folder = self._settings.path
        try:
            if not folder.is_dir():
                raise CameraError(f"The picture folder {folder} does not exist: see camera: path.")
            self._paths = pictures.find(folder)
        except OSError as error:  # systemd's unit hides /home, for one
            raise CameraError(
                f"The picture folder {folder} cannot be looked into ({error.strerror}): the bin's"
                " user must be let into it, or see camera: path."
            ) from error
        if not self._paths:
            raise CameraError(
                f"The picture folder {folder} holds no picture"
                f" ({', '.join(sorted(pictures.SUFFIXES))}): put some there, or see camera: path."
            )
        if self._settings.order == "shuffled":
            random.Random(self._settings.seed).shuffle(self._paths)
        self._opened_at = self._clock.monotonic()

    def capture(self, timeout: float) -> Frame:
        """The picture whose turn it is, or the next that can be read. CameraError if none can."""
        if not self._paths:
            raise CameraError("The picture folder is not open.")
        turn = int((self._clock.monotonic() - self._opened_at) / self._settings.seconds_each)
        for step in range(len(self._paths)):
            path = self._paths[(turn + step) % len(self._paths)]
            pixels = self._read(path)
            if pixels is not None:
                return Frame(pixels, self._clock.monotonic())
        raise CameraError(f"No picture in {self._settings.path} can be read: replace them.")

    def close(self) -> None:
        """Forget the list; what was broken may be whole when opened again."""
        self._paths = []
        self._broken.clear()
        self._shown = None

    def _read(self, path: Path) -> Pixels | None:
        if self._shown is not None and self._shown[0] == path:
            return self._shown[1]
        if path in self._broken and self._broken[path] == _stamp(path):
            return None
        try:
            pixels = pictures.read(path)
        except PictureError as error:
            log.warning("A picture is skipped: %s", error)
            self._broken[path] = _stamp(path)
            return None
        pixels.flags.writeable = False
        self._shown = (path, pixels)
        return pixels


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes where a file is written anew; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
