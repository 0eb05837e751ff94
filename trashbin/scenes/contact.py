"""All sample scenes on one sheet, for the README: ``python -m trashbin.scenes.contact FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from trashbin import scenes

COLUMNS = 6
WIDTH, HEIGHT = 213, 160


def sheet() -> cv2.typing.MatLike:
    """BGR uint8: the items by label, a row for every six, each with its label."""
    _, items = scenes.load()
    tiles = []
    for item in sorted(items, key=lambda item: (item.label, item.id)):
        picture = cv2.imread(str(item.path))
        assert picture is not None, item.path
        tile = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                tile,
                item.label,
                (6, HEIGHT - 8),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.45,
                color,
                thickness,
                cv2.LINE_AA,
            )
        tiles.append(tile)
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    cv2.imwrite(str(path), sheet(), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{path}: {path.stat().st_size // 1024} KB")
