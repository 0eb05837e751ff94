"""Four trays, each with its own camera, lamps and room. Imports bpy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Vector

from trashbin.scenes.materials import RGB, Nodes, Point, rgb
from trashbin.scenes.meshes import box

INSIDE = (5.2, 4.0)
WALL = 0.75


@dataclass(frozen=True)
class Lamp:
    """A rectangular lamp that looks at the tray's middle: where, how large, watts, colour."""

    at: Point
    size: tuple[float, float]
    power: float
    colour: RGB = (1, 1, 1)


@dataclass(frozen=True)
class Look:
    """How one tray is seen: the camera's slant from the vertical and turn, in degrees.

    ``samples`` is how many light paths a pixel gets at most, before the denoiser.
    """

    slant: float
    turn: float
    lamps: tuple[Lamp, ...]
    ceiling: RGB
    ground: RGB
    exposure: float = 0.55
    samples: int = 14


def wood() -> Any:
    """Oiled pine, the grain along x, with scratches."""
    n = Nodes("wood")
    info = n.add("ObjectInfo").outputs["Random"]
    shift = n.add(
        "CombineXYZ", i0=n.math("MULTIPLY", info, 40), i1=n.math("MULTIPLY", info, 17)
    ).outputs[0]
    where = n.add("VectorMath", operation="ADD", i0=n.place((0.22, 1.6, 1.6)), i1=shift).outputs[0]
    warp = n.noise(1.1, 3, where)
    rings = n.math("SINE", n.math("MULTIPLY", warp, 55))
    fibre = n.noise(
        9, 3, n.add("VectorMath", operation="MULTIPLY", i0=where, i1=(0.6, 9, 9)).outputs[0]
    )
    grain = n.math("ADD", n.math("MULTIPLY", rings, 0.1), n.math("MULTIPLY", fibre, 0.9))
    colour = n.ramp(grain, [(0.15, rgb("86694a")), (0.5, rgb("a98c66")), (0.8, rgb("bda27d"))])
    tone = n.mix(n.math("MULTIPLY", info, 0.35), (1, 1, 1), (0.55, 0.5, 0.46))
    colour = n.mix(1.0, colour, tone, "MULTIPLY")
    stain = n.ramp(n.noise(1.3, 3, n.place()), [(0.35, (0.62, 0.6, 0.58)), (0.62, (1, 1, 1))])
    colour = n.mix(0.8, colour, stain, "MULTIPLY")
    normal = n.bump(grain, 0.25)
    shader = n.add(
        "BsdfPrincipled", Base_Color=colour, Roughness=0.52, Normal=normal, Coat_Weight=0.08
    )
    return n.finish(shader.outputs[0])


def steel() -> Any:
    """Brushed steel, the lines along x, with smears and a few deeper scratches."""
    n = Nodes("steel")
    lines = n.noise(5, 3, n.place((0.25, 9, 9)))
    smear = n.noise(1.4, 4, n.place((1, 1.6, 1)))
    scratch = n.add(
        "TexWave", Vector=n.place((0.35, 1.1, 1), rotation=0.6), Scale=1.3, Distortion=14, Detail=3
    )
    rough = n.math("ADD", n.math("MULTIPLY", smear, 0.1), n.math("MULTIPLY", lines, 0.3))
    tone = n.math("ADD", n.math("MULTIPLY", smear, 0.4), n.math("MULTIPLY", lines, 0.6))
    colour = n.ramp(tone, [(0.35, rgb("9fa1a3")), (0.65, rgb("bfc1c2"))])
    height = n.math(
        "ADD", lines, n.math("MULTIPLY", n.math("POWER", scratch.outputs["Fac"], 40), 0.05)
    )
    shader = n.add(
        "BsdfPrincipled",
        Base_Color=colour,
        Metallic=0.92,
        Normal=n.bump(height, 0.14),
        Roughness=n.math("ADD", rough, 0.2),
    )
    return n.finish(shader.outputs[0])


def plastic(name: str, dark: RGB, light: RGB, rough: float, grit: float) -> Any:
    """Moulded plastic or rubber: fine grit, wear and a little dust."""
    n = Nodes(name)
    wear = n.noise(1.7, 4, rough=0.6)
    dust = n.ramp(n.noise(60, 1), [(0.66, (0, 0, 0)), (0.74, (1, 1, 1))])
    colour = n.ramp(wear, [(0.3, dark), (0.7, light)])
    colour = n.mix(n.math("MULTIPLY", dust, 0.12), colour, (0.6, 0.58, 0.54))
    scuff = n.noise(4, 3, n.place((1, 7, 1), rotation=0.4))
    height = n.math("ADD", n.math("MULTIPLY", n.noise(90, 1), grit), n.math("MULTIPLY", scuff, 0.1))
    shader = n.add(
        "BsdfPrincipled",
        Base_Color=colour,
        Normal=n.bump(height, 0.25),
        Roughness=n.math("ADD", n.math("MULTIPLY", wear, 0.2), rough),
    )
    return n.finish(shader.outputs[0])


def walls(material: Any, thick: float, bevel: float) -> None:
    """Four walls about the floor, whose top is z = 0."""
    wide, deep = INSIDE
    for sign in (-1, 1):
        box(
            "wall",
            (wide + 2 * thick, thick, WALL + 0.2),
            (0, sign * (deep + thick) / 2, WALL / 2 - 0.1),
            material,
            bevel,
        )
        side = box(
            "wall",
            (deep, thick, WALL + 0.2),
            (sign * (wide + thick) / 2, 0, WALL / 2 - 0.1),
            material,
            bevel,
        )
        side.rotation_euler = (0, 0, math.pi / 2)


def wooden_tray() -> None:
    """Five planks and four boards."""
    material = wood()
    width = INSIDE[1] / 5
    for number in range(5):
        y = (number - 2) * width
        box("plank", (INSIDE[0], width - 0.012, 0.2), (0, y, -0.1), material, 0.012)
    walls(material, 0.16, 0.03)


def steel_tray() -> None:
    """A folded sheet of steel."""
    material = steel()
    box("floor", (*INSIDE, 0.2), (0, 0, -0.1), material, 0.0)
    walls(material, 0.07, 0.03)


def grey_tray() -> None:
    """A grey storage box with two shallow ribs in its floor."""
    material = plastic("grey", rgb("84888b"), rgb("8f9396"), 0.36, 0.2)
    box("floor", (*INSIDE, 0.2), (0, 0, -0.1), material, 0.0)
    for sign in (-1, 1):
        box("rib", (INSIDE[0] - 0.5, 0.05, 0.05), (0, sign * 1.72, -0.005), material, 0.02)
        box("rib", (0.05, INSIDE[1] - 0.56, 0.05), (sign * 2.35, 0, -0.005), material, 0.02)
    walls(material, 0.12, 0.055)


def rubber_tray() -> None:
    """A dark blue-grey box with a ribbed mat."""
    material = plastic("rubber", rgb("262d36"), rgb("39424d"), 0.5, 0.5)
    box("floor", (*INSIDE, 0.2), (0, 0, -0.1), material, 0.0)
    for number in range(-20, 21):
        box("rib", (0.05, INSIDE[1], 0.04), (number * 0.125, 0, -0.005), material, 0.016, 2)
    walls(material, 0.14, 0.06)


WARM, COOL, DAY = rgb("ffe0bd"), rgb("d3e3ff"), rgb("fff4e6")

TRAYS: dict[str, tuple[str, Callable[[], None], Look]] = {
    "wood": (
        "oiled wood, warm lamp from the left",
        wooden_tray,
        Look(
            29,
            0,
            (Lamp((-5, 1.5, 5.5), (2.2, 2.2), 620, WARM), Lamp((4, -4, 6), (3, 3), 170, DAY)),
            rgb("d8cdbf"),
            rgb("4a3a2c"),
            0.4,
            24,
        ),
    ),
    "steel": (
        "brushed steel, cool window from the right",
        steel_tray,
        Look(
            32,
            4,
            (Lamp((5.5, 2, 5), (2.6, 3.2), 560, COOL), Lamp((-5, -1, 6.5), (2.4, 2.4), 190, WARM)),
            rgb("b6bcc4"),
            rgb("3a3d42"),
        ),
    ),
    "grey": (
        "grey plastic, daylight from behind",
        grey_tray,
        Look(
            27,
            -3,
            (Lamp((-2, 5.5, 6), (3.4, 2.4), 640, DAY), Lamp((3.5, -3, 6.5), (2, 2), 160, COOL)),
            rgb("ccd2d6"),
            rgb("50504e"),
        ),
    ),
    "rubber": (
        "dark ribbed rubber, two office lights",
        rubber_tray,
        Look(
            31,
            -5,
            (
                Lamp((-4, 3, 6), (0.8, 4.5), 430, COOL),
                Lamp((4, 2.5, 6), (0.8, 4.5), 430, DAY),
                Lamp((0, -5, 6), (3, 2), 130, WARM),
            ),
            rgb("c5c5c2"),
            rgb("3d3a37"),
            0.7,
        ),
    ),
}


def room(ceiling: RGB, ground: RGB) -> None:
    """A dim room all about, uneven, so that metal and glass have something to mirror."""
    world = bpy.data.worlds.new("room")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    new, link = tree.nodes.new, tree.links.new
    where = new("ShaderNodeTexCoord").outputs["Generated"]
    split = new("ShaderNodeSeparateXYZ")
    link(where, split.inputs[0])
    ramp = new("ShaderNodeValToRGB")
    link(split.outputs["Z"], ramp.inputs[0])
    mid = ramp.color_ramp.elements.new(0.3)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[-1].position = 0.0, 0.85
    ramp.color_ramp.elements[0].color = (*ground, 1)
    mid.color = (ground[0] * 0.6, ground[1] * 0.6, ground[2] * 0.6, 1)
    ramp.color_ramp.elements[-1].color = (*ceiling, 1)
    patches = new("ShaderNodeTexVoronoi")
    patches.inputs["Scale"].default_value = 3.0
    link(where, patches.inputs["Vector"])
    strength = new("ShaderNodeMapRange")
    strength.inputs["To Min"].default_value, strength.inputs["To Max"].default_value = 0.2, 0.75
    link(patches.outputs["Color"], strength.inputs["Value"])
    background = new("ShaderNodeBackground")
    link(ramp.outputs[0], background.inputs["Color"])
    link(strength.outputs[0], background.inputs["Strength"])
    link(background.outputs[0], new("ShaderNodeOutputWorld").inputs["Surface"])


def build(tray: str) -> list[Any]:
    """Set up the tray, its table, camera, lamps and room; return the objects with a surface."""
    scene = bpy.context.scene
    _, make, look = TRAYS[tray]
    make()
    n = Nodes("table")
    shade = n.ramp(n.noise(0.8, 4), [(0.3, (0.05, 0.048, 0.045)), (0.7, (0.09, 0.086, 0.08))])
    table = n.finish(n.add("BsdfPrincipled", Base_Color=shade, Roughness=0.6).outputs[0])
    box("table", (40, 40, 0.2), (0, 0, -0.4), table, 0.0)
    surfaces = [made for made in scene.objects if made.type == "MESH"]

    for lamp in look.lamps:
        data = bpy.data.lights.new("lamp", "AREA")
        data.shape, (data.size, data.size_y) = "RECTANGLE", lamp.size
        data.energy, data.color = lamp.power, lamp.colour
        made = bpy.data.objects.new("lamp", data)
        scene.collection.objects.link(made)
        made.location = lamp.at
        made.rotation_euler = (-Vector(lamp.at)).to_track_quat("-Z", "Y").to_euler()
    room(look.ceiling, look.ground)

    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.data.lens = 50
    slant, turn, distance = math.radians(look.slant), math.radians(look.turn), 8.9
    aim = Vector((0, 0, 0.2))
    away = Vector(
        (math.sin(slant) * math.sin(turn), -math.sin(slant) * math.cos(turn), math.cos(slant))
    )
    camera.location = aim + away * distance
    camera.rotation_euler = (-away).to_track_quat("-Z", "Y").to_euler()
    scene.camera = camera
    scene.view_settings.exposure = look.exposure
    return surfaces
