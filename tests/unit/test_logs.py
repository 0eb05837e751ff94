"""What the journal is told beside the words: how grave each line is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging
from trashbin import logs
logs.begin()
log = logging.getLogger("bin")
log.debug("left out")
log.info("connected")
log.warning("away")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two\\nlines")
"""


def logged(tmp_path: Path, *, journal: bool) -> list[str]:
    with (tmp_path / "stderr").open("w+") as stderr:
        at = os.fstat(stderr.fileno())
        stream = f"{at.st_dev}:{at.st_ino}" if journal else "8:1"  # another service's, inherited
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stderr=stderr,
            env={**os.environ, "JOURNAL_STREAM": stream},
            check=True,
            timeout=60,
        )
    return (tmp_path / "stderr").read_text().splitlines()


def test_a_terminal_and_a_file_get_plain_lines(tmp_path: Path) -> None:
    assert logged(tmp_path, journal=False)[:3] == [
        "INFO bin: connected",
        "WARNING bin: away",
        "ERROR bin: two",
    ]


def test_the_journal_gets_the_level_of_every_line(tmp_path: Path) -> None:
    lines = logged(tmp_path, journal=True)
    assert lines[:4] == [
        "<6>INFO bin: connected",
        "<4>WARNING bin: away",
        "<3>ERROR bin: two",
        "<3>lines",
    ]
    assert len(lines) > 6 and all(line.startswith("<3>") for line in lines[2:])
