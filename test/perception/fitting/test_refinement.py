"""Refinement: finds small errors of a pose, leaves alone what nobody can see, and says when it could not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from standing_solids import box, camera_above, cylinder, exact_estimate, look, placed, sphere

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.fitting.refinement import Refinement, RefinementConfig, refine, refine_pose
from sam3d_ros.perception.frame import Frame

SEEN_FROM = camera_above()
BRICK, PLACE = box(0.16, 0.10, 0.12), placed(0.02, 0.01, 25)
BRICK_FRAME = look({1: (BRICK, PLACE)}, SEEN_FROM)
BRICK_TRUTH = exact_estimate(1, BRICK, SEEN_FROM @ PLACE)


def disturbed(pose: Similarity, turn: np.ndarray, shift: np.ndarray, scale: float = 1.0) -> Similarity:
    """A pose turned about its own origin (rotation vector, radians), shifted (metres) and scaled."""
    return Similarity(
        Rotation.from_rotvec(turn).as_matrix() @ pose.rotation, pose.translation + shift, pose.scale * scale
    )


def errors(found: Similarity, truth: Similarity) -> tuple[float, float]:
    """Metres and degrees."""
    turn = Rotation.from_matrix(found.rotation @ truth.rotation.T).magnitude()
    return float(np.linalg.norm(found.translation - truth.translation)), float(np.rad2deg(turn))


def refined(
    frame: Frame, estimate: ObjectEstimate, config: RefinementConfig | None = None, *, metric: bool = True
) -> ObjectEstimate:
    return refine(Cut(frame).evidence(estimate.instance_id), estimate, config, metric=metric)


def refined_from(frame: Frame, truth: ObjectEstimate, start: Similarity) -> ObjectEstimate:
    return refined(frame, replace(truth, camera_from_object=start))


unit = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turn=unit, shift=unit)
def test_small_errors_are_undone(turn: np.ndarray, shift: np.ndarray) -> None:
    start = disturbed(BRICK_TRUTH.camera_from_object, np.deg2rad(4.0) * turn, 0.008 * shift)
    estimate = refined_from(BRICK_FRAME, BRICK_TRUTH, start)
    metres, degrees = errors(estimate.camera_from_object, BRICK_TRUTH.camera_from_object)
    assert metres < 0.001 and degrees < 0.5
    assert estimate.verdict.reasons == ()
    assert np.array_equal(estimate.camera_from_object.scale, BRICK_TRUTH.camera_from_object.scale)


@pytest.mark.parametrize("scale", [0.85, 0.95, 1.05, 1.15])
def test_scale_is_found_where_it_is_not_metric(scale: float) -> None:
    truth = BRICK_TRUTH.camera_from_object
    start = disturbed(truth, np.deg2rad([2.0, -1.0, 1.0]), np.array([0.004, -0.003, 0.004]), scale)
    estimate = replace(BRICK_TRUTH, camera_from_object=start)
    found = refined(BRICK_FRAME, estimate, RefinementConfig(iterations=20), metric=False).camera_from_object
    # The outline is known to half a pixel on both sides of 60.
    assert found.scale[0] / truth.scale[0] == pytest.approx(1.0, abs=0.02)
    metres, degrees = errors(found, truth)
    assert metres < 0.003 and degrees < 1.0


@pytest.mark.parametrize("mesh", [cylinder(0.05, 0.14), sphere(0.06)], ids=["cylinder", "sphere"])
def test_what_cannot_be_seen_stays_put(mesh: Mesh) -> None:
    """A turned body neither spins nor drifts, though it is refined again and again on noisy points."""
    place = placed(0.0, 0.02)
    truth = exact_estimate(1, mesh, SEEN_FROM @ place)
    frame = look({1: (mesh, place)}, SEEN_FROM)
    rng = np.random.default_rng(1)
    estimate = truth
    for _ in range(30):
        depth = 1.0 + 0.001 * rng.standard_normal(frame.labels.shape)
        noisy = replace(frame, point_map=PointMap((frame.points * depth[..., None]).astype(np.float32)))
        estimate = refined(noisy, estimate)
    metres, degrees = errors(estimate.camera_from_object, truth.camera_from_object)
    assert metres < 0.0015
    assert degrees < 3.0


def test_the_covariance_knows_the_free_direction() -> None:
    """The spin of a cylinder is unknown, its tilt is not; a position is known to millimetres."""
    mesh, place = cylinder(0.05, 0.14), placed(0.0, 0.02)
    estimate = refined(look({1: (mesh, place)}, SEEN_FROM), exact_estimate(1, mesh, SEEN_FROM @ place))
    covariance = estimate.covariance
    assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0
    axis = estimate.camera_from_object.rotation[:, 2]
    side = np.cross(axis, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    spin, tilt = axis @ covariance[3:, 3:] @ axis, side @ covariance[3:, 3:] @ side
    assert spin > 50.0 * tilt
    assert np.sqrt(np.diag(covariance)[:3]).max() < 0.01


def test_more_noise_means_more_covariance() -> None:
    rng = np.random.default_rng(0)
    traces = []
    for sigma in (0.0, 0.005, 0.015):
        depth = 1.0 + sigma * rng.standard_normal(BRICK_FRAME.labels.shape)
        noisy = replace(
            BRICK_FRAME, point_map=PointMap((BRICK_FRAME.points * depth[..., None]).astype(np.float32))
        )
        traces.append(np.trace(refined(noisy, BRICK_TRUTH).covariance[:3, :3]))
    assert traces[0] < traces[1] < traces[2]


def test_outliers_do_not_pull() -> None:
    rng = np.random.default_rng(5)
    points = BRICK_FRAME.points.copy()
    inside = np.argwhere(BRICK_FRAME.labels == 1)
    wrong = inside[rng.permutation(len(inside))[: len(inside) // 5]]
    points[wrong[:, 0], wrong[:, 1]] *= rng.uniform(1.02, 1.5, (len(wrong), 1)).astype(np.float32)
    start = disturbed(
        BRICK_TRUTH.camera_from_object, np.deg2rad([2.0, 2.0, -2.0]), np.array([0.004, 0.004, 0.004])
    )
    found = refined_from(replace(BRICK_FRAME, point_map=PointMap(points)), BRICK_TRUTH, start)
    metres, degrees = errors(found.camera_from_object, BRICK_TRUTH.camera_from_object)
    assert metres < 0.003 and degrees < 1.5


def test_an_occluder_does_not_pull() -> None:
    """Half of the brick is hidden; the visible half decides."""
    front = (box(0.12, 0.05, 0.1), placed(0.08, -0.09))
    frame = look({1: (BRICK, PLACE), 2: front}, SEEN_FROM)
    start = disturbed(
        BRICK_TRUTH.camera_from_object, np.deg2rad([2.0, -2.0, 2.0]), np.array([0.005, 0.0, 0.005])
    )
    metres, degrees = errors(
        refined_from(frame, BRICK_TRUTH, start).camera_from_object, BRICK_TRUTH.camera_from_object
    )
    assert metres < 0.002 and degrees < 1.0


def test_a_moved_object_is_followed() -> None:
    """From frame to frame: 2 cm and 8 degrees away from the last pose."""
    moved = placed(0.035, 0.022, 33)
    frame = look({1: (BRICK, moved)}, SEEN_FROM)
    found = refined(frame, BRICK_TRUTH, RefinementConfig(iterations=20))
    metres, degrees = errors(
        found.camera_from_object, exact_estimate(1, BRICK, SEEN_FROM @ moved).camera_from_object
    )
    assert metres < 0.001 and degrees < 0.5


def test_without_points_the_pose_stays_and_the_verdict_says_so() -> None:
    blind = BRICK_FRAME.without_points()
    estimate = refined(blind, BRICK_TRUTH)
    assert estimate.verdict.reasons == ("refinement_no_points",)
    assert estimate.camera_from_object is BRICK_TRUTH.camera_from_object
    # The next frame that shows it takes the reason away.
    assert refined(BRICK_FRAME, estimate).verdict.reasons == ()


def test_reasons_of_others_are_kept() -> None:
    verdict = replace(BRICK_TRUTH.verdict, reasons=("hidden_side_unknown", "refinement_no_points"))
    estimate = refined(BRICK_FRAME, replace(BRICK_TRUTH, verdict=verdict))
    assert estimate.verdict.reasons == ("hidden_side_unknown",)


def test_figures_of_an_exact_pose() -> None:
    measurement = Cut(BRICK_FRAME).evidence(1).measured(400)
    answer = refine_pose(BRICK_TRUTH.mesh, BRICK_TRUTH.camera_from_object, measurement)
    assert isinstance(answer, Refinement)
    assert answer.converged and answer.iterations <= 4
    assert answer.residual < 1e-4 and answer.inlier_ratio == 1.0


def test_nothing_can_be_asked_of_a_mask_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no pixel"):
        refined(BRICK_FRAME, replace(BRICK_TRUTH, instance_id=9))


@pytest.mark.parametrize(
    "wrong", [{"min_points": 3}, {"iterations": 0}, {"capture": 0.0}, {"least_information": 1.0}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"give|lie"):
        RefinementConfig(**wrong)  # type: ignore[arg-type]
