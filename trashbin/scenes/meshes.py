"""Meshes for the sample scenes. Imports bpy: only ``render.py`` brings this in.

Lengths are in decimetres or so: a tray is 5.2 wide inside, and a thing 2 to 4.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import bmesh  # type: ignore[import-not-found,unused-ignore]
import bpy
import numpy as np
from mathutils import Matrix, Vector

from trashbin.scenes.materials import Point


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
