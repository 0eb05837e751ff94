"""Renders scenes: python -m trashbin.training.drawn --out DIR [--each 12] [--seed 0].

Needs Python 3.11 with ``bpy==5.0.1``, in an environment of its own (``make scenes`` makes one).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import bpy
from mathutils import Euler, Vector

from trashbin.training.drawn.items import ITEMS
from trashbin.training.drawn.materials import Material, Rng, material, times, vivid
from trashbin.training.drawn.more_items import MORE
from trashbin.training.drawn.shapes import Object, dress, mesh, solid


def tray_material(rng: Rng) -> Material:
    """Wood, metal, plastic, cloth or stone."""
    kind = rng.choice(("wood", "metal", "plastic", "plastic", "cloth", "stone"))
    if kind == "wood":
        t = rng.uniform(0.3, 1.2)
        made = material(rng, (0.38 * t, 0.2 * t, 0.09 * t), rng.uniform(0.3, 0.8))
        nodes, links = made.node_tree.nodes, made.node_tree.links
        where, wave, ramp = (
            nodes.new("ShaderNodeTexCoord"),
            nodes.new("ShaderNodeTexWave"),
            nodes.new("ShaderNodeValToRGB"),
        )
        wave.inputs["Scale"].default_value, wave.inputs["Distortion"].default_value = (
            rng.uniform(0.5, 2.5),
            rng.uniform(2, 8),
        )
        wave.inputs["Detail"].default_value = 4
        ramp.color_ramp.elements[0].color = (0.22 * t, 0.11 * t, 0.05 * t, 1)
        ramp.color_ramp.elements[1].color = (0.42 * t, 0.24 * t, 0.11 * t, 1)
        links.new(where.outputs["Object"], wave.inputs["Vector"])
        links.new(wave.outputs[0], ramp.inputs[0])
        links.new(ramp.outputs[0], nodes["Principled BSDF"].inputs["Base Color"])
        return made
    if kind == "metal":
        g = rng.uniform(0.3, 0.7)
        return material(
            rng,
            (g, g, g * 1.02),
            rng.uniform(0.25, 0.5),
            1.0,
            bump=0.15,
            bump_scale=rng.choice((5, 40)),
        )
    g = rng.uniform(0.03, 0.7)
    tint = vivid(rng)
    pale = [0.75 + 0.25 * c if rng.random() < 0.6 else 0.3 + 0.7 * c for c in tint]
    tone = times((pale[0], pale[1], pale[2]), g)
    if kind == "plastic":
        return material(rng, tone, rng.uniform(0.25, 0.8), bump=0.05, bump_scale=100)
    spots = times(tone, rng.uniform(0.4, 1.6))
    return material(
        rng, tone, 0.9, bump=0.3, bump_scale=50, spots=spots, spot_scale=rng.uniform(5, 60)
    )


def lamp(rng: Rng, energy: float) -> None:
    """An area lamp somewhere above, pointed at the item; energy in watts."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.energy, data.size = energy, rng.uniform(0.3, 3)
    warm = rng.uniform(-0.12, 0.2)
    data.color = (1, 1 - 0.5 * max(0, warm), 1 - warm if warm > 0 else 1)
    made = bpy.data.objects.new("lamp", data)
    made.location = (rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(3, 6))
    made.rotation_euler = (Vector((0, 0, 0)) - made.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(made)


def bounds(root: Object) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of an item's box."""
    bpy.context.view_layer.update()
    points = [
        o.matrix_world @ v.co
        for o in (root, *root.children_recursive)
        if o.type == "MESH"
        for v in o.data.vertices
    ]
    return Vector(min(p[k] for p in points) for k in range(3)), Vector(
        max(p[k] for p in points) for k in range(3)
    )


def scene(
    label: str, seed: int, path: Path, size: tuple[int, int], samples: int, more: bool = False
) -> None:
    """Renders one picture; everything in it follows from label, seed and which items."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rng = Rng(f"more/{label}/{seed}" if more else f"{label}/{seed}")
    item, side = (MORE if more else ITEMS)[label](rng)
    turn = Euler((math.pi / 2 if side else 0, 0, 0)).to_matrix()
    spin = Euler((0, 0, rng.random() * 2 * math.pi)).to_matrix()
    item.rotation_euler = (spin @ turn).to_euler()
    low, high = bounds(item)
    item.location -= Vector(((low.x + high.x) / 2, (low.y + high.y) / 2, low.z - 0.01))
    reach = max(high.x - low.x, high.y - low.y, 0.8)
    floor_size, wall = reach * rng.uniform(1.3, 2.2), rng.uniform(0.2, 0.9)
    skin = tray_material(rng)
    w, d = floor_size * 0.67, floor_size * 0.5
    floor = mesh(
        "floor", [(-w, -d, 0), (w, -d, 0), (w, d, 0), (-w, d, 0)], [(0, 1, 2, 3)], smooth=False
    )
    o = 1 + rng.uniform(0, 0.15)
    rim = [
        (-w * o, -d * o, wall),
        (w * o, -d * o, wall),
        (w * o, d * o, wall),
        (-w * o, d * o, wall),
    ]
    base = [(-w, -d, 0), (w, -d, 0), (w, d, 0), (-w, d, 0)]
    walls = mesh(
        "walls",
        base + rim,
        [(k, (k + 1) % 4, 4 + (k + 1) % 4, 4 + k) for k in range(4)],
        smooth=False,
    )
    table = mesh(
        "table",
        [(-30, -30, -0.05), (30, -30, -0.05), (30, 30, -0.05), (-30, 30, -0.05)],
        [(0, 1, 2, 3)],
    )
    dress(floor, skin)
    dress(solid(walls, 0.05), skin)
    dress(table, material(rng, (rng.uniform(0.05, 0.6),) * 3, 0.8))
    for _ in range(rng.choice((1, 1, 2))):
        lamp(rng, rng.uniform(40, 220))
    world = bpy.data.worlds.new("w")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (
        *[rng.uniform(0.6, 1) for _ in range(3)],
        1,
    )
    world.node_tree.nodes["Background"].inputs[1].default_value = rng.uniform(0.15, 0.9)
    lens = bpy.data.cameras.new("c")
    lens.angle = math.radians(rng.uniform(35, 60))
    camera = bpy.data.objects.new("c", lens)
    bpy.context.collection.objects.link(camera)
    span = reach * rng.uniform(1.15, 2.0)
    distance = span / 2 / math.tan(lens.angle / 2) * 1.2
    tilt, around = math.radians(rng.uniform(0, 35)), rng.random() * 2 * math.pi
    aim = Vector((rng.uniform(-0.15, 0.15) * reach, rng.uniform(-0.15, 0.15) * reach, 0.15))
    camera.location = aim + distance * Vector(
        (math.sin(tilt) * math.cos(around), math.sin(tilt) * math.sin(around), math.cos(tilt))
    )
    camera.rotation_euler = (aim - camera.location).to_track_quat("-Z", "Y").to_euler()
    here = bpy.context.scene
    here.camera = camera
    here.render.engine = "CYCLES"
    here.cycles.device, here.cycles.samples, here.cycles.use_denoising, here.cycles.seed = (
        "CPU",
        samples,
        True,
        seed,
    )
    here.cycles.max_bounces, here.cycles.transparent_max_bounces = 10, 8
    here.render.threads_mode, here.render.threads = "FIXED", 1
    here.render.resolution_x, here.render.resolution_y, here.render.resolution_percentage = (
        *size,
        100,
    )
    here.view_settings.view_transform = rng.choice(("Standard", "AgX", "AgX"))
    here.view_settings.exposure = rng.uniform(-0.4, 0.5)
    here.render.image_settings.file_format, here.render.image_settings.quality = "JPEG", 92
    here.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def main() -> None:
    """Renders what is not there yet."""
    parser = argparse.ArgumentParser(description="Render items on trays.")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT/<label>/<seed>.jpg")
    parser.add_argument("--each", type=int, default=12, help="pictures a label")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--more", action="store_true", help="the items of more_items")
    args = parser.parse_args()
    for seed in range(args.seed, args.seed + args.each):
        for label in MORE if args.more else ITEMS:
            path = args.out / label / f"{seed}.jpg"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                scene(label, seed, path, (320, 240), args.samples, args.more)


if __name__ == "__main__":
    main()
