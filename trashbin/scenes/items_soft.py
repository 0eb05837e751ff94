"""Things of plastic, and things no one recycles. Imports bpy; ``items.py`` lists them."""

import math
from typing import Any

import numpy as np

from trashbin.scenes import prints
from trashbin.scenes.materials import film, rgb, solid
from trashbin.scenes.meshes import box, fused, lathe, ripple, rounded, shell, surface, tube, turned

Parts = list[Any]


def cap(radius: float, high: float, at: float, material: Any, teeth: int = 60) -> Any:
    """A screw cap with ridges, its foot at height ``at``."""
    profile = rounded(
        [(radius, at, 1), (radius, at + high * 0.8), (radius * 0.93, at + high), (0, at + high)],
        0.02,
    )

    def ridged(x: Any, y: Any, z: Any) -> Any:
        angle, size = np.arctan2(y, x), np.hypot(x, y)
        grow = 1 + 0.035 * (np.sin(angle * teeth) > 0) * (size > radius * 0.9)
        return x * grow, y * grow, z

    return lathe("cap", profile, material, teeth * 6, bend=ridged)


def plastic_bottle() -> Parts:
    """A clear water bottle with a blue cap, a paper band and ribs."""
    ribs = [(0.5 + 0.028 * math.cos(k * math.pi), 0.22 + k * 0.075) for k in range(13)]
    upper = [(0.5 + 0.028 * math.cos(k * math.pi), 1.98 + k * 0.075) for k in range(5)]
    outline = rounded(
        [
            (0, 0.12),
            (0.2, 0.1),
            (0.34, 0.0),
            (0.46, 0.03),
            (0.51, 0.14),
            *ribs,
            (0.5, 1.2),
            (0.5, 1.9),
            *upper,
            (0.5, 2.4),
            (0.44, 2.62),
            (0.3, 2.86),
            (0.2, 3.0),
            (0.18, 3.06, 1),
            (0.25, 3.07),
            (0.25, 3.1, 1),
            (0.18, 3.11),
            (0.18, 3.3),
        ],
        0.02,
    )

    def petals(x: Any, y: Any, z: Any) -> Any:
        angle = np.arctan2(y, x)
        low = np.clip(1 - z / 0.2, 0, 1)
        grow = 1 - 0.12 * low * (0.5 + 0.5 * np.cos(5 * angle))
        return x * grow, y * grow, z + 0 * x

    pet = film("PET", rgb("eef5fa"), 1.25, 0.05, 0.04)
    band = np.stack([np.full(20, 0.508), np.linspace(1.2, 1.86, 20)], axis=1)
    return [
        lathe("bottle", outline, pet, 128, bend=petals),
        lathe("band", band, solid("band", prints.water_label(), 0.25, coat=0.4)),
        cap(0.235, 0.26, 3.12, solid("cap", rgb("1458b8"), 0.35, soft=0.1)),
    ]


def plastic_cup() -> Parts:
    """A yoghurt cup with its foil lid half peeled off and a little left inside."""
    outline = rounded(
        [
            (0, 0.05),
            (0.4, 0.05),
            (0.5, 0.0),
            (0.56, 0.03),
            (0.6, 0.14),
            (0.7, 1.0),
            (0.8, 1.78),
            (0.82, 1.86, 1),
            (0.93, 1.87),
            (0.94, 1.92),
            (0.9, 1.93),
        ],
        0.02,
    )
    white = solid("cup", rgb("f4f3ef"), 0.28, soft=0.2, coat=0.3)
    sleeve = np.stack([np.linspace(0.622, 0.798, 30), np.linspace(0.2, 1.7, 30)], axis=1)
    foil = solid("foil lid", rgb("dadcde"), 0.25, 1.0, (5, 0.3))
    rest = solid("yoghurt", rgb("f3c3cf"), 0.25, soft=0.3, coat=0.6)
    smear = rounded([(0.0, 0.1), (0.52, 0.1), (0.575, 0.2), (0.6, 0.45)])

    def lid(u: Any, v: Any) -> Any:
        angle, size = u * 2 * math.pi, 0.96 * v
        x, y = size * np.cos(angle), size * np.sin(angle)
        past = np.maximum(0, x + 0.55)
        return (
            -0.55 + np.minimum(x + 0.55, 0) + 0.5 * np.sin(past * 1.5),
            y,
            1.95 + 0.75 * (1 - np.cos(past * 1.5)) + 0.02 * np.sin(9 * y),
        )

    cover = surface("lid", lid, (90, 40), foil)
    turned([cover], z=-30)
    return [
        lathe("cup", shell(outline, 0.025), white),
        lathe("sleeve", sleeve, solid("sleeve", prints.yoghurt(), 0.3, coat=0.4)),
        lathe("rest", smear, rest),
        cover,
    ]


def plastic_jug() -> Parts:
    """A white laundry bottle with a moulded handle, a coloured cap and a label. Lies flat."""
    white = solid("jug", rgb("f1f2f2"), 0.3, soft=0.15, coat=0.25)
    path = [
        (-0.2, 2.2, 0),
        (0.2, 2.28, 0),
        (0.6, 2.24, 0),
        (0.84, 2.05, 0),
        (0.86, 1.75, 0),
        (0.8, 1.45, 0),
        (0.74, 1.15, 0),
    ]
    parts = [
        box("body", (1.9, 1.75, 0.86), (0, 0.875, 0), white, 0.3, 6),
        box("shoulder", (0.95, 1.0, 0.8), (-0.44, 1.75, 0), white, 0.28, 6),
        tube("handle", path, 0.2, white),
    ]
    neck = lathe(
        "neck",
        rounded([(0, 0), (0.5, 0), (0.36, 0.35), (0.31, 0.5), (0.31, 0.65), (0, 0.65)]),
        white,
        48,
    )
    turned([neck], x=-90, at=(-0.3, 2.05, 0))
    body = fused("jug", [*parts, neck], white, 0.035, 14)
    top = cap(0.36, 0.5, 0, solid("cap", rgb("e2461e"), 0.32, soft=0.1), 36)
    turned([top], x=-90, at=(-0.3, 2.62, 0))
    sticker = surface(
        "label",
        lambda u, v: ((u - 0.5) * 1.4, 0.2 + v * 1.2, 0.436 + 0 * u),
        (4, 4),
        solid("label", prints.detergent(), 0.3, coat=0.5),
    )
    return [body, top, sticker]


def plastic_spray() -> Parts:
    """A window-cleaner spray bottle: clear blue body, trigger head. Lies flat."""
    blue = film("blue plastic", rgb("7cc0ee"), 1.0, 0.25, 0.12)
    liquid = film("cleaner", rgb("3d97dc"), 0.3, 0.15)
    white = solid("head", rgb("f2f2f0"), 0.35, soft=0.1)
    red = solid("trigger", rgb("d42c22"), 0.35, soft=0.1)
    outline = rounded(
        [
            (0, 0.02),
            (0.5, 0.0),
            (0.62, 0.04),
            (0.66, 0.14),
            (0.66, 0.9),
            (0.62, 1.3),
            (0.52, 1.55),
            (0.36, 1.78),
            (0.24, 1.9),
            (0.21, 2.05),
        ],
        0.03,
    )
    low = rounded([(0, 0.05), (0.5, 0.04), (0.6, 0.08), (0.63, 0.16), (0.63, 0.5), (0, 0.5)])
    bottle = [
        lathe("bottle", outline, blue, flat=0.62),
        lathe("cleaner", low, liquid, flat=0.6),
        cap(0.27, 0.24, 1.98, white, 40),
        lathe("straw", np.array([(0.03, 0.1), (0.03, 2.0)]), white, 16),
        surface(
            "label",
            lambda u, v: ((u - 0.5) * 0.98, -0.415 + 0.05 * (2 * u - 1) ** 2, 0.42 + v * 0.8),
            (16, 2),
            solid("label", prints.spray_label(), 0.35, coat=0.3),
        ),
    ]
    head = [
        box("head", (0.86, 0.32, 0.3), (0.2, 0, 2.58), white, 0.08, 4),
        box("neck", (0.3, 0.3, 0.34), (0.0, 0, 2.34), white, 0.07, 4),
        box("tail", (0.24, 0.28, 0.2), (-0.26, 0, 2.55), white, 0.07, 4),
    ]
    nozzle = box("nozzle", (0.16, 0.24, 0.24), (0.7, 0, 2.6), red, 0.04)
    trigger = tube(
        "trigger",
        [(0.44, 0, 2.46), (0.52, 0, 2.3), (0.5, 0, 2.1), (0.42, 0, 1.95), (0.46, 0, 1.84)],
        [0.08, 0.1, 0.1, 0.09, 0.07],
        red,
    )
    trigger.scale = (1, 1.3, 1)
    return [*bottle, fused("sprayer", head, white, 0.025, 5), nozzle, trigger]


def trash_crisps() -> Parts:
    """A puffed crisp bag with crimped ends."""
    wide, high = 2.2, 2.9
    front = solid("bag", prints.crisps(), 0.24, 0.35, coat=0.5)
    silver = solid("bag back", rgb("c8c8c8"), 0.3, 0.9)
    waves, folds = ripple(14, 8, 3, 8), ripple(15, 8, 1.5, 4)

    def side(sign: int) -> Any:
        def shape(u: Any, v: Any) -> Any:
            a, b = 2 * u - 1, 2 * v - 1
            seal = np.clip((1 - np.abs(b)) / 0.09 - 1, 0, None) * 0.09 / 0.91
            belly = np.clip(seal, 0, 1) ** 0.55 * np.clip(1 - a**4, 0, 1) ** 0.6
            narrow = 1 - 0.13 * np.clip(seal, 0, 1) ** 0.5
            pleat = (
                0.05
                * np.abs(np.sin(a * 13 + 2 * folds(a, b)))
                * np.exp(-(((np.abs(b) - 0.78) / 0.16) ** 2))
            )
            crimp = 0.018 * np.sin(b * high * 60) * (np.abs(b) > 0.92)
            tip = 0.012 * ((np.floor(u * 60) % 2) * 2 - 1) * (np.abs(b) > 0.995)
            z = (
                sign * (0.44 * belly + pleat * belly + 0.03 * waves(a * 2, b * 2) * belly)
                + crimp
                + 0.06 * np.sin(2 * a + 1) * (np.abs(b) > 0.85)
            )
            return a * wide / 2 * narrow, b * high / 2 + tip, z

        return shape

    return [
        surface("front", side(1), (180, 260), front),
        surface("back", side(-1), (60, 80), silver),
    ]


def trash_toothbrush() -> Parts:
    """A toothbrush: a shaped handle of two colours, a head with tufts, built bristles up."""
    teal, white = (
        solid("handle", rgb("12a094"), 0.28, soft=0.1, coat=0.4),
        solid("grip", rgb("f3f3f1"), 0.35),
    )
    path = [
        (-2.0, 0, 0.02),
        (-1.9, 0, 0.02),
        (-1.4, 0, 0.06),
        (-0.8, 0, 0.1),
        (-0.3, 0, 0.1),
        (0.2, 0, 0.04),
        (0.8, 0, 0.0),
        (1.2, 0, 0.04),
        (1.3, 0, 0.05),
    ]
    handle = tube("handle", path, [0.08, 0.13, 0.16, 0.17, 0.18, 0.13, 0.085, 0.08, 0.08], teal)
    grip = tube(
        "grip",
        [(-1.6, 0, 0.13), (-1.2, 0, 0.17), (-0.7, 0, 0.2), (-0.2, 0, 0.17)],
        [0.06, 0.12, 0.13, 0.06],
        white,
    )
    head = box("head", (0.92, 0.34, 0.12), (1.66, 0, 0.06), teal, 0.055, 4)
    tufts: Parts = []
    bristle = [
        solid("bristles", rgb("f6f8fa"), 0.6, bump=(90, 0.8)),
        solid("blue bristles", rgb("2a78d2"), 0.6, bump=(90, 0.8)),
    ]
    random = np.random.default_rng(2)
    for column in range(9):
        for row in range(4):
            x, y = 1.28 + column * 0.095, (row - 1.5) * 0.078
            sway, high = random.normal(0, 0.012, 2), 0.42 + 0.05 * math.cos(column * 1.6)
            colour = bristle[1] if row in (1, 2) and 2 <= column <= 6 else bristle[0]
            tufts.append(
                tube(
                    "tuft",
                    [(x, y, 0.1), (x, y, 0.3), (x + sway[0], y + sway[1], high)],
                    [0.034, 0.037, 0.04],
                    colour,
                )
            )
    return [handle, grip, head, *tufts]


def trash_mask() -> Parts:
    """A blue pleated face mask with its ear loops."""
    wide, high = 2.5, 1.6
    n_pleats = 3
    blue = solid("mask", rgb("6ba6d2"), 0.85, bump=(120, 0.35))
    white = solid("seam", rgb("eef2f5"), 0.85, bump=(60, 0.3))
    waves = ripple(16, 6, 1, 3)

    def height(x: Any, y: Any) -> Any:
        return (
            0.1
            + 0.16
            * np.cos(np.clip(x / wide, -0.5, 0.5) * math.pi)
            * np.cos(np.clip(y / high, -0.5, 0.5) * math.pi)
            + 0.02 * waves(x, y)
        )

    def cloth(u: Any, v: Any) -> Any:
        x, y = (u - 0.5) * wide, (v - 0.5) * high
        step = (v * (n_pleats + 1)) % 1.0
        inside = (v > 0.12) & (v < 0.88)
        return x, y - inside * 0.1 * (step - 0.5), height(x, y) + inside * (0.15 * step - 0.03)

    def strip(x0: float, x1: float, y0: float, y1: float) -> Any:
        def shape(u: Any, v: Any) -> Any:
            x, y = x0 + u * (x1 - x0), y0 + v * (y1 - y0)
            return x, y, height(x, y) + 0.085 + 0 * u

        return shape

    half, edge = wide / 2, high / 2
    parts = [surface("cloth", cloth, (60, 160), blue)]
    for bounds in (
        (-half, half, edge - 0.07, edge),
        (-half, half, -edge, -edge + 0.05),
        (-half, -half + 0.07, -edge, edge),
        (half - 0.07, half, -edge, edge),
    ):
        parts.append(surface("seam", strip(*bounds), (40, 8), white))
    wire = [(x, edge - 0.05, float(height(x, edge)) + 0.1) for x in np.linspace(-0.5, 0.5, 9)]
    parts.append(tube("wire", wire, 0.03, white))
    for sign in (-1, 1):
        loop = [
            (half - 0.05, edge - 0.06, 0.17),
            (half + 0.22, edge + 0.05, 0.1),
            (half + 0.62, edge - 0.12, 0.04),
            (half + 0.78, 0.15, 0.04),
            (half + 0.66, -edge + 0.2, 0.04),
            (half + 0.25, -edge + 0.0, 0.1),
            (half - 0.05, -edge + 0.06, 0.17),
        ]
        bent = [
            (sign * x + (0.08 if sign < 0 else 0), y * (1 if sign > 0 else 1.1), z)
            for x, y, z in loop
        ]
        parts.append(tube("loop", bent, 0.024, white))
    return parts


def trash_glove() -> Parts:
    """A yellow rubber glove, lying flat, with a rolled cuff."""
    yellow = solid("rubber", rgb("f0b81e"), 0.38, soft=0.12, coat=0.15, bump=(5, 0.2))
    rods = []
    palm = box("palm", (1.0, 1.1, 0.42), (0, 0.1, 0), yellow, 0.2, 5)
    fingers = (
        ((-0.36, 0.5), (-0.52, 1.0), (-0.6, 1.42), 0.155),
        ((-0.13, 0.55), (-0.17, 1.15), (-0.16, 1.66), 0.16),
        ((0.13, 0.55), (0.2, 1.12), (0.27, 1.58), 0.155),
        ((0.37, 0.5), (0.52, 0.9), (0.64, 1.24), 0.135),
        ((-0.4, -0.1), (-0.8, 0.2), (-1.02, 0.56), 0.165),
    )
    for start, middle, end, size in fingers:
        rods.append(tube("finger", [(*start, 0), (*middle, 0.08), (*end, 0.0)], size, yellow))
        tip = lathe(
            "tip",
            rounded(
                [
                    (0, -size),
                    (size * 0.7, -size * 0.7),
                    (size, 0),
                    (size * 0.7, size * 0.7),
                    (0, size),
                ]
            ),
            yellow,
            24,
        )
        turned([tip], at=(*end, 0))
        rods.append(tip)
    sleeve = lathe(
        "sleeve",
        rounded([(0, 0), (0.5, 0), (0.46, 0.5), (0.5, 1.0), (0.6, 1.45), (0, 1.45)]),
        yellow,
        64,
        flat=0.5,
    )
    turned([sleeve], x=90, at=(0, -0.1, 0))
    hand = fused("glove", [palm, sleeve, *rods], yellow, 0.032, 10)
    roll = tube(
        "cuff",
        [
            (0.62 * math.cos(a), -1.55, 0.31 * math.sin(a))
            for a in np.linspace(0, 2 * math.pi, 25)[:-1]
        ],
        0.06,
        yellow,
        cyclic=True,
    )
    dark = solid("inside", rgb("7a5206"), 0.7)
    hole = lathe("hole", np.array([(0.0, 0), (0.58, 0)]), dark, 48, flat=0.5)
    turned([hole], x=90, at=(0, -1.56, 0))
    return [hand, roll, hole]
