"""Stand-ins for the rendered scenes: two drawn trays, and drawn things on them, as files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from trashbin.scenes import Item, Tray
from trashbin.types import Pixels

LABELS = ("cardboard", "glass", "metal", "paper", "plastic", "trash")


def wood(seed: int = 0, size: tuple[int, int] = (480, 640)) -> Pixels:
    """Brown, with a grain along x and fine fibres."""
    rng = np.random.default_rng(seed)
    rows, columns = size
    grain = cv2.GaussianBlur(rng.normal(0, 1, (rows, columns)), (0, 0), sigmaX=40, sigmaY=2)
    fibre = rng.normal(0, 4, (rows, columns))
    level = 18 * grain / grain.std() + fibre
    return np.clip(np.array([150, 112, 74]) + level[..., None], 0, 255).astype(np.uint8)


def metal(seed: int = 0, size: tuple[int, int] = (480, 640)) -> Pixels:
    """Brushed grey with a bright reflection that fades over the picture."""
    rng = np.random.default_rng(seed)
    rows, columns = size
    y, x = np.mgrid[0:rows, 0:columns]
    shine = 70 * np.exp(-(((x / columns - 0.3) / 0.4) ** 2) - ((y / rows - 0.4) / 0.5) ** 2)
    lines = rng.normal(0, 5, (rows, 1)) + rng.normal(0, 2, (rows, columns))
    return np.clip((120 + shine + lines)[..., None].repeat(3, 2), 0, 255).astype(np.uint8)


def plastic(seed: int = 0, size: tuple[int, int] = (480, 640)) -> Pixels:
    """Plain grey with a little grit."""
    rng = np.random.default_rng(seed)
    return np.clip(105 + rng.normal(0, 2, (*size, 3)), 0, 255).astype(np.uint8)


TRAYS = {"wood": wood, "metal": metal}


def drawn_scenes(folder: Path) -> tuple[dict[str, Tray], tuple[Item, ...]]:
    """One item a label on each of two trays."""
    trays, items = {}, []
    for seed, (tray, draw) in enumerate(TRAYS.items()):
        empty = draw(seed)
        _write(folder / f"{tray}.png", empty)
        trays[tray] = Tray(tray, str(folder / f"{tray}.png"), "", tray)
        for number, label in enumerate(LABELS):
            mask = np.zeros((480, 640), np.uint8)
            cv2.ellipse(mask, (250 + 25 * number, 240), (70, 45), 20 * number, 0, 360, 255, -1)
            picture = empty.copy()
            shadow = np.roll(mask, 12, axis=(0, 1)) > 0
            picture[shadow] = (picture[shadow] * 0.6).astype(np.uint8)
            picture[mask > 0] = (30 + 38 * number, 200 - 30 * number, 90)
            name = f"{tray}-{label}"
            _write(folder / f"{name}.png", picture)
            _write(folder / f"{name}-mask.png", mask)
            file, mask_file = str(folder / f"{name}.png"), str(folder / f"{name}-mask.png")
            items.append(Item(name, label, name, tray, file, "", mask_file, ""))
    return trays, tuple(items)


def _write(path: Path, pixels: Pixels) -> None:
    assert cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[:, :, ::-1])
