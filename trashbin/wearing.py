"""The heads that a bin is taught, as the daemon follows them: worn, told, and taught by itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trashbin import answers
from trashbin.condition import Condition
from trashbin.errors import ModelError, StoreError
from trashbin.model.heads import Heads
from trashbin.model.tflite import TFLiteClassifier
from trashbin.status import Status

log = logging.getLogger(__name__)

NICE = 15
ENDS_FIRST = "500"  # where memory is short; the unit has the bin end last, and a child would too
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Wearing:
    """Lets the network wear what ``trashbin teach`` installs, between two items, and tells of it.

    With ``after``, teaching begins by itself once so many items were answered since the last try:
    ``teach`` starts it in a process of its own, since it takes seconds.
    """

    def __init__(
        self,
        condition: Condition,
        heads: Heads,
        after: int | None,
        teach: Callable[[Sequence[str]], subprocess.Popen[bytes]] | None = None,
    ) -> None:
        self.condition = condition
        self.heads = heads
        self._after = after
        self._teach = teach or started
        self._read_at = heads.changed_at()
        self._lesson: subprocess.Popen[bytes] | None = None
        # answers of this run at the last try; those of earlier runs count, too
        self._tried = 0 if after is None else -untried(heads)

    def poll(self) -> None:
        """Was anything taught, or taken back? Is it time to teach? Only between two items."""
        if self.condition.status not in (Status.IDLE, Status.PAUSED):
            return
        if self._read_at != (read_at := self.heads.changed_at()):
            self._read_at = read_at
            self._dress()
        self._learn()

    def close(self) -> None:
        """Leave no process behind."""
        if self._lesson is not None and self._lesson.poll() is None:
            self._lesson.kill()
            self._lesson.wait()
        self._lesson = None

    def _dress(self) -> None:
        recorder = self.condition.parts.recorder
        classifier = recorder.classifier
        if not isinstance(classifier, TFLiteClassifier):
            return
        before = classifier.model.head
        try:
            self.heads.dress(classifier)
        except ModelError as error:
            classifier.use_head(None)
            self._tell(f"the network wears its own head: {error}")
        if classifier.model.head != before:
            self._tell(
                self.heads.state().told
                + ". A calibrated promise is withdrawn with it: calibrate again on this tray's "
                "items (trashbin calibrate)"
            )
            self.condition.tell()

    def _learn(self) -> None:
        if self._lesson is not None and self._lesson.poll() is not None:
            log.info("teaching ended with status %d", self._lesson.returncode)
            self._lesson = None
        recorder = self.condition.parts.recorder
        fresh = recorder.answers - self._tried
        if self._after is None or self._lesson is not None or fresh < self._after:
            return
        self._tried = recorder.answers
        classifier = recorder.classifier
        if isinstance(classifier, TFLiteClassifier) and classifier.file.rehearsal is not None:
            store = str(self.heads.folder.parent)
            try:
                self._lesson = self._teach(["--store", store, "--model", str(classifier.file.path)])
            except OSError as error:  # no memory, or too many processes
                log.warning("teaching cannot begin: %s", error)

    def _tell(self, message: str) -> None:
        log.warning("head: %s", message)
        self.condition.note(self.condition.parts.recorder.notice("head", message))


def untried(heads: Heads) -> int:
    """How many of the store's answers no teaching has taken into account yet."""
    try:
        state = heads.state()
        return answers.count_since(heads.folder.parent, state.tried, state.store)
    except StoreError:  # which the store itself tells
        return 0


def started(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """``trashbin teach`` in a process of its own, which gives way to the daemon."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trashbin", "teach", *arguments],
        env=os.environ | ONE_THREAD,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    with suppress(OSError):  # it is over already
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        Path(f"/proc/{process.pid}/oom_score_adj").write_text(ENDS_FIRST)
    return process
