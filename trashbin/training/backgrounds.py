"""Backgrounds out of arithmetic: trays, tables and dirt, in families.

Each family is a function (rng, height, width) -> (H, W, 3) float32 in 0..1, linear enough to be
multiplied by light. Families are dealt to folds whole: what `val`, `calib` and `test` composites
lie on resembles nothing in training, so that the accuracy there says something about trays nobody
trained on.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from trashbin.training.data import Fold
from trashbin.training.matte import Array

Family = Callable[[Generator, int, int], Array]


def noise(
    rng: Generator, height: int, width: int, cell_x: float, cell_y: float | None = None
) -> Array:
    """(H, W) smooth value noise, mean 0, deviation about 1; cells in pixels."""
    rows, columns = max(2, int(height / (cell_y or cell_x)) + 2), max(2, int(width / cell_x) + 2)
    grid = rng.standard_normal((min(rows, height), min(columns, width))).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def cloud(rng: Generator, height: int, width: int, cell: float, octaves: int = 4) -> Array:
    """(H, W) fractal noise, deviation about 1."""
    total = np.zeros((height, width), np.float32)
    for k in range(octaves):
        total += noise(rng, height, width, max(1.5, cell / 2**k)) * 0.6**k
    return total / np.float32(1.25)


def colour(rng: Generator, saturation: float = 0.5, low: float = 0.05, high: float = 0.95) -> Array:
    """(3,) a random colour: hue anywhere, saturation up to the one given."""
    hue, sat, value = rng.random() * 360.0, saturation * rng.random() ** 2.5, rng.uniform(low, high)
    pixel = np.array([[[hue, sat, value]]], np.float32)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], np.float32)


def mix(a: Array, b: Array, share: Array) -> Array:
    """a where share is 0, b where it is 1; share is (H, W)."""
    return np.asarray(a + (b - a) * np.clip(share, 0, 1)[..., None], np.float32)


def coordinates(rng: Generator, height: int, width: int) -> tuple[Array, Array]:
    """(H, W) pixel coordinates turned by a random angle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.random() * 2 * np.pi
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x - s * y, s * x + c * y


def flat(rng: Generator, height: int, width: int) -> Array:
    """One colour."""
    return np.ones((height, width, 1), np.float32) * colour(rng, 0.8)


def gray_plastic(rng: Generator, height: int, width: int) -> Array:
    """Matt plastic: nearly colourless, a fine grain."""
    base = colour(rng, 0.15, 0.1, 0.9)
    grain = noise(rng, height, width, rng.uniform(1.5, 4)) * rng.uniform(0.003, 0.03)
    return np.clip(base * (1 + grain[..., None]), 0, 1).astype(np.float32)


def gradient(rng: Generator, height: int, width: int) -> Array:
    """Two colours, one running into the other."""
    x, _ = coordinates(rng, height, width)
    share = (x - x.min()) / (np.ptp(x) + 1e-6)
    return mix(
        flat(rng, height, width), flat(rng, height, width), share ** np.float32(rng.uniform(0.5, 2))
    )


def blotches(rng: Generator, height: int, width: int) -> Array:
    """Clouds of a few colours."""
    base = flat(rng, height, width)
    for _ in range(int(rng.integers(1, 4))):
        share = cloud(rng, height, width, rng.uniform(10, 150)) * rng.uniform(0.3, 2) + rng.uniform(
            -0.5, 0.5
        )
        base = mix(base, flat(rng, height, width), share * 0.7)
    return base


def wood(rng: Generator, height: int, width: int) -> Array:
    """Boards with a grain along them, knots by bending, and joints."""
    x, y = coordinates(rng, height, width)
    bend = cloud(rng, height, width, rng.uniform(60, 200)) * rng.uniform(2, 20)
    board = rng.uniform(40, 400)
    plank = np.floor((y + 1000) / board)
    shade = np.sin(plank * 12.9898) * 43758.5453 % 1.0
    rings = np.sin((y + bend + plank * 37) / rng.uniform(1.5, 9) + np.sin(x / 90 + plank) * 1.5)
    angle_noise = noise(rng, height, width, rng.uniform(30, 90), rng.uniform(1.5, 4))
    pixel = np.array(
        [[[rng.uniform(15, 40), rng.uniform(0.15, 0.75), rng.uniform(0.25, 0.95)]]], np.float32
    )
    base = np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], np.float32)
    strength = rng.uniform(0.03, 0.22)
    value = 1 + strength * (0.6 * rings + 0.5 * angle_noise) + rng.uniform(0, 0.3) * (shade - 0.5)
    joint = np.abs((y + 1000) % board) < rng.uniform(0.5, 2.5)
    value = np.where(joint, value * rng.uniform(0.3, 0.9), value)
    tone = np.stack([value, value**1.15, value**1.35], -1)
    return np.asarray(np.clip(base * tone, 0, 1), np.float32)


def brushed_metal(rng: Generator, height: int, width: int) -> Array:
    """Streaks along one axis, and the soft band of a lamp's reflection."""
    base = colour(rng, 0.12, 0.3, 0.85)
    long, thin = rng.uniform(60, 300), rng.uniform(1.0, 2.5)
    streaks = noise(rng, height, width, long, thin) + 0.6 * noise(
        rng, height, width, long / 3, thin
    )
    if rng.random() < 0.5:
        streaks = np.ascontiguousarray(cv2.resize(streaks.T, (width, height)))
    x, _ = coordinates(rng, height, width)
    band = np.exp(-(((x - x.mean() - rng.uniform(-100, 100)) / rng.uniform(30, 150)) ** 2))
    value = (
        1
        + rng.uniform(0.01, 0.12) * streaks
        + rng.uniform(0, 0.8) * band
        + rng.uniform(0, 0.1) * cloud(rng, height, width, 120)
    )
    return np.asarray(np.clip(base * value[..., None], 0, 1), np.float32)


def cloth(rng: Generator, height: int, width: int) -> Array:
    """A weave of two threads, with folds."""
    x, y = coordinates(rng, height, width)
    period = rng.uniform(2, 8)
    bend = cloud(rng, height, width, 100, 3) * rng.uniform(0, 6)
    warp, weft = np.sin((x + bend) * 2 * np.pi / period), np.sin((y + bend) * 2 * np.pi / period)
    base = mix(
        flat(rng, height, width),
        flat(rng, height, width),
        (warp * weft > 0).astype(np.float32) * rng.uniform(0.1, 1),
    )
    folds = 1 + 0.2 * rng.random() * cloud(rng, height, width, rng.uniform(40, 140), 2)
    return np.clip(base * (folds + 0.08 * warp)[..., None], 0, 1).astype(np.float32)


def stripes(rng: Generator, height: int, width: int) -> Array:
    """Soft or hard stripes of two colours."""
    x, _ = coordinates(rng, height, width)
    wave = np.sin(x * 2 * np.pi / rng.uniform(8, 120)).astype(np.float32)
    share = wave * np.float32(rng.uniform(0.6, 8)) + np.float32(0.5)
    return mix(flat(rng, height, width), flat(rng, height, width), share)


def speckle(rng: Generator, height: int, width: int) -> Array:
    """Granite and laminate: grains of a few colours."""
    base = flat(rng, height, width)
    for _ in range(int(rng.integers(2, 5))):
        grain = noise(rng, height, width, rng.uniform(1.5, 9))
        base = mix(
            base,
            flat(rng, height, width),
            (grain > rng.uniform(0.5, 1.8)).astype(np.float32) * rng.uniform(0.2, 1),
        )
    return base


def dirt(rng: Generator, height: int, width: int) -> Array:
    """A plain ground with stains, crumbs and scratches."""
    base = gray_plastic(rng, height, width) if rng.random() < 0.6 else flat(rng, height, width)
    stain = cloud(rng, height, width, rng.uniform(20, 120))
    base = base * (1 - rng.uniform(0.1, 0.6) * np.clip(stain - rng.uniform(0, 1), 0, 1))[..., None]
    canvas = np.ascontiguousarray(base, np.float32)
    for _ in range(int(rng.integers(0, 40))):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        tone = tuple(float(v) for v in colour(rng, 0.6, 0.0, 0.7))
        if rng.random() < 0.6:
            axes = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
            cv2.ellipse(
                canvas, centre, axes, float(rng.integers(0, 180)), 0, 360, tone, -1, cv2.LINE_AA
            )
        else:
            end = (centre[0] + int(rng.integers(-60, 60)), centre[1] + int(rng.integers(-60, 60)))
            cv2.line(canvas, centre, end, tone, 1, cv2.LINE_AA)
    return canvas


def tiles(rng: Generator, height: int, width: int) -> Array:
    """Square tiles and their joints, sometimes a checkerboard."""
    x, y = coordinates(rng, height, width)
    size, gap = rng.uniform(25, 160), rng.uniform(1, 5)
    joint = ((x % size) < gap) | ((y % size) < gap)
    checker = (np.floor(x / size) + np.floor(y / size)) % 2 * (rng.random() < 0.4)
    ground = mix(blotches(rng, height, width), flat(rng, height, width), checker.astype(np.float32))
    return mix(ground, flat(rng, height, width), joint.astype(np.float32))


# -- families kept for held-out composites --------------------------------------------------------


def wire_mesh(rng: Generator, height: int, width: int) -> Array:
    """A lattice of shaded round wires over a dark or light ground."""
    x, y = coordinates(rng, height, width)
    size = rng.uniform(14, 60)
    wire = rng.uniform(0.08, 0.3)
    ground = blotches(rng, height, width) * rng.uniform(0.1, 0.8)
    tone = flat(rng, height, width)
    for axis in (x, y + x * rng.uniform(-0.5, 0.5)):
        offset = np.abs((axis / size) % 1.0 - 0.5) / wire
        ground = mix(
            ground,
            tone * np.sqrt(np.clip(1 - offset**2, 0, 1))[..., None],
            (offset < 1).astype(np.float32),
        )
    return ground


def leaves(rng: Generator, height: int, width: int) -> Array:
    """Overlapping ellipses of related colours, as leaves or gravel lie."""
    canvas = flat(rng, height, width) * 0.5
    base, spread, size = colour(rng, 0.8, 0.2, 0.8), rng.uniform(0.05, 0.3), rng.uniform(5, 40)
    for _ in range(int(min(1500, 5 * height * width / size**2))):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (max(1, int(size * rng.uniform(0.3, 1))), max(1, int(size * rng.uniform(0.2, 0.7))))
        tone = tuple(float(v) for v in np.clip(base + rng.normal(0, spread, 3), 0, 1))
        cv2.ellipse(
            canvas, centre, axes, float(rng.integers(0, 180)), 0, 360, tone, -1, cv2.LINE_AA
        )
    return canvas


def terrazzo(rng: Generator, height: int, width: int) -> Array:
    """Polygon chips in cement: the cells of random points, most of them the ground's colour."""
    points = rng.random((int(rng.integers(60, 400)), 2)) * (width, height)
    seeds = np.full((height, width), 255, np.uint8)
    seeds[points[:, 1].astype(int), points[:, 0].astype(int)] = 0
    _, cells = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    ground = colour(rng, 0.3, 0.3, 0.95)
    palette = np.stack(
        [colour(rng, 0.7) if rng.random() < 0.5 else ground for _ in range(len(points) + 2)]
    )
    return np.asarray(palette[np.minimum(cells, len(palette) - 1)], np.float32)


def corrugated(rng: Generator, height: int, width: int) -> Array:
    """Corrugated sheet: regular ridges lit from one side, with rust or paint."""
    x, _ = coordinates(rng, height, width)
    phase = x * 2 * np.pi / rng.uniform(10, 70)
    light = 0.65 + 0.3 * np.sin(phase) + 0.1 * np.sin(2 * phase + rng.random() * 6)
    paint = mix(
        flat(rng, height, width), flat(rng, height, width), cloud(rng, height, width, 80) - 0.5
    )
    return np.asarray(np.clip(paint * light[..., None] * 1.2, 0, 1), np.float32)


def concrete(rng: Generator, height: int, width: int) -> Array:
    """Concrete or asphalt: pores, patches and cracks."""
    base = colour(rng, 0.2, 0.2, 0.8)
    value = 1 + 0.1 * cloud(rng, height, width, 90) + 0.08 * noise(rng, height, width, 1.5)
    canvas = np.ascontiguousarray(np.clip(base * value[..., None], 0, 1), np.float32)
    for _ in range(int(rng.integers(10, 200))):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        shade = float(rng.uniform(0.02, 0.25))
        cv2.circle(canvas, centre, int(rng.integers(1, 3)), (shade, shade, shade), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):
        steps = (
            rng.normal(0, 9, (60, 2)).cumsum(0)
            + rng.random(2) * (width, height)
            + np.linspace(0, 300, 60)[:, None] * rng.normal(0, 1, 2)
        )
        cv2.polylines(canvas, [steps.astype(np.int32)], False, (0.05, 0.05, 0.05), 1, cv2.LINE_AA)
    return canvas


def printed(rng: Generator, height: int, width: int) -> Array:
    """A printed cloth or mat: rows of small shapes in a few colours."""
    canvas = np.ascontiguousarray(flat(rng, height, width), np.float32)
    palette = [tuple(float(v) for v in colour(rng, 0.9)) for _ in range(3)]
    step = int(rng.integers(14, 60))
    kind = int(rng.integers(0, 3))
    for row, y in enumerate(range(0, height + step, step)):
        for x in range((row % 2) * step // 2, width + step, step):
            tone = palette[int(rng.integers(0, 3))]
            size = max(2, int(step * rng.uniform(0.15, 0.4)))
            if kind == 0:
                cv2.circle(canvas, (x, y), size, tone, -1, cv2.LINE_AA)
            elif kind == 1:
                cv2.rectangle(
                    canvas, (x - size, y - size // 2), (x + size, y + size // 2), tone, -1
                )
            else:
                cv2.drawMarker(canvas, (x, y), tone, int(rng.integers(0, 7)), 2 * size, 2)
    return canvas


FAMILIES: dict[Fold, dict[str, Family]] = {
    "train": {
        f.__name__: f
        for f in (
            flat,
            gray_plastic,
            gradient,
            blotches,
            wood,
            brushed_metal,
            cloth,
            stripes,
            speckle,
            dirt,
            tiles,
        )
    },
    "val": {f.__name__: f for f in (wire_mesh, terrazzo)},
    "calib": {f.__name__: f for f in (corrugated, printed)},
    "test": {f.__name__: f for f in (concrete, leaves)},
}
