"""Errors of poses: known turns, what is free, and chi-square of errors drawn from their covariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.pose_measures import (
    CUBE_ROTATIONS,
    LEVELS,
    PoseError,
    consistency,
    pose_error,
    position_square,
    rotation_square,
)

#: Smaller turns than this have one nearest rotation of a cube, degrees.
UNAMBIGUOUS = 40.0
Z = np.array([0.0, 0.0, 1.0])


@st.composite
def poses(draw: st.DrawFn) -> Similarity:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Similarity(Rotation.random(random_state=rng).as_matrix(), rng.normal(size=3), np.full(3, 0.2))


@st.composite
def turns(draw: st.DrawFn) -> np.ndarray:
    """Rotation vectors that no renaming of axes makes shorter."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    direction = rng.normal(size=3)
    return np.deg2rad(rng.uniform(0.0, UNAMBIGUOUS)) * direction / np.linalg.norm(direction)


def test_the_rotations_of_a_cube_are_a_group_of_24_that_permute_axes() -> None:
    assert CUBE_ROTATIONS.shape == (24, 3, 3)
    np.testing.assert_allclose(np.sort(np.abs(CUBE_ROTATIONS), axis=2)[..., :2], 0.0, atol=1e-12)
    products = np.einsum("aij,bjk->abik", CUBE_ROTATIONS, CUBE_ROTATIONS).reshape(-1, 9)
    assert len(np.unique(np.rint(products), axis=0)) == 24


@given(poses(), turns(), st.integers(0, 23))
def test_a_known_error_is_found_whatever_the_axes_are_called(
    truth: Similarity, turn: np.ndarray, name: int
) -> None:
    move = np.array([0.01, -0.02, 0.03])
    named = Rotation.from_rotvec(turn).as_matrix() @ truth.rotation @ CUBE_ROTATIONS[name]
    error = pose_error(Similarity(named, truth.translation + move), truth)
    np.testing.assert_allclose(error.position, move, atol=1e-12)
    np.testing.assert_allclose(error.rotation, turn, atol=1e-9)


@given(poses(), turns(), st.floats(-np.pi, np.pi), st.integers(0, 23))
def test_a_turn_about_a_free_axis_is_no_error(
    truth: Similarity, turn: np.ndarray, spin: float, name: int
) -> None:
    axis = truth.rotation @ Z
    tilt = turn - (turn @ axis) * axis
    spun = truth.rotation @ Rotation.from_rotvec(spin * Z).as_matrix()
    estimate = Similarity(Rotation.from_rotvec(tilt).as_matrix() @ spun @ CUBE_ROTATIONS[name])
    error = pose_error(estimate, truth, Z)
    np.testing.assert_allclose(error.rotation, tilt, atol=1e-7)
    np.testing.assert_allclose(error.known @ axis, 0.0, atol=1e-9)
    np.testing.assert_allclose(error.known @ error.known.T, np.eye(2), atol=1e-12)


def test_squares_are_counted_in_standard_deviations() -> None:
    covariance = np.diag([0.01, 0.02, 0.03, 0.1, 0.2, 1e9]) ** 2
    error = PoseError(np.array([0.01, 0.04, 0.0]), np.array([0.3, 0.2, 0.0]), np.eye(3))
    assert position_square(error, covariance) == pytest.approx(1.0 + 4.0)
    assert rotation_square(error, covariance) == pytest.approx(9.0 + 1.0)
    across = PoseError(error.position, error.rotation, np.eye(3)[:2])
    assert rotation_square(across, covariance) == pytest.approx(9.0 + 1.0)


@pytest.mark.parametrize(("factor", "is_true"), [(1.0, True), (0.5, False), (2.0, False)])
def test_errors_drawn_from_their_covariance_are_consistent_with_it_alone(
    factor: float, is_true: bool
) -> None:
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(6, 6))
    covariance = spread @ spread.T
    squares, freedoms = [], []
    for known in (np.eye(3), np.eye(3)[:2]):
        for draw in rng.multivariate_normal(np.zeros(6), factor**2 * covariance, size=4000):
            squares.append(rotation_square(PoseError(draw[:3], draw[3:], known), covariance))
            freedoms.append(len(known))
    found = consistency(squares, freedoms)
    assert found.count == 8000
    assert (found.low < found.nees < found.high) == is_true
    assert found.nees == pytest.approx(factor**2, rel=0.05)
    assert found.median == pytest.approx(factor**2, rel=0.05)
    assert (np.abs(np.subtract(found.covered, LEVELS)) < 0.02).all() == is_true


def test_nothing_measured_is_not_a_number() -> None:
    found = consistency([], [])
    assert found.count == 0
    assert np.isnan([found.nees, *found.covered]).all()
