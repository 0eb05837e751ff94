"""What a process holds, sample by sample, and whether it grows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

DRIFT_MB = 5.0  # the contract's limit of resident memory
WINDOWS = 10  # parts of a run whose medians are compared
LEAST = 10  # samples of a window


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment: seconds since the start, and what it holds.

    ``own_mb`` is the memory that is its own, resident or swapped out. The rest of ``rss_mb`` are
    pages of files (libraries, the network), which the kernel drops and reads again as it likes.
    """

    at: float
    rss_mb: float
    own_mb: float
    descriptors: int
    threads: int


def take(pid: int, at: float) -> Sample:
    """Read /proc; FileNotFoundError where the process is gone."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(\w+):\s+(\d+)", status, re.MULTILINE))
    rss, anonymous, swapped = (int(found[key]) / 1024 for key in ("VmRSS", "RssAnon", "VmSwap"))
    return Sample(
        at,
        rss,
        anonymous + swapped,
        len([*Path(f"/proc/{pid}/fd").iterdir()]),
        int(found["Threads"]),
    )


def growth(samples: Sequence[Sample], key: str) -> float:
    """How far the highest window lies above the first one: a spike is no growth.

    Memory by its medians; what is counted by its least, since some come and go: a lamp that
    blinks has a thread.
    """
    values = [float(getattr(sample, key)) for sample in samples]
    size = max(LEAST, len(values) // WINDOWS)
    of = median if key == "own_mb" else min
    found = [of(values[at : at + size]) for at in range(0, len(values) - size + 1, size)]
    return max(found) - found[0]


def leaks(samples: Sequence[Sample]) -> list[str]:
    """What grew in these samples, in words; those of the warm-up are left out by the caller."""
    if len(samples) < 3 * LEAST:
        return [f"only {len(samples)} samples: too few to tell"]
    found = []
    drift = growth(samples, "own_mb")
    if drift >= DRIFT_MB:
        found.append(f"its own memory grew by {drift:.1f} MB; {DRIFT_MB:g} MB is the limit")
    for key in ("descriptors", "threads"):
        if (more := growth(samples, key)) > 0:
            found.append(f"{key} grew by {more:g}")
    return found
