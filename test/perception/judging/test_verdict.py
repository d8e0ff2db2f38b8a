"""Verdicts: each figure against what is known of the scene, each reason by a scene that deserves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing_solids import CAMERA, box, camera_above, exact_estimate, look, placed

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.judging.verdict import NOT_MEASURED, VerdictThresholds, judge

SEEN_FROM = camera_above()
BRICK, PLACE = box(0.16, 0.10, 0.12), placed(0.02, 0.01, 25)
BRICK_FRAME = look({1: (BRICK, PLACE)}, SEEN_FROM)
BRICK_TRUTH = exact_estimate(1, BRICK, SEEN_FROM @ PLACE)
FINE = VerdictThresholds(max_rays=100_000)


def shifted(estimate: ObjectEstimate, shift: tuple[float, float, float]) -> ObjectEstimate:
    pose = estimate.camera_from_object
    return replace(
        estimate, camera_from_object=Similarity(pose.rotation, pose.translation + shift, pose.scale)
    )


def judged(frame: Frame, estimate: ObjectEstimate, thresholds: VerdictThresholds | None = None) -> Verdict:
    return judge(Cut(frame).evidence(estimate.instance_id), estimate, thresholds)


def wall(distance: float, half: float) -> tuple[Frame, ObjectEstimate]:
    """A square plate, 2 * half metres wide, that faces the camera: all figures have closed forms."""
    plate = box(2 * half, 2 * half, 0.02)
    facing = Similarity(np.diag([1.0, -1.0, -1.0]), (0.0, 0.0, distance + 0.02))
    frame = look({4: (plate, facing)}, Similarity(), floor=False)
    return frame, exact_estimate(4, plate, facing)


def test_the_truth_is_accepted() -> None:
    verdict = judged(BRICK_FRAME, BRICK_TRUTH, FINE)
    assert verdict.state is VerdictState.ACCEPTED and verdict.reasons == ()
    assert verdict.mask_iou > 0.995
    assert verdict.depth_residual < 1e-4
    assert verdict.inlier_ratio == 1.0
    assert verdict.scale_source is ScaleSource.DEPTH


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_mask_iou_of_a_plate_moved_aside(share: float) -> None:
    """Two squares that overlap by 1 - s have an intersection over union of (1 - s) / (1 + s)."""
    frame, estimate = wall(1.0, 0.15)
    verdict = judged(frame, shifted(estimate, (0.3 * share, 0.0, 0.0)), FINE)
    assert verdict.mask_iou == pytest.approx((1 - share) / (1 + share), abs=0.03)


@pytest.mark.parametrize("gap", [-0.03, 0.004, 0.02])
def test_depth_residual_of_a_plate_moved_away(gap: float) -> None:
    frame, estimate = wall(1.0, 0.15)
    verdict = judged(frame, shifted(estimate, (0.0, 0.0, gap)), FINE)
    assert verdict.depth_residual == pytest.approx(abs(gap), abs=5e-4)


def test_inliers_are_counted() -> None:
    """A third of the plate is measured 10 cm behind the rest."""
    frame, estimate = wall(1.0, 0.15)
    points = frame.points.copy()
    rows, columns = np.nonzero(frame.labels == 4)
    third = columns < columns.min() + np.ptp(columns) / 3
    points[rows[third], columns[third]] *= 1.1
    verdict = judged(replace(frame, point_map=PointMap(points)), estimate, FINE)
    assert verdict.inlier_ratio == pytest.approx(2 / 3, abs=0.05)
    assert "low_inlier_ratio" in verdict.reasons
    assert verdict.state is VerdictState.UNCERTAIN


def test_point_count_is_what_was_measured() -> None:
    frame, estimate = wall(1.0, 0.15)
    pixels = np.count_nonzero(frame.labels == 4)
    count = judged(frame, estimate).point_count
    # Cleaning takes two pixels off the outline.
    assert 0.9 * pixels - 4 * np.sqrt(pixels) < count <= pixels


def test_pixels_behind_others_are_left_out() -> None:
    """Half of the brick is hidden by a nearer one: the whole silhouette still agrees with the half mask."""
    front = (box(0.14, 0.04, 0.1), placed(0.08, -0.09))
    frame = look({1: (BRICK, PLACE), 2: front}, SEEN_FROM)
    hidden = 1 - np.count_nonzero(frame.labels == 1) / np.count_nonzero(BRICK_FRAME.labels == 1)
    assert hidden > 0.2
    assert judged(frame, BRICK_TRUTH, FINE).mask_iou > 0.97


def test_what_others_cannot_hide_counts() -> None:
    """The same mask, but the other instance is far behind: the silhouette shows where it should be seen."""
    labels, points = BRICK_FRAME.labels.copy(), BRICK_FRAME.points.copy()
    columns = np.nonzero(labels == 1)[1]
    right = (labels == 1) & (np.arange(labels.shape[1]) > np.median(columns))
    labels[right] = 2
    points[right] = CAMERA.rays()[right] * 3.0
    verdict = judged(replace(BRICK_FRAME, labels=labels, point_map=PointMap(points)), BRICK_TRUTH, FINE)
    assert verdict.mask_iou == pytest.approx(0.5, abs=0.05)
    assert "free_space_violation" in verdict.reasons


def test_the_border_is_named() -> None:
    place = placed(0.42, 0.0, 10)
    frame = look({1: (BRICK, place)}, SEEN_FROM)
    assert (frame.labels[:, -1] == 1).any()
    verdict = judged(frame, exact_estimate(1, BRICK, SEEN_FROM @ place), FINE)
    assert verdict.reasons == ("touches_border",) and verdict.state is VerdictState.UNCERTAIN
    assert verdict.mask_iou > 0.97


def test_a_wrong_pose_is_rejected() -> None:
    verdict = judged(BRICK_FRAME, shifted(BRICK_TRUTH, (0.15, 0.0, 0.2)))
    assert verdict.state is VerdictState.REJECTED
    assert {"low_mask_iou", "high_depth_residual"} <= set(verdict.reasons)


def test_no_points_reject_but_the_silhouette_is_judged() -> None:
    blind = BRICK_FRAME.without_points()
    verdict = judged(blind, BRICK_TRUTH)
    assert verdict.state is VerdictState.REJECTED and "no_points" in verdict.reasons
    assert verdict.mask_iou > 0.97
    assert np.isnan(verdict.depth_residual) and np.isnan(verdict.inlier_ratio)
    assert verdict.point_count == 0 and verdict.scale_source is ScaleSource.PRIOR


def test_without_points_a_measured_object_keeps_its_verdict_but_is_not_accepted() -> None:
    blind = BRICK_FRAME.without_points()
    accepted = replace(BRICK_TRUTH, verdict=judged(BRICK_FRAME, BRICK_TRUTH))
    wrong = shifted(BRICK_TRUTH, (0.0, 0.0, 0.1))
    rejected = replace(wrong, verdict=judged(BRICK_FRAME, wrong))
    assert (accepted.verdict.state, rejected.verdict.state) == (VerdictState.ACCEPTED, VerdictState.REJECTED)
    for _ in range(3):
        accepted = replace(accepted, verdict=judged(blind, accepted))
        rejected = replace(rejected, verdict=judged(blind, rejected))
        assert accepted.verdict.state is VerdictState.UNCERTAIN
        assert accepted.verdict.reasons == (NOT_MEASURED,) and accepted.verdict.point_count == 0
        assert accepted.verdict.scale_source is ScaleSource.DEPTH and np.isnan(
            accepted.verdict.depth_residual
        )
        assert rejected.verdict.state is VerdictState.REJECTED
        assert {NOT_MEASURED, "high_depth_residual"} <= set(rejected.verdict.reasons)
    elsewhere = judged(blind, shifted(accepted, (0.4, 0.0, 0.0)))
    assert elsewhere.state is VerdictState.REJECTED and elsewhere.reasons == (NOT_MEASURED, "low_mask_iou")
    assert judged(blind, shifted(accepted, (0.0, 0.0, 0.0))).state is VerdictState.UNCERTAIN
    again = judged(BRICK_FRAME, accepted)
    assert again.state is VerdictState.ACCEPTED and again.reasons == ()


def test_no_mesh_rejects() -> None:
    nothing = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.uint32), np.zeros((0, 3)))
    verdict = judged(BRICK_FRAME, replace(BRICK_TRUTH, mesh=nothing))
    assert verdict.state is VerdictState.REJECTED and "no_mesh" in verdict.reasons


def test_reasons_of_former_stages_stay_and_old_figures_go() -> None:
    before = replace(BRICK_TRUTH.verdict, reasons=("hidden_side_unknown", "low_mask_iou"))
    verdict = judged(BRICK_FRAME, replace(BRICK_TRUTH, verdict=before))
    assert verdict.reasons == ("hidden_side_unknown",)
    assert verdict.state is VerdictState.UNCERTAIN


def test_thresholds_decide() -> None:
    off = shifted(BRICK_TRUTH, (0.012, 0.0, 0.0))
    assert judged(BRICK_FRAME, off, VerdictThresholds(accept_mask_iou=0.5)).state is VerdictState.ACCEPTED
    assert judged(BRICK_FRAME, off, VerdictThresholds(accept_mask_iou=0.99)).state is VerdictState.UNCERTAIN
    strict = VerdictThresholds(accept_mask_iou=0.99, reject_mask_iou=0.98)
    assert judged(BRICK_FRAME, off, strict).state is VerdictState.REJECTED
