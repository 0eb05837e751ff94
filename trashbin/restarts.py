"""How often this bin ended without being told to, counted in a file beside the store.

systemd starts it again for ever; the count keeps that from grinding. A process that may not
end any more stays up without what fails, or, where nobody knows what that is, without camera,
triggers and actuators. The file is of one boot: after another, the count begins anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trashbin import whole_file

log = logging.getLogger(__name__)

NAME = "restarts.json"


@dataclass
class Record:
    """What the file holds. ``ended`` are uptimes in seconds, with the part that was to blame.

    ``running`` is True from start to end; ``part`` is why this process ends, where it says so.
    """

    boot_id: str
    running: bool = False
    part: str | None = None
    ended: list[tuple[float, str | None]] = field(default_factory=list)


class Restarts:
    """The budget: so many ends within so many seconds. ``uptime`` never goes back in a boot."""

    def __init__(
        self, folder: Path, budget: int, within_s: float, boot_id: str, uptime: Callable[[], float]
    ) -> None:
        self.path = folder / NAME
        self.budget = budget
        self.within_s = within_s
        self._uptime = uptime
        self._record = Record(boot_id)
        self._counted = False  # could it be written?

    def begin(self) -> None:
        """This process runs. Where the one before did not say that it ends, it is counted."""
        before = self._read()
        if before is not None and before.boot_id == self._record.boot_id:
            self._record.ended = before.ended
            if before.running:
                self._record.ended.append((self._uptime(), before.part))
        self._record.ended = self._lately()
        self._record.running = True
        self._write()

    def end(self, part: str | None = None) -> None:
        """This process ends: on purpose, or, to be counted, because of ``part``."""
        self._record.running = part is not None
        self._record.part = part
        self._write()

    @property
    def count(self) -> int:
        """Ends within the last ``within_s`` seconds."""
        return len(self._lately())

    @property
    def spent(self) -> bool:
        """True where no further end is allowed, or none could be counted."""
        return not self._counted or self.count >= self.budget

    @property
    def nobody_knows_why(self) -> bool:
        """True where the budget is spent, the last time without a word."""
        lately = self._lately()
        return bool(lately) and len(lately) >= self.budget and lately[-1][1] is None

    def _lately(self) -> list[tuple[float, str | None]]:
        since = self._uptime() - self.within_s
        return [(at, part) for at, part in self._record.ended if at >= since]

    def _read(self) -> Record | None:
        try:
            found = Record(**json.loads(self.path.read_bytes()))
            found.ended = [(float(at), part) for at, part in found.ended]
        except (OSError, ValueError, TypeError):
            return None  # none yet, or the card has altered it
        return found

    def _write(self) -> None:
        """All of it or nothing, through a power cut too."""
        try:
            whole_file.write(self.path, json.dumps(asdict(self._record)))
        except OSError as error:
            log.warning("restarts cannot be counted: %s", error)
            self._counted = False
        else:
            self._counted = True
