"""One process tries the inputs of all targets; the count of each stands at the end of the run.

``FUZZ_INPUTS`` is the number of inputs in all. ``make test`` leaves it out and tries few.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.variants import batch
from tests.fuzz.worker import Worker

FOUND = Path(".cache/fuzz")  # inputs that are findings, pickled
MOST_FOUND = 10  # of one target


@dataclass
class Tally:
    """What one target got, and the longest that an input took."""

    inputs: int = 0
    accepted: int = 0
    slowest: float = 0.0
    findings: int = 0


TALLIES: dict[str, Tally] = {}
Try = Callable[[str, Any, int], None]


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.close()


@pytest.fixture
def attempt(worker: Worker) -> Iterator[Try]:
    """Try an input and its variants, each by itself; the input of a finding is kept in a file.

    The test fails at its end, or once it has found as much as somebody reads.
    """
    found: list[str] = []

    def attempt(target: str, value: Any, seed: int) -> None:
        tally = TALLIES.setdefault(target, Tally())
        for index, one in enumerate(batch(value, seed)):
            outcome = worker.try_(target, one)
            tally.inputs += 1
            tally.accepted += outcome.accepted
            tally.slowest = max(tally.slowest, outcome.seconds)
            if outcome.finding is not None:
                tally.findings += 1
                found.append(f"{outcome.finding}\n{kept(target, one, seed, index)}")
        if len(found) >= MOST_FOUND:
            fail()

    def fail() -> None:
        told, found[:] = "\n\n".join(found), []
        pytest.fail(told, pytrace=False)

    yield attempt
    if found:
        fail()


def kept(target: str, value: Any, seed: int, index: int) -> str:
    """Put the input into a file, and say where it is and what it came of."""
    content = pickle.dumps(value)
    FOUND.mkdir(parents=True, exist_ok=True)
    file = FOUND / f"{target}-{hashlib.sha256(content).hexdigest()[:12]}"
    file.write_bytes(content)
    return f"The input is kept in {file} (seed {seed}, variant {index})."


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not TALLIES or "FUZZ_INPUTS" not in os.environ:
        return
    line = "{:<16}{:>10}{:>11}{:>10}{:>12}{:>10}".format
    write = terminalreporter.write_line
    write(line("target", "inputs", "accepted", "refused", "slowest s", "findings"))
    for name, t in TALLIES.items():
        refused = t.inputs - t.accepted - t.findings
        write(line(name, t.inputs, t.accepted, refused, f"{t.slowest:.2f}", t.findings))
    inputs, findings = (
        sum(getattr(t, key) for t in TALLIES.values()) for key in ("inputs", "findings")
    )
    write(f"{inputs} inputs, {findings} findings")
