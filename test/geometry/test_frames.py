"""Similarity transforms by their axioms, and the three convention traps by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import (
    BODY_FROM_OPTICAL,
    GLB_FROM_CANONICAL,
    OPTICAL_FROM_PYTORCH3D,
    Similarity,
    camera_from_object_of_sam3d,
    canonical_from_glb,
    glb_from_canonical,
    mapped,
    optical_from_pytorch3d,
    orthonormalized,
)

number = st.floats(-10.0, 10.0)
positive = st.floats(0.05, 20.0)
triples = st.tuples(number, number, number).map(np.array)
quaternions = (
    st.tuples(*[st.floats(-1.0, 1.0)] * 4).map(np.array).filter(lambda q: float(np.linalg.norm(q)) > 0.1)
)
uniform = st.builds(Similarity.from_quaternion, quaternions, triples, positive)
any_scale = st.builds(
    Similarity.from_quaternion, quaternions, triples, st.tuples(positive, positive, positive).map(np.array)
)
points = st.lists(triples, min_size=1, max_size=6).map(np.array)


def assert_same(a: Similarity, b: Similarity) -> None:
    """Equal as maps, to the rounding of a product of their sizes."""
    tolerance = 1e-9 * max(1.0, a.scale.max() * 10 + np.abs(a.translation).max())
    np.testing.assert_allclose(a.matrix(), b.matrix(), atol=tolerance)


@given(uniform, any_scale, points)
def test_closure_a_product_maps_as_one_after_the_other(a: Similarity, b: Similarity, p: np.ndarray) -> None:
    product = a @ b
    assert isinstance(product, Similarity)
    np.testing.assert_allclose(product.apply(p), a.apply(b.apply(p)), atol=1e-7, rtol=1e-9)


@given(any_scale)
def test_identity(a: Similarity) -> None:
    assert_same(Similarity() @ a, a)


@given(uniform)
def test_inverse(a: Similarity) -> None:
    assert_same(a.inverse() @ a, Similarity())
    np.testing.assert_allclose((a @ a.inverse()).matrix(), np.eye(4), atol=1e-8)
    assert_same(a.inverse().inverse(), a)


@given(uniform, uniform, any_scale)
def test_associativity(a: Similarity, b: Similarity, c: Similarity) -> None:
    assert_same((a @ b) @ c, a @ (b @ c))


@given(any_scale, points)
def test_points_come_back(a: Similarity, p: np.ndarray) -> None:
    np.testing.assert_allclose(a.apply_inverse(a.apply(p)), p, atol=1e-7)


@given(any_scale)
def test_matrix_round_trip(a: Similarity) -> None:
    assert_same(Similarity.from_matrix(a.matrix()), a)


@given(any_scale)
def test_quaternion_round_trip(a: Similarity) -> None:
    quaternion = a.quaternion()
    assert quaternion[3] >= 0
    assert np.linalg.norm(quaternion) == pytest.approx(1.0)
    assert_same(Similarity.from_quaternion(quaternion, a.translation, a.scale), a)


@given(any_scale, points)
def test_apply_is_the_formula_of_the_docstring(a: Similarity, p: np.ndarray) -> None:
    expected = [a.rotation @ (a.scale * q) + a.translation for q in p]
    np.testing.assert_allclose(a.apply(p), expected, atol=1e-9)
    np.testing.assert_allclose(a.rotate(p), [a.rotation @ q for q in p], atol=1e-12)


@given(any_scale)
def test_the_rigid_part_keeps_lengths(a: Similarity) -> None:
    start, end = a.rigid().apply([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])
    assert np.linalg.norm(end - start) == pytest.approx(3.0)


@settings(max_examples=30)
@given(any_scale, st.sampled_from([(3,), (1, 3), (2, 5, 3), (0, 3)]))
def test_apply_keeps_the_shape(a: Similarity, shape: tuple[int, ...]) -> None:
    assert a.apply(np.zeros(shape)).shape == shape
    assert a.apply_inverse(np.zeros(shape, np.float32)).dtype == np.float64


def test_mapped_keeps_the_type_and_spreads_nan_no_farther() -> None:
    many = np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0], [4.0, 5.0, 6.0]], np.float32)
    answer = mapped(many, np.array([[0.0, 1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30]]))
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer[[0, 2]], [[12, 21, 33], [15, 24, 36]])
    assert np.isnan(answer[1]).any()


def test_inverse_and_product_that_would_shear_are_refused() -> None:
    unequal = Similarity(scale=np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="apply_inverse"):
        unequal.inverse()
    with pytest.raises(ValueError, match="shear"):
        unequal @ Similarity()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rotation": np.diag([1.0, 1.0, -1.0])}, "proper rotation"),
        ({"rotation": 2 * np.eye(3)}, "proper rotation"),
        ({"rotation": np.eye(4)}, "give"),
        ({"translation": np.array([np.nan, 0, 0])}, "NaN or Inf"),
        ({"scale": np.array([1.0, 0.0, 1.0])}, "positive"),
        ({"scale": np.array(-1.0)}, "positive"),
    ],
)
def test_what_is_no_similarity_is_refused(fields: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Similarity(**fields)


def test_matrices_with_shear_or_reflection_are_refused() -> None:
    mirrored = np.diag([1.0, 1.0, -1.0, 1.0])
    with pytest.raises(ValueError, match="proper rotation"):
        Similarity.from_matrix(mirrored)
    with pytest.raises(ValueError, match="4x4"):
        Similarity.from_matrix(np.eye(3))


def test_a_similarity_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Similarity().rotation[0, 0] = 2.0


@given(quaternions, st.floats(1e-9, 3e-6))
def test_orthonormalized_is_the_nearest_rotation(quaternion: np.ndarray, noise: float) -> None:
    rotation = Rotation.from_quat(quaternion).as_matrix()
    dirty = rotation + noise * np.array([[1, -1, 0.5], [0.3, 1, -1], [-0.2, 0.7, 1]])
    clean = orthonormalized(dirty)
    np.testing.assert_allclose(clean @ clean.T, np.eye(3), atol=1e-12)
    assert np.linalg.norm(clean - dirty) <= np.linalg.norm(rotation - dirty) + 1e-12


# Trap 1: PyTorch3D's camera has x to the left and y up.


def test_a_point_up_and_left_in_pytorch3d_is_at_negative_x_and_y_in_the_image_frame() -> None:
    up_and_left = [0.3, 0.2, 1.0]
    np.testing.assert_array_equal(optical_from_pytorch3d(up_and_left), [-0.3, -0.2, 1.0])
    assert np.linalg.det(OPTICAL_FROM_PYTORCH3D) == pytest.approx(1.0)


@given(points)
def test_the_flip_of_pytorch3d_undoes_itself(p: np.ndarray) -> None:
    np.testing.assert_array_equal(optical_from_pytorch3d(optical_from_pytorch3d(p)), p)


# Trap 2: SAM 3D's quaternion acts on row vectors.


def test_a_quarter_turn_of_sam3d_by_hand() -> None:
    """w x y z of +90 degrees about z. On columns it sends x to y; on rows, R is transposed: x to -y.

    Then the flip of x and y sends -y in PyTorch3D's camera to +y in the image: down.
    """
    half = np.sqrt(0.5)
    pose = camera_from_object_of_sam3d([half, 0.0, 0.0, half], [0.1, 0.2, 2.0], 0.5)
    np.testing.assert_allclose(pose.apply([0.0, 0.0, 0.0]), [-0.1, -0.2, 2.0], atol=1e-12)
    np.testing.assert_allclose(pose.apply([1.0, 0.0, 0.0]), [-0.1, -0.2 + 0.5, 2.0], atol=1e-12)
    np.testing.assert_allclose(pose.apply([0.0, 0.0, 1.0]), [-0.1, -0.2, 2.5], atol=1e-12)


@given(quaternions, triples, positive, points)
def test_sam3d_poses_are_the_row_vector_formula(
    wxyz: np.ndarray, translation: np.ndarray, scale: float, p: np.ndarray
) -> None:
    w, x, y, z = wxyz
    rows = Rotation.from_quat([x, y, z, w]).as_matrix()
    expected = (scale * p @ rows + translation) * (-1.0, -1.0, 1.0)
    pose = camera_from_object_of_sam3d(wxyz, translation, scale)
    np.testing.assert_allclose(pose.apply(p), expected, atol=1e-8)


# Trap 3: GLB is y-up.


def test_up_in_the_canonical_frame_is_y_in_a_glb() -> None:
    np.testing.assert_array_equal(glb_from_canonical([1.0, 2.0, 3.0]), [1.0, 3.0, -2.0])
    np.testing.assert_array_equal(canonical_from_glb([1.0, 3.0, -2.0]), [1.0, 2.0, 3.0])
    assert np.linalg.det(GLB_FROM_CANONICAL) == pytest.approx(1.0)


@given(points)
def test_glb_round_trip(p: np.ndarray) -> None:
    np.testing.assert_array_equal(canonical_from_glb(glb_from_canonical(p)), p)


def test_the_optical_axis_is_forward_in_the_body() -> None:
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ [0, 0, 1], [1, 0, 0])  # z forward -> x forward
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ [1, 0, 0], [0, -1, 0])  # x right -> -y
    np.testing.assert_array_equal(BODY_FROM_OPTICAL @ [0, 1, 0], [0, 0, -1])  # y down -> -z
