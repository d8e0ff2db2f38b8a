"""How a body lies in a point map: the scale and shift between them, and what that makes of the objects beside it.

A point map without a metric scale gives objects no size, but a body has one. Aligning the body with the points measured
on it says how long a metre is there. Where the point map is metric, the same figures say how far the two disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate

Array = NDArray[np.float64]

#: Share of the measured points that is kept, the nearest ones, by how far they spread along the optical axis: behind a
#: person is more that a mask may catch than before. Those of the published alignment of people and objects.
_KEPT_SHARES = ((6.0, 0.90), (2.0, 0.93), (0.0, 0.95))
#: Fewer points than this are no evidence.
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class BodyAlignment:
    """The place of a body in a point map.

    Attributes:
        points_from_camera: takes what is in the frame of the body's pose to the frame of the points; both have the axes
            of the camera, so that it is one scale and a shift.
        residual: median distance along the optical axis of the measured points to the aligned surface, in the unit of
            the points; NaN where nothing was compared.
        count: points that the alignment rests on.
    """

    points_from_camera: Similarity
    residual: float
    count: int

    @property
    def scale(self) -> float:
        """Units of the point map to a metre of the body."""
        return float(self.points_from_camera.scale[0])


def align_body(
    mesh: Mesh,
    camera_from_mesh: Similarity,
    camera: Camera,
    points: NDArray[np.floating],
    mask: NDArray[np.bool_],
) -> BodyAlignment | None:
    """Align the visible side of a body with the points measured on it.

    Args:
        mesh: of the body.
        camera_from_mesh: its pose, optical frame, metres.
        camera: of the point map.
        points: (H, W, 3) optical frame, any unit, NaN = unknown.
        mask: (H, W) where the body is seen.

    Returns:
        The alignment; None where too little of the body is predicted or measured inside the mask.

    Raises:
        ValueError: points, mask and camera differ in size.
    """
    size = (camera.height, camera.width)
    if points.shape != (*size, 3) or mask.shape != size:
        raise ValueError(
            f"points are {points.shape}, the mask {mask.shape}, the camera {size}: give one size"
        )
    pixels = np.argwhere(mask & np.isfinite(points).all(axis=2))
    measured = points[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    kept = near(measured)
    pixels, measured = pixels[kept], measured[kept]
    rays = camera.rays_at(pixels[:, ::-1])
    seen = RayScene([(mesh, camera_from_mesh)]).cast(rays)
    hit = seen.hit
    if np.count_nonzero(hit) < _FEWEST:
        return None
    # Both are sampled at the same pixels, so that the density of the mesh's vertices does not weigh in.
    points_from_camera = aligned(rays[hit] * seen.distance[hit, None], measured[hit])
    placed = RayScene([(mesh, points_from_camera @ camera_from_mesh)]).cast(measured / measured[:, 2:])
    gaps = np.abs(placed.distance - measured[:, 2])[placed.hit]
    residual = float(np.median(gaps)) if len(gaps) else float("nan")
    return BodyAlignment(points_from_camera, residual, int(np.count_nonzero(hit)))


def alignment_of(body: BodyEstimate, frame: Frame) -> BodyAlignment | None:
    """Align a person with the points measured in the mask, metric or not; see `align_body`.

    Args:
        body: posed in this frame.
        frame: with points in any unit.

    Returns:
        The alignment; None where too little is measured, or there is no surface.
    """
    if body.mesh is None:
        return None
    mask = frame.mask(body.instance_id)
    return align_body(body.mesh, body.camera_from_body, frame.camera, frame.points, mask)


def firmest(alignments: Iterable[BodyAlignment | None]) -> BodyAlignment | None:
    """The alignment that rests on the most points; None if there is none."""
    found = [alignment for alignment in alignments if alignment is not None]
    return max(found, key=lambda alignment: alignment.count, default=None)


def near(measured: Array) -> NDArray[np.bool_]:
    """(N,) whether points are not among the farthest, which belong to what is behind.

    Args:
        measured: (N, 3) finite, optical frame.
    """
    depth = measured[:, 2]
    if len(depth) == 0:
        return np.zeros(0, dtype=bool)
    share = next(share for spread, share in _KEPT_SHARES if np.ptp(depth) > spread or spread == 0.0)
    return np.asarray(depth <= np.quantile(depth, share))


def aligned(visible: Array, measured: Array) -> Similarity:
    """The scale and shift from the visible surface of a body to the points measured on it.

    The scale is the ratio of their heights in the image, the shift joins their means: the published alignment of SAM 3D
    Body with SAM 3D Objects, in closed form.

    Args:
        visible: (N, 3) optical frame.
        measured: (M, 3) optical frame, outliers left out.

    Raises:
        ValueError: either has no height.
    """
    heights = np.ptp(visible[:, 1]), np.ptp(measured[:, 1])
    if min(heights) <= 0.0:
        raise ValueError("a body or the points on it have no height: give at least two rows of each")
    scale = float(heights[1] / heights[0])
    return Similarity(
        translation=measured.mean(axis=0) - scale * visible.mean(axis=0), scale=np.full(3, scale)
    )


def in_scale_of_body(objects: Sequence[ObjectEstimate], alignment: BodyAlignment) -> list[ObjectEstimate]:
    """Objects of the point map that a body was aligned with, moved and sized to fit the body instead, in metres."""
    camera_from_points = alignment.points_from_camera.inverse()
    length = float(camera_from_points.scale[0])
    units = np.diag([length] * 3 + [1.0] * 3)
    return [
        replace(
            thing,
            camera_from_object=camera_from_points @ thing.camera_from_object,
            covariance=units @ thing.covariance @ units,
            verdict=replace(thing.verdict, depth_residual=length * thing.verdict.depth_residual),
        )
        for thing in objects
    ]
