"""The verdict: figures that say how well a posed mesh explains what the frame shows, and a judgement on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.measurement import hiding_pixels, measure, sensor_noise, window_of
from sam3d_ros.perception.refinement import distances
from sam3d_ros.perception.visible_surface import VisibleSurface

#: Reasons that the figures of a frame give; they are found anew at each judgement.
FIGURE_REASONS = (
    "no_mesh",
    "no_points",
    "too_few_points",
    "low_mask_iou",
    "high_depth_residual",
    "low_inlier_ratio",
    "free_space_violation",
    "touches_border",
    "occluded",
)
_SCALE_SOURCES = {
    PointsSource.DEPTH: ScaleSource.DEPTH,
    PointsSource.LIDAR: ScaleSource.LIDAR,
    PointsSource.NONE: ScaleSource.PRIOR,
}
#: Reasons that reject at once, whoever found them.
_FATAL = frozenset({"no_mesh", "no_points"})


@dataclass(frozen=True)
class VerdictThresholds:
    """Where ACCEPTED ends and REJECTED begins; between the two bounds an object is UNCERTAIN.

    Attributes:
        min_points: fewer measured points cannot be ACCEPTED; 1 or more.
        accept_mask_iou, reject_mask_iou: of the silhouette; 0 to 1.
        accept_residual, reject_residual: median distance to the surface, as shares of the object's diameter.
        residual_noise: this many standard deviations of the sensor are added to both bounds of the residual.
        accept_inlier_ratio, reject_inlier_ratio: 0 to 1.
        inlier_distance: a point this near to the visible surface, as a share of the diameter, is an inlier;
            three standard deviations of the sensor are added.
        accept_free_space: share of the silhouette that shows where the sensor sees past the object; 0 to 1.
        accept_hidden: share of the silhouette that other things may hide; 0 to 1.
        max_rays: pixels looked at; 500 to 100000.
    """

    min_points: int = 30
    accept_mask_iou: float = 0.75
    reject_mask_iou: float = 0.4
    accept_residual: float = 0.02
    reject_residual: float = 0.08
    residual_noise: float = 1.0
    accept_inlier_ratio: float = 0.75
    reject_inlier_ratio: float = 0.4
    inlier_distance: float = 0.03
    accept_free_space: float = 0.15
    accept_hidden: float = 0.5
    max_rays: int = 4000


def judge(frame: Frame, estimate: ObjectEstimate, thresholds: VerdictThresholds | None = None) -> Verdict:
    """Judge an estimate against a frame that shows it.

    What a stage before left in `estimate.verdict.reasons` (a refinement that diverged, a support that was not
    found) is kept and cannot be ACCEPTED; reasons of former figures are dropped.

    Raises:
        ValueError: the instance has no pixel in this frame.
    """
    thresholds = thresholds or VerdictThresholds()
    scale_source = _SCALE_SOURCES[frame.points_source]
    reasons = [reason for reason in estimate.verdict.reasons if reason not in FIGURE_REASONS]
    measurement = measure(frame, estimate.instance_id, max_points=thresholds.max_rays // 4)
    count = measurement.count
    if len(estimate.mesh.triangles) == 0:
        return Verdict(
            VerdictState.REJECTED, ("no_mesh", *reasons), np.nan, np.nan, np.nan, count, scale_source
        )
    view = _look(frame, estimate, thresholds)
    diameter = float(np.linalg.norm(estimate.size))
    if count == 0:
        reasons.insert(0, "no_points")
        return Verdict(
            VerdictState.REJECTED, tuple(reasons), view.mask_iou, np.nan, np.nan, count, scale_source
        )
    surface = VisibleSurface.of(estimate.mesh)
    off = distances(surface, estimate.camera_from_object, measurement.points)
    residual = float(np.median(off))
    inliers = float(np.mean(off < thresholds.inlier_distance * diameter + 3.0 * measurement.noise))
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
        ("touches_border", not view.touches_border, True),
    )
    reasons += [name for name, good, _ in checks if not good]
    rejected = not all(bearable for _, _, bearable in checks) or not _FATAL.isdisjoint(reasons)
    state = (
        VerdictState.REJECTED if rejected else VerdictState.UNCERTAIN if reasons else VerdictState.ACCEPTED
    )
    return Verdict(state, tuple(reasons), view.mask_iou, residual, inliers, count, scale_source)


@dataclass(frozen=True)
class _View:
    """What the silhouette of the posed mesh says.

    Attributes:
        mask_iou: against the mask, without pixels where something may hide the object.
        free_share: of the silhouette, where the sensor sees past it: beside the mask, or behind it.
        hidden_share: of the silhouette, where something may hide it.
        touches_border: whether mask or silhouette reach the border of the image.
    """

    mask_iou: float
    free_share: float
    hidden_share: float
    touches_border: bool


def _look(frame: Frame, estimate: ObjectEstimate, thresholds: VerdictThresholds) -> _View:
    """Cast a regular grid of rays over the mask and the projected mesh."""
    whole = frame.mask(estimate.instance_id)
    shape = whole.shape
    pose = estimate.camera_from_object
    pixels = frame.camera.project(pose.apply(estimate.mesh.vertices))
    window = window_of(whole).including(pixels, shape)
    rows, columns = window.slices
    hiding = hiding_pixels(whole[rows, columns], frame.labels[rows, columns], frame.points[rows, columns, 2])
    stride = max(1, int(np.ceil(np.sqrt(hiding.size / thresholds.max_rays))))
    grid = (slice(stride // 2, None, stride), slice(stride // 2, None, stride))
    mask, hiding = whole[rows, columns][grid].ravel(), hiding[grid].ravel()
    measured = frame.points[rows, columns, 2][grid].ravel()
    rays = frame.camera.rays()[rows, columns][grid].reshape(-1, 3)
    known = np.isfinite(rays[:, 0])
    mask, hiding, measured, rays = mask[known], hiding[known], measured[known], rays[known]
    sight = VisibleSurface.of(estimate.mesh).cast(pose, rays.astype(np.float64))
    shown = sight.hit
    union = np.count_nonzero((shown | mask) & ~hiding)
    area = max(1, int(np.count_nonzero(shown)))
    before = thresholds.inlier_distance * float(np.linalg.norm(estimate.size))
    with np.errstate(invalid="ignore"):
        past = mask & shown & (sight.depth < measured - before - 3.0 * sensor_noise(frame.points_source, 1.0))
    return _View(
        mask_iou=float(np.count_nonzero(shown & mask) / union) if union else 0.0,
        free_share=float(np.count_nonzero((shown & ~mask & ~hiding) | past) / area),
        hidden_share=float(np.count_nonzero(shown & hiding) / area),
        touches_border=window_of(whole).touches_border(whole[window_of(whole).slices], shape),
    )
