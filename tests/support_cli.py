"""A command called in this process, or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from trashbin.cli import main


def trashbin_(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trashbin", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
