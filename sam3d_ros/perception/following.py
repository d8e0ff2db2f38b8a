"""From the pose of the last frame to that of this one.

Most objects rest. A pose that explains the new frame as well as it explained the one it was made from is kept to the
last digit: resting objects do not tremble, and round ones, whose spin no measurement determines, do not creep around
with the camera. Otherwise the pose is refined, and the refined one is taken where it explains the frame clearly better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.measurement import sensor_noise
from sam3d_ros.perception.refinement import REFINEMENT_REASONS, RefinementConfig, refine
from sam3d_ros.perception.verdict import VerdictThresholds, judge


@dataclass(frozen=True)
class FollowingConfig:
    """When a pose is kept.

    Attributes:
        rest_overlap: mask overlap that a resting object may lose since its pose was found; 0 to 1.
        rest_residual: the same for the depth residual, in standard deviations of the sensor.
        gain_overlap: a refined pose is clearly better when it gains this mask overlap; 0 to 1.
        gain_residual: or when its residual is smaller by this many standard deviations of the sensor.
        max_rays: pixels looked at to judge a tracked object; fewer than for a new one, at frame rate.
    """

    rest_overlap: float = 0.02
    rest_residual: float = 0.3
    gain_overlap: float = 0.03
    gain_residual: float = 0.3
    max_rays: int = 1600


@dataclass(frozen=True, eq=False)
class Followed:
    """An object in a new frame.

    Attributes:
        estimate: pose and verdict there.
        baseline: the verdict that coming frames are compared with to see whether the object rests.
        rested: whether the pose is the one that was expected.
    """

    estimate: ObjectEstimate
    baseline: Verdict
    rested: bool


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
        self, frame: Frame, expected: ObjectEstimate, baseline: Verdict | None, shift: NDArray[np.float64]
    ) -> Followed:
        """Find an object again.

        Args:
            frame: the new frame; shows the object as `expected.instance_id`.
            expected: mesh, and the pose if the object did not move.
            baseline: the verdict when its pose was found; None = refine anyhow.
            shift: (3,) how far the centre of its visible surface moved, optical frame, metres; NaN = unknown. A
                second start for a pose that is lost.
        """
        kept = tuple(reason for reason in expected.verdict.reasons if reason not in REFINEMENT_REASONS)
        expected = replace(expected, verdict=replace(expected.verdict, reasons=kept))
        stayed = replace(expected, verdict=judge(frame, expected, self._thresholds))
        noise = _noise(frame, expected)
        if baseline is not None and self._rests(stayed.verdict, baseline, noise):
            return Followed(stayed, baseline, rested=True)
        best = self._refined(frame, expected)
        if best.verdict.state is VerdictState.REJECTED and np.isfinite(shift).all() and shift.any():
            pose = expected.camera_from_object
            start = Similarity(pose.rotation, pose.translation + shift, pose.scale)
            shifted = self._refined(frame, replace(expected, camera_from_object=start))
            best = max(best, shifted, key=_fit)
        if baseline is None or self._is_better(best.verdict, stayed.verdict, noise):
            return Followed(best, best.verdict, rested=False)
        return Followed(stayed, stayed.verdict, rested=True)

    def _refined(self, frame: Frame, start: ObjectEstimate) -> ObjectEstimate:
        refined = refine(frame, start, self._refinement, metric=True)
        return replace(refined, verdict=judge(frame, refined, self._thresholds))

    def _rests(self, now: Verdict, then: Verdict, noise: float) -> bool:
        # NaN, a figure that cannot be measured, compares false: such an object is refined.
        return bool(
            now.mask_iou >= then.mask_iou - self._config.rest_overlap
            and now.depth_residual <= then.depth_residual + self._config.rest_residual * noise
        )

    def _is_better(self, refined: Verdict, stayed: Verdict, noise: float) -> bool:
        if refined.state is VerdictState.REJECTED and stayed.state is not VerdictState.REJECTED:
            return False
        return bool(
            refined.mask_iou > stayed.mask_iou + self._config.gain_overlap
            or refined.depth_residual < stayed.depth_residual - self._config.gain_residual * noise
        )


def _noise(frame: Frame, estimate: ObjectEstimate) -> float:
    return sensor_noise(frame.points_source, float(estimate.camera_from_object.translation[2]))


def _fit(estimate: ObjectEstimate) -> tuple[int, float]:
    """How well an estimate explains its frame, for the choice between two."""
    verdict = estimate.verdict
    return -verdict.state.value, float(np.nan_to_num(verdict.mask_iou) + np.nan_to_num(verdict.inlier_ratio))
