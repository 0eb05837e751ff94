"""What a process on this machine costs: its share of a core and its memory, from /proc."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"


def listening_on(port: int) -> int | None:
    """The process that listens on a TCP port of this machine; None where we may not see it."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if any(str(file.readlink()) in sockets for file in (process / "fd").iterdir()):
                return int(process.name)
    return None


@dataclass(frozen=True, slots=True)
class Usage:
    """A process at one time: seconds of processor time in all, and resident memory."""

    at: float
    cpu_s: float
    rss_mb: float

    def cores_since(self, before: Usage) -> float:
        """The share of a core that it took meanwhile."""
        return (self.cpu_s - before.cpu_s) / max(self.at - before.at, 1e-9)


def usage(pid: int | None) -> Usage | None:
    """Now; None where there is no such process."""
    if pid is None:
        return None
    try:
        text = (PROC / str(pid) / "stat").read_text()
        resident = int((PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # its name may hold spaces
    ticks = int(fields[11]) + int(fields[12])
    page, hertz = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    return Usage(time.monotonic(), ticks / hertz, resident * page / 2**20)
