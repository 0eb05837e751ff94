"""A photographed object on another background, as a camera above a tray would see it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from trashbin.training.backgrounds import FAMILIES, cloud, colour, mix
from trashbin.training.data import Fold, Image
from trashbin.training.matte import Array, Matte

SIZE = (320, 240)  # width, height in pixels of a composite; 4:3 as cameras give it
# raise it when a composite, or the place of what lies there, would come out differently: caches
# are kept by it
RECIPE = 3
EMPTY_FRAMES = 3  # as the bin learns its tray from
SEE_THROUGH = frozenset({"glass", "plastic"})


@dataclass(frozen=True)
class Layers:
    """What is put down, float32: colour and transmittance (H, W, 3), mask (H, W) in 0..1."""

    colour: Array
    transmittance: Array
    mask: Array


def surface(rng: Generator, folds: Sequence[Fold], height: int, width: int) -> Array:
    """(H, W, 3) float32 0..1 of one of the folds' families."""
    families = [family for fold in folds for family in FAMILIES[fold].values()]
    return families[int(rng.integers(0, len(families)))](rng, height, width)


def background(rng: Generator, folds: Sequence[Fold], height: int, width: int) -> Array:
    """The same, sometimes between a bin's walls."""
    ground = surface(rng, folds, height, width)
    return tray(rng, ground) if rng.random() < 0.45 else ground


def tray(rng: Generator, floor: Array) -> Array:
    """Walls around a floor: one to four sides, each with its own slope, shade and rounded foot."""
    height, width = floor.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = floor.copy()
    wall = floor if rng.random() < 0.5 else np.ones_like(floor) * colour(rng, 0.4)
    sides = rng.random(4) < 0.7
    distances = (x, width - 1 - x, y, height - 1 - y)
    rim = rng.random() < 0.5
    for side, distance in zip(sides, distances, strict=True):
        if not side:
            continue
        depth = rng.uniform(0.02, 0.16) * width
        along = y if distance is distances[0] or distance is distances[1] else x
        line = depth + rng.uniform(-0.1, 0.1) * (along - along.mean())
        shade = np.float32(rng.uniform(0.4, 1.2))
        out = mix(out, np.clip(wall * shade, 0, 1), (line - distance) / rng.uniform(1, 8) + 0.5)
        # the foot is dark where the walls shade the floor
        foot = np.exp(-np.abs(distance - line) / rng.uniform(3, 25)) * rng.uniform(0, 0.4)
        out = out * (1 - foot)[..., None]
        if rim:
            out = mix(
                out,
                np.ones_like(out) * rng.uniform(0.3, 1),
                1.5 - np.abs(distance - 0.3 * line) / 2,
            )
    return np.asarray(out, np.float32)


def place(rng: Generator, matte: Matte) -> Layers:
    """Turns, scales and moves the object onto an empty frame of SIZE; a part may lie outside."""
    width, height = SIZE
    rows, columns = np.nonzero(matte.mask > 127)
    x0, x1, y0, y1 = columns.min(), columns.max(), rows.min(), rows.max()
    rect = cv2.minAreaRect(
        np.stack([columns, rows], 1)[:: max(1, len(rows) // 4000)].astype(np.float32)
    )
    extent = max(*rect[1], 10.0)
    share = rng.uniform(0.3, 1.05) if matte.has_board else rng.uniform(0.5, 1.25)
    scale = share * min(width, 1.15 * height) / extent
    angle = rng.uniform(0, 360) if rng.random() < 0.7 else 90.0 * rng.integers(0, 4)
    stretch = rng.uniform(0.88, 1.14)
    turn = cv2.getRotationMatrix2D((float(x0 + x1) / 2, float(y0 + y1) / 2), angle, scale)
    turn[0] *= stretch
    if rng.random() < 0.5:
        turn[0] *= -1
    centre = turn @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    free = np.array([width, height]) * max(0.06, 0.5 - 0.42 * share)
    turn[:, 2] += np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * free - centre
    stack = np.dstack([matte.picture, matte.mask]).astype(np.float32) / 255.0
    if scale < 0.75:
        stack = np.asarray(cv2.GaussianBlur(stack, (0, 0), 0.45 / scale), np.float32)
    laid = cv2.warpAffine(stack, turn, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    ratio = (matte.picture.astype(np.float32) + 2.0) / (matte.board.astype(np.float32) + 2.0)
    through = cv2.warpAffine(
        ratio,
        turn,
        SIZE,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(1.0, 1.0, 1.0),
    )
    mask = laid[..., 3]
    clipped = np.asarray(np.clip(laid[..., :3], 0, 1), np.float32)
    return Layers(clipped, np.asarray(through, np.float32), np.asarray(mask, np.float32))


def put_down(rng: Generator, ground: Array, layers: Layers, label: str) -> Array:
    """(H, W, 3) float32 0..1: the shadow, then the object, opaque or letting the ground through."""
    mask = layers.mask
    outside = np.clip(layers.transmittance, 0.35, 1.0)
    shadow = 1 - (1 - cv2.GaussianBlur(outside, (0, 0), 1.5)) * rng.uniform(0.0, 1.0)
    # its own shadow, softened since photographs end somewhere, and one where it touches down
    width = rng.uniform(2, 14)
    shift = np.array([[1, 0, rng.uniform(-8, 8)], [0, 1, rng.uniform(-8, 8)]], np.float32)
    contact = cv2.GaussianBlur(cv2.warpAffine(mask, shift, SIZE), (0, 0), width) * rng.uniform(
        0.0, 0.65
    )
    lit = ground * (shadow * (1 - contact[..., None]))
    solid = layers.colour
    if label in SEE_THROUGH:
        # pale, colourless parts show the ground; coloured and dark parts, labels, highlights stay
        t = layers.transmittance
        tint = t.max(2) - t.min(2)
        clear = np.clip(1.2 - 4.0 * tint, 0, 1) * np.clip((t.mean(2) - 0.45) / 0.3, 0, 1)
        clear = cv2.GaussianBlur(clear, (0, 0), 1.5) * rng.uniform(0.0, 0.85)
        ambient = float(ground.mean())
        seen = np.clip(
            ground * np.clip(t, 0, 1.0) + np.clip(t - 1.0, 0, 2) * 0.8 + rng.uniform(0, 0.15), 0, 1
        )
        solid = mix(solid, seen, clear)
        if rng.random() < 0.3:
            solid = solid * np.float32(0.6 + 0.4 * ambient)
    gain = np.float32(rng.uniform(0.75, 1.15))
    return mix(np.asarray(lit, np.float32), np.clip(solid * gain, 0, 1), mask)


def light(rng: Generator, picture: Array) -> Array:
    """A lamp: direction, fall-off, colour, a patch of glare, and uneven shade."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope = rng.normal(0, 0.25, 2)
    field = 1 + slope[0] * x + slope[1] * y
    if rng.random() < 0.4:
        cx, cy = rng.uniform(-0.8, 0.8, 2)
        field *= 1 - rng.uniform(0.1, 0.6) * np.clip((x - cx) ** 2 + (y - cy) ** 2, 0, 2) / 2
    if rng.random() < 0.3:
        field *= 1 + rng.uniform(0.03, 0.15) * cloud(rng, height, width, 150, 2)
    warm = rng.normal(0, 0.09)
    tint = np.array([1 + warm, 1 + rng.normal(0, 0.025), 1 - warm], np.float32)
    lit = picture * np.clip(field, 0.15, 1.8)[..., None] * tint
    if rng.random() < 0.12:
        cx, cy, r = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.1, 0.5)
        lit = (
            lit
            + (rng.uniform(0.1, 0.6) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2))[..., None]
        )
    return np.asarray(lit, np.float32)


def camera(rng: Generator, picture: Array, grain: Generator, frames: int = 1) -> Image:
    """Exposure, gamma, contrast, blur, noise and JPEG of a small camera: float 0..1 -> uint8.

    What camera it is comes from `rng`, the noise of this picture from `grain`: as much as is left
    in the mean of so many frames.
    """
    mean = float(picture.mean()) + 1e-3
    exposure = np.clip((rng.uniform(0.25, 0.65) / mean) ** rng.uniform(0.0, 0.8), 0.4, 2.5)
    out = np.clip(picture * exposure, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.18)))
    gray = out.mean(2, keepdims=True)
    out = gray + (out - gray) * np.float32(rng.uniform(0.6, 1.35))
    if rng.random() < 0.45:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.4))
    if rng.random() < 0.2:
        out = out + (out - cv2.GaussianBlur(out, (0, 0), 1.5)) * rng.uniform(0.3, 1.2)
    noise = rng.uniform(0.003, 0.045) if rng.random() < 0.6 else 0.0
    quality = int(rng.integers(30, 95)) if rng.random() < 0.6 else None
    if noise:
        noise /= frames**0.5
        out = out + grain.standard_normal(out.shape, np.float32) * np.float32(noise)
    pixels = np.asarray(np.clip(out, 0, 1) * 255, np.uint8)
    if quality is not None:
        _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None
        pixels = np.asarray(decoded, np.uint8)
    return pixels


@dataclass(frozen=True)
class Tray:
    """What lies in a tray, and the same tray empty; float32 0..1 (240, 320, 3) each, unlit."""

    filled: Array
    empty: Array

    def shot(self, rng: Generator) -> Image:
        """(240, 320, 3) RGB uint8 of it in some light, by some camera."""
        return camera(rng, light(rng, self.filled), rng)

    def shots(self, rng: Generator) -> tuple[Image, Image]:
        """The same, and the empty tray in the same light, by the same camera: a mean of frames."""
        again = copy.deepcopy(rng)
        return self.shot(rng), camera(again, light(again, self.empty), rng, EMPTY_FRAMES)


def composite(rng: Generator, matte: Matte, label: str, *folds: Fold) -> Tray:
    """The matte's object on a background of the folds' families."""
    width, height = SIZE
    ground = background(rng, folds, height, width)
    return Tray(put_down(rng, ground, place(rng, matte), label), ground)


def stranger(rng: Generator, *folds: Fold) -> Tray:
    """A thing of no class on a background, or a background alone.

    Its outline and its surface are made up of the folds' own families: it is not to look like
    anything, only like a thing.
    """
    width, height = SIZE
    ground = background(rng, folds, height, width)
    if rng.random() < 0.25:
        return Tray(ground, ground)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x = x - width * rng.uniform(0.3, 0.7)
    y = y - height * rng.uniform(0.3, 0.7)
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0)
    u = (x * np.cos(turn) + y * np.sin(turn)) / np.float32(stretch)
    v = y * np.cos(turn) - x * np.sin(turn)
    around, away = np.arctan2(v, u), np.hypot(u, v)
    outline = 1 + sum(
        rng.normal(0, 0.3) / k * np.cos(k * around + rng.uniform(0, 6.3)) for k in range(2, 9)
    )
    radius = rng.uniform(0.2, 0.55) * height * np.clip(outline, 0.3, 2)
    inside = (radius - away) / rng.uniform(0.8, 3) + 0.5
    depth = np.clip(1 - away / radius, 0, 1) ** rng.uniform(0.2, 1.0)
    skin = surface(rng, folds, height, width)
    if rng.random() < 0.6:  # coloured, as food, cloth and leaves are
        skin = skin * (0.35 + 0.9 * colour(rng, 0.9, 0.3, 1.0))
    bumps = 1 + rng.uniform(0, 0.25) * cloud(rng, height, width, rng.uniform(8, 60), 3)
    solid = np.clip(skin * (rng.uniform(0.4, 1) + 0.5 * depth * bumps)[..., None], 0, 1)
    mask = np.asarray(np.clip(inside, 0, 1), np.float32)
    clear = np.ones_like(ground)
    layers = Layers(np.asarray(solid, np.float32), clear, mask)
    return Tray(put_down(rng, ground, layers, "paper"), ground)
