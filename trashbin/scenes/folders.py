"""The sample scenes as one folder a label, for ``trashbin evaluate``.

``python -m trashbin.scenes.folders DIR`` makes links; no picture is copied.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trashbin import scenes


def link(folder: Path) -> int:
    """Make ``folder/<label>/<item>.jpg`` for every item; how many there are."""
    _, items = scenes.load()
    for item in items:
        place = folder / item.label / f"{item.id}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(item.path)
    return len(items)


if __name__ == "__main__":
    print(f"{link(Path(sys.argv[1]))} pictures in {sys.argv[1]}")
