"""What each bin on the broker last said of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trashbin.dashboard import wire

MAX_BINS = 5000  # more than that and somebody plays with topics


def in_order(name: str) -> str:
    """What names are sorted by: ``Bin 2`` comes before ``Bin 10``."""
    return re.sub(r"\d+", lambda number: number[0].zfill(9), name.lower())


@dataclass
class Bin:
    """The retained topics of one bin, as they came; every property copes with any content."""

    id: str
    online: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    store_id: str = ""  # the store that items may wait of; those of earlier ones are dismissed

    @property
    def name(self) -> str:
        """What people call it."""
        return wire.text(self.info, "name") or self.id

    @property
    def site(self) -> str:
        """Where it stands; empty where nobody said."""
        return wire.text(self.info, "site")

    @property
    def status(self) -> str:
        """``offline``, else what it says."""
        return (wire.text(self.state, "status") or "idle") if self.online else "offline"

    @property
    def mode(self) -> str:
        """auto, advisory or paused; empty where it has not said."""
        return wire.text(self.state, "mode")

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with it: a part -> the bin's own words."""
        told = {**wire.table(self.health, "problems"), **wire.table(self.state, "problems")}
        return {part: message for part, message in told.items() if isinstance(message, str)}

    @property
    def compartments(self) -> dict[str, list[str]]:
        """Compartment -> the labels that go there."""
        return {
            name: [label for label in labels if isinstance(label, str)]
            for name, labels in wire.table(self.info, "bins").items()
            if isinstance(labels, list)
        }

    @property
    def levels(self) -> dict[str, tuple[float, bool]]:
        """Compartment -> how full it is, 0 to 1, and whether it counts as full; those known."""
        told = wire.table(self.state, "levels") or wire.table(self.health, "levels")
        return {
            name: (level, wire.at(told, name, "full") is True)
            for name in told
            if (level := wire.number(told, name, "level")) is not None
        }

    @property
    def full(self) -> list[str]:
        """The compartments that somebody should empty."""
        return [name for name, (_, full) in self.levels.items() if full]

    @property
    def needs_somebody(self) -> bool:
        """True where it waits for a person: to answer, to mend, to empty."""
        waits = self.status in ("fault", "holding")
        return waits or (self.online and bool(self.problems or self.full))

    @property
    def labels(self) -> list[str]:
        """The labels that an answer may have; empty where it has not said."""
        found = wire.at(self.info, "labels")
        listed = found if isinstance(found, list) else []
        return [label for label in listed if isinstance(label, str)]

    @property
    def counts(self) -> Mapping[str, Any]:
        """Sorted today, by label."""
        return wire.table(self.state, "counts", "today")
