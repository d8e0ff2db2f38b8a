"""What of a posed mesh its views measured, and how sure the ends of its box are because of that.

A surface that was measured is where it is but for the noise of the sensor. One that was not may end elsewhere, as far
as the view leaves room for it: behind the object itself, behind what hides it, outside the image. Where a bigger object
would be seen beside its mask, the end is known almost as well as if it had been measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, PosedView
from sam3d_ros.perception.measurement import hiding_pixels

Array = NDArray[np.float64]

#: A vertex was measured where the view measures within so many standard deviations of the sensor, and this share of the
#: diameter, which meshes smooth away.
_NOISES, _DIAMETER_SHARE = 3.0, 0.01
#: A gap along the ray is at most so many times that along the normal: 1 / cos 78 degrees.
_LEAST_COSINE = 0.2
#: A pixel without depth borrows that of the nearest one of its instance, this near in units of their spacing.
_REACH = 1.5
#: Vertices within this share of the extent along an axis from one end are that end; about so many are looked at.
_END_SHARE, _END_POINTS = 0.06, 150
#: Room is looked for so far beyond an end, as shares of the extent.
_BEYOND = (0.05, 0.1, 0.15, 0.2, 0.3)
#: Standard deviation of an end in those of the sensor, and as a share of the extent: a constant, one times the room
#: that is left beyond, and one times a power of it: things seldom go on where they could, but where nothing at all is
#: seen they do. Found with `benchmarks/calibrate_verdict.py`.
_OF_NOISE, _OF_EXTENT, _OF_ROOM, _OF_NOTHING_SEEN, _POWER = 0.5, 0.014, 0.02, 0.10, 12
#: Correlation of the errors of opposite ends, outwards: a mesh that is too large is so on both sides, and what was
#: guessed at one end was often mirrored to the other.
_TOGETHER = 0.5
#: An object stands where so many pixels around it are measured on the plane of its lower end, of about so many that are
#: looked at, as far from it as this share of its diameter.
_STANDING_PIXELS, _AROUND_PIXELS, _AROUND_SHARE = 15, 4000, 0.3


@dataclass(frozen=True, eq=False)
class Coverage:
    """What views tell of a mesh that was made of them.

    Attributes:
        measured: (V,) whether each vertex was measured.
        seen_share: measured share of the surface, by area, 0 to 1.
        ends_sigma: (2, 3) standard deviations of the low and high end of the box along each axis of the object, metres;
            NaN where nothing was measured.
    """

    measured: NDArray[np.bool_]
    seen_share: float
    ends_sigma: Array

    @property
    def size_sigma(self) -> tuple[float, float, float]:
        """Standard deviations of the extents, metres."""
        low, high = self.ends_sigma
        x, y, z = np.sqrt(low**2 + high**2 + 2.0 * _TOGETHER * low * high).tolist()
        return x, y, z


def coverage(evidence: Evidence, estimate: ObjectEstimate) -> Coverage:
    """What a view, and others of the same thing, tell of the surface and of the ends of an object.

    Args:
        evidence: the view, and the others.
        estimate: a mesh, with triangles or without, and its pose there.
    """
    mesh = estimate.mesh
    first, *others = (_View.of(view) for view in evidence.views)
    if first is None or len(mesh.triangles) == 0:
        return Coverage(np.zeros(len(mesh.vertices), bool), 0.0, np.full((2, 3), np.nan))
    views = [first, *(view for view in others if view is not None)]
    area = _area_vectors(mesh)
    found = np.logical_or.reduce([_measured(view, estimate, area) for view in views])
    share = np.linalg.norm(area, axis=1)
    total = float(share.sum())
    seen = float(share[found].sum()) / total if total > 0.0 else 0.0
    return Coverage(found, seen, _ends_sigma(views, estimate))


def with_coverage(evidence: Evidence, estimate: ObjectEstimate) -> ObjectEstimate:
    """The same estimate with what the views it was made of tell of its surface and extents."""
    found = coverage(evidence, estimate)
    verdict = replace(estimate.verdict, seen_share=found.seen_share, size_sigma=found.size_sigma)
    return replace(estimate, measured=found.measured, verdict=verdict)


@dataclass(frozen=True, eq=False)
class _View:
    """The pixels of a window.

    Attributes:
        evidence: whose window it is.
        seen_from: where its camera is.
        depth: (h, w) metres of the instance, also around its measured pixels; NaN elsewhere.
        hiding: (h, w) where something may stand before the instance.
    """

    evidence: Evidence
    seen_from: PosedView
    depth: NDArray[np.float32]
    hiding: NDArray[np.bool_]

    @staticmethod
    def of(view: PosedView) -> _View | None:
        """None where nothing is measured of the instance."""
        evidence = view.evidence
        mask, depth = evidence.mask, evidence.depth
        known = mask & np.isfinite(depth)
        count = int(np.count_nonzero(known))
        if count == 0:
            return None
        # Ids of the labels follow the row-major order of the zero pixels.
        distance, nearest = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        spacing = np.sqrt(np.count_nonzero(mask) / count)
        borrowed = np.where(distance <= _REACH * spacing, depth[known][nearest - 1], np.float32(np.nan))
        hiding = hiding_pixels(mask, evidence.things, evidence.depth)
        return _View(evidence, view, borrowed.astype(np.float32), hiding)

    def noise(self, distance: float) -> float:
        """Standard deviation of the sensor, metres."""
        return self.evidence.overview.range_noise.at(distance)

    def cells(self, points: Array) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
        """Whether (N, 3) points lie before the window, and their rows and columns in it, cut off at its sides."""
        camera, window = self.evidence.camera, self.evidence.window
        pixels = np.nan_to_num(camera.project(points), nan=-1e6).clip(-1e6, 1e6)
        column, row = (np.rint(pixels).astype(np.intp) - [window.left, window.top]).T
        height, width = self.depth.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return inside, row.clip(0, height - 1), column.clip(0, width - 1)

    def leaves(self, points: Array, tolerance: float) -> NDArray[np.bool_]:
        """(N,) whether the object may be at (N, 3) points as far as the view tells: none of them is seen past."""
        evidence = self.evidence
        inside, row, column = self.cells(points)
        own, depth = evidence.mask[row, column], self.depth[row, column]
        # Comparing NaN is false: what is not measured may be anywhere.
        behind = ~(points[:, 2] < depth - tolerance)
        hidden = self.hiding[row, column] & ~(points[:, 2] < evidence.depth[row, column] - tolerance)
        return np.where(inside, np.where(own, behind, hidden), self._beyond_image(row, column, inside))

    def _beyond_image(
        self, row: NDArray[np.intp], column: NDArray[np.intp], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """(N,) whether points that were cut off are outside of the image, too."""
        window, (height, width) = self.evidence.window, self.evidence.image_shape
        sides = (
            (row == 0) & (window.top == 0),
            (column == 0) & (window.left == 0),
            (row == self.depth.shape[0] - 1) & (window.bottom == height),
            (column == self.depth.shape[1] - 1) & (window.right == width),
        )
        return np.asarray(~inside & np.logical_or.reduce(sides))


def _measured(view: _View, estimate: ObjectEstimate, area: Array) -> NDArray[np.bool_]:
    """(V,) vertices on what the view measured that face the camera: a thin wall has two sides, one of them seen."""
    pose = view.seen_from.pose_of(estimate.camera_from_object)
    at = pose.apply(estimate.mesh.vertices)
    inside, row, column = view.cells(at)
    normals = (area / pose.scale) @ pose.rotation.T
    cosine = -np.einsum("ij,ij->i", normals, at) / np.maximum(
        np.linalg.norm(normals, axis=1) * np.linalg.norm(at, axis=1), 1e-12
    )
    allowed = _NOISES * view.noise(float(np.median(at[:, 2]))) + _DIAMETER_SHARE * float(
        np.linalg.norm(estimate.size)
    )
    gap = np.abs(at[:, 2] - view.depth[row, column]) * cosine.clip(_LEAST_COSINE, 1.0)
    return np.asarray(inside & (cosine > 0.0) & (gap <= allowed))


def _area_vectors(mesh: Mesh) -> Array:
    """(V, 3) outward normals of the surface around each vertex, as long as its area there is large."""
    triangles = mesh.triangles.astype(np.intp)
    a, b, c = (np.take(mesh.vertices, corner, axis=0) for corner in triangles.T)
    u, v = (b - a).T, (c - a).T
    faces = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    corners, count = triangles.T.ravel(), len(mesh.vertices)
    return np.stack([np.bincount(corners, np.tile(face, 3), count) for face in faces], axis=1) / 6.0


def _ends_sigma(views: Sequence[_View], estimate: ObjectEstimate) -> Array:
    """(2, 3) metres; see `Coverage`."""
    pose = estimate.camera_from_object
    poses = [view.seen_from.pose_of(pose) for view in views]
    own = estimate.mesh.vertices * pose.scale
    ends = np.stack([own.min(axis=0), own.max(axis=0)])
    extent = ends[1] - ends[0]
    noise = views[0].noise(float(pose.translation[2]))
    beyond = []
    for side, axis in np.ndindex(2, 3):
        at_end = np.flatnonzero(np.abs(own[:, axis] - ends[side, axis]) <= _END_SHARE * extent[axis])
        end = own[at_end[:: max(1, len(at_end) // _END_POINTS)]]
        step = np.zeros((len(_BEYOND), 1, 3))
        step[:, 0, axis] = np.array(_BEYOND) * extent[axis] * (2 * side - 1)
        beyond.append((end + step).reshape(-1, 3))
    tried = np.concatenate(beyond)
    left = np.logical_and.reduce(
        [
            view.leaves(tried @ seen.rotation.T + seen.translation, _NOISES * noise)
            for view, seen in zip(views, poses, strict=True)
        ]
    )
    parts = np.split(left, np.cumsum([len(part) for part in beyond])[:-1])
    room = np.reshape([part.mean() for part in parts], (2, 3))
    if any(
        _stands(view, seen.rotation, seen.translation, ends, noise)
        for view, seen in zip(views, poses, strict=True)
    ):
        room[0, 2] = 0.0
    share = _OF_EXTENT + _OF_ROOM * room + _OF_NOTHING_SEEN * room**_POWER
    return np.hypot(_OF_NOISE * noise, share * extent)


def _stands(view: _View, rotation: Array, origin: Array, ends: Array, noise: float) -> bool:
    """Whether something level with the lower end (z up) is measured around the object."""
    evidence = view.evidence
    step = max(1, int(np.sqrt(evidence.window.area / _AROUND_PIXELS)))
    cells = (slice(None, None, step), slice(None, None, step))
    around = evidence.points[cells][~evidence.mask[cells]].astype(np.float64)
    around = (around[np.isfinite(around[:, 2])] - origin) @ rotation
    diameter = float(np.linalg.norm(ends[1] - ends[0]))
    margin = _AROUND_SHARE * diameter
    beside = ((around > ends[0] - margin) & (around < ends[1] + margin))[:, :2].all(axis=1)
    level = np.abs(around[:, 2] - ends[0, 2]) < _NOISES * noise + _DIAMETER_SHARE * diameter
    return int(np.count_nonzero(beside & level)) >= _STANDING_PIXELS
