"""The list of things: what each is, on which tray, and how it came to lie there. Imports bpy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Matrix

from trashbin.scenes import items_card as card
from trashbin.scenes import items_hard as hard
from trashbin.scenes import items_soft as soft
from trashbin.scenes.meshes import turned

Parts = list[Any]


@dataclass(frozen=True)
class Thing:
    """One item: its builder, then its pose.

    ``lie`` is (heading, spin, tip) in degrees for things built upright and laid on their side;
    ``turn`` turns a thing that was built as it lies; ``at`` is its middle on the tray's
    floor, and ``sink`` flattens what it stands on.
    """

    id: str
    label: str
    name: str
    tray: str
    make: Callable[[], Parts]
    scale: float = 1.0
    lie: tuple[float, float, float] | None = None
    turn: tuple[float, float, float] = (0, 0, 0)
    at: tuple[float, float] = (0, 0)
    sink: float = 0.0


ITEMS = (
    Thing(
        "cardboard-box",
        "cardboard",
        "open cardboard box",
        "grey",
        card.cardboard_box,
        0.9,
        turn=(0, 0, 24),
    ),
    Thing(
        "cardboard-parcel",
        "cardboard",
        "taped parcel",
        "wood",
        card.cardboard_parcel,
        1.1,
        turn=(0, 0, -14),
    ),
    Thing(
        "cardboard-sheet",
        "cardboard",
        "torn corrugated sheet",
        "steel",
        card.cardboard_sheet,
        1.0,
        turn=(0, 0, 163),
    ),
    Thing(
        "cardboard-roll",
        "cardboard",
        "toilet-roll core",
        "rubber",
        card.cardboard_roll,
        1.1,
        lie=(-58, 15, 0),
    ),
    Thing(
        "glass-wine", "glass", "green wine bottle", "wood", hard.glass_wine, 1.05, lie=(128, 12, 0)
    ),
    Thing(
        "glass-beer", "glass", "brown beer bottle", "steel", hard.glass_beer, 1.05, lie=(47, -10, 0)
    ),
    Thing("glass-jar", "glass", "jam jar", "rubber", hard.glass_jar, 1.05, lie=(146, 10, 0)),
    Thing("glass-goblet", "glass", "wine glass", "grey", hard.glass_goblet, 1.0, lie=(205, 0, 0)),
    Thing(
        "metal-can-red", "metal", "red drinks can", "grey", hard.metal_can, 1.1, lie=(-48, -45, 0)
    ),
    Thing(
        "metal-can-crushed",
        "metal",
        "crushed can",
        "steel",
        hard.metal_crushed,
        1.25,
        lie=(-150, 200, 0),
    ),
    Thing("metal-tin", "metal", "food tin", "wood", hard.metal_tin, 0.92, lie=(-52, 100, 0)),
    Thing(
        "metal-foil",
        "metal",
        "ball of aluminium foil",
        "rubber",
        hard.metal_foil,
        0.95,
        turn=(0, 0, 30),
        sink=0.12,
    ),
    Thing(
        "paper-ball",
        "paper",
        "crumpled paper",
        "wood",
        card.paper_ball,
        0.92,
        turn=(12, 0, 20),
        sink=0.13,
    ),
    Thing(
        "paper-news", "paper", "folded newspaper", "steel", card.paper_news, 0.98, turn=(0, 0, 11)
    ),
    Thing(
        "paper-envelope",
        "paper",
        "envelope",
        "rubber",
        card.paper_envelope,
        0.95,
        turn=(0, 0, -9),
        at=(0, -0.1),
    ),
    Thing("paper-page", "paper", "notebook page", "grey", card.paper_page, 0.98, turn=(0, 0, -17)),
    Thing(
        "plastic-bottle",
        "plastic",
        "water bottle",
        "rubber",
        soft.plastic_bottle,
        1.08,
        lie=(40, -60, 0),
    ),
    Thing(
        "plastic-cup", "plastic", "yoghurt cup", "steel", soft.plastic_cup, 1.0, lie=(-48, -60, -7)
    ),
    Thing(
        "plastic-jug",
        "plastic",
        "detergent bottle",
        "wood",
        soft.plastic_jug,
        0.98,
        turn=(0, 0, 20),
    ),
    Thing(
        "plastic-spray",
        "plastic",
        "spray bottle",
        "grey",
        soft.plastic_spray,
        1.12,
        turn=(-90, 0, 28),
    ),
    Thing("trash-crisps", "trash", "crisp bag", "wood", soft.trash_crisps, 0.98, turn=(0, 0, -22)),
    Thing(
        "trash-toothbrush",
        "trash",
        "toothbrush",
        "steel",
        soft.trash_toothbrush,
        0.95,
        turn=(58, 0, 22),
    ),
    Thing("trash-mask", "trash", "face mask", "rubber", soft.trash_mask, 0.92, turn=(0, 0, 14)),
    Thing("trash-glove", "trash", "rubber glove", "grey", soft.trash_glove, 0.95, turn=(0, 0, -28)),
)


def lay(thing: Thing) -> None:
    """Build the thing and let it down to the floor of the tray, its middle over ``at``."""
    parts = thing.make()
    if thing.lie:
        hard.lying(parts, *thing.lie)
    turned(parts, *thing.turn, scale=thing.scale)
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    corners: list[Any] = []
    for part in parts:
        seen = part.evaluated_get(graph)
        data = seen.to_mesh()
        corners += [part.matrix_world @ vertex.co for vertex in data.vertices]
        seen.to_mesh_clear()
    low = [min(corner[axis] for corner in corners) for axis in range(3)]
    high = [max(corner[axis] for corner in corners) for axis in range(3)]
    shift = Matrix.Translation(
        (
            thing.at[0] - (low[0] + high[0]) / 2,
            thing.at[1] - (low[1] + high[1]) / 2,
            0.012 - thing.sink - low[2],
        )
    )
    for part in parts:
        part.matrix_world = shift @ part.matrix_world
    bpy.context.view_layer.update()
