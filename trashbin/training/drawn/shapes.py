"""Meshes of rendered items; a length of 1 is 10 cm, so a can is 1.2 high."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import bpy
from mathutils import Vector, noise

Rng = random.Random
Material = Any
Object = Any
Profile = list[tuple[float, float]]


def mesh(
    name: str,
    vertices: list[Any],
    faces: list[Any],
    uvs: list[tuple[float, float]] | None = None,
    smooth: bool = True,
) -> Object:
    """A mesh object from vertices and faces; uvs by vertex."""
    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices, [], faces)
    if uvs:
        layer = data.uv_layers.new()
        for loop in data.loops:
            layer.data[loop.index].uv = uvs[loop.vertex_index]
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    data.polygons.foreach_set("use_smooth", [smooth] * len(data.polygons))
    return made


def lathe(profile: Profile, around: int = 48, squash: float = 1.0) -> Object:
    """Turns (radius, height) points around the z axis; u runs around, v along."""
    rows = len(profile)
    vertices = [
        (r * math.cos(2 * math.pi * k / around), squash * r * math.sin(2 * math.pi * k / around), z)
        for r, z in profile
        for k in range(around + 1)
    ]
    uvs = [
        (2 * k / around % 1.0001, j / (rows - 1)) for j in range(rows) for k in range(around + 1)
    ]
    n = around + 1
    faces = [
        (j * n + k, j * n + k + 1, (j + 1) * n + k + 1, (j + 1) * n + k)
        for j in range(rows - 1)
        for k in range(around)
    ]
    return mesh("lathe", vertices, faces, uvs)


def tube(path: list[Vector], radii: list[float], squash: float = 1.0, around: int = 20) -> Object:
    """A closed pipe along points, with a radius at each; squash flattens it in z."""
    up, vertices = Vector((0.02, 0.03, 1.0)), []
    for k, (at, r) in enumerate(zip(path, radii, strict=True)):
        ahead = (path[min(k + 1, len(path) - 1)] - path[max(k - 1, 0)]).normalized()
        side = ahead.cross(up).normalized()
        high = side.cross(ahead)
        for n in range(around):
            a = 2 * math.pi * n / around
            vertices.append(at + r * (math.cos(a) * side + squash * math.sin(a) * high))
    faces: list[Any] = [
        (j + n, j + (n + 1) % around, j + around + (n + 1) % around, j + around + n)
        for j in range(0, len(vertices) - around, around)
        for n in range(around)
    ]
    faces += [tuple(range(around)), tuple(range(len(vertices) - around, len(vertices)))]
    return mesh("tube", vertices, faces)


def arc(points: list[tuple[float, float, float]], steps: int = 6) -> list[Vector]:
    """A smooth line through points (Catmull and Rom, 1974)."""
    line = [Vector(p) for p in (points[0], *points, points[-1])]
    found = []
    for a, b, c, d in zip(line, line[1:], line[2:], line[3:], strict=False):
        for k in range(steps):
            t = k / steps
            found.append(
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2)
                + 0.5 * (3 * b - 3 * c + d - a) * t**3
            )
    return [*found, line[-1]]


def fine(profile: Profile, steps: int = 4) -> Profile:
    """The same line with more points, its corners a little rounded."""
    points = [
        ((1 - t / steps) * a[0] + t / steps * b[0], (1 - t / steps) * a[1] + t / steps * b[1])
        for a, b in pairwise(profile)
        for t in range(steps)
    ] + [profile[-1]]
    return [
        points[0],
        *(
            ((a[0] + 2 * b[0] + c[0]) / 4, (a[1] + 2 * b[1] + c[1]) / 4)
            for a, b, c in zip(points, points[1:], points[2:], strict=False)
        ),
        points[-1],
    ]


def sheet(
    rng: Rng,
    width: float,
    height: float,
    curl: float,
    crumple: float,
    cells: int = 60,
    ragged: float = 0.0,
) -> Object:
    """A sheet lying flat, curled and crumpled; ragged: how far its edge wanders."""
    offset = Vector((rng.uniform(-50, 50), rng.uniform(-50, 50), 0))
    bend, way = rng.uniform(-1, 1) * curl, rng.random() * math.pi
    vertices, uvs = [], []
    for j in range(cells + 1):
        for i in range(cells + 1):
            u, v = i / cells, j / cells
            x, y = (u - 0.5) * width, (v - 0.5) * height
            if ragged:
                edge = 1 + ragged * noise.noise(Vector((math.atan2(y, x) * 2, 1.7, 0)) + offset)
                x, y = x * edge, y * edge
            z = bend * ((x * math.cos(way) + y * math.sin(way)) ** 2) * 0.5
            for scale, strength in ((1.2, 1.0), (2.8, 0.5), (6.0, 0.2)):
                z += (
                    crumple
                    * strength
                    * abs(noise.noise(Vector((x * scale, y * scale, 0)) + offset))
                )
            vertices.append((x, y, z))
            uvs.append((u, v))
    n = cells + 1
    faces = [
        (j * n + i, j * n + i + 1, (j + 1) * n + i + 1, (j + 1) * n + i)
        for j in range(cells)
        for i in range(cells)
    ]
    return mesh("sheet", vertices, faces, uvs, smooth=rng.random() < 0.5)


def ball(rng: Rng, radius: float, crumple: float, facets: float = 2.5) -> Object:
    """A crumpled ball: creases where the noise folds."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6, radius=radius)
    made = bpy.context.object
    offset = Vector((rng.uniform(-50, 50), 0, 0))
    stretch = (rng.uniform(0.8, 1.3), rng.uniform(0.8, 1.2), rng.uniform(0.55, 0.9))
    for vertex in made.data.vertices:
        d = vertex.co.normalized()
        push = sum(
            a * (0.5 - abs(noise.noise(d * facets * s + offset)))
            for s, a in ((1, 1.0), (2.1, 0.4), (4, 0.1))
        )
        vertex.co = Vector(d[k] * radius * (1 + crumple * push) * stretch[k] for k in range(3))
    bpy.ops.object.shade_flat()
    return made


def dented(rng: Rng, made: Object, strength: float) -> Object:
    """The same object, pushed about by smooth noise."""
    offset = Vector((rng.uniform(-50, 50), 0, 0))
    for vertex in made.data.vertices:
        vertex.co += strength * noise.noise_vector(vertex.co * 1.6 + offset)
    return made


def solid(made: Object, thickness: float) -> Object:
    """The same object with walls of a thickness."""
    modifier = made.modifiers.new("s", "SOLIDIFY")
    modifier.thickness = thickness
    return made


def dress(made: Object, *materials: Material) -> Object:
    """The same object with materials."""
    for each in materials:
        made.data.materials.append(each)
    return made


def joined(parts: list[Object]) -> Object:
    """One empty that carries the parts."""
    root = bpy.data.objects.new("item", None)
    bpy.context.collection.objects.link(root)
    for part in parts:
        part.parent = root
    return root
