"""Occupancy of one object on a grid that stands on its support, and the closed surface around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from sam3d_ros.geometry.polygons import convex_hull, depth_inside_hull
from sam3d_ros.perception.geometric.closing import closed, is_closed
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.symmetry import Symmetry, SymmetryKind

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

#: The field is known within so many voxels of the surface; beyond it is cut off.
_BAND = 2.0
#: Smoothing of the field, in voxels: takes the steps out of silhouettes and keeps planes.
_SMOOTHINGS = (0.6, 1.0, 1.6)
#: Smaller parts than this share of the largest one are dropped.
_SPECK = 0.05
#: Turns of a revolution, and how many of the strictest of them are averaged: the very strictest is mere noise.
_AZIMUTHS, _LEAST = 36, 9


@dataclass(frozen=True, eq=False)
class Solid:
    """A closed surface in the ground frame.

    Attributes:
        vertices: (N, 3) metres.
        triangles: (M, 3), counter-clockwise seen from outside.
        voxel: metres.
    """

    vertices: Array
    triangles: NDArray[np.int64]
    voxel: float


def box_solid(low: Array, high: Array) -> Solid:
    """The box between two corners."""
    corners = np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    triangles = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Solid(corners, np.array(triangles), float((high - low).max()) / 16.0)


def carve(
    points: Array,
    base: float,
    symmetry: Symmetry,
    free_space: FreeSpace,
    *,
    resolution: int,
    margin: float,
    shell: float,
) -> Solid | None:
    """Carve an object out of what the view, its images under the symmetry, the hull and the support leave.

    Args:
        points: (N, 3) observed points and those that stand in for the unseen, in the ground frame.
        base: height where the object ends below.
        symmetry: the motions.
        free_space: the region that the view leaves.
        resolution: voxels along the longest side.
        margin: metres around the hull of the points: what cleaning took off the border.
        shell: metres of thickness that what is seen has at least.

    Returns:
        None when no voxel is left.
    """
    # Motions keep hulls: the images of its corners span the hull of all images.
    outline = convex_hull(points[:, :2])
    hull = convex_hull(np.concatenate([outline, *symmetry.images(outline)]))
    c, s = np.cos(symmetry.angle), np.sin(symmetry.angle)
    grid_from_ground = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    turned, top = hull @ grid_from_ground[:2, :2].T, float(points[:, 2].max())
    low = np.array([*(turned.min(axis=0) - margin), min(base, top - shell)])
    high = np.array([*turned.max(axis=0), top]) + margin
    voxel = float((high - low).max()) / resolution
    # Two voxels of air all around close the surface.
    axes = [
        np.arange(low[i] - 2.0 * voxel, high[i] + 2.5 * voxel, voxel).astype(np.float32) for i in range(3)
    ]
    band = np.float32(_BAND * voxel)
    plan = np.stack(np.meshgrid(*axes[:2], indexing="ij"), axis=-1) @ grid_from_ground[:2, :2]
    inside_hull = depth_inside_hull(plan.reshape(-1, 2), hull).astype(np.float32) + np.float32(margin)
    # Nothing is beside the hull or where the view sees past: the voxels in question get ever fewer.
    columns = np.flatnonzero(inside_hull > -band)
    voxels = np.empty((len(columns), len(axes[2]), 3), np.float32)
    voxels[..., :2], voxels[..., 2] = plan.reshape(-1, 2)[columns, None], axes[2]
    inside = free_space.depth_inside(voxels)
    column, level = np.nonzero(inside > -band)
    voxels, inside = voxels[column, level], inside[column, level]
    if symmetry.kind is SymmetryKind.REVOLUTION:
        inside = np.minimum(inside, _revolved(voxels, level, axes[2], symmetry, free_space, voxel))
    else:
        for motion in symmetry.motions():
            inside = np.minimum(inside, free_space.depth_inside(voxels, moved=motion))
    inside = np.minimum(inside, inside_hull[columns[column]])
    inside = np.minimum(inside, np.float32(high[2]) - voxels[:, 2])
    # What is seen is there, whatever the symmetry says.
    inside = np.maximum(inside, free_space.shell(voxels, shell))
    inside = np.minimum(inside, voxels[:, 2] - np.float32(low[2]))
    field = np.full((*plan.shape[:2], len(axes[2])), -band)
    field.reshape(-1, len(axes[2]))[columns[column], level] = np.clip(inside, -band, band)
    return _surface(field, [float(axis[0]) for axis in axes], grid_from_ground, voxel)


def _revolved(
    voxels: Floats,
    level: NDArray[np.intp],
    heights: Floats,
    symmetry: Symmetry,
    free_space: FreeSpace,
    voxel: float,
) -> Floats:
    """Least depth inside over all turns about the axis, from a profile over radius and height.

    Args:
        voxels: (N, 3).
        level: (N,) which of the heights they have.
    """
    center = symmetry.center.astype(np.float32)
    away = voxels[:, :2] - center
    radius = np.sqrt(np.einsum("ij,ij->i", away, away))
    radii = np.arange(0.0, radius.max(initial=0.0) + 2.0 * voxel, voxel).astype(np.float32)
    turn = np.arange(_AZIMUTHS, dtype=np.float32) * np.float32(2.0 * np.pi / _AZIMUTHS)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    around = np.empty((_AZIMUTHS, len(radii), len(heights), 3), np.float32)
    around[..., :2] = center + (ring[:, None] * radii[:, None])[:, :, None]
    around[..., 2] = heights
    inside = np.partition(free_space.depth_inside(around), _LEAST, axis=0)[:_LEAST]
    profile = np.clip(inside, -_BAND * voxel, _BAND * voxel).mean(axis=0)
    at = radius / np.float32(voxel)
    index = np.minimum(at.astype(np.intp), len(radii) - 2)
    share = at - index
    return np.asarray(profile[index, level] * (1.0 - share) + profile[index + 1, level] * share, np.float32)


def _surface(field: Floats, origin: list[float], grid_from_ground: Array, voxel: float) -> Solid | None:
    """The closed surface where a field changes its sign; None where it does not.

    Smoothing is raised in the rare case that a pinch of the field would give a surface that is not closed.
    """
    for smoothing in _SMOOTHINGS:
        smooth = _without_specks(_blurred(field, smoothing))
        if smooth.max() <= 0.0 or smooth.min() >= 0.0:
            return None
        smooth[np.abs(smooth) < 1e-4 * voxel] = -1e-4 * voxel
        vertices, triangles, _, _ = marching_cubes(smooth, 0.0, gradient_direction="ascent")
        triangles = triangles.astype(np.int64)
        whole = is_closed(triangles)
        if not whole:
            vertices, triangles = closed(vertices, triangles)
            whole = is_closed(triangles)
        if whole:
            break
    return Solid((vertices * voxel + np.array(origin)) @ grid_from_ground, triangles, voxel)


def _blurred(field: Floats, sigma: float) -> Floats:
    """A field under a Gaussian of some voxels."""
    size = 2 * round(4.0 * sigma) + 1
    kernel = cv2.getGaussianKernel(size, sigma)
    # OpenCV filters two axes at a time: first the last one, as the rows of an image, then the others in one go.
    flat = cv2.sepFilter2D(
        field.reshape(-1, field.shape[2]), -1, kernel, np.ones(1), borderType=cv2.BORDER_REFLECT
    )
    return cv2.sepFilter2D(flat.reshape(field.shape), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)


def _without_specks(field: Floats) -> Floats:
    """The field with the sign of small separate parts turned."""
    parts, count = ndimage.label(field > 0)
    if count <= 1:
        return field
    size = np.bincount(parts.ravel())
    size[0] = 0
    dropped = (size < _SPECK * size.max())[parts] & (parts > 0)
    field[dropped] = -np.abs(field[dropped])
    return field
