"""Where fuzzed inputs are tried: a process of its own, which may crash or hang without harm."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz import targets
from tests.fuzz.targets import LIMIT_S
from trashbin.errors import TrashbinError

START_S = 60.0  # for a fresh process and its imports
MEMORY = 6 * 2**30  # bytes of address space: what asks for more must be refused, not granted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one input: ``finding`` says what is wrong, None where nothing is.

    ``seconds`` are those of the clock on the wall, however busy the machine was.
    """

    accepted: bool
    seconds: float
    finding: str | None = None


class Worker:
    """Tries inputs in a child process, and starts another where one dies or hangs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "log"
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection

    def try_(self, target: str, value: Any) -> Outcome:
        """One input at one target. Slow ones are tried twice: the machine may have been busy."""
        outcome = self._once(target, value)
        if outcome.finding is not None and outcome.finding.startswith("hangs"):
            outcome = self._once(target, value)
        return outcome

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _once(self, target: str, value: Any) -> Outcome:
        if self._process is None:
            self._start()
        assert self._process is not None
        began = time.monotonic()
        try:
            self._pipe.send((target, value))
            if self._answers_within(LIMIT_S):
                accepted, finding = self._pipe.recv()
                return Outcome(accepted, time.monotonic() - began, finding)
            finding = f"hangs: no answer within {LIMIT_S:g} s"
        except (EOFError, OSError):
            self._process.join(LIMIT_S)
            code = self._process.exitcode or 0
            died = signal.Signals(-code).name if code < 0 else f"status {code}"
            said = self._log.read_text(errors="replace")[-2000:]
            finding = f"the process died of {died}\n{said}"
        self.close()
        return Outcome(False, time.monotonic() - began, finding)

    def _answers_within(self, limit: float) -> bool:
        """Seconds in which the child ran or slept: those in which it had to wait don't count."""
        began, stood = time.monotonic(), self._stood_in_line()
        while not self._pipe.poll(0.1):
            if time.monotonic() - began - (self._stood_in_line() - stood) > limit:
                return False
        return True

    def _stood_in_line(self) -> float:
        """Seconds for which the child could have run, and others had the processor."""
        assert self._process is not None
        try:
            text = Path(f"/proc/{self._process.pid}/schedstat").read_text()
        except OSError:  # gone, or no Linux
            return 0.0
        return int(text.split()[1]) / 1e9

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self.folder, self._log), daemon=True
        )
        self._process.start()
        theirs.close()
        if not self._answers_within(START_S):
            self.close()
            raise RuntimeError("the fuzzing process does not start")
        self._pipe.recv()


def _serve(pipe: Connection, folder: Path, log: Path) -> None:
    """The child: what native libraries and our own log say goes to a file."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    lost: list[str] = []  # what other threads died of
    threading.excepthook = lambda args: lost.append(
        "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
    )
    made: dict[str, targets.Target] = {}
    pipe.send("ready")
    while True:
        name, value = pipe.recv()
        if os.fstat(out).st_size > 2**20:
            os.ftruncate(out, 0)
        if name not in made:
            room = folder / name
            room.mkdir(exist_ok=True)
            made[name] = targets.TARGETS[name](room)
        accepted, finding = _tried(made[name], value)
        if lost:
            finding = f"a thread died: {lost.pop()}"
        pipe.send((accepted, finding))


def _tried(target: targets.Target, value: Any) -> tuple[bool, str | None]:
    try:
        target(value)
    except TrashbinError as error:
        told = str(error)
        if not told.strip():
            return False, f"a refusal that says nothing, or too much: {error!r:.500}"
        try:
            told.encode()
        except UnicodeEncodeError:
            return False, f"a refusal that cannot be printed: {error!r:.500}"
        return False, None
    except BaseException:  # whatever else comes out is what this is for
        return False, traceback.format_exc()
    return True, None
