"""Materials for the sample scenes. Imports bpy: only ``render.py`` brings this in."""

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

Point = tuple[float, ...]
RGB = tuple[float, float, float]


def rgb(hexadecimal: str) -> RGB:
    """Linear RGB of an sRGB colour such as ``c8102e``."""
    raw = [int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in raw)
    return red, green, blue


class Nodes:
    """The node tree of a new material, with one call for a node and its inputs."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial")

    def add(self, kind: str, /, **inputs: Any) -> Any:
        """Add a node. Lower-case names set attributes; others are inputs: values or sockets.

        An underscore in an input's name stands for a space, ``i0`` for the input at index 0.
        """
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in inputs.items():
            if name[0] == "i" and name[1:].isdigit():
                socket = node.inputs[int(name[1:])]
            elif name[0].islower():
                setattr(node, name, value)
                continue
            else:
                socket = node.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif socket.type == "RGBA" and len(value) == 3:
                socket.default_value = (*value, 1.0)
            else:
                socket.default_value = value
        return node

    def math(self, operation: str, *values: Any) -> Any:
        """The socket of a scalar operation."""
        slots = {f"i{i}": value for i, value in enumerate(values)}
        return self.add("Math", operation=operation, **slots).outputs[0]

    def mix(self, factor: Any, first: Any, second: Any, blend: str = "MIX") -> Any:
        """The socket of a colour mixed from two."""
        node = self.add("Mix", data_type="RGBA", blend_type=blend, i0=factor, i6=first, i7=second)
        return node.outputs[2]

    def ramp(self, factor: Any, stops: Sequence[tuple[float, RGB]]) -> Any:
        """The socket of a colour ramp."""
        node = self.add("ValToRGB", Fac=factor)
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, colour) in zip(elements, stops, strict=True):
            element.position = position
            element.color = (*colour, 1.0)
        return node.outputs[0]

    def place(self, scale: Point = (1, 1, 1), kind: str = "Object", rotation: float = 0.0) -> Any:
        """Texture coordinates, scaled, then turned about z by radians."""
        coordinates = self.add("TexCoord").outputs[kind]
        mapping = self.add("Mapping", Vector=coordinates, Scale=scale, Rotation=(0, 0, rotation))
        return mapping.outputs[0]

    def noise(self, scale: float, detail: float = 4, where: Any = None, rough: float = 0.55) -> Any:
        """The factor socket of a noise texture."""
        where = where if where is not None else self.place()
        node = self.add("TexNoise", Vector=where, Scale=scale, Detail=detail, Roughness=rough)
        return node.outputs[0]

    def bump(self, height: Any, strength: float, distance: float = 0.02) -> Any:
        """The normal socket of a bump."""
        return self.add("Bump", Height=height, Strength=strength, Distance=distance).outputs[0]

    def finish(self, shader: Any) -> Any:
        """Connect the surface and hand the material back."""
        self.tree.links.new(shader, self.output.inputs["Surface"])
        return self.material


def image(pixels: np.ndarray, name: str) -> Any:
    """A Blender picture from uint8 (H, W, 3), top row first."""
    height, width = pixels.shape[:2]
    made = bpy.data.images.new(name, width, height)
    flat = np.ones((height, width, 4), np.float32)
    flat[..., :3] = pixels[::-1] / 255.0
    made.pixels.foreach_set(flat.ravel())
    made.pack()
    return made


def solid(
    name: str,
    colour: RGB | np.ndarray,
    rough: float = 0.5,
    metal: float = 0.0,
    bump: tuple[float, float] | None = None,
    coat: float = 0.0,
    soft: float = 0.0,
    dirt: float = 0.0,
) -> Any:
    """An opaque material: a colour, or a picture over the UV square.

    ``bump`` is (noise scale, strength), ``soft`` subsurface, ``dirt`` how much noise darkens it.
    """
    nodes = Nodes(name)
    base: Any = colour
    if isinstance(colour, np.ndarray):
        base = nodes.add("TexImage", image=image(colour, name), extension="EXTEND").outputs[0]
    if dirt:
        shade = nodes.ramp(nodes.noise(2.2, 6), [(0.3, (1 - dirt,) * 3), (0.7, (1, 1, 1))])
        base = nodes.mix(1.0, base, shade, "MULTIPLY")
    more: dict[str, Any] = {}
    if bump:
        more["Normal"] = nodes.bump(nodes.noise(bump[0]), bump[1])
    shader = nodes.add(
        "BsdfPrincipled",
        Base_Color=base,
        Roughness=rough,
        Metallic=metal,
        Coat_Weight=coat,
        Coat_Roughness=0.08,
        Subsurface_Weight=soft,
        Subsurface_Radius=(0.1, 0.08, 0.06),
        **more,
    )
    return nodes.finish(shader.outputs[0])


def glass(name: str, tint: RGB, shadow: RGB, rough: float = 0.0) -> Any:
    """Refracting glass whose shadow is tinted light rather than black.

    Shadow and diffuse rays pass through a transparent shader, darker where the glass is seen
    edge-on, since Cycles finds no caustics worth the samples.
    """
    nodes = Nodes(name)
    bump = nodes.bump(nodes.noise(1.6, 2), 0.12)
    clear = nodes.add("BsdfGlass", Color=tint, Roughness=rough, IOR=1.5, Normal=bump)
    facing = nodes.add("LayerWeight", Blend=0.35).outputs["Facing"]
    dark = (shadow[0] * 0.25, shadow[1] * 0.25, shadow[2] * 0.25)
    through = nodes.add("BsdfTransparent", Color=nodes.mix(facing, shadow, dark))
    path = nodes.add("LightPath")
    which = nodes.math("MAXIMUM", path.outputs["Is Shadow Ray"], path.outputs["Is Diffuse Ray"])
    return nodes.finish(
        nodes.add("MixShader", i0=which, i1=clear.outputs[0], i2=through.outputs[0]).outputs[0]
    )


def film(name: str, tint: RGB, gloss: float = 1.0, haze: float = 0.0, rough: float = 0.05) -> Any:
    """Thin clear plastic: light goes straight through, highlights stay on the surface."""
    nodes = Nodes(name)
    bump = nodes.bump(nodes.noise(3.5, 3), 0.25)
    fresnel = nodes.add("LayerWeight", Blend=0.42, Normal=bump)
    edge = nodes.math("POWER", fresnel.outputs["Facing"], 2.5)
    through = nodes.add("BsdfTransparent", Color=tint).outputs[0]
    body = nodes.add("BsdfDiffuse", Color=tint).outputs[0]
    hazy = nodes.math("ADD", nodes.math("MULTIPLY", edge, 0.35), haze)
    inside = nodes.add("MixShader", i0=hazy, i1=through, i2=body).outputs[0]
    shine = nodes.add("BsdfGlossy", Color=(1, 1, 1), Roughness=rough, Normal=bump).outputs[0]
    amount = nodes.math("ADD", nodes.math("MULTIPLY", edge, 0.75 * gloss), 0.06 * gloss)
    seen = nodes.add("MixShader", i0=amount, i1=inside, i2=shine).outputs[0]
    path = nodes.add("LightPath")
    shade = nodes.add("BsdfTransparent", Color=nodes.mix(edge, tint, (0.25, 0.25, 0.27))).outputs[0]
    return nodes.finish(
        nodes.add("MixShader", i0=path.outputs["Is Shadow Ray"], i1=seen, i2=shade).outputs[0]
    )
