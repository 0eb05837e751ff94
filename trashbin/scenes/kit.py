"""Meshes and materials for the sample scenes. Imports bpy: only ``render.py`` brings this in.

Lengths are in decimetres or so: a tray is 5.2 wide inside, and a thing 2 to 4.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import bmesh  # type: ignore[import-not-found,unused-ignore]
import bpy
import numpy as np
from mathutils import Matrix, Vector

Point = tuple[float, ...]
RGB = tuple[float, float, float]


def rgb(hexadecimal: str) -> RGB:
    """Linear RGB of an sRGB colour such as ``c8102e``."""
    raw = [int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in raw)
    return red, green, blue


# --- materials ---------------------------------------------------------------------------------


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


# --- meshes ------------------------------------------------------------------------------------


def mesh(
    name: str, vertices: Any, faces: Any, material: Any, uv: Any = None, smooth: bool = True
) -> Any:
    """An object from vertices (N, 3), faces, and UV for each vertex (N, 2)."""
    data = bpy.data.meshes.new(name)
    data.from_pydata(
        [tuple(map(float, v)) for v in vertices], [], [tuple(map(int, f)) for f in faces]
    )
    if uv is not None:
        loops = np.empty(len(data.loops), np.int32)
        data.loops.foreach_get("vertex_index", loops)
        data.uv_layers.new().data.foreach_set("uv", np.asarray(uv, np.float32)[loops].ravel())
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    data.materials.append(material)
    data.polygons.foreach_set("use_smooth", [smooth] * len(data.polygons))
    data.update()
    return made


def surface(
    name: str,
    shape: Callable[[np.ndarray, np.ndarray], tuple[Any, Any, Any]],
    steps: tuple[int, int],
    material: Any,
    smooth: bool = True,
) -> Any:
    """A sheet: ``shape`` maps u, v in 0..1 to x, y, z; UV is (u, v)."""
    nu, nv = steps
    u, v = np.meshgrid(np.linspace(0, 1, nu + 1), np.linspace(0, 1, nv + 1))
    x, y, z = (np.broadcast_to(np.asarray(c, float), u.shape) for c in shape(u, v))
    index = np.arange(u.size).reshape(u.shape)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    faces = np.stack([c.ravel() for c in corners], axis=1)
    points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    return mesh(name, points, faces, material, np.stack([u.ravel(), v.ravel()], axis=1), smooth)


def rounded(points: Iterable[Point], step: float = 0.03) -> np.ndarray:
    """A smooth profile through (r, z) points; a point with a third member 1 is a sharp corner."""
    listed = [tuple(p) for p in points]
    runs: list[list[Point]] = [[]]
    for point in listed:
        runs[-1].append(point[:2])
        if len(point) > 2 and len(runs[-1]) > 1:
            runs.append([point[:2]])
    out: list[np.ndarray] = []
    for run in runs:
        if len(run) < 2:
            continue
        p = np.array([run[0], *run, run[-1]], float)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
            count = max(2, int(np.linalg.norm(c - b) / step))
            t = np.linspace(0, 1, count, endpoint=False)[:, None]
            # Catmull-Rom with tangents no longer than the piece, so that it doesn't overshoot
            size = np.linalg.norm(c - b)
            m0, m1 = (c - a) / 2, (d - b) / 2
            m0 *= min(1.0, size / (np.linalg.norm(m0) + 1e-9))
            m1 *= min(1.0, size / (np.linalg.norm(m1) + 1e-9))
            h = 2 * t**3 - 3 * t**2
            out.append((h + 1) * b + (t**3 - 2 * t**2 + t) * m0 - h * c + (t**3 - t**2) * m1)
        out.append(np.array([run[-1]], float))
    profile = np.vstack(out)
    keep = np.r_[True, np.linalg.norm(np.diff(profile, axis=0), axis=1) > 1e-6]
    profile[:, 0] = np.maximum(profile[:, 0], 0)
    return np.asarray(profile[keep])


def shell(profile: np.ndarray, thickness: float) -> np.ndarray:
    """Close an open profile (bottom centre to lip) with an inner wall ``thickness`` inside it."""
    tangent = np.gradient(profile, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    inner = profile + thickness * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    inner[0] = (0, profile[0, 1] + thickness)
    inner[:, 0] = np.maximum(inner[:, 0], 0)
    lip = (profile[-1] + inner[-1]) / 2 + tangent[-1] * thickness / 2
    return np.vstack([profile, lip[None], inner[::-1]])


def lathe(
    name: str,
    profile: np.ndarray,
    material: Any,
    segments: int = 96,
    arc: tuple[float, float] = (0.0, 2 * math.pi),
    flat: float = 1.0,
    bend: Callable[[Any, Any, Any], tuple[Any, Any, Any]] | None = None,
) -> Any:
    """Turn a profile (r, z) about z. UV: the angle, and the way along the profile.

    ``flat`` squeezes y; ``bend`` maps x, y, z to dented ones.
    """
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))]
    way /= way[-1]

    def shape(u: np.ndarray, v: np.ndarray) -> tuple[Any, Any, Any]:
        rows = np.arange(len(profile))[:, None]
        r, z = profile[rows, 0], profile[rows, 1] + 0 * u
        angle = arc[0] + u * (arc[1] - arc[0])
        x, y = r * np.cos(angle), r * np.sin(angle) * flat
        return bend(x, y, z) if bend else (x, y, z)

    made = surface(name, shape, (segments, len(profile) - 1), material)
    uv = made.data.uv_layers[0].data
    for loop in made.data.loops:
        row = loop.vertex_index // (segments + 1)
        uv[loop.index].uv[1] = way[row]
    weld(made)
    return made


def weld(made: Any, distance: float = 1e-5) -> None:
    """Merge vertices that lie on one another."""
    work = bmesh.new()
    work.from_mesh(made.data)
    bmesh.ops.remove_doubles(work, verts=work.verts, dist=distance)
    bmesh.ops.recalc_face_normals(work, faces=work.faces)
    work.to_mesh(made.data)
    work.free()


def box(
    name: str, size: Point, centre: Point, material: Any, bevel: float = 0.02, segments: int = 3
) -> Any:
    """A box with rounded edges."""
    signs = [
        (-1, -1, -1),
        (1, -1, -1),
        (1, 1, -1),
        (-1, 1, -1),
        (-1, -1, 1),
        (1, -1, 1),
        (1, 1, 1),
        (-1, 1, 1),
    ]
    points = np.array(signs) * np.array(size) / 2
    faces = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    made = mesh(name, points, faces, material, smooth=False)
    made.location = centre
    if bevel:
        modifier = made.modifiers.new("bevel", "BEVEL")
        modifier.width, modifier.segments = bevel, segments
    return made


def tube(
    name: str,
    points: Iterable[Point],
    radius: float | Sequence[float],
    material: Any,
    cyclic: bool = False,
) -> Any:
    """A round rod through points, smooth."""
    listed = list(points)
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = (
        "3D",
        1.0,
        6,
        True,
    )
    spline = data.splines.new("NURBS")
    spline.points.add(len(listed) - 1)
    radii = [radius] * len(listed) if isinstance(radius, float | int) else list(radius)
    for target, point, size in zip(spline.points, listed, radii, strict=True):
        target.co, target.radius = (*point, 1.0), size
    spline.order_u, spline.use_endpoint_u, spline.use_cyclic_u = 3, True, cyclic
    spline.resolution_u = 8
    data.materials.append(material)
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    return made


def fused(
    name: str, parts: Sequence[Any], material: Any, voxel: float = 0.03, smooth: int = 8
) -> Any:
    """Melt parts into one soft skin, as a mould would, and drop the parts."""
    points: list[Any] = []
    faces: list[Any] = []
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    for part in parts:
        seen = part.evaluated_get(graph)
        data = seen.to_mesh()
        offset = len(points)
        points += [part.matrix_world @ v.co for v in data.vertices]
        faces += [[offset + i for i in f.vertices] for f in data.polygons]
        seen.to_mesh_clear()
    made = mesh(name, points, faces, material)
    for part in parts:
        bpy.data.objects.remove(part)
    remesh = made.modifiers.new("remesh", "REMESH")
    remesh.mode, remesh.voxel_size, remesh.use_smooth_shade = "VOXEL", voxel, True
    relax = made.modifiers.new("relax", "SMOOTH")
    relax.factor, relax.iterations = 0.6, smooth
    return made


def creased(
    seed: int, levels: Sequence[float], squash: Point = (1, 1, 1)
) -> tuple[np.ndarray, Any]:
    """A crumpled ball: facets inside facets, each level jittered by its amount."""
    random = np.random.default_rng(seed)
    work = bmesh.new()
    bmesh.ops.create_icosphere(work, subdivisions=3, radius=1.0)
    for number, amount in enumerate(levels):
        if number:
            bmesh.ops.subdivide_edges(work, edges=work.edges[:], cuts=1, use_grid_fill=True)
        for vertex in work.verts:
            push = random.normal(0, amount)
            vertex.co = vertex.co * (1 + push) + Vector(random.normal(0, amount * 0.6, 3))
    work.verts.index_update()
    points = np.array([v.co for v in work.verts]) * np.array(squash)
    faces = [[v.index for v in f.verts] for f in work.faces]
    work.free()
    return points, faces


def ripple(seed: int, count: int, low: float, high: float) -> Callable[[Any, Any], Any]:
    """A smooth random height over the plane: about -1..1, waves of the given frequencies."""
    random = np.random.default_rng(seed)
    angle, phase = random.uniform(0, 2 * math.pi, (2, count))
    frequency = random.uniform(low, high, count)

    def height(x: Any, y: Any) -> Any:
        total = 0
        for a, p, f in zip(angle, phase, frequency, strict=True):
            total = total + np.sin(f * (x * math.cos(a) + y * math.sin(a)) + p)
        return total / math.sqrt(count)

    return height


def turned(
    parts: Iterable[Any],
    x: float = 0,
    y: float = 0,
    z: float = 0,
    at: Point = (0, 0, 0),
    scale: float = 1,
) -> None:
    """Turn parts about the origin (degrees; x, then y, then z), scale, then move."""
    rotation = Matrix.Rotation(math.radians(z), 4, "Z") @ Matrix.Rotation(math.radians(y), 4, "Y")
    rotation = rotation @ Matrix.Rotation(math.radians(x), 4, "X")
    matrix = Matrix.Translation(at) @ Matrix.Scale(scale, 4) @ rotation
    bpy.context.view_layer.update()
    for part in parts:
        part.matrix_world = matrix @ part.matrix_world
    bpy.context.view_layer.update()
