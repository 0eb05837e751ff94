"""Where the files that travel with the package lie: models/, config/, labels.txt.

In a checkout they stand at the top level; a wheel carries them as package data in
``trashbin/_data``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def root() -> Path:
    """The folder that holds models/, config/ and labels.txt."""
    package = Path(__file__).resolve().parent
    installed = package / "_data"
    return installed if installed.is_dir() else package.parent


@cache
def labels() -> tuple[str, ...]:
    """The six labels of labels.txt, in the order of the network's outputs."""
    return tuple((root() / "labels.txt").read_text(encoding="utf-8").split())
