"""The views of a thing that are worth remembering: from new directions, as long as it rests in the frame of tracking.

A view tells what one side of a thing is; a camera that moves sees the others. What was seen from where is kept as it
was measured, so that a mesh can be made of all of it. It holds for a thing that rests alone: as soon as points are seen
past that were measured before, or points are measured where there was nothing, all that was remembered is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity, mapped
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, PosedView
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.instances import InstanceView

Array = NDArray[np.float64]

#: So many points of a view tell whether the thing is still where that view saw it; fewer that can be compared do not.
_POINTS, _LEAST_POINTS = 100, 25
#: A point is seen past, or before a surface, by so many standard deviations of the sensor and this share of the extent.
_NOISES, _EXTENT_SHARE = 4.0, 0.02
#: The depth of a mask's outermost pixels mixes two surfaces.
_BORDER = np.ones((5, 5), np.uint8)
_NEIGHBOURS = np.ones((3, 3), np.uint8)
#: A view takes the place of one from the same direction when it is better by this factor.
_BETTER = 1.3
#: A surface is shown by a view that it faces: cosine of 75 degrees.
_FACING = 0.26
#: About so many triangles tell how much of a surface a view shows.
_TRIANGLES = 2000


@dataclass(frozen=True)
class KeyframeConfig(Settings):
    """Which views of an object are remembered, for meshes that are made of several.

    Attributes:
        count: so many at most, beside the newest one; 0 = none. There are some only with a `target_frame`.
        angle: degrees; directions from the object to the camera that differ by less show the same.
        least_quality: a view is remembered whose quality (visible, measured, whole pixels) is at least this share of
            that of the best one.
        moved_share: an object has moved when more than this share of the points that can be compared contradict a view
            that is remembered; all of them are forgotten then.
    """

    count: int = parameter(6, minimum=0, maximum=32)
    angle: float = parameter(25.0, minimum=1.0, maximum=180.0)
    least_quality: float = parameter(0.3, minimum=0.0, maximum=1.0)
    moved_share: float = parameter(0.15, minimum=0.0, maximum=1.0)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A view that is remembered.

    Attributes:
        evidence: what it tells, in memory of its own.
        fixed_from_camera: pose of its camera in the frame of tracking.
        center: (3,) where the thing is, in the frame of tracking.
        direction: (3,) unit, from there to the camera.
        points: (N, 3) float32 a sample of what was measured of the thing, in the frame of tracking.
        quality: how much of it was seen.
    """

    evidence: Evidence
    fixed_from_camera: Similarity
    center: Array
    direction: Array
    points: NDArray[np.float32]
    quality: float


def remembered(
    keyframes: tuple[Keyframe, ...],
    evidence: Evidence,
    view: InstanceView,
    config: KeyframeConfig,
    *,
    doubtful: bool = False,
) -> tuple[Keyframe, ...]:
    """What is remembered of a thing after another view; the very same where that changes nothing.

    Whether it still holds is looked at when a view is added, and when it is doubtful: not in every frame.

    Args:
        keyframes: what was remembered before.
        evidence: the view.
        view: the same as tracking sees it.
        config: parameters.
        doubtful: whether the thing may have moved.
    """
    fixed_from_camera = evidence.overview.fixed_from_camera
    if fixed_from_camera is None or config.count == 0 or not evidence.overview.is_metric:
        return ()
    if len(keyframes) > config.count:
        keyframes = keyframes[: config.count]
    if not view.measured or math.isnan(view.center[0]):
        return keyframes
    direction = _direction(keyframes[0].center if keyframes else view.center, fixed_from_camera)
    is_new = _adds(keyframes, direction, view.quality, config)
    if keyframes and (is_new or doubtful) and not still_hold(keyframes, evidence, view.extent, config):
        keyframes, is_new = (), True
    if not is_new:
        return keyframes
    center = keyframes[0].center if keyframes else view.center
    direction = _direction(center, fixed_from_camera)
    different = math.cos(math.radians(config.angle))
    kept = tuple(keyframe for keyframe in keyframes if keyframe.direction @ direction < different)
    points = _sample(evidence, fixed_from_camera)
    new = Keyframe(evidence.kept(), fixed_from_camera, center, direction, points, view.quality)
    if len(kept) == config.count:
        directions = np.stack([*(keyframe.direction for keyframe in kept), direction])
        gone = _worse_of_most_alike(directions, [*(keyframe.quality for keyframe in kept), view.quality])
        kept = (*kept[:gone], *kept[gone + 1 :])
    return (*kept, new)


def still_hold(
    keyframes: tuple[Keyframe, ...], evidence: Evidence, extent: float, config: KeyframeConfig
) -> bool:
    """Whether what was measured before is still there, and nothing is measured where there was none.

    A thing that comes nearer hides where it was; what is measured of it now stands in the air for the view from the
    most similar direction.

    Args:
        keyframes: what is remembered of a thing, at least one.
        evidence: a view of now.
        extent: diameter of what it sees of the thing, metres.
        config: parameters.
    """
    overview = evidence.overview
    if overview.fixed_from_camera is None:
        return False
    direction = _direction(keyframes[0].center, overview.fixed_from_camera)
    nearest = max(keyframes, key=lambda keyframe: float(keyframe.direction @ direction))
    margin = _EXTENT_SHARE * extent
    before = np.concatenate([keyframe.points for keyframe in keyframes])
    gone = _seen_past(before, overview.camera_from_fixed, evidence, margin)
    now = _sample(evidence, overview.fixed_from_camera)
    appeared = _seen_past(now, nearest.fixed_from_camera.inverse(), nearest.evidence, margin)
    return max(gone, appeared) <= config.moved_share


def others_of(keyframes: tuple[Keyframe, ...], evidence: Evidence) -> tuple[PosedView, ...]:
    """The remembered views of a thing beside one of its own, from where that sees them; none of the same moment."""
    if evidence.overview.fixed_from_camera is None:
        return ()
    camera_from_fixed = evidence.overview.camera_from_fixed
    return tuple(
        PosedView(keyframe.evidence, camera_from_fixed @ keyframe.fixed_from_camera)
        for keyframe in keyframes
        if keyframe.evidence.stamp != evidence.stamp
    )


def shares_shown(
    estimate: ObjectEstimate,
    fixed_from_object: Similarity,
    keyframes: tuple[Keyframe, ...],
    known: frozenset[int],
) -> tuple[float, float]:
    """What share of a mesh views face, by area; and what share of that was never measured, and is news to it.

    Args:
        estimate: the mesh, and what of it was measured.
        fixed_from_object: where it is.
        keyframes: the views.
        known: stamps of those that the mesh was made of.
    """
    mesh = estimate.mesh
    triangles = mesh.triangles[:: max(1, len(mesh.triangles) // _TRIANGLES)].astype(np.intp)
    if len(triangles) == 0 or not keyframes:
        return 0.0, 0.0
    corners = (mesh.vertices * fixed_from_object.scale.astype(np.float32))[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    directions = np.stack([keyframe.direction for keyframe in keyframes]) @ fixed_from_object.rotation
    facing = normals @ directions.T > _FACING * area[:, None]
    new = np.array([keyframe.evidence.stamp not in known for keyframe in keyframes])
    measured = np.zeros(len(mesh.vertices), bool) if estimate.measured is None else estimate.measured
    guessed = ~measured[triangles].any(axis=1)
    total = max(float(area.sum()), 1e-12)
    return float(area[facing.any(axis=1)].sum()) / total, float(
        area[guessed & facing[:, new].any(axis=1)].sum()
    ) / total


def _sample(evidence: Evidence, fixed_from_camera: Similarity) -> NDArray[np.float32]:
    """(N, 3) measured points in the frame of tracking, none of the rim of the mask where it has another part."""
    inner = evidence.box.slices_in(evidence.window)
    mask = np.asarray(evidence.labels[inner] == evidence.instance_id)
    point_map = evidence.point_map.cropped(*inner)
    depth = point_map.depth
    known = mask & (depth == depth)  # NaN, an unknown depth, equals nothing
    core = np.flatnonzero(known & (cv2.erode(mask.view(np.uint8), _BORDER, borderValue=0) > 0))
    if len(core) < _LEAST_POINTS:
        core = np.flatnonzero(known)
    chosen = core[:: max(1, len(core) // _POINTS)]
    return mapped(point_map.at(np.divmod(chosen, mask.shape[1])), fixed_from_camera.matrix()[:3])


def _direction(center: Array, fixed_from_camera: Similarity) -> Array:
    """(3,) unit, from a place to a camera, both in the frame of tracking."""
    away = fixed_from_camera.translation - center
    return np.asarray(away / math.sqrt(float(away @ away)))


def _adds(keyframes: tuple[Keyframe, ...], direction: Array, quality: float, config: KeyframeConfig) -> bool:
    """Whether a view is from a new direction, or better than those from the same one; and good enough."""
    if quality < config.least_quality * max((keyframe.quality for keyframe in keyframes), default=0.0):
        return False
    same = math.cos(math.radians(config.angle))
    rivals = [keyframe.quality for keyframe in keyframes if float(keyframe.direction @ direction) >= same]
    if rivals:
        return quality >= _BETTER * max(rivals)
    if len(keyframes) < config.count:
        return True
    # Where there is no room one has to go: of the two that are most alike, the worse one.
    directions = np.stack([*(keyframe.direction for keyframe in keyframes), direction])
    qualities = [*(keyframe.quality for keyframe in keyframes), quality]
    return _worse_of_most_alike(directions, qualities) < len(keyframes)


def _seen_past(
    points: NDArray[np.float32], camera_from_fixed: Similarity, evidence: Evidence, margin: float
) -> float:
    """Share of (N, 3) points that a view measures something behind; of those that it would show if they were there."""
    window = evidence.window
    inside_camera = mapped(points, camera_from_fixed.matrix()[:3])
    pixels = evidence.camera.project(inside_camera)
    with np.errstate(invalid="ignore"):
        columns, rows = (np.rint(pixels) - (window.left, window.top)).astype(np.intp).T
    height, width = evidence.labels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns, own = rows[inside], columns[inside], inside_camera[inside, 2]
    if len(own) == 0:
        return 0.0
    seen = evidence.depth[rows, columns]
    # One pixel of doubt where a surface ends; beside what is not known, nothing is known.
    nearest = cv2.erode(np.nan_to_num(evidence.depth), _NEIGHBOURS)[rows, columns]
    allowed = _NOISES * evidence.overview.range_noise.at(float(own.mean())) + margin
    # Comparing NaN, an unknown depth, is false.
    past = np.count_nonzero(nearest > own + allowed)
    there = np.count_nonzero(np.abs(seen - own) <= allowed)
    return past / (past + there) if past + there >= _LEAST_POINTS else 0.0


def _worse_of_most_alike(directions: Array, qualities: Sequence[float]) -> int:
    """Which of (N, 3) views should go: the worse one of the two whose directions differ least."""
    likeness = directions @ directions.T - 3.0 * np.eye(len(directions))
    pair = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    return min((int(index) for index in pair), key=lambda index: qualities[index])
