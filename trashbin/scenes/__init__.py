"""The sample scenes of the simulated bin: pictures of empty trays, and of things lying on them.

``scenes.json`` lists them with their digests; ``render.py`` made them all.
"""

import json
from dataclasses import dataclass
from pathlib import Path

SCHEMA = "trashbin.scenes/1"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Tray:
    """An empty tray, as one fixed camera sees it under one fixed light."""

    id: str
    file: str
    sha256: str
    surface: str

    @property
    def path(self) -> Path:
        """The picture of the empty tray: JPEG, 640x480."""
        return FOLDER / self.file


@dataclass(frozen=True)
class Item:
    """A thing at rest on a tray: the tray's own picture with the thing in it."""

    id: str
    label: str
    name: str
    tray: str
    file: str
    sha256: str
    mask: str
    mask_sha256: str

    @property
    def path(self) -> Path:
        """The settled picture: JPEG, 640x480."""
        return FOLDER / self.file

    @property
    def mask_path(self) -> Path:
        """Where the thing is: PNG, one channel of 8 bits, 640x480, 255 inside."""
        return FOLDER / self.mask


def load() -> tuple[dict[str, Tray], tuple[Item, ...]]:
    """Read the list: trays by id, and items in the list's order.

    Raises:
        ValueError: the list is of another schema.
    """
    listed = json.loads((FOLDER / "scenes.json").read_text(encoding="utf-8"))
    if listed.get("schema") != SCHEMA:
        raise ValueError(f"scenes.json: schema {listed.get('schema')!r}, expected {SCHEMA!r}")
    trays = {entry["id"]: Tray(**entry) for entry in listed["trays"]}
    return trays, tuple(Item(**entry) for entry in listed["items"])
