"""A simulated tray with one item, drawn in a moment: the contract needs no rendered scene."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from trashbin.devices.world import World
from trashbin.ports import Clock
from trashbin.scenes import Item, Tray
from trashbin.types import Pixels


def toy_world(folder: Path, clock: Clock, empty: Pixels) -> World:
    """A world whose tray looks like ``empty``, with one black square to drop."""
    tray = cv2.resize(empty, (640, 480), interpolation=cv2.INTER_NEAREST)
    item, mask = tray.copy(), np.zeros(tray.shape[:2], np.uint8)
    item[200:280, 280:360], mask[200:280, 280:360] = 0, 255
    for name, picture in (("tray", tray), ("item", item)):
        assert cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert cv2.imwrite(str(folder / "mask.png"), mask)
    # an absolute path in place of a name: the scenes' own folder is left out
    files = {name: str(folder / f"{name}.png") for name in ("tray", "item", "mask")}
    trays = {"toy": Tray("toy", files["tray"], "", "toy")}
    square = Item("square", "metal", "square", "toy", files["item"], "", files["mask"], "")
    return World(clock, listed=(trays, (square,)))
