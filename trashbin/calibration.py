"""A bin's calibration: the thresholds that ``trashbin calibrate`` chose, and what they promise.

One JSON file in the store's folder, which the daemon reads and never writes. Its thresholds stand
in for the model manifest's. The promise holds for the network, its setup, the head, the thresholds
and the way of looking that were calibrated together, and for no others.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trashbin import whole_file
from trashbin.errors import StoreError
from trashbin.ports import Classifier
from trashbin.settings import Look
from trashbin.types import ModelId, Thresholds

NAME = "calibration.json"  # in the folder that the configuration's ``store: path`` names
MAX_BYTES = 65536
NEAR = 1e-6  # thresholds that differ by less are the same
_SHOWN = {True: "what lies in the tray from near by", False: "all of the tray"}


class Calibration(BaseModel):
    """What the file says. ``items`` were tested; ``acted`` and ``wrong`` are of those."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    schema_: Literal["trashbin.calibration/1"] = Field(
        default="trashbin.calibration/1", alias="schema"
    )
    made: str
    model: ModelId
    setup: str = ""  # the classifier's; files without it knew another one
    thresholds: Thresholds
    closely: bool = False  # as ``settings.Look`` has it; files without it knew no close-ups
    burst: int = Field(default=3, ge=1)  # likewise; files without it knew no other
    changed_area: float | None = None  # likewise; files without it do not say
    risk: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    items: int = Field(ge=1)
    acted: int = Field(ge=1)
    wrong: int = Field(ge=0)

    @property
    def promise(self) -> str:
        """In words."""
        return (
            f"of the items that are acted on at most {self.risk:.2%} are wrong, with "
            f"{self.confidence * 100:.10g}% confidence ({self.items} items tested, {self.acted} of "
            f"them acted on, {self.wrong} wrongly)"
        )

    def broken(
        self, classifier: Classifier | None, thresholds: Thresholds, look: Look
    ) -> str | None:
        """Why the promise does not hold for what is used now; None where it does."""
        was = self.model
        if classifier is None or classifier.model.sha256 != was.sha256:
            return f"it was made with {was.name}:{was.variant}, another network"
        if classifier.setup != self.setup:
            return f"{was.name} is shown pictures, or tells known things, in another way since"
        if classifier.model.head != was.head:
            return "the head was changed since"
        if look.closely != self.closely:
            before, now = (_SHOWN[each] for each in (self.closely, look.closely))
            return f"the network is shown {now}, it was calibrated with {before}"
        if look.burst != self.burst:
            return f"look: burst is {look.burst}, it was calibrated with {self.burst}"
        area = self.changed_area
        if area is not None and abs(look.changed_area - area) > NEAR:
            return f"look: changed_area is {look.changed_area:g}, it was calibrated with {area:g}"
        for key, old in asdict(self.thresholds).items():
            new = getattr(thresholds, key)
            if old != new and (old is None or new is None or abs(old - new) > NEAR):
                return f"{key} is {_number(new)}, it was calibrated with {_number(old)}"
        return None

    def digest(self) -> str:
        """Tells one calibration from another."""
        # an older file is no new calibration: that would end the thresholds that a request set
        unsaid = {"changed_area"} if self.changed_area is None else None
        text = self.model_dump_json(by_alias=True, exclude=unsaid)
        return hashlib.sha256(text.encode()).hexdigest()


def applied(calibration: Calibration | None, classifier: Classifier) -> Thresholds:
    """The calibration's thresholds where it was made with this network, else the network's own.

    They stay when the head changes: they are still nearer to this tray than the manifest's.
    """
    if calibration is None:
        return classifier.thresholds
    known = calibration.model.sha256, calibration.setup
    same = known == (classifier.model.sha256, classifier.setup)
    return calibration.thresholds if same else classifier.thresholds


def read(store: Path) -> Calibration | None:
    """The calibration in a store's folder, None where there is none. StoreError where it is bad."""
    path = store / NAME
    try:
        with path.open("rb") as file:
            return Calibration.model_validate_json(file.read(MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"{path}: is no calibration ({where}: {first['msg']}). Calibrate again, or delete it."
        ) from error


def write(store: Path, calibration: Calibration) -> Path:
    """Put the calibration in place as a whole, durably; the file. StoreError if that fails."""
    path = store / NAME
    try:
        whole_file.write(path, calibration.model_dump_json(by_alias=True, indent=2) + "\n")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _number(threshold: float | None) -> str:
    return "off" if threshold is None else f"{threshold:g}"
