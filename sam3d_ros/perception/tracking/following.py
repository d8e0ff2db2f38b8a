"""From the pose of the last frame to that of this one.

Most objects rest. A pose that explains the new frame as well as it explained the one it was made from is kept to the
last digit: resting objects do not tremble, and round ones, whose spin no measurement determines, do not creep around
with the camera. Otherwise the pose is refined, and the refined one is taken where it explains the frame clearly better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.refinement import REFINEMENT_REASONS, RefinementConfig, refine
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.judging.verdict import NOT_MEASURED, VerdictThresholds, judge
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.stillness import Glance

#: About so many vertices are projected to find the box of a mesh, and so many points give its distance.
_SAMPLE_VERTICES, _SAMPLE_POINTS = 1500, 200


@dataclass(frozen=True)
class FollowingConfig(Settings):
    """When a pose is kept.

    Attributes:
        rest_overlap: mask overlap that a resting object may lose since its pose was found.
        rest_residual: the same for the depth residual, in standard deviations of the sensor.
        gain_overlap: a refined pose is clearly better when it gains this mask overlap.
        gain_residual: or when its residual is smaller by this many standard deviations of the sensor.
        max_rays: pixels looked at to judge a tracked object; fewer than for a new one, at frame rate.
        judge_interval: seconds after which an object is judged again though nothing changed: mask, depth and camera are
            as they were when it was judged. One in sixteen objects a frame is, the longest unjudged first. 0 = judge
            all in every frame.
    """

    rest_overlap: float = parameter(0.02, minimum=0.0, maximum=1.0)
    rest_residual: float = parameter(0.3, minimum=0.0, maximum=100.0)
    gain_overlap: float = parameter(0.03, minimum=0.0, maximum=1.0)
    gain_residual: float = parameter(0.3, minimum=0.0, maximum=100.0)
    max_rays: int = parameter(1600, minimum=500, maximum=100_000)
    judge_interval: float = parameter(1.0, minimum=0.0, maximum=10.0)


@dataclass(frozen=True, eq=False)
class Followed:
    """An object in a new frame.

    Attributes:
        estimate: pose and verdict there.
        baseline: the verdict that coming frames are compared with to see whether the object rests.
        rested: whether the pose is the one that was expected.
        glance: what was seen when the verdict was made.
    """

    estimate: ObjectEstimate
    baseline: Verdict
    rested: bool
    glance: Glance


class Follower:
    """Follows objects, one at a time.

    Args:
        config: when a pose is kept.
        refinement: parameters of the refinement.
        thresholds: of the verdict.
    """

    def __init__(
        self, config: FollowingConfig, refinement: RefinementConfig, thresholds: VerdictThresholds
    ) -> None:
        self._config = config
        self._refinement = refinement
        self._thresholds = replace(thresholds, max_rays=min(config.max_rays, thresholds.max_rays))

    def follow(
        self,
        evidence: Evidence,
        expected: ObjectEstimate,
        baseline: Verdict | None,
        glance: Glance | None = None,
    ) -> Followed:
        """Find an object again.

        Args:
            evidence: what the new frame tells of it.
            expected: mesh, and the pose if the object did not move.
            baseline: the verdict when its pose was found; None = refine anyhow.
            glance: what was seen when `expected` was judged; None = judge anew.
        """
        if baseline is not None and glance is not None and self._holds(glance, evidence):
            return Followed(expected, baseline, rested=True, glance=glance)
        glance = Glance.at(evidence)
        kept = tuple(reason for reason in expected.verdict.reasons if reason not in REFINEMENT_REASONS)
        expected = replace(expected, verdict=replace(expected.verdict, reasons=kept))
        stayed = replace(expected, verdict=judge(evidence, expected, self._thresholds))
        if NOT_MEASURED in stayed.verdict.reasons:
            return self._followed_by_mask(evidence, stayed, baseline or stayed.verdict, glance)
        noise = _noise(evidence, expected)
        if baseline is not None and self._rests(stayed.verdict, baseline, noise):
            return Followed(stayed, baseline, rested=True, glance=glance)
        start = stayed
        if moved := _moved_into_box(evidence, expected):
            # The measurement tells which of the two is nearer; refinement from far off may turn the object over.
            start = max(stayed, replace(moved, verdict=judge(evidence, moved, self._thresholds)), key=_fit)
        best = self._refined(evidence, start)
        if baseline is None or self._is_better(best.verdict, stayed.verdict, noise):
            return Followed(best, best.verdict, rested=False, glance=glance)
        return Followed(stayed, stayed.verdict, rested=True, glance=glance)

    def _followed_by_mask(
        self, evidence: Evidence, stayed: ObjectEstimate, baseline: Verdict, glance: Glance
    ) -> Followed:
        """Where nothing is measured for a while, an object goes with its mask; how far away it is, is not known.

        The baseline stays, for the next measured points to be compared with.
        """
        overlap = stayed.verdict.mask_iou
        if overlap < baseline.mask_iou - self._config.rest_overlap and (
            moved := _moved_into_box(evidence, stayed)
        ):
            moved = replace(moved, verdict=judge(evidence, moved, self._thresholds))
            if moved.verdict.mask_iou > overlap + self._config.gain_overlap:
                return Followed(moved, baseline, rested=False, glance=glance)
        return Followed(stayed, baseline, rested=True, glance=glance)

    def _holds(self, glance: Glance, evidence: Evidence) -> bool:
        """Whether the last judgement is that of this evidence, too."""
        return self._config.judge_interval > 0.0 and glance.is_like(
            evidence, overlap=self._config.rest_overlap, residual=self._config.rest_residual
        )

    def _refined(self, evidence: Evidence, start: ObjectEstimate) -> ObjectEstimate:
        refined = refine(evidence, start, self._refinement, metric=True)
        return replace(refined, verdict=judge(evidence, refined, self._thresholds))

    def _rests(self, now: Verdict, then: Verdict, noise: float) -> bool:
        # NaN, a figure that cannot be measured, compares false: such an object is refined.
        return bool(
            now.mask_iou >= then.mask_iou - self._config.rest_overlap
            and now.depth_residual <= then.depth_residual + self._config.rest_residual * noise
        )

    def _is_better(self, refined: Verdict, stayed: Verdict, noise: float) -> bool:
        overlaps = bool(refined.mask_iou > stayed.mask_iou + self._config.gain_overlap)
        nearer = bool(refined.depth_residual < stayed.depth_residual - self._config.gain_residual * noise)
        if refined.state is VerdictState.REJECTED:
            # The few points of an object that is almost hidden fit many poses: only one that is better in all
            # respects is worth leaving the old one for.
            return stayed.state is VerdictState.REJECTED and overlaps and nearer
        return overlaps or nearer


def _noise(evidence: Evidence, estimate: ObjectEstimate) -> float:
    return evidence.overview.range_noise.at(float(estimate.camera_from_object.translation[2]))


def _moved_into_box(evidence: Evidence, expected: ObjectEstimate) -> ObjectEstimate | None:
    """The expected pose moved, not turned, to where mask and depth are; None where nothing can be said.

    Sides of the box at the edge of the image do not tell where the object ends.
    """
    camera, box, pose = evidence.camera, evidence.box, expected.camera_from_object
    vertices = expected.mesh.vertices
    pixels = camera.project(pose.apply(vertices[:: max(1, len(vertices) // _SAMPLE_VERTICES)]))
    if len(pixels) == 0 or np.isnan(pixels).any():
        return None
    low, high = np.array([box.left, box.top], float), np.array([box.right, box.bottom], float) - 1.0
    gaps = np.stack([low - pixels.min(axis=0), high - pixels.max(axis=0)])
    cut = np.stack([low <= 0, high >= (camera.width - 1, camera.height - 1)])
    gap = np.ma.masked_array(gaps, cut).mean(axis=0).filled(0.0)
    depth = float(pose.translation[2])
    lateral = np.array([gap[0] * depth / camera.fx, gap[1] * depth / camera.fy, 0.0])
    pose = Similarity(pose.rotation, pose.translation + lateral, pose.scale)
    points = evidence.point_map.at(evidence.mask)
    points = points[np.isfinite(points[:, 2])]
    points = points[:: max(1, len(points) // _SAMPLE_POINTS)].astype(np.float64)
    if len(points):
        rays = points / points[:, 2:3]
        seen = VisibleSurface.of(expected.mesh).cast(pose, rays)
        if seen.hit.any():
            # Along the viewing ray, so that the silhouette stays in its box.
            factor = float(np.median(points[seen.hit, 2] / seen.depth[seen.hit]))
            pose = Similarity(pose.rotation, pose.translation * factor, pose.scale)
    return replace(expected, camera_from_object=pose)


def _fit(estimate: ObjectEstimate) -> tuple[int, float]:
    """How well an estimate explains its frame, for the choice between two."""
    verdict = estimate.verdict
    return -verdict.state.value, float(np.nan_to_num(verdict.mask_iou) + np.nan_to_num(verdict.inlier_ratio))
