"""``trashbin``, and ``python -m trashbin``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command. Ctrl-C while its modules are still read ends it without a traceback, too."""
    try:
        from trashbin.cli import main as commands
    except KeyboardInterrupt:
        sys.exit(130)
    commands(prog_name="trashbin")


if __name__ == "__main__":
    main()
