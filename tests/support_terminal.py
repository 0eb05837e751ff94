"""A command at a pseudo-terminal of eighty columns, and somebody who answers its questions."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

PROMPT = re.compile(r"(: |\]: |\? )$")
QUIET_S = 0.15
LIMIT_S = 300.0
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def converse(
    command: Sequence[str], answers: Mapping[str, str], limit_s: float = LIMIT_S, **options: object
) -> tuple[int, str]:
    """Run it; exit status, and all that stood on the screen, without colours.

    ``answers`` maps words of a question to its answer, which is given once; Enter to any other.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        close_fds=True,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )
    os.close(slave)
    left, screen, deadline = dict(answers), "", time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], QUIET_S)
            if ready:
                try:
                    screen += os.read(master, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
                continue
            question = COLOURS.sub("", screen).replace("\r", "").rpartition("\n")[2]
            if PROMPT.search(question):
                found = next((words for words in left if words in question), None)
                os.write(master, f"{left.pop(found) if found else ''}\n".encode())
                time.sleep(QUIET_S)
        process.wait(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
    assert not left, f"never asked: {left}\n{screen}"
    return process.returncode, COLOURS.sub("", screen).replace("\r", "")
