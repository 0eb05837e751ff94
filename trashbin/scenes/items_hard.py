"""Things of glass and metal. Imports bpy; ``items.py`` lists them."""

import math
from typing import Any

import numpy as np

from trashbin.scenes import prints
from trashbin.scenes.materials import glass, rgb, solid
from trashbin.scenes.meshes import creased, lathe, mesh, rounded, shell, turned

Parts = list[Any]


def lying(parts: Parts, heading: float, spin: float = 0, tip: float = 0) -> None:
    """Lay upright parts down, their +x side up, the top pointing ``heading`` degrees from +x.

    ``spin`` turns them about their own axis first; ``tip`` lifts the top.
    """
    turned(parts, z=spin)
    turned(parts, y=-90 + tip)
    turned(parts, z=heading - 180)


def label(
    name: str,
    radius: float,
    low: float,
    high: float,
    half: float,
    picture: np.ndarray,
    rough: float = 0.5,
) -> Any:
    """A paper label about a bottle, ``half`` degrees to either side of +x."""
    half = math.radians(half)
    profile = np.stack([np.full(12, radius), np.linspace(low, high, 12)], axis=1)
    return lathe(name, profile, solid(name, picture, rough), 48, (-half, half))


def glass_wine() -> Parts:
    """A green wine bottle, on its side."""
    outline = rounded(
        [
            (0, 0.16),
            (0.12, 0.13),
            (0.26, 0.02),
            (0.33, 0),
            (0.4, 0.02),
            (0.435, 0.1),
            (0.44, 0.3),
            (0.44, 1.2),
            (0.44, 2.1),
            (0.42, 2.32),
            (0.33, 2.58),
            (0.2, 2.8),
            (0.16, 2.95),
            (0.15, 3.2),
            (0.145, 3.5, 1),
            (0.175, 3.51),
            (0.18, 3.6),
            (0.165, 3.66),
        ]
    )
    green = glass("bottle green", rgb("bfe0a8"), rgb("a5cf8c"))
    foil = rounded([(0.168, 2.98), (0.16, 3.2), (0.158, 3.5)])
    return [
        lathe("bottle", shell(outline, 0.035), green),
        label("label", 0.446, 0.75, 1.75, 78, prints.wine_label()),
        lathe("foil", foil, solid("foil", rgb("5a0f1c"), 0.32, 0.6, (14, 0.3)), 64),
    ]


def glass_beer() -> Parts:
    """A brown long-neck beer bottle, on its side."""
    outline = rounded(
        [
            (0, 0.08),
            (0.2, 0.05),
            (0.36, 0),
            (0.45, 0.03),
            (0.48, 0.12),
            (0.48, 0.5),
            (0.48, 1.45),
            (0.46, 1.65),
            (0.36, 1.95),
            (0.25, 2.2),
            (0.2, 2.45),
            (0.17, 2.8),
            (0.16, 2.95, 1),
            (0.19, 2.96),
            (0.2, 3.02),
            (0.185, 3.06, 1),
            (0.175, 3.07),
            (0.18, 3.14),
            (0.165, 3.18),
        ]
    )
    brown = glass("bottle brown", rgb("c98238"), rgb("b8762e"))
    return [
        lathe("bottle", shell(outline, 0.04), brown),
        label("label", 0.487, 0.45, 1.3, 85, prints.beer_label(), 0.4),
    ]


def glass_jar() -> Parts:
    """A clear jam jar without its lid, on its side, with thread and label."""
    thread = [(0.62 + 0.03 * math.cos(k * math.pi), 1.86 + k * 0.045) for k in range(9)]
    outline = rounded(
        [
            (0, 0.06),
            (0.4, 0.05),
            (0.6, 0),
            (0.72, 0.03),
            (0.77, 0.14),
            (0.78, 0.4),
            (0.78, 1.4),
            (0.76, 1.58),
            (0.68, 1.74),
            *thread,
            (0.6, 2.26),
        ]
    )
    clear = glass("jar glass", rgb("fafdfc"), rgb("eef4f2"))
    return [
        lathe("jar", shell(outline, 0.055), clear),
        label("label", 0.79, 0.45, 1.2, 58, prints.jam_label()),
    ]


def glass_goblet() -> Parts:
    """A wine glass, on its side."""
    outline = rounded(
        [
            (0, 1.56),
            (0.16, 1.58),
            (0.42, 1.74),
            (0.62, 2.05),
            (0.68, 2.4),
            (0.63, 2.8),
            (0.54, 3.18),
        ]
    )
    bowl = shell(outline, 0.03)
    foot = rounded(
        [
            (0, 0),
            (0.4, 0),
            (0.62, 0.0),
            (0.64, 0.02),
            (0.6, 0.05),
            (0.3, 0.09),
            (0.12, 0.16),
            (0.07, 0.3),
            (0.06, 0.8),
            (0.065, 1.3),
            (0.1, 1.5),
            (0.16, 1.575),
        ]
    )
    clear = glass("goblet glass", rgb("fbfdfd"), rgb("f0f3f3"))
    # one skin: the foot and stem run into the bowl's outside, so that no seam shows
    start = int(np.argmax(bowl[:, 0] >= 0.16))
    return [lathe("goblet", np.vstack([foot[:-1], bowl[start:]]), clear)]


def can(picture: np.ndarray, rough: float = 0.3) -> Parts:
    """An upright drinks can, 2.5 high, with rims, a lid and its tab."""
    paint = solid("can print", picture, rough, 0.55, coat=0.5)
    bare = solid("aluminium", rgb("d8dadc"), 0.24, 1.0)
    dark = solid("opening", rgb("08080a"), 0.6)
    body = rounded(
        [(0.6, 0.14), (0.66, 0.24), (0.66, 0.5), (0.66, 2.1), (0.655, 2.18), (0.58, 2.36)], 0.025
    )
    foot = rounded(
        [(0, 0.16), (0.3, 0.12), (0.46, 0.02), (0.5, 0), (0.54, 0.03), (0.6, 0.14)], 0.025
    )
    lid = rounded(
        [
            (0.58, 2.36),
            (0.6, 2.4),
            (0.6, 2.45),
            (0.575, 2.47),
            (0.55, 2.45),
            (0.53, 2.35),
            (0.49, 2.35),
            (0.47, 2.38),
            (0.2, 2.385),
            (0, 2.385),
        ],
        0.02,
    )
    parts = [lathe("body", body, paint), lathe("foot", foot, bare), lathe("lid", lid, bare)]
    ring = np.array(
        [
            (0.15 + 0.05 * math.cos(a), 2.43 + 0.03 * math.sin(a))
            for a in np.linspace(0, 2 * math.pi, 13)
        ]
    )
    tab = lathe("tab", ring, bare, 40, flat=0.75)
    for vertex in tab.data.vertices:
        vertex.co.x += 0.14
    hole = rounded([(0, 2.392), (0.18, 2.392)], 0.05)
    mouth = lathe("mouth", hole, dark, 40, flat=0.8)
    for vertex in mouth.data.vertices:
        vertex.co.x -= 0.24
    rivet = lathe("rivet", rounded([(0.07, 2.38), (0.06, 2.43), (0, 2.44)], 0.01), bare, 24)
    return [*parts, tab, mouth, rivet]


def metal_can() -> Parts:
    """A red drinks can on its side."""
    return can(
        prints.can_print((196, 14, 28), (245, 245, 245), (250, 250, 250), "FIZZ", "cola · 330 ml")
    )


def metal_crushed() -> Parts:
    """A blue and silver can, crushed and bent in the middle."""
    parts = can(
        prints.can_print((26, 70, 160), (214, 218, 224), (240, 242, 245), "VOLT", "energy drink"),
        0.28,
    )
    random = np.random.default_rng(8)
    bumps = random.uniform(0, 6.28, 6)
    for part in parts:
        for vertex in part.data.vertices:
            x, y, z = vertex.co
            t = z / 2.47
            pinch = math.exp(-(((t - 0.5) / 0.24) ** 2))
            angle = math.atan2(y, x)
            fold = 0.0
            for number in range(3):
                wave = angle * (2 + number) + t * (9 - 3 * number) + bumps[number]
                fold += abs((wave / math.pi) % 2 - 1) * (0.2 - 0.04 * number)
            shrink = 1 - pinch * fold * 1.1
            x, y = x * shrink * (1 - 0.42 * pinch), y * shrink * (1 + 0.28 * pinch)
            ramp = min(1.0, max(0.0, (t - 0.25) / 0.5))
            ease = ramp * ramp * (3 - 2 * ramp)
            z = z - 0.75 * ease
            lean = math.radians(24) * ease
            x, z = x + 0.28 * pinch, z - 0.85
            x, z = x * math.cos(lean) - z * math.sin(lean), x * math.sin(lean) + z * math.cos(lean)
            vertex.co = (x, y, z + 0.85)
    return parts


def metal_tin() -> Parts:
    """A ribbed food tin without a label, its lid bent open."""
    steel = solid("tinplate", rgb("c9c7c2"), 0.22, 1.0, (3, 0.08))
    gold = solid("inside", rgb("c7b48c"), 0.34, 0.9)
    ribs = [(0.86 + 0.022 * math.cos(k * math.pi), 0.5 + k * 0.06) for k in range(21)]
    outline = rounded(
        [
            (0, 0.06),
            (0.6, 0.06),
            (0.78, 0.04, 1),
            (0.84, 0),
            (0.9, 0.03),
            (0.88, 0.1),
            (0.86, 0.16),
            (0.86, 0.4),
            *ribs,
            (0.86, 1.9),
            (0.86, 2.12),
            (0.9, 2.18),
            (0.9, 2.24),
            (0.86, 2.26),
        ],
        0.02,
    )
    inner = rounded(
        [(0.86, 2.26), (0.835, 2.2), (0.83, 1.2), (0.83, 0.12, 1), (0.4, 0.1), (0, 0.1)]
    )
    rings = [
        (0.82, 0),
        (0.8, 0.03),
        (0.72, 0.035),
        (0.69, 0.0),
        (0.6, 0.0),
        (0.57, 0.03),
        (0.5, 0.03),
        (0.46, 0.0),
        (0.2, 0.0),
        (0, 0.0),
    ]
    lid = lathe("lid", rounded(rings, 0.015), steel)
    back = lathe("lid back", rounded(rings, 0.015) - np.array([0.0, 0.02]), gold)
    # the hinge is at -x, above the rim; the lid stands open away from the mouth
    turned([lid, back], at=(0.84, 0, 0))
    turned([lid, back], y=-74)
    turned([lid, back], at=(-0.87, 0, 2.26))
    return [lathe("tin", outline, steel), lathe("inside", inner, gold), lid, back]


def metal_foil() -> Parts:
    """A ball of crumpled aluminium foil."""
    points, faces = creased(5, (0.06, 0.045, 0.022), (1.15, 1.0, 0.86))
    foil = solid("foil", rgb("d4d6d8"), 0.2, 1.0)
    ball = mesh("foil ball", points, faces, foil, smooth=False)
    return [ball]
