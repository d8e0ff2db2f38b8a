"""The covariance of a refined pose against the errors that it speaks of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from standing_solids import box, camera_above, cylinder, exact_estimate, look, placed

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.fitting.covariance import CovarianceConfig, design_effect, shape_covariance
from sam3d_ros.perception.fitting.refinement import Refinement, RefinementConfig, refine, refine_pose
from sam3d_ros.perception.fitting.symmetry import symmetry_group
from sam3d_ros.perception.frame import Frame
from sam3d_ros.simulation import shapes

CAMERA = Camera.from_field_of_view(640, 480, np.deg2rad(60.0))
BRICK = box(0.16, 0.10, 0.12)
#: Looks along the ground at the middle of the brick's side.
FACE_ON = Similarity(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), (0.0, 0.06, 0.7))
ABOVE = camera_above()


def noisy(frame: Frame, rng: np.random.Generator, share: float = 0.001) -> Frame:
    """A frame whose depths err independently by a share of themselves."""
    depth = 1.0 + share * rng.standard_normal(frame.labels.shape)
    return replace(frame, point_map=PointMap((frame.points * depth[..., None]).astype(np.float32)))


def found(mesh: Mesh, start: Similarity, frame: Frame, **options: bool) -> Refinement:
    return refine_pose(mesh, start, Cut(frame).evidence(1).measured(500), **options)


@pytest.mark.parametrize("offset", [0.0003, 0.001, 0.003, 0.01])
def test_what_a_face_alone_does_not_tell_the_outline_does(offset: float) -> None:
    """A face square to the view says nothing of where it is sideways; its outline knows that to a part of a pixel."""
    rng = np.random.default_rng(0)
    errors, sigmas = [], []
    for angle in np.linspace(0.0, 2.0 * np.pi, 10):
        truth = FACE_ON @ placed(rng.uniform(-0.002, 0.002), 0.0)
        frame = noisy(look({1: (BRICK, FACE_ON.inverse() @ truth)}, FACE_ON, camera=CAMERA, floor=False), rng)
        shift = offset * np.array([np.cos(angle), np.sin(angle), 0.0])
        answer = found(BRICK, Similarity(truth.rotation, truth.translation + shift), frame)
        errors.append(answer.camera_from_object.translation[:2] - truth.translation[:2])
        sigmas.append(np.sqrt(np.diag(answer.covariance)[:2]))
    error, sigma = np.sqrt(np.mean(np.square(errors))), np.sqrt(np.mean(np.square(sigmas)))
    assert error < 0.0008
    assert sigma / 3.0 < error < 3.0 * sigma


def test_a_pose_that_is_not_yet_right_is_known_no_better_than_it_is_off() -> None:
    truth = FACE_ON @ placed(0.0, 0.0)
    frame = look({1: (BRICK, placed(0.0, 0.0))}, FACE_ON, camera=CAMERA, floor=False)
    measurement = Cut(frame).evidence(1).measured(500)
    # One step that hardly moves.
    lazy = RefinementConfig(iterations=1, least_information=0.99)
    start = Similarity(truth.rotation, truth.translation + np.array([0.003, 0.0, 0.0]))
    answer = refine_pose(BRICK, start, measurement, lazy)
    off = abs(answer.camera_from_object.translation[0] - truth.translation[0])
    assert off > 0.001
    assert off / 3.0 < np.sqrt(answer.covariance[0, 0]) < 3.0 * off


def test_errors_lie_in_their_ellipsoids() -> None:
    """Positions and rotations of 60 noisy views, against the distribution that their covariance claims."""
    rng = np.random.default_rng(3)
    position, rotation = [], []
    for _ in range(60):
        truth = ABOVE @ placed(*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.0, 360.0))
        frame = look({1: (BRICK, ABOVE.inverse() @ truth)}, ABOVE, camera=CAMERA)
        turn = Rotation.from_rotvec(np.deg2rad(rng.normal(0.0, 1.5, 3))).as_matrix()
        start = Similarity(turn @ truth.rotation, truth.translation + rng.normal(0.0, 0.003, 3))
        answer = found(BRICK, start, noisy(frame, rng, 0.002))
        off = answer.camera_from_object.translation - truth.translation
        turned = Rotation.from_matrix(truth.rotation @ answer.camera_from_object.rotation.T).as_rotvec()
        position.append(off @ np.linalg.solve(answer.covariance[:3, :3], off))
        rotation.append(turned @ np.linalg.solve(answer.covariance[3:, 3:], turned))
    for squared in (position, rotation):
        inside = [np.mean(squared < chi2.ppf(share, 3)) for share in (0.5, 0.9)]
        assert 0.3 < inside[0] < 0.95
        assert inside[1] > 0.78


def test_a_free_scale_leaves_less_certain_and_never_more() -> None:
    """Marginalised, not cut off: along the view, size and distance are hard to tell apart."""
    place = placed(0.02, 0.01, 25)
    frame = noisy(look({1: (BRICK, place)}, ABOVE), np.random.default_rng(1))
    known = found(BRICK, ABOVE @ place, frame, metric=True)
    free = found(BRICK, known.camera_from_object, frame, metric=False)
    assert np.trace(free.covariance[:3, :3]) > 1.5 * np.trace(known.covariance[:3, :3])


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_errors_that_blocks_share_count_once(shared: float) -> None:
    """Of n residuals with the variance 1, of which a share is the same in a block: 1 + (n - 1) * share."""
    rng = np.random.default_rng(4)
    blocks, size = 2000, 25
    common = np.repeat(rng.standard_normal(blocks), size)
    residual = np.sqrt(shared) * common + np.sqrt(1.0 - shared) * rng.standard_normal(blocks * size)
    effect = design_effect(residual, np.ones(len(residual)), np.repeat(np.arange(blocks), size), 1.0)
    assert effect == pytest.approx(1.0 + (size - 1) * shared, rel=0.1)


def test_a_pose_is_no_surer_than_the_extents_of_its_object() -> None:
    """Along the object's own axes, wherever it is turned."""
    rotation = Rotation.from_euler("zyx", [40.0, -20.0, 10.0], degrees=True).as_matrix()
    estimate = exact_estimate(1, BRICK, Similarity(rotation, (0.0, 0.0, 0.8)))
    sure = replace(estimate.verdict, size_sigma=(0.001, 0.02, 0.003))
    config = CovarianceConfig(shape_position=0.5)
    covariance = shape_covariance(replace(estimate, verdict=sure), config)
    along = np.sqrt(np.diag(rotation.T @ covariance[:3, :3] @ rotation))
    np.testing.assert_allclose(along, [0.0005, 0.01, 0.0015], rtol=1e-9)
    np.testing.assert_allclose(covariance[:3, 3:], 0.0, atol=1e-15)
    turns = np.sqrt(np.diag(rotation.T @ covariance[3:, 3:] @ rotation))
    # Which way the footprint points is less sure than that the object stands upright.
    assert turns[2] > 3.0 * turns[:2].max() > 0.0


def test_a_handle_tells_less_of_the_heading_than_a_side() -> None:
    """Of a handle one side was seen: it may be nearly as far off as it is wide."""
    vertices, triangles = shapes.mug(0.042, 0.1, 0.006)
    mug = exact_estimate(1, Mesh(vertices, triangles, np.full((len(vertices), 3), 200)), ABOVE)
    length, width = np.ptp(vertices[:, 0]), np.ptp(vertices[vertices[:, 0] > 0.055, 1])
    found = {}
    for estimate in (mug, exact_estimate(1, box(length, 0.084, 0.1), ABOVE)):
        sure = replace(estimate, verdict=replace(estimate.verdict, size_sigma=(0.001, 0.001, 0.001)))
        turns = shape_covariance(sure, CovarianceConfig())[3:, 3:]
        up = sure.camera_from_object.rotation[:, 2]
        found[len(estimate.mesh.vertices)] = float(np.sqrt(up @ turns @ up))
    of_mug, of_box = found.values()
    assert of_box < np.deg2rad(0.5)
    assert 0.5 * width / length < of_mug < 1.5 * width / length


def test_extents_that_nobody_tells_of_add_nothing() -> None:
    estimate = exact_estimate(1, BRICK, ABOVE)
    assert not shape_covariance(estimate, CovarianceConfig()).any()


def test_what_is_round_may_stand_at_any_angle() -> None:
    mesh, place = cylinder(0.05, 0.14), placed(0.0, 0.02)
    estimate = exact_estimate(1, mesh, ABOVE @ place)
    group = symmetry_group(estimate.mesh, estimate.camera_from_object.scale)
    evidence = Cut(look({1: (mesh, place)}, ABOVE)).evidence(1)
    covariance = refine(evidence, replace(estimate, symmetry=group), metric=True).covariance
    axis = estimate.camera_from_object.rotation[:, 2]
    side = np.cross(axis, [0.0, 0.0, 1.0])
    spin, tilt = (np.sqrt(d @ covariance[3:, 3:] @ d) for d in (axis, side / np.linalg.norm(side)))
    assert spin == pytest.approx(np.pi / np.sqrt(3.0), rel=0.05)
    assert tilt < 0.02
