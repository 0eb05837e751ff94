"""Materials of rendered items and trays, as Blender's shader nodes."""

from __future__ import annotations

import colorsys
import random
from typing import Any

import bpy
import numpy as np

Rng = random.Random
Material = Any
Colour = tuple[float, float, float]


def vivid(rng: Rng) -> Colour:
    """A strong colour."""
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 1), rng.uniform(0.15, 0.9))


def times(colour: Colour, share: float) -> Colour:
    """A colour, darker or lighter."""
    return colour[0] * share, colour[1] * share, colour[2] * share


def material(
    rng: Rng,
    colour: Colour,
    rough: float = 0.5,
    metal: float = 0.0,
    clear: float = 0.0,
    ior: float = 1.45,
    bump: float = 0.0,
    bump_scale: float = 30.0,
    spots: Colour | None = None,
    spot_scale: float = 6.0,
) -> Material:
    """A principled material; `spots` is a second colour in a noise pattern (print, dirt, grain)."""
    made = bpy.data.materials.new("m")
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = rough
    shader.inputs["Metallic"].default_value = metal
    shader.inputs["Transmission Weight"].default_value = clear
    shader.inputs["IOR"].default_value = ior
    where = nodes.new("ShaderNodeTexCoord")
    if bump:
        grain, relief = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeBump")
        grain.inputs["Scale"].default_value, grain.inputs["Detail"].default_value = bump_scale, 6
        relief.inputs["Strength"].default_value = bump
        links.new(where.outputs["Object"], grain.inputs["Vector"])
        links.new(grain.outputs[0], relief.inputs["Height"])
        links.new(relief.outputs[0], shader.inputs["Normal"])
    if spots:
        grain = (
            nodes.new("ShaderNodeTexVoronoi")
            if rng.random() < 0.5
            else nodes.new("ShaderNodeTexNoise")
        )
        ramp = nodes.new("ShaderNodeValToRGB")
        grain.inputs["Scale"].default_value = spot_scale
        at = rng.uniform(0.35, 0.55)
        ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (
            (*colour, 1),
            (*spots, 1),
        )
        ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = (
            at,
            at + rng.choice((0.02, 0.2)),
        )
        links.new(where.outputs["Object"], grain.inputs["Vector"])
        links.new(grain.outputs[0], ramp.inputs[0])
        links.new(ramp.outputs[0], shader.inputs["Base Color"])
    return made


def printed(
    rng: Rng, ground: Colour, kind: str, rough: float = 0.6, metal: float = 0.0
) -> Material:
    """A material with a picture on its UVs: rows of text ("text"), columns ("news"), a label."""
    height, width = 256, 256
    image = np.ones((height, width, 4), np.float32)
    image[..., :3] = ground
    ink = [rng.uniform(0, 0.2)] * 3

    def pick() -> list[float]:
        return [rng.random() ** 1.5 for _ in range(3)]

    if kind in ("text", "news"):
        columns = 1 if kind == "text" else rng.choice((2, 3))
        for c in range(columns):
            left, right = int((c + 0.1) * width / columns), int((c + 0.92) * width / columns)
            y = 16
            while y < height - 16:
                if kind == "news" and rng.random() < 0.12:
                    image[y : y + 40, left:right, :3] = pick()
                    y += 46
                    continue
                x = left
                while x < right - 4:
                    word = rng.randint(4, 16)
                    if rng.random() < 0.85:
                        image[y : y + 3, x : min(x + word, right), :3] = ink
                    x += word + 3
                y += 7
    else:
        for _ in range(rng.randint(2, 5)):
            y, h = rng.randint(0, height), rng.randint(8, 90)
            image[y : y + h, :, :3] = pick()
        for _ in range(rng.randint(1, 6)):
            y, x, h, w = (
                rng.randint(0, 220),
                rng.randint(0, 220),
                rng.randint(8, 70),
                rng.randint(10, 90),
            )
            image[y : y + h, x : x + w, :3] = pick() if rng.random() < 0.7 else (0.95, 0.95, 0.95)
    picture = bpy.data.images.new("print", width, height)
    picture.pixels.foreach_set(image.ravel())
    picture.update()
    made = material(rng, ground, rough, metal)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = picture
    links.new(texture.outputs[0], nodes["Principled BSDF"].inputs["Base Color"])
    return made
