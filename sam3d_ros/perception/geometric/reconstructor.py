"""The `geometric` reconstructor: needs no weights and works anywhere; the floor that networks have to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.geometric.coloring import vertex_colors
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.footprint import smallest_rectangle
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.occupancy import Solid, carve
from sam3d_ros.perception.geometric.rectification import rectified
from sam3d_ros.perception.geometric.segment import Segment, segment_instance
from sam3d_ros.perception.geometric.support import SupportPlane, find_support, place_on_ground
from sam3d_ros.perception.geometric.symmetry import Symmetry
from sam3d_ros.perception.geometric.symmetry_search import find_symmetry
from sam3d_ros.perception.reconstructor import Progress

Array = NDArray[np.float64]

_SCALE_SOURCES = {
    PointsSource.DEPTH: ScaleSource.DEPTH,
    PointsSource.LIDAR: ScaleSource.LIDAR,
    PointsSource.NONE: ScaleSource.PRIOR,
}
_HULL_POINTS = 1500
#: The canonical cube is filled up to this, so that rounding to float32 stays inside.
_FILL = 1.0 - 1e-5
#: A box that stands in for an object nobody measured: edge in metres, distance in metres.
_UNKNOWN_EDGE = 0.1
_UNKNOWN_DEPTH = 1.0
_UNKNOWN_SIGMA = 1.0


class GeometricReconstructor:
    """Carves objects out of what one view leaves, completed by symmetry and support.

    Args:
        config: parameters.
    """

    def __init__(self, config: GeometricConfig | None = None) -> None:
        self._config = config or GeometricConfig()

    @property
    def name(self) -> str:
        """`geometric`."""
        return "geometric"

    @property
    def is_metric(self) -> bool:
        """True: sizes are measured."""
        return True

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct instances; see the protocol `Reconstructor`.

        Reasons that it leaves in a verdict: "no_points" (rejected; the mesh is a box of made-up size),
        "too_few_points" (rejected), "no_support_plane" (up is guessed), "hidden_side_unknown" (the depth of the
        object is a guess).
        """
        report = progress or _silent
        report("segment", 0.0)
        frame = rectified(frame)
        segments = [segment_instance(frame, instance_id) for instance_id in instance_ids]
        usable = [segment for segment in segments if segment is not None]
        report("support", 0.1)
        plane = find_support(frame, usable, self._config)
        answers = []
        for index, (instance_id, segment) in enumerate(zip(instance_ids, segments, strict=True)):
            report("complete", 0.2 + 0.8 * index / len(instance_ids))
            if segment is None:
                answers.append(_unmeasured(frame, instance_id))
            else:
                answers.append(self._complete(frame, segment, plane))
        report("done", 1.0)
        return answers

    def _complete(self, frame: Frame, segment: Segment, plane: SupportPlane) -> ObjectEstimate:
        config = self._config
        ground = place_on_ground(plane, segment, frame)
        to_camera = ground.camera_from_ground
        free_space = FreeSpace(frame, segment, to_camera)
        points = to_camera.apply_inverse(segment.points(_HULL_POINTS))
        pixel = float(np.median(segment.depth[segment.mask])) / segment.camera.fx
        margin = 2.0 * pixel
        sample = to_camera.apply_inverse(segment.points(config.search_points))
        normals = segment.sampled_normals(config.search_points) @ to_camera.rotation
        symmetry = find_symmetry(sample, normals, ground.base, free_space, segment.noise, margin, config)
        stand_ins, guessed = _pushed_back(points, ground.base, symmetry, config)
        spread = np.concatenate([points, stand_ins])
        diameter = float(np.linalg.norm(np.ptp(spread, axis=0)))
        solid = carve(
            spread,
            ground.base,
            symmetry,
            free_space,
            resolution=config.resolution,
            margin=margin,
            shell=max(config.shell_share * diameter, 2.0 * segment.noise),
        )
        reasons = []
        if segment.measured.sum() < config.min_points:
            reasons.append("too_few_points")
        if not plane.found:
            reasons.append("no_support_plane")
        if guessed or not symmetry.determined:
            reasons.append("hidden_side_unknown")
        if solid is None:
            solid = _box(spread.min(axis=0), np.maximum(spread.max(axis=0), spread.min(axis=0) + 2.0 * pixel))
            reasons.append("carving_left_nothing")
        colors = vertex_colors(solid.vertices, to_camera, symmetry, frame, free_space, 1.5 * solid.voxel)
        mesh, ground_from_object = _canonical(solid, colors)
        noise = segment.noise**2
        return ObjectEstimate(
            instance_id=segment.instance_id,
            label=frame.label(segment.instance_id),
            mesh=mesh,
            camera_from_object=to_camera @ ground_from_object,
            covariance=np.diag([noise + solid.voxel**2] * 3 + [(solid.voxel / diameter) ** 2 + 1e-3] * 3),
            verdict=Verdict(
                VerdictState.REJECTED if "too_few_points" in reasons else VerdictState.UNCERTAIN,
                tuple(reasons),
                np.nan,
                np.nan,
                np.nan,
                int(segment.measured.sum()),
                _SCALE_SOURCES[frame.points_source],
            ),
        )


def _pushed_back(
    points: Array, base: float, symmetry: Symmetry, config: GeometricConfig
) -> tuple[Array, bool]:
    """Points that give an object its expected depth where no symmetry does, and whether there are any."""
    spread = np.concatenate([points, *symmetry.images(points)])
    low, high = spread.min(axis=0), spread.max(axis=0)
    expected = config.depth_prior * min(high[1] - low[1], high[2] - min(base, low[2]))
    lacking = expected - (high[0] - low[0])
    if lacking <= 0.25 * expected:
        return np.zeros((0, 3)), False
    return points + np.array([lacking, 0.0, 0.0]), True


def _canonical(solid: Solid, colors: NDArray[np.uint8]) -> tuple[Mesh, Similarity]:
    """The mesh in the canonical cube, z up, x along the longer side of its footprint; and `ground_from_object`."""
    angle = smallest_rectangle(solid.vertices[:, :2]).angle
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    turned = solid.vertices @ rotation
    low, high = turned.min(axis=0), turned.max(axis=0)
    center, scale = (low + high) / 2.0, float((high - low).max()) / _FILL
    mesh = Mesh(((turned - center) / scale).astype(np.float32), solid.triangles.astype(np.uint32), colors)
    return mesh, Similarity(rotation, rotation @ center, np.full(3, scale))


def _box(low: Array, high: Array) -> Solid:
    corners = np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Solid(corners, np.array(triangles), float((high - low).max()) / 16.0)


def _unmeasured(frame: Frame, instance_id: int) -> ObjectEstimate:
    """A box of made-up size on the ray of the mask's middle: an answer where nothing was measured."""
    rows, columns = np.nonzero(frame.mask(instance_id))
    if len(rows) == 0:
        raise ValueError(f"instance {instance_id} has no pixel: ask only for ids of `Frame.instance_ids()`")
    ray = frame.camera.rays_at(np.array([columns.mean(), rows.mean()]))
    if not np.isfinite(ray).all():
        ray = np.array([0.0, 0.0, 1.0])
    box = _box(np.full(3, -_UNKNOWN_EDGE / 2.0), np.full(3, _UNKNOWN_EDGE / 2.0))
    color = np.median(frame.rgb[rows, columns], axis=0).astype(np.uint8)
    mesh, ground_from_object = _canonical(box, np.tile(color, (8, 1)))
    up = Similarity(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), ray * _UNKNOWN_DEPTH)
    return ObjectEstimate(
        instance_id=instance_id,
        label=frame.label(instance_id),
        mesh=mesh,
        camera_from_object=up @ ground_from_object,
        covariance=np.diag([_UNKNOWN_SIGMA**2] * 6),
        verdict=Verdict(
            VerdictState.REJECTED,
            ("no_points",),
            np.nan,
            np.nan,
            np.nan,
            0,
            _SCALE_SOURCES[PointsSource.NONE],
        ),
    )


def _silent(stage: str, share: float) -> None:
    """Progress for nobody."""
