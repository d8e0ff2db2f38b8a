"""Several views of one surface agree on where it is: the noise of each is averaged out before anything is carved.

A carving keeps what every view leaves and adds what any view saw: of several noisy surfaces it would take now the
innermost, now the outermost one. Where views measure the same piece of surface, all of them take the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import mapped
from sam3d_ros.perception.evidence import PosedView
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.segment import Segment

Floats = NDArray[np.float32]

#: Two measurements are of one surface when they differ by no more than so many standard deviations of the sensor, and
#: its normals by no more than 45 degrees.
_NOISES, _ALIKE = 4.0, np.float32(0.7)
#: A surface seen at a grazing angle is at most this much nearer than the gap along the ray says: cos 78 degrees.
_LEAST_COSINE = np.float32(0.2)


def agreed(views: Sequence[tuple[PosedView, Segment]]) -> list[Segment]:
    """The segments of several views of one thing, each with the mean of the depths that views of its surface measured.

    Args:
        views: in the order of the answer.
    """
    corrected = []
    for view, segment in views:
        mask = segment.mask
        depth = segment.depth[mask]
        points = segment.rays[mask] * depth[:, None]
        normals = segment.normals[mask]
        total, weight = np.zeros(len(depth), np.float32), np.ones(len(depth), np.float32)
        for other, seen in views:
            if seen is not segment:
                there = other.view_from_camera @ view.camera_from_view
                gap, known = _gaps(mapped(points, there.matrix()[:3]), mapped(normals, there.rotation), seen)
                total[known] += gap[known]
                weight[known] += 1.0
        cosine = np.clip(-np.einsum("ij,ij->i", normals, segment.rays[mask]), _LEAST_COSINE, 1.5)
        moved = segment.depth.copy()
        moved[mask] = depth - total / weight / cosine
        corrected.append(replace(segment, depth=moved))
    return corrected


def _gaps(points: Floats, normals: Floats, seen: Segment) -> tuple[Floats, NDArray[np.bool_]]:
    """(N,) metres that points are behind the surface of a view, along its normal; and whether they are of it."""
    camera = seen.camera
    u, v = camera.project(points).astype(np.float32).T
    inside = (u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    maps = np.dstack([np.where(seen.mask, seen.depth, 0.0).astype(np.float32), seen.normals])
    depth, *normal = sampled(maps, u, v)
    own = sampled(seen.measured.astype(np.float32)[..., None], u, v)[0] > 0.99
    facing = np.stack(normal, axis=-1)
    cosine = -np.einsum("ij,ij->i", facing, points) / np.maximum(points[:, 2], np.float32(1e-3))
    gap = (points[:, 2] - depth) * np.clip(cosine, _LEAST_COSINE, 1.5)
    alike = np.einsum("ij,ij->i", facing, normals) > _ALIKE
    return gap, inside & own & alike & (np.abs(gap) < _NOISES * seen.noise)
