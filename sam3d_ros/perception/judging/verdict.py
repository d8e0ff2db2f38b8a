"""The verdict: figures that say how well a posed mesh explains what the frame shows, and a judgement on them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from sam3d_ros.geometry.boxes import OrientedBox
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.refinement import distances
from sam3d_ros.perception.fitting.visible_surface import SurfaceHits, VisibleSurface
from sam3d_ros.perception.judging.determination import DeterminationConfig
from sam3d_ros.perception.judging.disjoint import is_disjoint
from sam3d_ros.perception.measurement import Measurement, hiding_pixels
from sam3d_ros.perception.reconstructor import RECONSTRUCTION_FAILED
from sam3d_ros.perception.settings import Settings, parameter

#: Reason of the verdict on an object that an error was raised for when it was looked for in a frame.
FOLLOWING_FAILED = "following_failed"
#: An object that was measured before is not measured in this frame, which tells nothing against it.
NOT_MEASURED = "not_measured"
#: The mask lies on several things.
DISJOINT_MASK = "disjoint_mask"
#: Reasons that the figures of a frame give; they are found anew at each judgement.
FIGURE_REASONS = (
    FOLLOWING_FAILED,
    "no_mesh",
    "no_points",
    NOT_MEASURED,
    "too_few_points",
    "low_mask_iou",
    "high_depth_residual",
    "low_inlier_ratio",
    "free_space_violation",
    "touches_border",
    "occluded",
    DISJOINT_MASK,
)
#: Reasons that reject at once, whoever found them; the last three mean that the mesh is a mere box.
_FATAL = frozenset({"no_mesh", "no_points", "mask_too_small", "empty_shape", RECONSTRUCTION_FAILED})


@dataclass(frozen=True)
class VerdictThresholds(Settings):
    """Where ACCEPTED ends and REJECTED begins; between the two bounds an object is UNCERTAIN.

    Attributes:
        min_points: fewer measured points cannot be ACCEPTED.
        accept_mask_iou, reject_mask_iou: of the silhouette.
        accept_residual, reject_residual: median distance to the surface, as shares of the object's diameter.
        residual_noise: this many standard deviations of the sensor are added to both bounds of the residual.
        accept_inlier_ratio, reject_inlier_ratio: shares of the points that are near.
        inlier_distance: a point this near to the visible surface, as a share of the diameter, is an inlier;
            three standard deviations of the sensor are added.
        accept_free_space: share of the silhouette that shows where the sensor sees past the object.
        accept_hidden: share of the silhouette that other things may hide.
        max_points: measured points looked at. With that of the refinement, they share the work.
        max_rays: pixels of the silhouette looked at.
        determination: when the extents are known.
    """

    min_points: int = parameter(50, minimum=1, maximum=5000)
    accept_mask_iou: float = parameter(0.75, minimum=0.0, maximum=1.0)
    reject_mask_iou: float = parameter(0.4, minimum=0.0, maximum=1.0)
    accept_residual: float = parameter(0.02, minimum=0.0, maximum=1.0)
    reject_residual: float = parameter(0.08, minimum=0.0, maximum=1.0)
    residual_noise: float = parameter(1.0, minimum=0.0, maximum=100.0)
    accept_inlier_ratio: float = parameter(0.75, minimum=0.0, maximum=1.0)
    reject_inlier_ratio: float = parameter(0.4, minimum=0.0, maximum=1.0)
    inlier_distance: float = parameter(0.03, minimum=0.0, maximum=1.0)
    accept_free_space: float = parameter(0.15, minimum=0.0, maximum=1.0)
    accept_hidden: float = parameter(0.5, minimum=0.0, maximum=1.0)
    max_points: int = parameter(500, minimum=50, maximum=5000)
    max_rays: int = parameter(4000, minimum=500, maximum=100_000)
    determination: DeterminationConfig = field(default_factory=DeterminationConfig)


def judge(
    evidence: Evidence, estimate: ObjectEstimate, thresholds: VerdictThresholds | None = None
) -> Verdict:
    """Judge an estimate against what one view tells of it.

    What a stage before left in `estimate.verdict.reasons` (a refinement that diverged, a support that was not
    found) is kept and cannot be ACCEPTED; reasons of former figures are dropped.

    Without a measured point, an estimate that was never judged with some is REJECTED. Of another one the former verdict
    is kept, at most UNCERTAIN; only its mask can tell more against it.

    What was seen of the mesh when it was made, and how sure its extents are, stays with it.
    """
    verdict = _judged(evidence, estimate, thresholds or VerdictThresholds())
    former = estimate.verdict
    return replace(verdict, seen_share=former.seen_share, size_sigma=former.size_sigma)


def _judged(evidence: Evidence, estimate: ObjectEstimate, thresholds: VerdictThresholds) -> Verdict:
    """The judgement and the figures of one view."""
    reasons = [reason for reason in estimate.verdict.reasons if reason not in FIGURE_REASONS]
    measurement = evidence.measured(thresholds.max_points)
    count = measurement.count
    scale_source = evidence.scale_source if count else ScaleSource.PRIOR
    if len(estimate.mesh.triangles) == 0:
        return Verdict(
            VerdictState.REJECTED, ("no_mesh", *reasons), np.nan, np.nan, np.nan, count, scale_source
        )
    diameter = float(np.linalg.norm(estimate.size))
    near = thresholds.inlier_distance * diameter + 3.0 * np.nan_to_num(measurement.noise)
    view = _look(evidence, estimate, measurement, near, thresholds.max_rays)
    if count == 0 and was_measured(estimate.verdict):
        return _not_measured(estimate.verdict, view.mask_iou, thresholds)
    if count == 0:
        reasons.insert(0, "no_points")
        return Verdict(
            VerdictState.REJECTED, tuple(reasons), view.mask_iou, np.nan, np.nan, count, scale_source
        )
    surface = VisibleSurface.of(estimate.mesh)
    off = distances(surface, estimate.camera_from_object, measurement.points, view.hits)
    residual = float(np.median(off))
    inliers = float(np.mean(off < near))
    allowed = thresholds.residual_noise * measurement.noise
    checks = (
        ("too_few_points", count >= thresholds.min_points, True),
        (
            "low_mask_iou",
            view.mask_iou >= thresholds.accept_mask_iou,
            view.mask_iou >= thresholds.reject_mask_iou,
        ),
        (
            "high_depth_residual",
            residual <= thresholds.accept_residual * diameter + allowed,
            residual <= thresholds.reject_residual * diameter + allowed,
        ),
        (
            "low_inlier_ratio",
            inliers >= thresholds.accept_inlier_ratio,
            inliers >= thresholds.reject_inlier_ratio,
        ),
        ("free_space_violation", view.free_share <= thresholds.accept_free_space, True),
        ("occluded", view.hidden_share <= thresholds.accept_hidden, True),
        ("touches_border", not evidence.touches_border, True),
        (DISJOINT_MASK, not is_disjoint(evidence, measurement), True),
    )
    reasons += [name for name, good, _ in checks if not good]
    rejected = not all(bearable for _, _, bearable in checks) or not _FATAL.isdisjoint(reasons)
    state = (
        VerdictState.REJECTED if rejected else VerdictState.UNCERTAIN if reasons else VerdictState.ACCEPTED
    )
    return Verdict(state, tuple(reasons), view.mask_iou, residual, inliers, count, scale_source)


def was_measured(verdict: Verdict) -> bool:
    """Whether a verdict rests on measured points, of its frame or of one before."""
    return verdict.point_count > 0 or NOT_MEASURED in verdict.reasons


def _not_measured(former: Verdict, mask_iou: float, thresholds: VerdictThresholds) -> Verdict:
    """The verdict in a frame that measures nothing of the object."""
    found_anew = (NOT_MEASURED, FOLLOWING_FAILED, "low_mask_iou")
    kept = [reason for reason in former.reasons if reason not in found_anew]
    rejected = mask_iou < thresholds.reject_mask_iou or (former.state is VerdictState.REJECTED and kept)
    return Verdict(
        state=VerdictState.REJECTED if rejected else VerdictState.UNCERTAIN,
        reasons=(NOT_MEASURED, *(["low_mask_iou"] if mask_iou < thresholds.accept_mask_iou else []), *kept),
        mask_iou=mask_iou,
        depth_residual=np.nan,
        inlier_ratio=np.nan,
        point_count=0,
        scale_source=former.scale_source,
    )


@dataclass(frozen=True)
class _View:
    """What the silhouette of the posed mesh says.

    Attributes:
        mask_iou: against the mask, without pixels where something may hide the object.
        free_share: of the silhouette, where the sensor sees past it: beside the mask, or behind it.
        hidden_share: of the silhouette, where something may hide it.
        hits: what the rays of the measured points meet.
    """

    mask_iou: float
    free_share: float
    hidden_share: float
    hits: SurfaceHits


def _look(
    evidence: Evidence, estimate: ObjectEstimate, measurement: Measurement, before: float, max_rays: int
) -> _View:
    """Cast a regular grid of rays over the mask and the projected mesh, and one at each measured point.

    Args:
        evidence: what is seen.
        estimate: mesh and pose.
        measurement: a sample of what is measured.
        before: metres that the mesh may show before a measured point without being in free space.
        max_rays: about how many rays at most.
    """
    pose, camera = estimate.camera_from_object, evidence.camera
    corners = OrientedBox.of_mesh(estimate.mesh, pose).corners()
    window = measurement.window.including(camera.project(corners), evidence.image_shape)
    stride = max(1, math.isqrt(window.area // max_rays))
    labels, depth, rays = evidence.looked_at(window, stride)
    known = np.isfinite(rays[..., 0])
    own = labels == evidence.instance_id
    hiding = hiding_pixels(own, labels, depth)[known]
    mask, measured, grid = own[known], depth[known], rays[known]
    points = measurement.points
    # All rays in one cast: each call has a price of its own.
    hits = VisibleSurface.of(estimate.mesh).cast(pose, np.concatenate([grid, points / points[:, 2:3]]))
    sight = hits.part(slice(len(grid)))
    shown = sight.hit
    union = np.count_nonzero((shown | mask) & ~hiding)
    area = max(1, int(np.count_nonzero(shown)))
    with np.errstate(invalid="ignore"):
        past = mask & shown & (sight.depth < measured - before)
    return _View(
        mask_iou=float(np.count_nonzero(shown & mask) / union) if union else 0.0,
        free_share=float(np.count_nonzero((shown & ~mask & ~hiding) | past) / area),
        hidden_share=float(np.count_nonzero(shown & hiding) / area),
        hits=hits.part(slice(len(grid), None)),
    )
