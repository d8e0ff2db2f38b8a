"""From the measured points of one instance to a closed surface: ground, symmetry, carving, the triangle budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_simplify import simplified
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.polygons import convex_hull
from sam3d_ros.perception.evidence import PosedView
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.free_space import FreeSpace, ViewSpace
from sam3d_ros.perception.geometric.occupancy import Solid, box_solid, carve
from sam3d_ros.perception.geometric.segment import Segment
from sam3d_ros.perception.geometric.support import Ground, SupportPlane, place_on_ground
from sam3d_ros.perception.geometric.symmetry import Symmetry
from sam3d_ros.perception.geometric.symmetry_search import find_symmetry

Array = NDArray[np.float64]

_HULL_POINTS = 1500
#: Pixels that cleaning may have taken off the outline.
_MARGIN_PIXELS = 2.0
#: A completed object that is less deep than this share of what is expected is pushed back.
_THIN = 0.75
#: An object that far above its support, against its own visible height, may hang in the air.
_HANGING = 1.0
#: Thickness of a floor in voxels that a grid holds; cosine of a floor against up; share of the points that makes one.
_LEAST_FLOOR, _FACING_UP, _FLOOR_SHARE = 1.5, 0.7, 0.04
#: Thinner shells than this, in voxels, tear when the field is smoothed.
_LEAST_SHELL = 2.0
#: Fewer voxels than this along the longest side are no shape any more.
_LEAST_RESOLUTION = 8


@dataclass(frozen=True, eq=False)
class PosedSegment:
    """What a view shows of an instance.

    Attributes:
        view: freed of lens distortion, with the pose of its camera in that of the first one.
        segment: the instance in it.
    """

    view: PosedView
    segment: Segment


@dataclass(frozen=True, eq=False)
class Completion:
    """A completed object.

    Attributes:
        solid: its surface in the ground frame, metres.
        ground: the ground frame.
        symmetry: what completed it.
        free_space: what the views leave to it.
        diameter: of the observed points, metres.
        reasons: what had to be guessed, as names for the verdict.
    """

    solid: Solid
    ground: Ground
    symmetry: Symmetry
    free_space: FreeSpace
    diameter: float
    reasons: tuple[str, ...]


def complete(views: Sequence[PosedSegment], plane: SupportPlane, config: GeometricConfig) -> Completion:
    """Complete one instance.

    Reasons: "too_few_points", "no_support_plane" (up is guessed), "hidden_side_unknown" (the views do not tell where
    the object ends behind), "carving_left_nothing" (a box around the points stands in).

    Args:
        views: of the instance, at least one; the first one's camera is where `plane` is given.
        plane: what it stands on.
        config: parameters.
    """
    segment = views[0].segment
    ground = place_on_ground(plane, segment)
    to_camera = ground.camera_from_ground
    alone = len(views) == 1
    spaces = [ViewSpace(seen.segment, seen.view.pose_of(to_camera), is_alone=alone) for seen in views]
    free_space = FreeSpace(spaces)
    pixel = float(np.median(segment.depth[segment.mask])) / segment.camera.fx
    margin = _MARGIN_PIXELS * pixel
    points, normals = _surface(views, to_camera, _HULL_POINTS)
    base = _in_the_air(points, ground.base, free_space, margin + segment.noise)
    symmetry = find_symmetry(
        *_surface(views, to_camera, config.search_points),
        base,
        free_space,
        noise=segment.noise,
        margin=margin,
        config=config,
    )
    behind = _pushed_back(points, base, symmetry, config)
    spread = np.concatenate([points, behind])
    extent = np.ptp(spread, axis=0)
    diameter = max(float(np.linalg.norm(extent)), pixel)
    voxel = max(float(extent.max()), pixel) / config.resolution
    shell = max(config.shell_share * diameter, 2.0 * segment.noise, _LEAST_SHELL * voxel)
    base = _below_thin_floors(points, normals, base, voxel)

    solid, resolution = None, config.resolution
    while resolution >= _LEAST_RESOLUTION:
        solid = carve(spread, base, symmetry, free_space, resolution=resolution, margin=margin, shell=shell)
        if solid is None:
            break
        solid = _simplified(solid, config.max_triangles)
        if len(solid.triangles) <= config.max_triangles:
            break
        # Collapsing edges would have opened the surface: carve coarser instead.
        resolution = int(0.7 * resolution)
    reasons = {
        "too_few_points": segment.measured.sum() < config.min_points,
        "no_support_plane": not plane.found,
        "hidden_side_unknown": len(behind) > 0 or not symmetry.determined,
        "carving_left_nothing": solid is None,
    }
    if solid is None:
        low, high = spread.min(axis=0), spread.max(axis=0)
        solid = box_solid(low - margin, high + margin)
    named = tuple(name for name, applies in reasons.items() if applies)
    return Completion(solid, ground, symmetry, free_space, diameter, named)


def _surface(views: Sequence[PosedSegment], to_camera: Similarity, count: int) -> tuple[Array, Array]:
    """(N, 3) about `count` points that the views see, as many of each, and (N, 3) normals; in the ground frame."""
    points, normals, share = [], [], -(-count // len(views))
    for seen in views:
        to_first = seen.view.camera_from_view
        points.append(to_camera.apply_inverse(to_first.apply(seen.segment.surface(share))))
        normals.append(to_first.rotate(seen.segment.sampled_normals(share)) @ to_camera.rotation)
    return np.concatenate(points), np.concatenate(normals)


def _in_the_air(points: Array, base: float, free_space: FreeSpace, tolerance: float) -> float:
    """The base, raised to the lowest point of an object that the view sees past below."""
    low, high = np.percentile(points[:, 2], (1.0, 99.0))
    if low - base < _HANGING * (high - low):
        return base
    foot = points[points[:, 2] <= low + 0.15 * (high - low)]
    below = foot - np.array([0.0, 0.0, 0.25 * (low - base)])
    seen_past = free_space.depth_inside(below, doubt=True) < -tolerance
    return float(low) - tolerance if seen_past.mean() > 0.5 else base


def _below_thin_floors(points: Array, normals: Array, base: float, voxel: float) -> float:
    """The base, lowered where the floor of a tray is seen so close to it that the grid would tear it."""
    floor = (points[:, 2] < base + _LEAST_FLOOR * voxel) & (normals[:, 2] > _FACING_UP)
    if floor.mean() < _FLOOR_SHARE:
        return base
    return min(base, float(np.percentile(points[floor, 2], 20.0)) - _LEAST_FLOOR * voxel)


def _pushed_back(points: Array, base: float, symmetry: Symmetry, config: GeometricConfig) -> Array:
    """Points that give an object its expected depth where no symmetry does; none where one does."""
    outline = convex_hull(points[:, :2])
    footprint = np.concatenate([outline, *symmetry.images(outline)])
    low, high = footprint.min(axis=0), footprint.max(axis=0)
    height = points[:, 2].max() - min(base, points[:, 2].min())
    expected = config.depth_prior * min(high[1] - low[1], height)
    if high[0] - low[0] >= _THIN * expected:
        return np.zeros((0, 3))
    return points + np.array([expected - (high[0] - low[0]), 0.0, 0.0])


def _simplified(solid: Solid, max_triangles: int) -> Solid:
    if len(solid.triangles) <= max_triangles:
        return solid
    # Micrometres of the ground frame do not survive float32 far from its origin: simplify around the middle.
    middle = solid.vertices.mean(axis=0)
    mesh = Mesh(
        (solid.vertices - middle).astype(np.float32),
        solid.triangles.astype(np.uint32),
        np.zeros((len(solid.vertices), 3), np.uint8),
    )
    answer = simplified(mesh, max_triangles)
    return Solid(answer.vertices.astype(np.float64) + middle, answer.triangles.astype(np.int64), solid.voxel)
