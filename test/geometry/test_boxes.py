"""Oriented boxes: shared volumes in closed form and by throwing darts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.boxes import OrientedBox, box_iou, intersection_volume, round_box_iou
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh

UNIT = OrientedBox(np.zeros(3), np.eye(3), np.ones(3))


def random_box(rng: np.random.Generator, spread: float = 0.5) -> OrientedBox:
    return OrientedBox(
        rng.uniform(-spread, spread, 3),
        Rotation.from_quat(rng.normal(size=4)).as_matrix(),
        rng.uniform(0.2, 1.5, 3),
    )


def test_a_box_with_itself() -> None:
    assert box_iou(UNIT, UNIT) == pytest.approx(1.0)


@given(st.tuples(*[st.floats(-1.5, 1.5)] * 3), st.tuples(*[st.floats(0.1, 2.0)] * 3))
def test_parallel_boxes_in_closed_form(center: tuple[float, ...], size: tuple[float, ...]) -> None:
    other = OrientedBox(np.array(center), np.eye(3), np.array(size))
    low = np.maximum(-0.5, other.center - other.size / 2)
    high = np.minimum(0.5, other.center + other.size / 2)
    expected = float(np.prod(np.maximum(high - low, 0.0)))
    assert intersection_volume(UNIT, other) == pytest.approx(expected, abs=1e-7)


def test_a_square_turned_by_an_eighth() -> None:
    """Two unit squares at 45 degrees share a regular octagon: 2 (sqrt 2 - 1)."""
    turned = OrientedBox(np.zeros(3), Rotation.from_euler("z", np.pi / 4).as_matrix(), np.ones(3))
    octagon = 2 * (np.sqrt(2) - 1)
    assert intersection_volume(UNIT, turned) == pytest.approx(octagon)
    assert box_iou(UNIT, turned) == pytest.approx(octagon / (2 - octagon))


def test_a_cube_on_its_corner_cut_by_a_slab() -> None:
    """The middle slab of a cube across its space diagonal: a hexagonal section of area 3 sqrt(3) / 4."""
    diagonal = Rotation.align_vectors([[0, 0, 1]], [[1, 1, 1]])[0].as_matrix()
    cube = OrientedBox(np.zeros(3), diagonal, np.ones(3))
    slab = OrientedBox(np.zeros(3), np.eye(3), np.array([4.0, 4.0, 1e-4]))
    assert intersection_volume(cube, slab) / 1e-4 == pytest.approx(3 * np.sqrt(3) / 4, rel=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_random_boxes_against_darts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_box(rng), random_box(rng)
    darts = a.center + ((rng.random((200_000, 3)) - 0.5) * a.size) @ a.rotation.T
    assert a.contains(darts).all()
    share = b.contains(darts).mean()
    error = 4 * np.sqrt(max(share * (1 - share), 1e-6) / len(darts))
    assert intersection_volume(a, b) / a.volume == pytest.approx(share, abs=error)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_iou_is_symmetric_bounded_and_blind_to_the_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_box(rng), random_box(rng)
    iou = box_iou(a, b)
    assert 0.0 <= iou <= 1.0 + 1e-12
    assert box_iou(b, a) == pytest.approx(iou, abs=1e-9)
    move = Similarity(Rotation.from_quat(rng.normal(size=4)).as_matrix(), rng.normal(size=3), np.full(3, 2.5))
    moved = [
        OrientedBox(move.apply(c.center), move.rotation @ c.rotation, c.size * move.scale) for c in (a, b)
    ]
    assert box_iou(*moved) == pytest.approx(iou, abs=1e-7)


@pytest.mark.parametrize("heading", [0.0, 0.3, 0.8, 2.0])
def test_a_round_object_has_no_heading(heading: float) -> None:
    """A can and its box at another heading: the plain overlap falls to 0.71, the round one stays whole."""
    axis = Rotation.from_euler("x", 0.7)
    truth = OrientedBox(np.array([1.0, 2.0, 3.0]), axis.as_matrix(), np.array([0.1, 0.1, 0.2]))
    turned = OrientedBox(truth.center, (axis * Rotation.from_euler("z", heading)).as_matrix(), truth.size)
    assert round_box_iou(turned, truth) > 0.97
    if heading == 0.8:
        assert box_iou(turned, truth) < 0.75
    smaller = OrientedBox(truth.center, turned.rotation, truth.size * (1, 1, 0.5))
    assert round_box_iou(smaller, truth) == pytest.approx(0.5, abs=0.02)


def test_an_oblong_box_is_never_taken_as_round() -> None:
    oblong = OrientedBox(np.zeros(3), np.eye(3), np.array([0.1, 0.2, 0.2]))
    turned = OrientedBox(np.zeros(3), Rotation.from_euler("z", np.pi / 2).as_matrix(), oblong.size)
    assert round_box_iou(turned, oblong) == pytest.approx(1 / 3)


def test_apart_touching_and_flat_boxes_share_nothing() -> None:
    assert box_iou(UNIT, OrientedBox(np.array([3.0, 0, 0]), np.eye(3), np.ones(3))) == 0.0
    assert box_iou(UNIT, OrientedBox(np.array([1.0, 0, 0]), np.eye(3), np.ones(3))) == pytest.approx(0.0)
    flat = OrientedBox(np.zeros(3), np.eye(3), np.array([1.0, 1.0, 0.0]))
    assert box_iou(flat, flat) == 0.0
    assert box_iou(UNIT, flat) == 0.0


def test_a_box_inside_another() -> None:
    inner = OrientedBox(np.array([0.1, 0, 0]), Rotation.from_euler("y", 0.3).as_matrix(), np.full(3, 0.4))
    assert box_iou(UNIT, inner) == pytest.approx(0.4**3)


def test_box_of_a_posed_mesh() -> None:
    mesh = Mesh(
        np.array([[-0.5, -0.2, 0], [0.5, -0.2, 0], [0, 0.2, 0.4]], np.float32),
        np.array([[0, 1, 2]]),
        np.zeros((3, 3), np.uint8),
    )
    pose = Similarity(
        Rotation.from_euler("z", np.pi / 2).as_matrix(), np.array([1.0, 2.0, 3.0]), 0.1 * np.ones(3)
    )
    box = OrientedBox.of_mesh(mesh, pose)
    np.testing.assert_allclose(box.size, [0.1, 0.04, 0.04], atol=1e-8)
    np.testing.assert_allclose(box.center, [1.0, 2.0, 3.02], atol=1e-8)
    assert box.contains(pose.apply(mesh.vertices)).all()
    assert len(np.unique(box.corners().round(9), axis=0)) == 8
