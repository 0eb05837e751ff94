"""How full each bin is: by its level sensor, or by counting what fell in since it was emptied.

A sensor tells the level itself. Without one, or while it is silent, ``capacity`` items fill the
bin; that is an estimate, for it knows neither how large they are nor what people throw in by hand.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from trashbin.errors import DeviceError, StoreError
from trashbin.events import timestamp
from trashbin.outbox import Outbox
from trashbin.ports import Clock, LevelSensor
from trashbin.settings import Config

log = logging.getLogger(__name__)

# in the store: bin -> how many items of its labels had fallen by then, when, and which labels;
# and whether much was seen in it since, so that one that is emptied while the daemon is off counts
SETTING = "emptied"
# A hand or a falling bottle is nearer than the rubbish: so many readings in a row must agree.
AGREE = 3
NOT_FULL = 0.85  # at full it is full until the level is below this: rubbish settles
EMPTIED_FROM, EMPTIED_TO = 0.4, 0.15  # a level that falls from above the one to below the other
STEP = 0.05  # a level that moved by so much is told at once: what people throw in is no event


@dataclass
class Gauge:
    """Pure: levels of one bin as they are read, 0 to 1 -> its level, whether it is full."""

    level: float | None = None
    full: bool = False
    emptied: bool = False  # by the last reading
    much: bool = False  # was seen in it since it was emptied
    _waiting: tuple[float, ...] = ()

    def read(self, level: float | None) -> None:
        """A reading; None where the sensor heard nothing, and what was known is no longer."""
        self.emptied = False
        if level is None:
            self.level, self._waiting = None, ()
            return
        self._waiting = (*self._waiting, min(1.0, max(0.0, level)))[-AGREE:]
        if len(self._waiting) < AGREE:
            return
        # what most of them say: neither the hand before the sensor nor one lost echo
        self.level = sorted(self._waiting)[AGREE // 2]
        if min(self._waiting) >= 1.0:
            self.full = True
        elif max(self._waiting) < NOT_FULL:
            self.full = False
        self.much = self.much or min(self._waiting) >= EMPTIED_FROM
        if self.much and max(self._waiting) <= EMPTIED_TO:
            self.emptied, self.much = True, False


class Levels:
    """The levels of all bins. ``problems`` maps a bin whose sensor is silent to why."""

    def __init__(
        self, config: Config, clock: Clock, outbox: Outbox, sensors: Mapping[str, LevelSensor]
    ) -> None:
        self.config = config
        self.clock = clock
        self.outbox = outbox
        self.sensors = sensors
        self.problems: dict[str, str] = {}
        self._gauges = {bin: Gauge() for bin in sensors}
        self._much: set[str] = set()  # bins of which the store says so
        self._told: dict[str, float] = {}  # when ``read`` was True last

    def begin(self) -> None:
        """What lies in a bin lies there still, though the YAML gave a label to another one since.

        StoreError where that can't be kept.
        """
        kept = self._kept()
        self._much = {bin for bin, entry in kept.items() if entry.get("much") is True}
        for bin, gauge in self._gauges.items():
            gauge.much = bin in self._much
        labelled = any("labels" in entry for entry in kept.values())
        now: dict[str, Any] = {}
        for bin, section in self.config.bins.items():
            labels, was = sorted(section.labels), kept.get(bin)
            if was is None:  # a first start, or a new bin, into which nothing fell
                was = {"items": self._fallen(labels) if labelled else 0, "at": None}
            elif was.get("labels", labels) != labels:
                lies_there = self._fallen(was["labels"]) - was["items"]
                was = was | {"items": self._fallen(labels) - lies_there}
            now[bin] = was | {"labels": labels}
        if now and now != kept:  # there are none in safe mode
            self.outbox.set(SETTING, json.dumps(now))

    def read(self) -> bool:
        """Read every sensor once; True where what ``told`` says changed, and by more than a bit."""
        before = [(gauge.full, gauge.level is None) for gauge in self._gauges.values()]
        emptied = False
        for bin, gauge in self._gauges.items():
            try:
                gauge.read(self.sensors[bin].level())
                if gauge.level is not None:  # one echo now and then is no end of it
                    self.problems.pop(bin, None)
            except DeviceError as error:
                gauge.read(None)
                if self.problems.get(bin) != str(error):
                    log.warning("level of %s: %s", bin, error)
                self.problems[bin] = str(error)
            if gauge.emptied:
                emptied = True
                with suppress(StoreError):  # the sensor knows it anyway
                    self.empty(bin)
            elif gauge.much and bin not in self._much:
                with suppress(StoreError):
                    self._keep_much(bin)
        after = [(gauge.full, gauge.level is None) for gauge in self._gauges.values()]
        levels = {
            bin: gauge.level for bin, gauge in self._gauges.items() if gauge.level is not None
        }
        moved = any(abs(level - self._told.get(bin, 0.0)) >= STEP for bin, level in levels.items())
        if changed := emptied or moved or before != after:
            self._told = levels
        return changed

    def empty(self, bin: str) -> None:
        """Somebody emptied a bin: its items count from here. StoreError if that can't be kept."""
        labels = sorted(self.config.bins[bin].labels)
        at = timestamp(self.clock.now())
        kept = self._kept() | {bin: {"items": self._fallen(labels), "at": at, "labels": labels}}
        known = {name: value for name, value in kept.items() if name in self.config.bins}
        self.outbox.set(SETTING, json.dumps(known))
        self._much.discard(bin)
        log.info("bin %s was emptied", bin)

    def _keep_much(self, bin: str) -> None:
        kept = self._kept()
        entry = kept.get(bin, {"items": 0, "at": None}) | {"much": True}
        self.outbox.set(SETTING, json.dumps(kept | {bin: entry}))
        self._much.add(bin)

    def told(self) -> dict[str, dict[str, Any]]:
        """Each bin: ``level`` 0 to 1 and ``full``, null where nobody knows, and ``by`` what.

        ``items`` have fallen in since it was ``emptied``. StoreError where they can't be read.
        """
        kept = self._kept()
        return {bin: self._of(bin, kept.get(bin, {})) for bin in self.config.bins}

    def _of(self, bin: str, since: dict[str, Any]) -> dict[str, Any]:
        section = self.config.bins[bin]
        items = max(0, self._fallen(section.labels) - since.get("items", 0))
        capacity = section.capacity
        gauge = self._gauges.get(bin)
        level: float | None = None
        full: bool | None = None
        by = None
        if gauge is not None and gauge.level is not None:
            level, full, by = round(gauge.level, 2), gauge.full, "sensor"
        elif capacity is not None:
            level, full, by = round(min(1.0, items / capacity), 2), items >= capacity, "count"
        emptied = since.get("at")
        return {"level": level, "full": full, "by": by, "items": items, "emptied": emptied}

    def _fallen(self, labels: Iterable[str]) -> int:
        counts = self.outbox.sorted_in_all()
        return sum(counts.get(label, 0) for label in labels)

    def _kept(self) -> dict[str, dict[str, Any]]:
        try:
            kept = json.loads(self.outbox.get(SETTING) or "{}")
        except ValueError:  # the card has altered it
            return {}
        entries = kept.items() if isinstance(kept, dict) else ()
        return {bin: entry for bin, entry in entries if _is_whole(entry)}


def _is_whole(entry: Any) -> bool:
    """False where the card has altered it."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("items"), int)
        and isinstance(entry.get("labels", []), list)
    )
