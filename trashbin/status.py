"""What the bin is doing, as one table of states and what moves between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The states that lamps and dashboards show."""

    IDLE = "idle"
    LOOKING = "looking"
    SORTING = "sorting"
    HOLDING = "holding"
    FAULT = "fault"
    PAUSED = "paused"


class Change(StrEnum):
    """What can happen to the bin."""

    SIGNAL = "signal"  # a trigger fired
    NOTHING = "nothing"  # the tray is empty, or the look is over
    ACT = "act"  # decided on a bin
    HOLD = "hold"  # decided to hold
    DONE = "done"  # sorted, taken out, answered, or time ran out
    FAIL = "fail"  # a part failed
    RECOVER = "recover"  # the failed part is back
    PAUSE = "pause"  # a person paused the bin
    RESUME = "resume"  # a person let it go on


TABLE: dict[tuple[Status, Change], Status] = {
    (Status.IDLE, Change.SIGNAL): Status.LOOKING,
    (Status.LOOKING, Change.NOTHING): Status.IDLE,
    (Status.LOOKING, Change.ACT): Status.SORTING,
    (Status.LOOKING, Change.HOLD): Status.HOLDING,
    (Status.SORTING, Change.DONE): Status.IDLE,
    (Status.SORTING, Change.SIGNAL): Status.LOOKING,  # advisory: the lamp waits for a person
    (Status.HOLDING, Change.DONE): Status.IDLE,
    (Status.HOLDING, Change.SIGNAL): Status.LOOKING,
    (Status.FAULT, Change.RECOVER): Status.IDLE,
    (Status.PAUSED, Change.RESUME): Status.IDLE,
    **{(status, Change.FAIL): Status.FAULT for status in Status},
    **{(status, Change.PAUSE): Status.PAUSED for status in Status if status is not Status.FAULT},
}


def after(status: Status, change: Change) -> Status:
    """The status that follows; KeyError is a bug in the caller, never the user's doing."""
    return TABLE[status, change]
