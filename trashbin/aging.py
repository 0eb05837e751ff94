"""Whether anything may be forgotten for its age: not by a clock that may be far ahead.

As with a dead battery, while the network is down: a time server sets such a clock right, but what
was forgotten by then is gone.
"""

from __future__ import annotations

from trashbin.clock import is_synchronized
from trashbin.outbox import Outbox

SETTING = "unsynced"  # in the store: for how many hours of running no time server set the clock
BELIEVED_AFTER_H = 24


def believes_clock(outbox: Outbox) -> bool:
    """To be asked once an hour of running. StoreError where that cannot be counted.

    A bin that no time server ever reaches believes its clock after a day, for good.
    """
    hours = outbox.get(SETTING)
    if is_synchronized():
        if hours is not None:
            outbox.set(SETTING, None, synced=False)
        return True
    count = int(hours) if hours is not None and hours.isdecimal() else 0
    if count < BELIEVED_AFTER_H:
        outbox.set(SETTING, str(count + 1), synced=False)
    return count >= BELIEVED_AFTER_H
