"""The log of a command that runs for long, on standard error.

Where that goes to systemd's journal, each line carries its level as the journal reads it
(sd-daemon(3)), so that ``journalctl -p warning`` finds what went wrong.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

FORMAT = "%(levelname)s %(name)s: %(message)s"
# Python's levels to syslog(3)'s
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
LEAST = 7


class JournalFormatter(logging.Formatter):
    """Begins each line with its level; a line without one would be of no importance."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one or more lines."""
        priority = PRIORITIES.get(record.levelno, LEAST)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def begin(level: int = logging.INFO) -> None:
    """Log from here on, what is of ``level`` and above."""
    handler = logging.StreamHandler(sys.stderr)
    to_journal = goes_to_journal(sys.stderr, os.environ)
    handler.setFormatter(JournalFormatter(FORMAT) if to_journal else logging.Formatter(FORMAT))
    logging.basicConfig(level=level, handlers=[handler])


def goes_to_journal(stream: TextIO, variables: Mapping[str, str]) -> bool:
    """Whether systemd's journal reads the stream: JOURNAL_STREAM of systemd.exec(5) names it."""
    try:
        at = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return variables.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}"
