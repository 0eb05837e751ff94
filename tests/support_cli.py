"""A command of ours, called in this process or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from tests.support_processes import WAIT_S
from trashbin.cli import main


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def spawn(
    *arguments: object, timeout: float = 2 * WAIT_S, **options: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trashbin", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
