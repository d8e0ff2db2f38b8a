"""What a view measured of a mesh: faces that look at the camera, and ends with no room beyond them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standing_solids import box, camera_above, exact_estimate, look, placed, sphere

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.fitting.coverage import Coverage, coverage, with_coverage
from sam3d_ros.perception.range_noise import RangeNoise

SEEN_FROM = camera_above()
BRICK = box(0.16, 0.10, 0.12)


def evidence_of(place: Similarity, *, screen: Similarity | None = None) -> Evidence:
    things = {1: (BRICK, place)}
    if screen is not None:
        things[2] = (box(0.5, 0.01, 0.3), screen)
    return Cut(look(things, SEEN_FROM)).evidence(1)


def covered(place: Similarity, *, screen: Similarity | None = None) -> Coverage:
    return coverage(evidence_of(place, screen=screen), exact_estimate(1, BRICK, SEEN_FROM @ place))


@given(yaw=st.floats(0.0, 90.0))
@settings(max_examples=15, deadline=None)
def test_faces_that_look_away_are_not_measured(yaw: float) -> None:
    place = placed(0.0, 0.0, yaw)
    measured = covered(place).measured
    eye = (SEEN_FROM @ place).apply_inverse(np.zeros(3))
    low, high = BRICK.bounds
    on_high, on_low = np.isclose(BRICK.vertices, high), np.isclose(BRICK.vertices, low)

    def seen_from(margin: float) -> np.ndarray:
        """Vertices on faces that the eye is in front of by a margin, metres."""
        return np.asarray(((on_high & (eye > high + margin)) | (on_low & (eye < low - margin))).any(axis=1))

    assert not (measured & ~seen_from(0.0)).any()
    within_a_face = (on_high | on_low).sum(axis=1) == 1
    # A face seen at a grazing angle has a pixel or two, which no vertex need fall on.
    assert measured[seen_from(0.25 * float(np.linalg.norm(eye))) & within_a_face].all()


def test_seen_share_is_that_of_the_visible_faces() -> None:
    """Face-on from above: the front and the top are seen."""
    share = covered(placed(0.0, 0.0)).seen_share
    front, side, top = 0.16 * 0.12, 0.10 * 0.12, 0.16 * 0.10
    assert share == pytest.approx((front + top) / (2 * (front + side + top)), abs=0.08)


def test_less_than_half_of_a_sphere_is_measured() -> None:
    ball = sphere(0.06)
    evidence = Cut(look({1: (ball, placed(0.0, 0.0))}, SEEN_FROM)).evidence(1)
    share = coverage(evidence, exact_estimate(1, ball, SEEN_FROM)).seen_share
    assert 0.35 < share < 0.5


def test_the_far_end_is_less_sure_than_the_near_one() -> None:
    """Face-on: y points away from the camera."""
    low, high = covered(placed(0.0, 0.0)).ends_sigma
    assert high[1] > 1.5 * low[1]
    assert (low > 0.0).all()


def test_what_hides_an_end_makes_it_unsure() -> None:
    """A screen before the right third of the brick: the brick may go on behind it."""
    place = placed(0.0, 0.0)
    free = covered(place).ends_sigma
    hidden = covered(place, screen=placed(0.30, -0.15)).ends_sigma
    assert hidden[1, 0] > 2.0 * free[1, 0]
    assert hidden[0, 0] == pytest.approx(free[0, 0], rel=0.3)


def test_extents_err_at_least_as_their_ends() -> None:
    found = covered(placed(0.0, 0.0, 30.0))
    sigma = np.array(found.size_sigma)
    assert (sigma >= found.ends_sigma.max(axis=0)).all()
    assert (sigma <= found.ends_sigma.sum(axis=0)).all()


def test_a_sensor_that_errs_more_makes_every_end_less_sure() -> None:
    place = placed(0.0, 0.0, 30.0)
    frame, estimate = look({1: (BRICK, place)}, SEEN_FROM), exact_estimate(1, BRICK, SEEN_FROM @ place)
    fine, coarse = (
        coverage(Cut(replace(frame, range_noise=RangeNoise(sigma))).evidence(1), estimate)
        for sigma in (0.001, 0.01)
    )
    assert (coarse.ends_sigma > fine.ends_sigma).all()


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_units_that_a_mesh_is_kept_in_change_nothing(factor: float) -> None:
    """A canonical mesh that is larger, its pose scaled down by as much, is the same object."""
    place = placed(0.02, 0.0, 25.0)
    estimate = exact_estimate(1, BRICK, SEEN_FROM @ place)
    mesh, pose = estimate.mesh, estimate.camera_from_object
    other = replace(
        estimate,
        mesh=Mesh(mesh.vertices * np.float32(factor), mesh.triangles, mesh.colors),
        camera_from_object=Similarity(pose.rotation, pose.translation, pose.scale / factor),
    )
    one, two = (coverage(evidence_of(place), each) for each in (estimate, other))
    assert np.mean(one.measured != two.measured) < 0.01
    assert two.seen_share == pytest.approx(one.seen_share, abs=0.02)
    np.testing.assert_allclose(two.ends_sigma, one.ends_sigma, rtol=0.05)


def test_nothing_measured_tells_nothing() -> None:
    place = placed(0.0, 0.0)
    evidence = evidence_of(place)
    evidence = replace(evidence, point_map=PointMap(np.full_like(evidence.points, np.nan)))
    estimate = with_coverage(evidence, exact_estimate(1, BRICK, SEEN_FROM @ place))
    assert estimate.measured is not None and not estimate.measured.any()
    assert estimate.verdict.seen_share == 0.0
    assert np.isnan(estimate.verdict.size_sigma).all()
