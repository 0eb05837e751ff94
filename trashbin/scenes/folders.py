"""The sample scenes as one folder a label, and the empty trays, for ``trashbin evaluate``.

``python -m trashbin.scenes.folders DIR`` makes links; no picture is copied.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trashbin import scenes


def link(folder: Path) -> int:
    """Make ``folder/<label>/<item>.jpg`` for every item, ``empty/<tray>.jpg``; how many items."""
    trays, items = scenes.load()
    links = {folder / item.label / f"{item.id}.jpg": item.path for item in items}
    links |= {folder / "empty" / f"{tray.id}.jpg": tray.path for tray in trays.values()}
    for place, picture in links.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(picture)
    return len(items)


if __name__ == "__main__":
    print(f"{link(Path(sys.argv[1]))} pictures in {sys.argv[1]}")
