"""Refinement of a pose against the measured points: the surface that the camera sees, and nothing else.

Each measured pixel casts its ray at the posed mesh. Where it meets the mesh, the distance between measured and
predicted point along the surface normal is the residual (projective point-to-plane ICP, after Blais and Levine
1995 and Chen and Medioni 1992). Where it misses, the nearest point of the surface is drawn to the measured
point; where the mesh shows outside its mask it is drawn in. These two hold an object in the directions along its
faces, and its scale. Gauss-Newton with robust weights: Tukey's for depth, Huber's for outlines. Directions that the
data do not determine (the spin of a bottle) stay as they are, so that an object neither flips nor drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity, orthonormalized
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, PosedView
from sam3d_ros.perception.fitting.contour import contour_gaps
from sam3d_ros.perception.fitting.covariance import (
    SIGMA_OF_MAD,
    CovarianceConfig,
    Rows,
    free_covariance,
    joined,
    pose_covariance,
    with_shape_covariance,
)
from sam3d_ros.perception.fitting.visible_surface import SurfaceHits, VisibleSurface
from sam3d_ros.perception.measurement import Measurement
from sam3d_ros.perception.settings import Settings, parameter

Array = NDArray[np.float64]

#: Reasons that `refine` leaves in a verdict; `verdict.judge` keeps them.
REFINEMENT_REASONS = frozenset({"refinement_no_points", "refinement_diverged"})

#: Constants of Huber's and Tukey's weights: 95 % efficiency on normal residuals (Holland and Welsch 1977).
_HUBER, _TUKEY = 1.345, 4.685
#: Weight of a constraint by the mask against one by a measured depth.
_MASK_WEIGHT = 0.25
#: A refined pose may explain the points this much worse than its start before it is refused.
_WORSE = 1.2


@dataclass(frozen=True)
class RefinementConfig(Settings):
    """Parameters of the refinement.

    Attributes:
        max_points: measured points used of one object.
        min_points: fewer measured points leave the pose as it is.
        iterations: Gauss-Newton steps at most.
        capture: points farther from the surface than this share of the object's diameter pull nothing.
        step_tolerance: a step that moves no point by more than this share of the diameter ends the iteration.
        least_information: a direction with less than this share of the strongest direction's information is not
            moved; those just above it move slowly.
        largest_scale_change: the scale may leave its start by this factor at most.
        covariance: what no pose is known better than.
    """

    max_points: int = parameter(500, minimum=50, maximum=5000)
    min_points: int = parameter(8, minimum=6, maximum=50)
    iterations: int = parameter(8, minimum=1, maximum=50)
    capture: float = parameter(0.25, minimum=0.01, maximum=1.0)
    step_tolerance: float = parameter(5e-4, minimum=1e-9, maximum=0.1)
    least_information: float = parameter(0.01, minimum=1e-6, maximum=0.99)
    largest_scale_change: float = parameter(3.0, minimum=1.0, maximum=100.0)
    covariance: CovarianceConfig = field(default_factory=CovarianceConfig)


@dataclass(frozen=True, eq=False)
class Refinement:
    """What `refine_pose` found.

    Attributes:
        camera_from_object: the refined pose.
        covariance: (6, 6) in the optical frame, x y z rotX rotY rotZ, metres and radians; the rotation is about
            the object's origin.
        residual: median distance of the measured points to the visible surface, metres.
        inlier_ratio: share of the measured points within three times the sensor noise of the visible surface.
        converged: whether the last step was below the tolerance.
        iterations: steps taken.
    """

    camera_from_object: Similarity
    covariance: Array
    residual: float
    inlier_ratio: float
    converged: bool
    iterations: int


def refine(
    evidence: Evidence, estimate: ObjectEstimate, config: RefinementConfig | None = None, *, metric: bool
) -> ObjectEstimate:
    """Move an estimate onto the points that are measured in its mask, in all views of the evidence.

    Args:
        evidence: what is seen of the object.
        estimate: mesh and start pose: a fresh reconstruction, or the pose of the last frame.
        config: parameters.
        metric: whether the scale is measured already and stays; otherwise one factor on it is refined too.

    Returns:
        The estimate with a new pose and covariance and, where the pose had to stay as it was, the reason in its
        verdict: "refinement_no_points" or "refinement_diverged". The figures of the verdict are not touched:
        judge the answer anew.
    """
    config = config or RefinementConfig()
    kept = tuple(reason for reason in estimate.verdict.reasons if reason not in REFINEMENT_REASONS)
    first, *others = _measured_views(evidence, config)
    if len(first.measurement.points) < config.min_points or len(estimate.mesh.triangles) == 0:
        return _with_reasons(estimate, (*kept, "refinement_no_points"))
    start = estimate.camera_from_object
    answer = refine_pose(estimate.mesh, start, first.measurement, config, metric=metric, others=others)
    # A pose of the same look that is nearer to the start is the same pose: nothing flips.
    group = estimate.symmetry.scaled(float(np.mean(answer.camera_from_object.scale / start.scale)))
    pose = group.nearest(answer.camera_from_object, start)
    at_start = np.median(_distances(VisibleSurface.of(estimate.mesh), start, (first, *others)))
    if not answer.residual <= _WORSE * at_start + first.measurement.noise:
        return _with_reasons(estimate, (*kept, "refinement_diverged"))
    covariance = answer.covariance + free_covariance(group.free_directions(pose))
    moved = replace(estimate, camera_from_object=pose, covariance=covariance, symmetry=group)
    moved = with_shape_covariance(moved, config.covariance)
    return _with_reasons(moved, kept)


def refine_pose(
    mesh: Mesh,
    camera_from_object: Similarity,
    measurement: Measurement,
    config: RefinementConfig | None = None,
    *,
    metric: bool = True,
    others: Sequence[MeasuredView] = (),
) -> Refinement:
    """Refine one pose; see the module for the method.

    Args:
        mesh: canonical coordinates, at least one triangle.
        camera_from_object: the start.
        measurement: points on the object, and rays beside it.
        config: parameters.
        metric: keep the scale; otherwise refine one common factor on it.
        others: what other views measure of the object, which have to be explained, too.
    """
    config = config or RefinementConfig()
    views = (MeasuredView(measurement), *others)
    surface = VisibleSurface.of(mesh)
    pose = camera_from_object
    low, high = mesh.bounds.astype(np.float64)
    diameter = float(np.linalg.norm((high - low) * pose.scale))
    # Rotations and log-scale are measured in metres at this lever, so that all columns compare.
    lever = diameter / 2.0
    free = 6 if metric else 7
    converged, steps = False, 0
    for _ in range(config.iterations):
        rows = joined(
            *(s.together() for s in _systems(surface, pose, views, config.capture * diameter, lever))
        )
        jacobian = rows.jacobian[:, :free]
        information = jacobian.T @ (jacobian * rows.weight[:, None])
        gradient = jacobian.T @ (rows.weight * rows.residual)
        step = _determined_step(information, gradient, config.least_information)
        pose = _moved(pose, step, lever, camera_from_object.scale, config.largest_scale_change)
        steps += 1
        if np.abs(step).max() < config.step_tolerance * diameter:
            converged = True
            break
    systems = _systems(surface, pose, views, config.capture * diameter, lever)
    off = _distances(surface, pose, views)
    return Refinement(
        camera_from_object=pose,
        covariance=pose_covariance(
            [system.depth for system in systems],
            [system.outline for system in systems],
            noise=measurement.noise,
            pixel=measurement.outline.spacing * pose.translation[2],
            diameter=diameter,
            lever=lever,
            metric=metric,
            config=config.covariance,
        ),
        residual=float(np.median(off)),
        inlier_ratio=float(np.mean(off < 3.0 * measurement.noise)),
        converged=converged,
        iterations=steps,
    )


def distances(
    surface: VisibleSurface,
    camera_from_object: Similarity,
    points: Array,
    hits: SurfaceHits | None = None,
) -> Array:
    """(N,) distances of measured points to the surface that the camera sees, metres.

    Along the normal where the ray of the point meets the mesh, but at most the gap along the ray; to the nearest
    surface point where the ray misses. `hits` is what their rays meet, where that is known already.
    """
    sight = surface.cast(camera_from_object, points / points[:, 2:3]) if hits is None else hits
    off = np.empty(len(points))
    hit = sight.hit
    gap = points[hit] * (1.0 - sight.depth[hit] / points[hit, 2])[:, None]
    off[hit] = np.abs(np.einsum("ij,ij->i", gap, sight.normal[hit]))
    missed = points[~hit]
    off[~hit] = np.linalg.norm(missed - surface.closest(camera_from_object, missed), axis=1)
    return off


@dataclass(frozen=True, eq=False)
class MeasuredView:
    """What a view measures of an object.

    Attributes:
        measurement: the points, and rays beside them.
        view: where it was seen from; None = from the camera that the pose of the object is given in.
    """

    measurement: Measurement
    view: PosedView | None = None

    def pose_of(self, camera_from_object: Similarity) -> Similarity:
        """`view_from_object`."""
        return camera_from_object if self.view is None else self.view.pose_of(camera_from_object)


@dataclass(frozen=True, eq=False)
class _System:
    """The rows of a pose, by what they come from.

    Attributes:
        depth: the measured points.
        outline: the border of the mask: where that of the mesh is near, where the mesh does not reach it, and where it
            shows beyond.
    """

    depth: Rows
    outline: Rows

    def together(self) -> Rows:
        """All rows, in which a constraint by the mask weighs less than one by a measured depth."""
        return joined(self.depth, replace(self.outline, weight=_MASK_WEIGHT * self.outline.weight))

    def turned(self, view_from_camera: Array) -> _System:
        """The same with derivatives along the axes of another camera; (3, 3) rotation."""
        return _System(*(_turned(rows, view_from_camera) for rows in (self.depth, self.outline)))


def _measured_views(evidence: Evidence, config: RefinementConfig) -> list[MeasuredView]:
    """What each view measures; together they have about as many points as two views alone."""
    count = len(evidence.views)
    share = config.max_points if count == 1 else min(config.max_points, 2 * config.max_points // count)
    first, *others = (MeasuredView(view.evidence.measured(share), view) for view in evidence.views)
    return [first, *(view for view in others if len(view.measurement.points) >= config.min_points)]


def _distances(surface: VisibleSurface, pose: Similarity, views: Sequence[MeasuredView]) -> Array:
    """(N,) `distances` of the points of all views."""
    return np.concatenate([distances(surface, view.pose_of(pose), view.measurement.points) for view in views])


def _systems(
    surface: VisibleSurface, pose: Similarity, views: Sequence[MeasuredView], capture: float, lever: float
) -> list[_System]:
    """The linearised residuals of each view, in the optical frame of the first."""
    found = []
    for view in views:
        seen = view.pose_of(pose)
        system = _system(surface, seen, view.measurement, capture, lever)
        # The axes of the first view in this one.
        found.append(system if seen is pose else system.turned(seen.rotation @ pose.rotation.T))
    return found


def _system(
    surface: VisibleSurface, pose: Similarity, measurement: Measurement, capture: float, lever: float
) -> _System:
    """The linearised residuals at a pose; each row says: move the surface point `at` by `residual` metres."""
    points, outline = measurement.points, measurement.outline
    sight = surface.cast(pose, points / points[:, 2:3])
    hit = sight.hit
    at_hit = points[hit] * (sight.depth[hit] / points[hit, 2])[:, None]
    pulls = [_pull(at_hit, points[hit], sight.normal[hit])]
    if not hit.all():
        nearest = surface.closest(pose, points[~hit])
        pulls.append(_pull(nearest, points[~hit], None))
    depth = _rows(pulls, pose, lever)
    size = np.abs(depth.residual)
    scale = max(measurement.noise, SIGMA_OF_MAD * float(np.median(size)))
    tukey = np.clip(1.0 - (size / (_TUKEY * scale)) ** 2, 0.0, 1.0) ** 2
    reach = []
    if len(outline.seam):
        seam = outline.seam[~surface.cast(pose, outline.seam / outline.seam[:, 2:3]).hit]
        reach.append(_pull(surface.closest(pose, seam), seam, None))
    if len(outline.rim):
        sight = surface.cast(pose, outline.rim)
        shown = sight.hit
        distance = sight.depth[shown, None]
        reach.append(_pull(outline.rim[shown] * distance, outline.rim_inward[shown] * distance, None))

    outline_rows = _rows([contour_gaps(surface, pose, outline), *reach], pose, lever)
    far = np.abs(outline_rows.residual)
    huber = np.minimum(1.0, _HUBER * scale / np.maximum(far, 1e-12))
    return _System(
        replace(depth, weight=np.where(size > capture, 0.0, tukey)),
        replace(outline_rows, weight=np.where(far > capture, 0.0, huber)),
    )


def _rows(pulls: Sequence[tuple[Array, Array, Array]], pose: Similarity, lever: float) -> Rows:
    """Rows of weight one: translation, rotation about the object's origin, and log-scale."""
    at, along, residual = (np.concatenate(parts) for parts in zip(*pulls, strict=True))
    arm = at - pose.translation
    jacobian = np.concatenate(
        [along, np.cross(arm, along) / lever, np.einsum("ij,ij->i", arm, along)[:, None] / lever], axis=1
    )
    return Rows(at, jacobian, residual, np.ones(len(residual)))


def _turned(rows: Rows, view_from_camera: Array) -> Rows:
    """Rows whose translations and rotations are those of another frame."""
    jacobian = rows.jacobian.copy()
    for part in (slice(0, 3), slice(3, 6)):
        jacobian[:, part] = jacobian[:, part] @ view_from_camera
    return replace(rows, jacobian=jacobian)


def _pull(at: Array, toward: Array, normal: Array | None) -> tuple[Array, Array, Array]:
    """Rows (at, along, residual): along the given normals, or straight where there are none."""
    gap = toward - at
    if normal is not None:
        return at, normal, np.einsum("ij,ij->i", gap, normal)
    length = np.linalg.norm(gap, axis=1)
    return at, gap / np.maximum(length, 1e-12)[:, None], length


def _determined_step(information: Array, gradient: Array, least: float) -> Array:
    """The Gauss-Newton step, with weakly determined directions damped away.

    In the eigenvectors of the information the step is g / l; it is multiplied by l^2 / (l^2 + m^2) with m the
    least information. That keeps the fixed point where it is, unlike a pull towards the start.
    """
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(values, 0.0)
    if values[-1] <= 0.0:
        return np.zeros(len(gradient))
    floor = least * values[-1]
    return np.asarray(vectors @ ((vectors.T @ gradient) * values / (values**2 + floor**2)))


def _moved(
    pose: Similarity, step: Array, lever: float, start_scale: Array, largest_change: float
) -> Similarity:
    """Apply a step: translation, rotation about the object's origin, and log-scale where there is a seventh entry."""
    scale = pose.scale
    if len(step) == 7:
        factor = np.exp(np.clip(step[6] / lever, -0.2, 0.2)) * scale[0] / start_scale[0]
        scale = start_scale * np.clip(factor, 1.0 / largest_change, largest_change)
    turn = Rotation.from_rotvec(step[3:6] / lever).as_matrix()
    return Similarity(orthonormalized(turn @ pose.rotation), pose.translation + step[:3], scale)


def _with_reasons(estimate: ObjectEstimate, reasons: tuple[str, ...]) -> ObjectEstimate:
    return replace(estimate, verdict=replace(estimate.verdict, reasons=reasons))
