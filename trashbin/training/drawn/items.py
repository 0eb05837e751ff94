"""Items by label: each function gives an object and whether it lies on its side."""

from __future__ import annotations

import math
from collections.abc import Callable

from mathutils import Vector, noise

from trashbin.training.drawn.materials import Rng, material, printed, times, vivid
from trashbin.training.drawn.shapes import (
    Object,
    ball,
    dented,
    dress,
    fine,
    joined,
    lathe,
    mesh,
    sheet,
    solid,
)


def cardboard(rng: Rng) -> tuple[Object, bool]:
    """An open box, a torn or flat piece, a tube."""
    tone = rng.uniform(0.75, 1.15)
    brown = (0.42 * tone, 0.26 * tone, 0.13 * tone)
    card = material(
        rng,
        brown,
        0.9,
        bump=0.1,
        bump_scale=60,
        spots=times(brown, 0.88),
        spot_scale=12,
    )
    kind = rng.choice(("box", "box", "piece", "tube", "flat"))
    if kind == "box":
        w, d, h = rng.uniform(1.2, 2.4), rng.uniform(1.0, 1.8), rng.uniform(0.4, 1.1)
        parts = []
        floor = mesh(
            "f",
            [(-w / 2, -d / 2, 0), (w / 2, -d / 2, 0), (w / 2, d / 2, 0), (-w / 2, d / 2, 0)],
            [(0, 1, 2, 3)],
            smooth=False,
        )
        parts.append(dress(solid(floor, 0.05), card))
        for sx, sy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            length = d if sx else w
            out = rng.uniform(0.1, 0.7) * (0.6 if rng.random() < 0.5 else 1)
            a = rng.uniform(-0.6, 0.5)
            pts = []
            for t in (-0.5, 0.5):
                for off, z in ((0, 0), (0, h), (out * math.cos(a), h + out * math.sin(a))):
                    x, y = (
                        (sx * (w / 2 + off), t * length) if sx else (t * length, sy * (d / 2 + off))
                    )
                    pts.append((x, y, z))
            side = mesh("w", pts, [(0, 3, 4, 1), (1, 4, 5, 2)], smooth=False)
            parts.append(dress(solid(side, 0.05), card))
        return joined(parts), False
    if kind == "tube":
        r, h = rng.uniform(0.22, 0.3), rng.uniform(1.0, 2.4)
        return dress(solid(lathe(fine([(r, 0), (r, h)], 12)), 0.03), card), rng.random() < 0.8
    ragged = rng.uniform(0.15, 0.5) if kind == "piece" else 0.0
    made = sheet(rng, rng.uniform(1.4, 2.6), rng.uniform(1.0, 2.0), 0.15, 0.03, ragged=ragged)
    return dress(solid(made, 0.06), card), False


def glass(rng: Rng) -> tuple[Object, bool]:
    """A bottle, a jar or a tumbler, clear, green or brown."""
    tint = rng.choice(
        (
            (0.95, 0.98, 0.96),
            (0.9, 0.97, 0.93),
            (0.12, 0.4, 0.12),
            (0.35, 0.13, 0.02),
            (0.5, 0.75, 0.55),
        )
    )
    clear = material(rng, tint, 0.02, clear=1.0, ior=1.5)
    kind = rng.choice(("wine", "beer", "jar", "jar", "glass"))
    s = rng.uniform(0.85, 1.15)
    if kind == "wine":
        profile = [
            (0.0, 0.12),
            (0.2, 0.06),
            (0.36, 0),
            (0.38, 0.1),
            (0.38, 1.7),
            (0.33, 1.95),
            (0.16, 2.25),
            (0.14, 2.8),
            (0.17, 2.82),
            (0.17, 2.95),
        ]
    elif kind == "beer":
        profile = [
            (0.0, 0.06),
            (0.28, 0),
            (0.31, 0.08),
            (0.31, 1.25),
            (0.27, 1.5),
            (0.14, 1.85),
            (0.13, 2.2),
            (0.15, 2.22),
            (0.15, 2.32),
        ]
    elif kind == "jar":
        profile = [
            (0.0, 0.05),
            (0.36, 0),
            (0.42, 0.08),
            (0.42, 0.85),
            (0.36, 0.98),
            (0.34, 1.0),
            (0.36, 1.05),
            (0.35, 1.15),
        ]
    else:
        profile = [(0.0, 0.1), (0.3, 0), (0.33, 0.1), (0.4, 1.3)]
    profile = [(r * s, z * s) for r, z in profile]
    parts = [dress(solid(lathe(fine(profile)), -0.05), clear)]
    if rng.random() < 0.5 and kind != "glass":
        band = [(r + 0.012, z) for r, z in profile if 0.08 * s <= z <= 1.3 * s][:2]
        low, high = (
            band[0][1] + 0.2 * (band[1][1] - band[0][1]),
            band[0][1] + rng.uniform(0.5, 0.85) * (band[1][1] - band[0][1]),
        )
        parts.append(
            dress(
                lathe([(band[0][0], low), (band[1][0], high)]),
                printed(rng, (0.85, 0.82, 0.75), "label"),
            )
        )
    return joined(parts), rng.random() < 0.75


def metal(rng: Rng) -> tuple[Object, bool]:
    """A drink can, whole or crushed, a tin, a ball of foil."""
    kind = rng.choice(("can", "can", "crushed", "tin", "foil"))
    bare = material(rng, (0.8, 0.8, 0.82), rng.uniform(0.15, 0.35), 1.0, bump=0.05, bump_scale=8)
    if kind == "foil":
        return dress(ball(rng, rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.6), 2.4), bare), False
    if kind == "tin":
        r, h = rng.uniform(0.36, 0.5), rng.uniform(0.5, 1.2)
        ribs = [(r * (1 - 0.02 * (k % 2)), 0.05 + (h - 0.1) * k / 24) for k in range(25)]
        parts = [
            dress(solid(lathe([(0, 0.02), (r * 0.93, 0.02), (r, 0), *ribs, (r, h)]), 0.015), bare)
        ]
        if rng.random() < 0.4:
            parts.append(
                dress(
                    lathe([(r + 0.01, 0.12 * h), (r + 0.01, 0.88 * h)]),
                    printed(rng, (0.8, 0.7, 0.5), "label"),
                )
            )
        return joined(parts), rng.random() < 0.6
    r, h = 0.33, rng.choice((0.9, 1.2, 1.5))
    ends = lathe(
        fine(
            [
                (0, 0.06),
                (0.2, 0.05),
                (0.24, 0),
                (r, 0.12),
                (r, h - 0.15),
                (0.27, h - 0.02),
                (0.27, h),
                (0.25, h - 0.05),
                (0, h - 0.05),
            ],
            6,
        )
    )
    paint = lathe(fine([(r + 0.004, 0.12), (r + 0.004, h - 0.15)], 14))
    tab = mesh(
        "tab",
        [
            (-0.06, -0.02, h - 0.03),
            (0.06, -0.02, h - 0.03),
            (0.06, 0.16, h - 0.03),
            (-0.06, 0.16, h - 0.03),
        ],
        [(0, 1, 2, 3)],
    )
    parts = [
        dress(ends, bare),
        dress(paint, printed(rng, vivid(rng), "label", 0.25, 0.6)),
        dress(solid(tab, 0.02), bare),
    ]
    if kind == "crushed":
        offset, strength = Vector((rng.uniform(-50, 50), 0, 0)), rng.uniform(0.12, 0.25)
        press = rng.uniform(0.5, 0.85)
        for part in parts:
            for vertex in part.data.vertices:
                vertex.co += strength * noise.noise_vector(vertex.co * 2.2 + offset)
                vertex.co.z *= press
    return joined(parts), rng.random() < 0.7


def paper(rng: Rng) -> tuple[Object, bool]:
    """A page, a newspaper, an envelope, something crumpled."""
    kind = rng.choice(("page", "news", "ball", "crumpled", "envelope"))
    white = rng.choice(((0.85, 0.85, 0.84), (0.8, 0.78, 0.7), (0.75, 0.8, 0.85)))
    if kind == "ball":
        return dress(
            ball(rng, rng.uniform(0.45, 0.75), rng.uniform(0.35, 0.55), 1.8),
            material(rng, white, 0.95),
        ), False
    if kind == "envelope":
        made = sheet(rng, rng.uniform(1.6, 2.2), rng.uniform(0.9, 1.2), 0.05, 0.02)
        return dress(
            solid(made, 0.02),
            printed(rng, white if rng.random() < 0.6 else (0.6, 0.42, 0.22), "text"),
        ), False
    crumple = 0.3 if kind == "crumpled" else 0.05
    made = sheet(rng, rng.uniform(1.4, 2.2), rng.uniform(1.6, 2.6), 0.2, crumple)
    return dress(made, printed(rng, white, "news" if kind == "news" else "text", 0.9)), False


def plastic(rng: Rng) -> tuple[Object, bool]:
    """A bottle, a jug, a cup, a clear tub."""
    kind = rng.choice(("pet", "pet", "jug", "cup", "clamshell"))
    s = rng.uniform(0.85, 1.15)
    cap = material(rng, vivid(rng), 0.4)
    if kind == "pet":
        tint = rng.choice(((0.97, 0.98, 1.0), (0.75, 0.88, 1.0), (0.6, 0.9, 0.65)))
        film = material(rng, tint, 0.08, clear=0.92, ior=1.15)
        waist = [(0.32 - 0.02 * (k % 2), 0.15 + 0.09 * k) for k in range(14)]
        profile = [
            (0.0, 0.08),
            (0.22, 0.0),
            (0.3, 0.06),
            *waist,
            (0.33, 1.5),
            (0.28, 1.75),
            (0.13, 2.05),
            (0.12, 2.12),
        ]
        profile = [(r * s, z * s) for r, z in profile]
        parts = [
            dress(
                solid(dented(rng, lathe(fine(profile, 3)), rng.choice((0.0, 0.02, 0.08))), -0.012),
                film,
            ),
            dress(lathe([(0.0, 2.25 * s), (0.14 * s, 2.25 * s), (0.14 * s, 2.08 * s)]), cap),
        ]
        if rng.random() < 0.7:
            parts.append(
                dress(
                    lathe([(0.335 * s, 0.6 * s), (0.335 * s, 1.15 * s)]),
                    printed(rng, vivid(rng), "label", 0.35),
                )
            )
        return joined(parts), rng.random() < 0.85
    if kind == "jug":
        body = material(rng, vivid(rng) if rng.random() < 0.6 else (0.85, 0.85, 0.83), 0.35)
        profile = [
            (0.0, 0.02),
            (0.4, 0),
            (0.46, 0.08),
            (0.46, 1.2),
            (0.38, 1.5),
            (0.16, 1.75),
            (0.15, 1.85),
        ]
        profile = [(r * s, z * s) for r, z in profile]
        q = rng.uniform(0.55, 0.8)
        parts = [
            dress(lathe(fine(profile), squash=q), body),
            dress(lathe([(0.0, 2.05 * s), (0.17 * s, 2.05 * s), (0.17 * s, 1.8 * s)]), cap),
            dress(
                lathe([(0.465 * s, 0.35 * s), (0.465 * s, 1.0 * s)], squash=q),
                printed(rng, vivid(rng), "label", 0.4),
            ),
        ]
        return joined(parts), True
    if kind == "cup":
        body = material(
            rng,
            rng.choice(((0.85, 0.85, 0.85), vivid(rng))),
            0.3,
            clear=rng.choice((0.0, 0.7)),
            ior=1.15,
        )
        h = rng.uniform(0.4, 1.2)
        return dress(
            solid(
                lathe(fine([(0.0, 0.02), (0.26, 0.0), (0.28, 0.04), (0.42, h), (0.46, h)])), 0.015
            ),
            body,
        ), rng.random() < 0.5
    film = material(rng, (0.96, 0.97, 0.98), 0.06, clear=0.9, ior=1.12)
    w, d, h = rng.uniform(0.9, 1.2), rng.uniform(0.7, 1.0), rng.uniform(0.3, 0.5)
    rings = [(1.0, 0.0), (1.08, h * 0.5), (1.15, h), (1.3, h), (1.3, h - 0.03)]
    n, vertices = 40, []
    for g, z in rings:
        for k in range(n):
            a = 2 * math.pi * k / n
            c, si = math.cos(a), math.sin(a)
            m = (abs(c) ** 5 + abs(si) ** 5) ** -0.2
            wave = 1 + 0.03 * math.cos(12 * a)
            vertices.append((g * w * m * c * wave, g * d * m * si * wave, z))
    vertices.append((0, 0, 0.03))
    faces: list[tuple[int, ...]] = [
        (j * n + k, j * n + (k + 1) % n, (j + 1) * n + (k + 1) % n, (j + 1) * n + k)
        for j in range(len(rings) - 1)
        for k in range(n)
    ]
    faces += [(k, (k + 1) % n, len(vertices) - 1) for k in range(n)]
    return dress(solid(mesh("tub", vertices, faces), 0.012), film), False


def trash(rng: Rng) -> tuple[Object, bool]:
    """A packet, a wrapper, a soiled tissue."""
    kind = rng.choice(("packet", "packet", "wrapper", "tissue"))
    if kind == "tissue":
        made = sheet(rng, 1.8, 1.8, 0.3, 0.5, ragged=0.3)
        return dress(
            made, material(rng, (0.75, 0.74, 0.7), 1.0, spots=(0.5, 0.42, 0.3), spot_scale=2.0)
        ), False
    w, h = (
        (rng.uniform(1.0, 1.4), rng.uniform(1.3, 1.9))
        if kind == "packet"
        else (rng.uniform(0.4, 0.6), rng.uniform(1.2, 1.7))
    )
    skin = printed(rng, vivid(rng), "label", 0.25, rng.choice((0.0, 0.3, 0.6)))
    cells, vertices, uvs = 50, [], []
    offset = Vector((rng.uniform(-50, 50), 0, 0))
    for j in range(cells + 1):
        for i in range(cells + 1):
            u, v = i / cells, j / cells
            puff = (
                max(0, math.sin(math.pi * u))
                * max(0, math.sin(math.pi * min(1, max(0, (v - 0.07) / 0.86))))
            ) ** 0.6
            x, y = (u - 0.5) * w, (v - 0.5) * h
            z = (
                0.28 * puff * min(w, 1)
                + 0.22 * w * abs(noise.noise(Vector((x * 2.5, y * 2.5, 0)) + offset))
                + 0.05 * noise.noise(Vector((x * 8, y * 8, 0)) + offset)
            )
            vertices.append((x, y, z))
            uvs.append((u, v))
    n = cells + 1
    faces = [
        (j * n + i, j * n + i + 1, (j + 1) * n + i + 1, (j + 1) * n + i)
        for j in range(cells)
        for i in range(cells)
    ]
    return dress(solid(mesh("packet", vertices, faces, uvs), 0.02), skin), False


ITEMS: dict[str, Callable[[Rng], tuple[Object, bool]]] = {
    f.__name__: f for f in (cardboard, glass, metal, paper, plastic, trash)
}
