"""The real ``trashbin run``, at a tray whose items fall from a hand close above it.

A look waits until its item lies still. From as high as the demo's items fall that takes half of
the second that the soak allows an item; a wait shorter than the fall would call the tray empty.
"""

from __future__ import annotations

from trashbin import cli
from trashbin import daemon as loop
from trashbin.devices import world

WORLD = {"FALL_S": 0.1, "BOUNCE_S": 0.05, "LEAVE_S": 0.1}
WATCH_EVERY_S = 0.2


def main() -> None:
    """Run as the command line says."""
    for name, seconds in WORLD.items():
        setattr(world, name, seconds)
    loop.WATCH_EVERY_S = WATCH_EVERY_S
    cli.main()


if __name__ == "__main__":
    main()
