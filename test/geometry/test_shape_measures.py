"""Measures of posed meshes against distances, turns and extents that are known without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.pose_measures import CUBE_ROTATIONS
from sam3d_ros.geometry.shape_measures import (
    add_sb,
    bootstrap_interval,
    cd_norm,
    diameter_error,
    extent_errors,
    registration,
)
from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.scenes import random_object

SIZE = np.array([0.10, 0.06, 0.16])


def box(size: np.ndarray = SIZE) -> Mesh:
    """A box around the origin, metres."""
    vertices, triangles = shapes.box(size)
    centred = vertices - [0.0, 0.0, size[2] / 2.0]
    return Mesh(centred.astype(np.float32), triangles, np.zeros((len(vertices), 3), np.uint8))


def moved(turn: np.ndarray, shift: np.ndarray) -> Similarity:
    return Similarity(Rotation.from_rotvec(turn).as_matrix(), shift)


def test_a_flat_sheet_that_is_lifted_is_as_far_away_as_it_was_lifted() -> None:
    sheet = Mesh(
        np.float32([[0, 0, 0], [3, 0, 0], [3, 4, 0], [0, 4, 0]]),
        np.uint32([[0, 1, 2], [0, 2, 3]]),
        np.zeros((4, 3), np.uint8),
    )
    lifted = transformed(sheet, Similarity(translation=np.array([0.0, 0.0, 0.5])))
    assert add_sb(lifted, sheet) == pytest.approx(0.5 / 5.0, rel=1e-6)
    assert cd_norm(lifted, sheet) < 1e-3
    assert diameter_error(lifted, sheet) == pytest.approx(0.0, abs=1e-6)


def test_a_blown_up_box_has_the_error_of_its_diameter() -> None:
    assert diameter_error(box(1.1 * SIZE), box()) == pytest.approx(0.1, rel=1e-5)
    assert diameter_error(box(0.9 * SIZE), box()) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("label", ["mug", "l_shape"])
def test_registration_undoes_a_motion(label: str) -> None:
    thing = random_object(np.random.default_rng(1), label, 1)
    mesh = transformed(thing.mesh, thing.world_from_object)
    motion = moved(np.deg2rad([3.0, -2.0, 4.0]), np.array([0.004, -0.006, 0.003]))
    found = registration(transformed(mesh, motion), mesh) @ motion
    points = mesh.vertices.astype(np.float64)
    assert np.linalg.norm(found.apply(points) - points, axis=1).max() < 0.003
    assert cd_norm(transformed(mesh, motion), mesh) < 0.2 * add_sb(transformed(mesh, motion), mesh)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 23), st.integers(0, 2**32 - 1))
def test_extents_are_compared_along_the_axes_that_belong_together(name: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true_pose = Similarity(Rotation.random(random_state=rng).as_matrix(), rng.normal(size=3))
    factors = rng.uniform(0.8, 1.25, 3)
    renaming = CUBE_ROTATIONS[name]
    whole = box()
    own = Mesh(((factors * whole.vertices) @ renaming).astype(np.float32), whole.triangles, whole.colors)
    pose = Similarity(true_pose.rotation @ renaming, true_pose.translation)
    np.testing.assert_allclose(extent_errors(own, pose, box(), true_pose), factors - 1.0, atol=1e-5)


def test_a_small_turn_does_not_change_extents() -> None:
    turned = moved(np.deg2rad([0.0, 0.0, 5.0]), np.zeros(3))
    np.testing.assert_allclose(extent_errors(box(), turned, box(), Similarity()), 0.0, atol=1e-6)


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(values.tolist(), lambda sample: sample.mean(axis=-1))
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_bootstrap_of_what_never_varies_is_a_point_and_of_nothing_not_a_number() -> None:
    assert bootstrap_interval([1.0] * 9, lambda sample: sample.mean(axis=-1)) == (1.0, 1.0)
    assert np.isnan(bootstrap_interval([], lambda sample: sample.mean(axis=-1))).all()
