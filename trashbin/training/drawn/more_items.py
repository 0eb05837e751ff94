"""More items by label, for ``--more``: with handles, stems, lids and loops.

Apart from ``items``, so that what it draws from a seed stays what it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mathutils import Vector

from trashbin.training.drawn.materials import Colour, Rng, material, printed, vivid
from trashbin.training.drawn.shapes import (
    Object,
    Profile,
    arc,
    dented,
    dress,
    fine,
    joined,
    lathe,
    mesh,
    sheet,
    solid,
    tube,
)


def _wrap(rng: Rng, radius: float, low: float, high: float, squash: float = 1.0) -> Object:
    """A printed label around a body."""
    paper = printed(rng, vivid(rng), "label", rng.uniform(0.3, 0.6))
    return dress(lathe([(radius, low), (radius, high)], squash=squash), paper)


def _box(width: float, depth: float, height: float, at: tuple[float, float, float]) -> Object:
    x, y, z = at
    corners = [
        (x + sx * width / 2, y + sy * depth / 2, z + sz * height)
        for sz in (0, 1)
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    sides = [
        (0, 3, 2, 1),
        (4, 5, 6, 7),
        *((k, (k + 1) % 4, 4 + (k + 1) % 4, 4 + k) for k in range(4)),
    ]
    return mesh("box", corners, sides, smooth=False)


def _pick(rng: Rng, *colours: Colour) -> Colour:
    return rng.choice(colours) if rng.random() < 0.6 else vivid(rng)


def glass(rng: Rng) -> tuple[Object, bool]:
    """A stemmed glass, a flask with a ring."""
    tint = rng.choice(((0.95, 0.98, 0.96), (0.93, 0.97, 0.98), (0.9, 0.97, 0.93)))
    clear = material(rng, tint, 0.02, clear=1.0, ior=1.5)
    w, stem, bowl = rng.uniform(0.3, 0.48), rng.uniform(0.4, 1.1), rng.uniform(0.7, 1.2)
    if rng.random() < 0.7:
        foot: Profile = [(0.0, 0.03), (w * 0.95, 0.0), (w * 0.95, 0.03), (0.08, 0.1), (0.05, 0.3)]
        cup: Profile = [(0.0, 0.0), (0.1, 0.02), (w * 0.8, bowl * 0.3), (w, bowl * 0.55)]
        cup += [(w * rng.uniform(0.75, 1.1), bowl)]
        base = [*foot, (0.045, stem), (0.07, stem + 0.1), (0.0, stem + 0.12)]
        parts = [dress(lathe(fine(base)), clear)]
        over = [(r, z + stem + 0.06) for r, z in cup]
        parts.append(dress(solid(lathe(fine(over)), -0.025), clear))
        return joined(parts), rng.random() < 0.8
    h = rng.uniform(1.2, 2.0)
    body: Profile = [(0.0, 0.06), (w, 0.0), (w, h * 0.55), (0.13, h * 0.8), (0.13, h), (0.17, h)]
    parts = [dress(solid(lathe(fine(body), squash=rng.uniform(0.5, 1.0)), -0.04), clear)]
    cap = material(
        rng, _pick(rng, (0.7, 0.7, 0.72), (0.02, 0.02, 0.02)), 0.3, rng.choice((0.0, 1.0))
    )
    parts.append(dress(lathe([(0.0, h + 0.14), (0.19, h + 0.14), (0.19, h - 0.08)]), cap))
    return joined(parts), rng.random() < 0.8


def metal(rng: Rng) -> tuple[Object, bool]:
    """An open tin with its lid, a lid, a spray can, a dish of foil."""
    tone = rng.choice(((0.8, 0.8, 0.82), (0.75, 0.74, 0.7), (0.8, 0.68, 0.42)))
    bare = material(rng, tone, rng.uniform(0.12, 0.4), 1.0, bump=0.05, bump_scale=8)
    kind = rng.choice(("tin", "tin", "lid", "aerosol", "dish"))
    if kind == "lid":
        r, h = rng.uniform(0.35, 0.6), rng.uniform(0.1, 0.22)
        top: Profile = [(0.0, h - 0.02), (r * 0.6, h - 0.02), (r * 0.7, h), (r * 0.95, h), (r, 0.0)]
        return dress(solid(lathe(fine(top)), 0.012), bare), False
    if kind == "aerosol":
        r, h = rng.uniform(0.25, 0.36), rng.uniform(1.3, 2.2)
        dome: Profile = [(r, h), (r * 0.85, h + 0.12), (0.12, h + 0.2), (0.0, h + 0.2)]
        cap = material(rng, _pick(rng, (0.8, 0.8, 0.8)), 0.4)
        paint = printed(rng, vivid(rng), "label", 0.25, 0.6)
        parts = [
            dress(lathe(fine([(0.0, 0.05), (r * 0.9, 0.0), (r, 0.05), (r, h), *dome[1:]])), bare),
            dress(lathe([(r + 0.004, 0.08), (r + 0.004, h - 0.03)]), paint),
            dress(lathe([(0.0, h + 0.42), (0.13, h + 0.4), (0.13, h + 0.18)]), cap),
        ]
        return joined(parts), True
    if kind == "dish":
        w, h = rng.uniform(0.7, 1.1), rng.uniform(0.2, 0.4)
        rings: Profile = [(0.0, 0.01), (w * 0.85, 0.0), (w, h), (w * 1.12, h), (w * 1.14, h - 0.03)]
        made = dented(
            rng, lathe(fine(rings), squash=rng.uniform(0.65, 1.0)), rng.uniform(0.02, 0.1)
        )
        return dress(solid(made, 0.012), bare), False
    r, h = rng.uniform(0.36, 0.55), rng.uniform(0.6, 1.3)
    ribs = [(r * (1 - 0.025 * (k % 2)), 0.05 + (h - 0.1) * k / 24) for k in range(25)]
    can = lathe([(0, 0.02), (r * 0.93, 0.02), (r, 0), *ribs, (r * 1.02, h), (r, h)])
    lid = dress(
        solid(lathe(fine([(0.0, 0.01), (r * 0.6, 0.0), (r * 0.7, 0.02), (r, 0.0)])), 0.01), bare
    )
    open_by = math.radians(rng.uniform(50, 140))
    lid.rotation_euler = (0.0, open_by, 0.0)
    lid.location = Vector((-r - r * math.cos(open_by), 0.0, h + r * math.sin(open_by)))
    parts = [dress(solid(can, 0.015), bare), lid]
    if rng.random() < 0.3:
        parts.append(_wrap(rng, r + 0.01, 0.12 * h, 0.88 * h))
    return joined(parts), rng.random() < 0.6


def plastic(rng: Rng) -> tuple[Object, bool]:
    """A spray bottle, a jug with a handle, a pot with its lid, a flat bottle, a bag."""
    kind = rng.choice(("spray", "spray", "jug", "jug", "pot", "pot", "flat", "bag"))
    cap = material(rng, _pick(rng, (0.85, 0.85, 0.85), (0.8, 0.05, 0.03)), 0.4)
    whole = _pick(rng, (0.85, 0.85, 0.83), (0.8, 0.82, 0.85))
    body = material(rng, whole, rng.uniform(0.2, 0.5))
    if kind == "bag":
        film = material(rng, (0.95, 0.96, 0.97), 0.12, clear=rng.uniform(0.5, 0.9), ior=1.1)
        made = sheet(rng, rng.uniform(1.3, 2.2), rng.uniform(1.3, 2.2), 0.3, 0.55, ragged=0.2)
        return dress(made, film if rng.random() < 0.6 else body), False
    if kind == "pot":
        r, h = rng.uniform(0.26, 0.4), rng.uniform(0.5, 1.1)
        wide = r * rng.uniform(1.2, 1.45)
        rings: Profile = [
            (0.0, 0.02),
            (r, 0.0),
            (r * 1.04, 0.05),
            (wide, h),
            (wide * 1.1, h + 0.01),
        ]
        walls = lathe(fine(rings))
        skin = printed(rng, whole, "label", 0.3) if rng.random() < 0.6 else body
        parts = [dress(solid(walls, 0.015), skin)]
        if rng.random() < 0.5:
            lid = sheet(rng, wide * 2.1, wide * 2.1, 0.5, 0.06, ragged=0.1)
            shine = material(rng, (0.8, 0.8, 0.8), 0.25, rng.choice((0.0, 1.0)))
            lid.location = Vector((wide * 1.1, 0.0, h + 0.1))
            lid.rotation_euler = (0.0, rng.uniform(0.3, 1.2), 0.0)
            parts.append(dress(lid, shine))
        return joined(parts), rng.random() < 0.6
    q, s = rng.uniform(0.5, 0.8), rng.uniform(0.85, 1.15)
    if kind == "flat":
        h = rng.uniform(1.4, 2.1)
        profile: Profile = [(0.0, 0.02), (0.4, 0.0), (0.45, 0.1), (0.42, h * 0.8), (0.16, h)]
        profile = [(r * s, z) for r, z in profile]
        top: Profile = [(0.0, h + 0.25), (0.2 * s, h + 0.25), (0.2 * s, h - 0.02)]
        parts = [dress(lathe(fine(profile), squash=q), body), dress(lathe(top, squash=q), cap)]
        parts.append(_wrap(rng, 0.455 * s, 0.25 * h, 0.65 * h, q))
        return joined(parts), True
    if kind == "jug":
        h, w = rng.uniform(1.3, 1.9), rng.uniform(0.5, 0.65)
        outline: Profile = [(0.0, 0.02), (w, 0.0), (w * 1.05, 0.1), (w, h * 0.62), (0.2, h * 0.95)]
        parts = [
            dress(lathe(fine([*outline, (0.18, h)]), squash=q), body),
            dress(lathe([(0.0, h + 0.24), (0.23, h + 0.24), (0.23, h - 0.02)]), cap),
            _wrap(rng, w * 1.06, h * 0.12, h * 0.52, q),
        ]
        grip = arc(
            [(0.15, 0, h * 0.93), (w * 0.95, 0, h * 0.95), (w * 1.1, 0, h * 0.75), (w, 0, h * 0.45)]
        )
        parts.append(dress(tube(grip, [0.1] * len(grip)), body))
        return joined(parts), True
    h, w = rng.uniform(1.3, 1.8), rng.uniform(0.38, 0.5)
    tint = rng.choice(((0.97, 0.98, 1.0), (0.3, 0.6, 0.95), (0.4, 0.85, 0.5), (0.95, 0.7, 0.3)))
    film = material(rng, tint, 0.08, clear=0.9, ior=1.15) if rng.random() < 0.7 else body
    outline = [(0.0, 0.03), (w, 0.0), (w * 1.03, 0.1), (w, h * 0.6), (0.16, h * 0.9), (0.15, h)]
    head = material(rng, _pick(rng, (0.85, 0.85, 0.85)), 0.4)
    trigger = arc([(0.32, 0, h + 0.2), (0.45, 0, h), (0.42, 0, h - 0.25)])
    barrel = [Vector((-0.3, 0, h + 0.28)), Vector((0.1, 0, h + 0.32)), Vector((0.55, 0, h + 0.3))]
    parts = [
        dress(solid(lathe(fine(outline), squash=q), -0.015), film),
        dress(lathe([(0.2, h + 0.1), (0.2, h - 0.1)]), cap),
        dress(tube([Vector((0, 0, h)), Vector((0, 0, h + 0.3))], [0.14, 0.16]), head),
        dress(tube(barrel, [0.16, 0.17, 0.1]), head),
        dress(tube(trigger, [0.06] * len(trigger)), cap),
        _wrap(rng, w * 1.04, h * 0.12, h * 0.52, q),
    ]
    return joined(parts), True


def trash(rng: Rng) -> tuple[Object, bool]:
    """A brush, a face mask, a glove, a sponge."""
    kind = rng.choice(("brush", "brush", "mask", "mask", "glove", "glove", "sponge"))
    if kind == "sponge":
        w, d, h = rng.uniform(0.8, 1.3), rng.uniform(0.5, 0.8), rng.uniform(0.2, 0.4)
        soft = material(rng, _pick(rng, (0.8, 0.65, 0.1)), 1.0, bump=0.6, bump_scale=25)
        rough = material(rng, _pick(rng, (0.05, 0.3, 0.1)), 1.0, bump=0.8, bump_scale=80)
        return joined(
            [dress(_box(w, d, h, (0, 0, 0)), soft), dress(_box(w, d, 0.08, (0, 0, h)), rough)]
        ), False
    if kind == "brush":
        return _brush(rng), False
    if kind == "mask":
        return _mask(rng), False
    return _glove(rng), False


def _brush(rng: Rng) -> Object:
    long, bend = rng.uniform(1.7, 2.2), rng.uniform(-0.15, 0.15)
    colour = vivid(rng)
    grip = material(rng, colour, 0.3, clear=rng.choice((0.0, 0.0, 0.7)))
    other = material(rng, _pick(rng, (0.85, 0.85, 0.85)), 0.4)
    line = arc(
        [(-long / 2, 0, 0.1), (-long / 6, bend, 0.14), (long / 4, 0, 0.1), (long / 2, 0, 0.1)]
    )
    wide = [0.11 - 0.05 * k / len(line) + 0.02 * math.sin(k * 0.7) for k in range(len(line))]
    middle = line[2 : len(line) // 2]
    parts: list[Object] = [
        dress(tube(line, wide, 0.7), grip),
        dress(tube(middle, [0.115] * len(middle), 0.72), other),
    ]
    tufts = [material(rng, _pick(rng, (0.85, 0.87, 0.9)), 0.9) for _ in range(2)]
    for k in range(7):
        at = (long / 2 - 0.3 + 0.055 * k, 0.0, 0.12)
        tuft = _box(0.045, 0.14, rng.uniform(0.16, 0.2), at)
        parts.append(dress(tuft, tufts[k % 2]))
    root = joined(parts)
    root.rotation_euler = (rng.uniform(0, 1.6), 0.0, 0.0)
    return root


def _mask(rng: Rng) -> Object:
    w, h = rng.uniform(1.5, 1.8), rng.uniform(0.8, 1.0)
    tone = rng.choice(((0.35, 0.6, 0.8), (0.8, 0.85, 0.88), (0.03, 0.03, 0.04), (0.75, 0.5, 0.55)))
    cloth = material(rng, tone, 0.95, bump=0.1, bump_scale=150)
    made = sheet(rng, w, h, 0.35, 0.04)
    pleats = rng.uniform(10, 16)
    for vertex in made.data.vertices:
        vertex.co.z += 0.05 * (vertex.co.y * pleats / 2 % 1.0) + 0.1 * (
            1 - (2 * vertex.co.x / w) ** 2
        )
    white = material(rng, (0.85, 0.85, 0.85), 0.9)
    parts = [dress(solid(made, 0.02), cloth)]
    for side in (-1, 1):
        far, slack = side * (w / 2 + rng.uniform(0.2, 0.6)), rng.uniform(-0.3, 0.3)
        loop = arc(
            [
                (side * w / 2, h * 0.45, 0.05),
                (far, h * 0.35 + slack, 0.04),
                (far, -h * 0.3 + slack, 0.05),
                (side * w / 2, -h * 0.45, 0.05),
            ]
        )
        parts.append(dress(tube(loop, [0.025] * len(loop), around=10), white))
    return joined(parts)


def _glove(rng: Rng) -> Object:
    tone = rng.choice(((0.8, 0.6, 0.08), (0.1, 0.3, 0.7), (0.8, 0.8, 0.78), (0.03, 0.03, 0.03)))
    skin = material(
        rng, tone if rng.random() < 0.8 else vivid(rng), rng.uniform(0.3, 0.7), bump=0.05
    )
    parts: list[Object] = []
    palm = arc([(0, -1.1, 0.2), (0, -0.6, 0.18), (0, 0.0, 0.2), (0, 0.35, 0.18)])
    parts.append(tube(palm, [0.42 - 0.1 * math.sin(k * 0.22) for k in range(len(palm))], 0.45))
    for k, (x, long) in enumerate(((-0.3, 0.6), (-0.1, 0.75), (0.1, 0.7), (0.3, 0.5))):
        lean, lift = (k - 1.5) * rng.uniform(0.05, 0.2), rng.uniform(-0.05, 0.25)
        ends = [(x, 0.2, 0.18), (x + lean * 0.6, 0.35 + long * 0.5, 0.2 + lift)]
        line = arc([*ends, (x + lean, 0.35 + long, 0.15 + lift * rng.uniform(0, 1.5))])
        parts.append(
            tube(line, [0.13 - 0.05 * (n / len(line)) ** 3 for n in range(len(line))], 0.8)
        )
    side = rng.choice((-1, 1))
    thumb = arc([(side * 0.25, -0.4, 0.18), (side * 0.6, -0.1, 0.2), (side * 0.7, 0.25, 0.2)])
    parts.append(tube(thumb, [0.15 - 0.04 * n / len(thumb) for n in range(len(thumb))], 0.8))
    for part in parts:
        dress(dented(rng, part, 0.03), skin)
    return joined(parts)


MORE: dict[str, Callable[[Rng], tuple[Object, bool]]] = {
    f.__name__: f for f in (glass, metal, plastic, trash)
}
