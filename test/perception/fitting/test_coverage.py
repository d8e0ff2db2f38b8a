"""What one view measured of a mesh, against solids of which it is known which faces the camera sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standing_solids import box, camera_above, exact_estimate, look, placed

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.fitting.coverage import Coverage, coverage, with_coverage
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.range_noise import RangeNoise

SEEN_FROM = camera_above()
SIZE = np.array([0.16, 0.10, 0.12])
BRICK = box(*SIZE.tolist())
#: Looks along the ground at the middle of the brick's side.
FACE_ON = Similarity(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), (0.0, 0.06, 0.7))


def covered(frame: Frame, estimate: ObjectEstimate) -> Coverage:
    return coverage(Cut(frame).evidence(estimate.instance_id), estimate)


def brick(
    place: Similarity, camera_from_world: Similarity = SEEN_FROM, *, floor: bool = True
) -> tuple[Frame, ObjectEstimate]:
    """A brick on the floor, and the truth about it."""
    frame = look({1: (BRICK, place)}, camera_from_world, floor=floor)
    return frame, exact_estimate(1, BRICK, camera_from_world @ place)


def faces_seen(place: Similarity, camera_from_world: Similarity) -> tuple[np.ndarray, np.ndarray]:
    """(3, 2) whether the low and high face of the brick along each axis look at the camera, and their areas."""
    eye = (camera_from_world @ place).inverse().translation
    ends = np.stack([[-SIZE[0] / 2, -SIZE[1] / 2, 0.0], [SIZE[0] / 2, SIZE[1] / 2, SIZE[2]]], axis=1)
    area = SIZE.prod() / SIZE
    return np.stack([eye < ends[:, 0], eye > ends[:, 1]], axis=1), np.repeat(area[:, None], 2, axis=1)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 360.0), st.floats(-0.1, 0.1), st.floats(20.0, 60.0))
def test_the_faces_of_a_box_that_look_at_the_camera_are_measured(
    yaw: float, x: float, elevation: float
) -> None:
    place, camera = placed(x, 0.0, yaw), camera_above(elevation=elevation)
    frame, estimate = brick(place, camera)
    found = covered(frame, estimate)
    seen, area = faces_seen(place, camera)
    # Vertices along an edge belong to a face that is seen and to one that is not.
    assert found.seen_share == pytest.approx((seen * area).sum() / area.sum(), abs=0.12)
    low, high = estimate.mesh.bounds
    inner = (np.abs((estimate.mesh.vertices - low) / (high - low) - 0.5) < 0.45).sum(axis=1) == 2
    at_low = np.isclose(estimate.mesh.vertices, low, atol=1e-6)
    at_high = np.isclose(estimate.mesh.vertices, high, atol=1e-6)
    hidden = (at_low @ ~seen[:, 0]) | (at_high @ ~seen[:, 1])
    assert not found.measured[inner & hidden].any()


def test_what_something_before_it_hides_is_not_measured() -> None:
    place = placed(0.0, 0.0)
    frame, estimate = brick(place)
    alone = covered(frame, estimate)
    before = (box(0.08, 0.02, 0.16), placed(-0.05, -0.12))
    hidden = covered(look({1: (BRICK, place), 2: before}, SEEN_FROM), estimate)
    assert hidden.seen_share < 0.8 * alone.seen_share
    # Nothing is measured that was not before, but for borrowed pixels at its edge.
    assert np.count_nonzero(hidden.measured & ~alone.measured) == 0
    # The end behind the other thing may be farther out than it looks.
    assert hidden.ends_sigma[0, 0] > 1.3 * alone.ends_sigma[0, 0]
    assert hidden.ends_sigma[1, 0] == pytest.approx(alone.ends_sigma[1, 0])


def test_the_depth_of_a_face_that_is_square_to_the_view_is_a_guess() -> None:
    """Of a box seen face-on nobody knows how deep it is; its width and height show in full."""
    frame, estimate = brick(placed(0.0, 0.0), FACE_ON, floor=False)
    found = covered(frame, estimate)
    width, depth, height = found.size_sigma / SIZE
    assert depth > 3.0 * max(width, height)
    # It is the end behind that is not known.
    ends = found.ends_sigma[:, 1]
    assert ends.max() > 4.0 * ends.min()
    _, area = faces_seen(placed(0.0, 0.0), FACE_ON)
    assert found.seen_share == pytest.approx(area[1, 0] / area.sum(), abs=0.1)


def test_the_noise_of_the_sensor_makes_every_end_less_sure() -> None:
    frame, estimate = brick(placed(0.0, 0.0, 30.0))
    fine, coarse = (covered(replace(frame, range_noise=RangeNoise(s)), estimate) for s in (0.001, 0.01))
    assert (coarse.ends_sigma > fine.ends_sigma).all()


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_it_does_not_matter_in_what_units_the_mesh_is_kept(factor: float) -> None:
    """A canonical mesh that is larger, its pose scaled down by as much, is the same object."""
    frame, estimate = brick(placed(0.02, 0.0, 25.0))
    mesh, pose = estimate.mesh, estimate.camera_from_object
    other = replace(
        estimate,
        mesh=Mesh(mesh.vertices * np.float32(factor), mesh.triangles, mesh.colors),
        camera_from_object=Similarity(pose.rotation, pose.translation, pose.scale / factor),
    )
    one, two = covered(frame, estimate), covered(frame, other)
    assert np.mean(one.measured != two.measured) < 0.01
    assert two.seen_share == pytest.approx(one.seen_share, abs=0.02)
    np.testing.assert_allclose(two.ends_sigma, one.ends_sigma, rtol=0.05)


def test_without_a_measured_point_nothing_is_known() -> None:
    frame, estimate = brick(placed(0.0, 0.0))
    points = np.where((frame.labels == 1)[..., None], np.nan, frame.points).astype(np.float32)
    found = covered(replace(frame, point_map=PointMap(points)), estimate)
    assert not found.measured.any() and found.seen_share == 0.0
    assert np.isnan(found.ends_sigma).all() and np.isnan(found.size_sigma).all()


def test_the_estimate_carries_it() -> None:
    frame, estimate = brick(placed(0.0, 0.0))
    found = covered(frame, estimate)
    carried = with_coverage(Cut(frame).evidence(1), estimate)
    assert carried.measured is not None
    np.testing.assert_array_equal(carried.measured, found.measured)
    assert carried.verdict.seen_share == found.seen_share
    assert carried.verdict.size_sigma == found.size_sigma
