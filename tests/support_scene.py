"""Drawn trays and things, a camera that sees them, and a scene model that looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest

from tests.drawn_scenes import metal, plastic, wood
from trashbin.scene import (
    Scene,
    View,
)
from trashbin.types import Frame, Pixels

SIZE = (240, 320)

TRAYS = {"wood": wood(1, SIZE), "metal": metal(1, SIZE), "plastic": plastic(1, SIZE)}

every_tray = pytest.mark.parametrize("tray", TRAYS)


class Camera:
    """Frames of a picture in some light, with noise."""

    def __init__(self, noise: float = 2.0, seed: int = 0) -> None:
        self.fields = np.random.default_rng(seed).normal(0, noise, (4, *SIZE, 3)).astype(np.float32)
        self.taken = 0

    def frame(self, pixels: Pixels, light: object = 1.0) -> Frame:
        self.taken += 1
        noise = np.roll(self.fields[self.taken % 4], 7 * self.taken, axis=1)
        seen = pixels * np.asarray(light, np.float32) + noise
        return Frame(np.clip(seen, 0, 255).astype(np.uint8), self.taken * 0.05)

    def frames(self, pixels: Pixels, count: int) -> Iterator[Frame]:
        return (self.frame(pixels) for _ in range(count))


def can(tray: Pixels, x: int = 120, y: int = 90, colour: object = (190, 30, 40)) -> Pixels:
    picture = tray.copy()
    cv2.ellipse(picture, (x, y), (34, 22), 30, 0, 360, colour, -1)
    cv2.line(picture, (x - 15, y), (x + 15, y), (240, 240, 240), 3)
    return picture


def clear_bottle(tray: Pixels, x: int = 160, y: int = 120) -> Pixels:
    """Lets nearly all through, but for its outline and some highlights."""
    picture = tray.copy()
    cv2.ellipse(picture, (x, y), (60, 20), 10, 0, 360, (215, 215, 215), 2)
    for shift in (-35, -5, 30):
        cv2.ellipse(picture, (x + shift, y - 4), (7, 3), 10, 0, 360, (250, 250, 250), -1)
    return picture


def run(scene: Scene, frames: Iterable[Frame]) -> list[View]:
    return [scene.look(frame) for frame in frames]


def learned(tray: Pixels, camera: Camera, **settings_: object) -> Scene:
    scene = Scene(**settings_)  # type: ignore[arg-type]
    run(scene, camera.frames(tray, 6))
    assert scene.learned
    return scene
