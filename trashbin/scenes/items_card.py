"""Things of cardboard and paper. Imports bpy; ``items.py`` lists them."""

import math
from typing import Any

import bmesh  # type: ignore[import-not-found,unused-ignore]
import numpy as np

from trashbin.scenes import prints
from trashbin.scenes.materials import rgb, solid
from trashbin.scenes.meshes import box, creased, lathe, mesh, ripple, surface, turned

Parts = list[Any]


def board(name: str, wide: float, high: float, thick: float, front: Any, back: Any) -> Parts:
    """A corrugated panel, flat at the origin: two liners and the wave between; flutes along y."""
    ripples = wide / (thick * 1.9)
    wave = surface(
        name + " flute",
        lambda u, v: ((u - 0.5) * wide, v * high, thick * 0.46 * np.sin(u * ripples * 2 * math.pi)),
        (int(ripples * 8), 1),
        back,
    )

    def liner(z: float, paint: Any) -> Any:
        return surface(name, lambda u, v: ((u - 0.5) * wide, v * high, z + 0 * u), (1, 1), paint)

    return [liner(thick / 2, front), liner(-thick / 2, back), wave]


def cardboard_box() -> Parts:
    """An open shipping box with its four flaps up and out."""
    long, short, high, thick = 2.3, 1.7, 1.15, 0.07
    marked = solid("marked", prints.carton_mark("FRAGILE"), 0.75)
    plain = solid("kraft", prints.kraft(600, 400, seed=1).pixels(), 0.75)
    inside = solid("kraft inside", prints.kraft(600, 400, (190, 148, 102), seed=2).pixels(), 0.8)
    parts: Parts = [box("bottom", (long, short, thick), (0, 0, thick / 2), inside, 0)]
    for index, (wide, deep, heading, lean, flap) in enumerate(
        (
            (long, short, 0, 152, 0.62),
            (short, long, 90, 136, 0.62),
            (long, short, 180, 124, 0.62),
            (short, long, 270, 160, 0.62),
        )
    ):
        wall = board("wall", wide, high, thick, marked if index in (0, 3) else plain, inside)
        turned(wall, x=90)
        leaf = board("flap", wide - 0.04, flap, thick * 0.9, plain, inside)
        turned(leaf, x=lean, at=(0, 0, high))
        turned(wall + leaf, at=(0, -deep / 2, 0))
        turned(wall + leaf, z=heading)
        parts += wall + leaf
    return parts


def cardboard_parcel() -> Parts:
    """A closed parcel with clear brown tape along its seam and a shipping label."""
    long, deep, high = 2.5, 1.9, 0.95
    side = solid("side", prints.kraft(700, 300, seed=9).pixels(), 0.75)
    top = solid("top", prints.parcel_top(), 0.72)
    tape = solid("tape", rgb("b98a4c"), 0.16, coat=0.7, bump=(9, 0.15))
    seam = solid("seam", rgb("4a3320"), 0.9)
    sag = ripple(2, 6, 1, 3)
    parts = [box("parcel", (long, deep, high), (0, 0, high / 2), side, 0.035)]
    parts.append(
        surface(
            "top",
            lambda u, v: (
                (u - 0.5) * (long - 0.05),
                (v - 0.5) * (deep - 0.05),
                high + 0.006 + 0.004 * sag(u * 3, v * 3),
            ),
            (30, 30),
            top,
        )
    )
    parts.append(
        surface(
            "seam", lambda u, v: ((u - 0.5) * long, (v - 0.5) * 0.025, high + 0.013), (2, 2), seam
        )
    )

    def strip(u: Any, v: Any) -> Any:
        over = u * (long + 0.9) - (long + 0.9) / 2
        past = np.maximum(np.abs(over) - long / 2, 0)
        return (
            np.clip(over, -long / 2 - 0.008, long / 2 + 0.008),
            (v - 0.5) * 0.36,
            high + 0.016 - past,
        )

    parts.append(surface("tape", strip, (200, 2), tape))
    return parts


def cardboard_sheet() -> Parts:
    """A torn piece of corrugated cardboard: top liner ripped back, the flutes bare."""
    wide, deep, thick = 2.9, 1.9, 0.15
    front = solid("front", prints.kraft(900, 600, seed=4).pixels(), 0.78)
    raw = solid("flute", prints.kraft(900, 600, (160, 116, 74), seed=6).pixels(), 0.85)
    torn = solid("torn", rgb("cfae84"), 0.9, bump=(30, 0.5))
    rough, fine = ripple(3, 7, 2, 8), ripple(4, 9, 20, 60)

    def edge(x: Any, base: float) -> Any:
        return base + 0.12 * rough(x, base * 9) + 0.03 * fine(x, base * 5)

    def warp(x: Any, y: Any) -> Any:
        return 0.05 * x * x + 0.02 * np.sin(2 * y)

    def sheet(z: float, base: float) -> Any:
        def shape(u: Any, v: Any) -> Any:
            x = (u - 0.5) * wide
            y = v * edge(x, base)
            curl = 0.55 * np.maximum(0, v - 0.86) ** 1.5 if z > 0 else 0
            return x + 0.012 * rough(y, 3), y, z + warp(x, y) + curl

        return shape

    def flute(u: Any, v: Any) -> Any:
        x = (u - 0.5) * wide
        y = v * edge(x, deep - 0.12)
        return x, y, thick * 0.46 * np.sin(u * wide / 0.2 * 2 * math.pi) + warp(x, y)

    parts = [
        surface("top", sheet(thick / 2, deep - 0.62), (240, 40), front),
        surface("bottom", sheet(-thick / 2, deep), (240, 40), raw),
        surface("flutes", flute, (480, 20), raw),
    ]

    def lip(u: Any, v: Any) -> Any:
        x = (u - 0.5) * wide
        y = edge(x, deep - 0.62) - 0.02 + v * (0.09 + 0.03 * fine(u * 3, 2))
        return x, y, thick / 2 + 0.03 + warp(x, deep - 0.62) - 0.03 * v

    parts.append(surface("fray", lip, (240, 2), torn))
    return parts


def cardboard_roll() -> Parts:
    """The core of a toilet roll, with a scrap of paper still glued on."""
    core = solid("core", prints.spiral_board(), 0.8)
    inner = solid("core inside", prints.kraft(600, 400, (152, 116, 82), seed=8).pixels(), 0.85)
    tissue = solid("tissue", rgb("f2f0ec"), 0.95, bump=(40, 0.4))

    def oval(x: Any, y: Any, z: Any) -> Any:
        return x * 1.08, y * 0.93, z + 0 * x

    def wall(radius: float) -> np.ndarray:
        return np.stack([np.full(30, radius), np.linspace(0, 2.5, 30)], axis=1)

    ends = [lathe("end", np.array([(0.6, z), (0.64, z)]), inner, bend=oval) for z in (0, 2.5)]
    ragged = ripple(5, 8, 4, 14)

    def scrap(u: Any, v: Any) -> Any:
        angle = -0.75 + u * (0.55 + 0.12 * ragged(v * 0.8, 3))
        radius = 0.652 + 0.12 * np.maximum(0, u - 0.75) ** 1.2
        high = 0.02 + v * (2.46 - 0.25 * u) + 0.05 * ragged(u * 2, v * 0.1)
        return (
            radius * np.cos(angle) * 1.08,
            radius * np.sin(angle) * 0.93,
            np.clip(high, 0.01, 2.49),
        )

    return [
        lathe("core", wall(0.64), core, bend=oval),
        lathe("inside", wall(0.6), inner, bend=oval),
        *ends,
        surface("scrap", scrap, (60, 60), tissue),
    ]


def paper_ball() -> Parts:
    """A crumpled ball of written paper."""
    points, faces = creased(21, (0.065, 0.042, 0.02), (1.12, 1.0, 0.85))
    ruled = solid("paper", prints.handwriting(), 0.85)
    uv = 0.5 + points[:, :2] * 0.36 + points[:, 2:] * (0.1, 0.16)
    return [mesh("paper ball", points, faces, ruled, uv, smooth=False)]


def paper_news() -> Parts:
    """A folded newspaper, front page up."""
    wide, deep = 3.3, 2.36
    front = solid("front page", prints.newspaper(), 0.85)
    blank = solid("newsprint", rgb("d3cdbf"), 0.9)
    waves = ripple(9, 7, 0.8, 2.2)
    parts: Parts = []
    for leaf in range(9):
        lift = leaf * 0.026
        shift = 0.012 * math.sin(leaf * 2.3)

        def shape(
            u: Any, v: Any, lift: float = lift, shift: float = shift, leaf: int = leaf
        ) -> Any:
            x = (u - 0.5) * (wide - 0.01 * leaf % 0.03)
            y = (v - 0.5) * deep + shift
            fan = 1 + 0.9 * u * (leaf / 9) * np.clip(v * 1.2, 0, 1)
            return (
                x + shift,
                y,
                lift * fan
                + 0.025 * waves(x, y)
                + 0.16 * np.maximum(0, u - 0.62) ** 1.6 * (leaf / 8),
            )

        parts.append(surface("leaf", shape, (60, 40), front if leaf == 8 else blank))
    # the fold lies to the front: a half pipe that joins the lowest leaf to the highest

    def fold(u: Any, v: Any) -> Any:
        angle = -math.pi / 2 - v * math.pi
        x = (u - 0.5) * wide
        return (
            x,
            -deep / 2 + 0.105 * np.cos(angle) * 0.8,
            0.105 + 0.105 * np.sin(angle) + 0.025 * waves(x, -deep / 2) + 0.02 * u,
        )

    parts.append(surface("fold", fold, (60, 16), blank))
    return parts


def paper_envelope() -> Parts:
    """An air-mail envelope, stamped and addressed, its flap torn open at the top."""
    wide, deep = 3.0, 1.75
    front = solid("front", prints.envelope(), 0.8)
    white = solid("envelope", rgb("ece8dc"), 0.85)
    ragged = ripple(6, 9, 6, 30)

    def face(u: Any, v: Any) -> Any:
        belly = 0.16 * np.sin(math.pi * u) * np.sin(math.pi * v) ** 0.8
        return (u - 0.5) * wide, (v - 0.5) * deep, 0.03 + belly

    def back(u: Any, v: Any) -> Any:
        return (u - 0.5) * wide, (v - 0.5) * deep, 0 * u

    def flap(u: Any, v: Any) -> Any:
        across = (u - 0.5) * wide * (1 - 0.62 * v)
        return across, deep / 2 + v * (0.78 + 0.02 * ragged(u * 2, 0)), 0.02 + 0.22 * v**1.5

    return [
        surface("face", face, (60, 40), front),
        surface("back", back, (20, 20), white),
        surface("flap", flap, (80, 20), white),
    ]


def paper_page() -> Parts:
    """A written page torn from a spiral pad: holes along the top, corners curling."""
    wide, deep = 2.2, 2.84
    page = solid("page", prints.handwriting(), 0.8)
    waves = ripple(12, 6, 0.8, 2.4)
    nu, nv = 210, 120
    count = 21

    def shape(u: Any, v: Any) -> Any:
        x, y = (u - 0.5) * wide, (v - 0.5) * deep
        right = np.maximum(0, (u - 0.5) + (0.5 - v) - 0.55)
        left = np.maximum(0, (0.5 - u) + (v - 0.5) - 0.6)
        crease = 0.05 * np.abs(((x * 0.7 + y * 0.9) / 1.1) % 2 - 1)
        return (
            x - 0.25 * right,
            y + 0.25 * right,
            0.03 + 1.1 * right**1.4 + 1.0 * left**1.4 + crease + 0.035 * waves(x, y),
        )

    made = surface("page", shape, (nu, nv), page)
    data = made.data
    gone = []
    for face in data.polygons:
        column, row = face.index % nu, face.index // nu
        u, v = (column + 0.5) / nu, (row + 0.5) / nv
        across = (u * count) % 1 - 0.5
        down = (v - 0.965) * deep / (wide / count)
        hole = (across / 0.3) ** 2 + (down / 0.34) ** 2 < 1
        slot = abs(across) < 0.16 and down > 0 and (int(u * count) * 7) % 3 != 1
        if hole or slot:
            gone.append(face.index)
    work = bmesh.new()
    work.from_mesh(data)
    work.faces.ensure_lookup_table()
    bmesh.ops.delete(work, geom=[work.faces[index] for index in gone], context="FACES")
    work.to_mesh(data)
    work.free()
    return [made]
