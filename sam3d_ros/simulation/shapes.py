"""Watertight meshes of everyday things, in metres: they stand on z = 0 around the z axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import marching_cubes

Array = NDArray[np.float64]
Triangles = NDArray[np.uint32]
Surface = tuple[Array, Triangles]

#: Longest edge of the grids below, metres: vertex colours cannot show anything finer.
_GRID = 0.01
_SEGMENTS = 72
#: Cell of the grid that implicit surfaces are cut from, metres: half of the thinnest wall.
_CELL = 0.0025


def box(size: ArrayLike) -> Surface:
    """A cuboid of (x, y, z) lengths."""
    x, y, z = np.asarray(size, dtype=np.float64)
    return blocks([-x / 2, x / 2], [-y / 2, y / 2], [0.0, z], np.ones((1, 1, 1), dtype=bool))


def l_shape(size: ArrayLike, arm: float) -> Surface:
    """An angle bracket: a slab of (x, y, z) lengths whose upper part keeps only `arm` metres along x and z."""
    x, y, z = np.asarray(size, dtype=np.float64)
    occupied = np.ones((2, 1, 2), dtype=bool)
    occupied[1, 0, 1] = False
    return blocks([-x / 2, -x / 2 + arm, x / 2], [-y / 2, y / 2], [0.0, arm, z], occupied)


def tray(size: ArrayLike, wall: float) -> Surface:
    """An open box of (x, y, z) outer lengths."""
    x, y, z = np.asarray(size, dtype=np.float64)
    occupied = np.ones((3, 3, 2), dtype=bool)
    occupied[1, 1, 1] = False
    return blocks(
        [-x / 2, -x / 2 + wall, x / 2 - wall, x / 2],
        [-y / 2, -y / 2 + wall, y / 2 - wall, y / 2],
        [0.0, wall, z],
        occupied,
    )


def cylinder(radius: float, height: float) -> Surface:
    """A solid cylinder with an edge broken by 2 mm, like a tin."""
    edge = min(0.002, radius / 4, height / 4)
    return revolution(
        [
            (0, 0),
            (radius - edge, 0),
            (radius, edge),
            (radius, height - edge),
            (radius - edge, height),
            (0, height),
        ]
    )


def bottle(radius: float, height: float, neck: float) -> Surface:
    """A bottle: straight body, rounded shoulder, neck of radius `neck`, and a cap."""
    shoulder, throat = 0.58 * height, 0.78 * height
    turn = np.linspace(0.0, np.pi, 14)
    curve = [
        (neck + (radius - neck) * (1 + np.cos(a)) / 2, shoulder + (throat - shoulder) * a / np.pi)
        for a in turn
    ]
    cap = 1.25 * neck
    return revolution(
        [
            (0, 0),
            (radius - 0.004, 0),
            (radius, 0.004),
            *curve,
            (neck, 0.86 * height),
            (cap, 0.86 * height),
            (cap, height - 0.002),
            (cap - 0.002, height),
            (0, height),
        ]
    )


def bowl(radius: float, height: float, wall: float) -> Surface:
    """An open bowl with a foot, its wall a quarter of an ellipse."""
    foot = 0.45 * radius
    angle = np.linspace(0.0, np.pi / 2, 16)
    outer = [(foot + (radius - foot) * np.sin(a), height * (1 - np.cos(a))) for a in angle]
    inner = [(max(r - wall, 0.0), z) for r, z in reversed(outer) if z > wall]
    inner[0] = (radius - wall, height)
    return revolution([(0, 0), *outer, *inner, (foot * 0.8, wall), (0, wall)])


def cup(radius: float, height: float, wall: float) -> Surface:
    """A drinking cup without a handle, wider at its rim."""
    bottom = 0.72 * radius
    return revolution(
        [
            (0, 0),
            (bottom, 0),
            (radius, height),
            (radius - wall, height),
            (bottom - wall, wall * 1.5),
            (0, wall * 1.5),
        ]
    )


def mug(radius: float, height: float, wall: float) -> Surface:
    """A mug with a handle along +x, cut from a signed distance field so that the joints are one surface."""
    grip = 0.0055 + 0.03 * radius
    reach, rise = 0.62 * radius, 0.30 * height

    def distance(p: Array) -> Array:
        x, y, z = p[..., 0], p[..., 1], p[..., 2]
        around = np.hypot(x, y)
        outside = _solid_cylinder(around, z, radius, 0.0, height)
        cavity = _solid_cylinder(around, z, radius - wall, wall * 1.2, 2 * height)
        # An elliptic ring in the plane y = 0, centred on the wall; scaled to a circle and back.
        across = np.hypot((x - radius + 0.002) / reach, (z - height / 2) / rise)
        ring = np.hypot((across - 1.0) * min(reach, rise), y) - grip
        return np.maximum(_smooth_union(outside, ring, 0.004), -cavity)

    low = (-radius - 0.006, -radius - 0.006, -0.006)
    high = (radius + reach + 2 * grip + 0.006, radius + 0.006, height + 0.006)
    return implicit(distance, low, high)


def blocks(
    xs: Sequence[float], ys: Sequence[float], zs: Sequence[float], occupied: NDArray[np.bool_]
) -> Surface:
    """The surface of the occupied cells of a rectilinear grid, with square corners.

    Args:
        xs, ys, zs: ascending borders of the cells, metres.
        occupied: one bool for each cell; cells that touch must share a face.
    """
    axes, cells = [], occupied
    for axis, borders in enumerate((xs, ys, zs)):
        counts = [max(1, int(np.ceil((b - a) / _GRID))) for a, b in itertools.pairwise(borders)]
        steps = [
            np.linspace(a, b, n, endpoint=False)
            for a, b, n in zip(borders, borders[1:], counts, strict=False)
        ]
        axes.append(np.concatenate([*steps, borders[-1:]]))
        cells = np.repeat(cells, counts, axis=axis)
    padded = np.pad(cells, 1)
    shape = [len(axis) for axis in axes]
    quads = []
    for axis in range(3):
        before = padded[tuple(slice(0, -1) if i == axis else slice(1, -1) for i in range(3))]
        after = padded[tuple(slice(1, None) if i == axis else slice(1, -1) for i in range(3))]
        for face, outward in ((before & ~after, True), (after & ~before, False)):
            corner = np.argwhere(face)
            u, v = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
            ring = [corner, corner + u, corner + u + v, corner + v]
            index = np.stack([np.ravel_multi_index(tuple(c.T), shape) for c in ring], axis=1)
            quads.append(index if outward else index[:, ::-1])
    quad = np.concatenate(quads)
    used, compact = np.unique(quad, return_inverse=True)
    compact = compact.reshape(quad.shape)
    grid = np.unravel_index(used, shape)
    vertices = np.stack([axis[i] for axis, i in zip(axes, grid, strict=True)], axis=1)
    return vertices, np.concatenate([compact[:, [0, 1, 2]], compact[:, [0, 2, 3]]]).astype(np.uint32)


def revolution(profile: Sequence[tuple[float, float]]) -> Surface:
    """The surface that a profile sweeps around the z axis.

    Args:
        profile: (radius, z) from the axis at the bottom, over the outside, back to the axis.
    """
    corners = np.asarray(profile, dtype=np.float64)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    counts = np.maximum(1, np.ceil(lengths / _GRID).astype(int))
    pieces = [
        np.linspace(a, b, n, endpoint=False) for a, b, n in zip(corners, corners[1:], counts, strict=False)
    ]
    rings = np.concatenate(pieces)[1:]
    angle = np.arange(_SEGMENTS) * (2 * np.pi / _SEGMENTS)
    x, y = rings[:, :1] * np.cos(angle), rings[:, :1] * np.sin(angle)
    z = np.broadcast_to(rings[:, 1:], x.shape)
    poles = [[0.0, 0.0, corners[0, 1]], [0.0, 0.0, corners[-1, 1]]]
    vertices = np.concatenate([np.stack([x, y, z], axis=-1).reshape(-1, 3), poles])
    first, last = len(vertices) - 2, len(vertices) - 1
    here = np.arange(len(rings) * _SEGMENTS).reshape(len(rings), _SEGMENTS)
    there = np.roll(here, -1, axis=1)
    a, b, c, d = here[:-1], there[:-1], there[1:], here[1:]
    triangles = [
        np.stack([a, b, c], axis=-1).reshape(-1, 3),
        np.stack([a, c, d], axis=-1).reshape(-1, 3),
        np.stack([np.full(_SEGMENTS, first), there[0], here[0]], axis=-1),
        np.stack([np.full(_SEGMENTS, last), here[-1], there[-1]], axis=-1),
    ]
    return vertices, np.concatenate(triangles).astype(np.uint32)


def implicit(distance: Callable[[Array], Array], low: Sequence[float], high: Sequence[float]) -> Surface:
    """The zero surface of a signed distance (negative inside) within a box that it must not touch."""
    axes = [np.arange(a, b + _CELL, _CELL) for a, b in zip(low, high, strict=True)]
    field = distance(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=(_CELL,) * 3, gradient_direction="descent")
    vertices = vertices + [axis[0] for axis in axes]
    vertices[:, 2] -= vertices[:, 2].min()
    return vertices.astype(np.float64), faces.astype(np.uint32)


def _solid_cylinder(around: Array, z: Array, radius: float, bottom: float, top: float) -> Array:
    beside, above = around - radius, np.abs(z - (bottom + top) / 2) - (top - bottom) / 2
    corner = np.hypot(np.maximum(beside, 0.0), np.maximum(above, 0.0))
    return corner + np.minimum(np.maximum(beside, above), 0.0)


def _smooth_union(a: Array, b: Array, blend: float) -> Array:
    """Union whose joint is rounded over `blend` metres, by the polynomial smooth minimum."""
    mix = np.clip(0.5 + 0.5 * (b - a) / blend, 0.0, 1.0)
    return b * (1 - mix) + a * mix - blend * mix * (1 - mix)
