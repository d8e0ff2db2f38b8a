"""The plane that objects stand on: which way is up, and how deep an object reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Overview
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.segment import Segment
from sam3d_ros.perception.surfaces.planes import strongest_planes, uprightness

Array = NDArray[np.float64]

_SEGMENT_POINTS = 60
_CANDIDATES = 4
#: Fewer points tell nothing of a plane.
_LEAST_POINTS = 30
#: A plane with a smaller share of the points is none.
_LEAST_SHARE = 0.06
#: An object stands on a plane when its lowest points come this near to it, as a share of its size.
_CONTACT = 0.3


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """A plane of the frame, `normal . p = offset`, with the normal towards the camera's side: up.

    Attributes:
        normal: (3,) unit, optical frame.
        offset: metres.
        found: False when nothing was seen to stand on, and up is the image's up.
    """

    normal: Array
    offset: float
    found: bool

    def heights(self, points: Array) -> Array:
        """(...) metres above the plane."""
        return np.asarray(points @ self.normal - self.offset)


@dataclass(frozen=True, eq=False)
class Ground:
    """Where one object stands.

    Attributes:
        camera_from_ground: z up, x away from the camera along the ground; the origin lies in the plane.
        base: metres above the plane where the object ends below.
    """

    camera_from_ground: Similarity
    base: float


def find_support(overview: Overview, segments: Sequence[Segment], config: GeometricConfig) -> SupportPlane:
    """The plane that most likely carries the instances of a frame.

    Among the strongest planes of the points of everything, for a table may be labelled, it is the one that has many
    points, carries instances, and faces up in the image or towards a camera that looks down.
    """
    fallback = SupportPlane(np.array([0.0, -1.0, 0.0]), 0.0, False)
    beside = _beside(overview, [segment.instance_id for segment in segments])
    # What an object shows of itself does not carry it.
    useful = beside.any(axis=0)
    background, beside = overview.background[useful].astype(np.float64), beside[:, useful]
    if len(background) < _LEAST_POINTS:
        return fallback
    rng = np.random.default_rng(config.seed)
    samples = [segment.surface(_SEGMENT_POINTS) for segment in segments]
    counts = np.count_nonzero(beside, axis=1)
    counts = np.where(counts < _LEAST_POINTS, np.inf, counts)
    tolerance = config.plane_tolerance * np.maximum(1.0, background[:, 2])
    tolerance = np.maximum(tolerance, 2.0 * overview.range_noise.at(float(np.median(background[:, 2]))))
    best, best_score = fallback, 0.0
    for found in strongest_planes(background, tolerance, rng, most=_CANDIDATES, least_share=_LEAST_SHARE):
        plane = SupportPlane(found.normal, found.offset, True)
        shares = np.count_nonzero(beside[:, found.inliers], axis=1) / counts
        score = float(np.mean(shares**0.5 * _carried(plane, samples))) * uprightness(found.normal)
        if score > best_score:
            best, best_score = plane, score
    return best


def place_on_ground(plane: SupportPlane, segment: Segment) -> Ground:
    """The ground frame under one object, and where the object ends below.

    What is seen right below the object tells: the plane itself, or another thing it rests on.
    """
    points = segment.surface(400)
    up = plane.normal
    middle = np.median(points, axis=0)
    away = middle - (middle @ up) * up
    if np.linalg.norm(away) < 0.05 * np.linalg.norm(middle):
        # The camera looks straight down: the image's up is away.
        away = np.array([0.0, -1.0, 0.0]) - (np.array([0.0, -1.0, 0.0]) @ up) * up
    if np.linalg.norm(away) < 1e-6:
        away = np.array([0.0, 0.0, 1.0]) - up[2] * up
    x = away / np.linalg.norm(away)
    rotation = np.stack([x, np.cross(up, x), up], axis=1)
    origin = middle - plane.heights(middle) * up if plane.found else middle
    camera_from_ground = Similarity(rotation, origin)
    own = segment.rays[segment.mask] * segment.depth[segment.mask, None]
    own_heights = (own - origin) @ up
    low, high = np.percentile(own_heights, (1.0, 99.0))
    size = max(high - low, float(np.linalg.norm(np.ptp(points, axis=0))) / 3.0, 1e-3)
    if not plane.found:
        return Ground(camera_from_ground, float(low))
    around, carried = _seen_below(
        segment, camera_from_ground, own_heights, float(low), float(low + 0.25 * size)
    )
    # The plane may be bent or a little off: follow what is seen of it nearby, but no other thing on it.
    local = around[np.abs(around) < 2.0 * segment.noise]
    level = float(np.median(local)) if len(local) >= 30 else 0.0
    reach = 0.12 * size + 3.0 * segment.noise
    if low - level < reach:
        return Ground(camera_from_ground, min(level, float(low) + reach))
    if carried > 0.4:
        return Ground(camera_from_ground, float(low))
    return Ground(camera_from_ground, level)


def _beside(overview: Overview, instance_ids: Sequence[int]) -> NDArray[np.bool_]:
    """(S, N) whether each point of the background is surely not of each of S instances."""
    places = np.nan_to_num(overview.camera.project(overview.background)) / overview.stride
    rows, columns = overview.grid_shape
    beside = np.ones((len(instance_ids), len(places)), bool)
    # The pixels in between may be those of any of the four cells around them.
    for u in (np.floor(places[:, 0]), np.ceil(places[:, 0])):
        for v in (np.floor(places[:, 1]), np.ceil(places[:, 1])):
            at = (np.clip(v, 0, rows - 1).astype(np.intp), np.clip(u, 0, columns - 1).astype(np.intp))
            beside &= overview.labels[at] != np.array(instance_ids)[:, None]
    return beside


def _carried(plane: SupportPlane, samples: Sequence[Array]) -> Array:
    """(S,) how far each instance is above the plane and comes near to it, with a floor for stacks and hands."""
    carried = np.zeros(len(samples))
    for index, points in enumerate(samples):
        heights = plane.heights(points)
        size = max(float(np.linalg.norm(np.ptp(points, axis=0))), 1e-3)
        low = float(np.percentile(heights, 5.0))
        above = np.mean(heights > -0.05 * size)
        carried[index] = float(above > 0.8) * float(np.clip(1.5 - low / (_CONTACT * size), 0.0, 1.0))
    return 0.05 + carried


def _seen_below(
    segment: Segment,
    camera_from_ground: Similarity,
    own_heights: Array,
    low: float,
    below: float,
) -> tuple[Array, float]:
    """Heights measured right around the lower part of an object, and the share of that which it may rest on.

    Args:
        segment: the object.
        camera_from_ground: pose of its ground frame.
        own_heights: of the pixels of its mask.
        low: height where it ends.
        below: height that its lower part ends at.

    Returns:
        (N,) heights of points near the mask that belong to no other thing; and the share of the lower border where
        another surface begins at the height where the object ends.
    """
    labels, points = segment.labels, segment.points
    kernel = np.ones((3, 3), np.uint8)
    ring = cv2.dilate(segment.mask.view(np.uint8), kernel, iterations=6) > 0
    ring &= ~segment.mask & np.isfinite(points[..., 2])
    around = camera_from_ground.apply_inverse(points[ring & (labels == 0)])[:, 2]
    foot = segment.mask.copy()
    foot[segment.mask] = own_heights < below
    near = ring & (cv2.dilate(foot.view(np.uint8), kernel, iterations=4) > 0)
    if not near.any():
        return around, 0.0
    _, index = cv2.distanceTransformWithLabels(
        (~foot).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = index[near] - 1
    other = points[near]
    own = (segment.rays[foot] * segment.depth[foot, None])[nearest]
    gap = np.linalg.norm(other - own, axis=1)
    pixel = own[:, 2] / segment.camera.fx
    heights = camera_from_ground.apply_inverse(other)[:, 2]
    lower = heights < own_heights[own_heights < below][nearest] + 2.0 * segment.noise
    carrying = heights > 0.5 * low
    touching = lower & carrying & (gap < 25.0 * pixel + 4.0 * segment.noise)
    return around, float(np.mean(touching))
