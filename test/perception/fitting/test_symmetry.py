"""Symmetry groups of meshes whose groups are known, and what is the same pose by them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from tracking_world import mesh_of, wedge

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.fitting.symmetry import SymmetryConfig, symmetry_group
from sam3d_ros.perception.symmetry_group import ContinuousSymmetry, SymmetryGroup
from sam3d_ros.simulation.scenes import ROUND_LABELS, random_object

rotations = st.integers(0, 2**31).map(lambda seed: Rotation.random(random_state=seed).as_matrix())
ONE = np.ones(3)


def boxed(*sides: float) -> Mesh:
    return mesh_of(trimesh.creation.box(sides).subdivide().subdivide())


def bottle() -> Mesh:
    profile = [[0, 0], [1, 0], [1, 2], [0.4, 2.5], [0.4, 3], [0, 3]]
    return mesh_of(trimesh.creation.revolve(profile, sections=64))


def can_with_a_fin() -> Mesh:
    """Of its surface the fin is not two percent."""
    fin = trimesh.creation.box((0.5, 0.04, 0.3))
    fin.apply_translation((1.25, 0.0, 0.85))
    return mesh_of(trimesh.util.concatenate([trimesh.creation.cylinder(1.0, 2.0, sections=64), fin]))


def prism(sides: int) -> Mesh:
    return mesh_of(trimesh.creation.cylinder(1.0, 1.3, sections=sides))


#: Mesh, number of continuous axes, and order of the discrete motions with the identity.
KNOWN = {
    "brick": (boxed(1.0, 0.6, 0.35), 0, 4),
    "square post": (boxed(0.5, 0.5, 1.0), 0, 8),
    "can with a fin": (can_with_a_fin(), 0, 1),
    "cube": (boxed(1.0, 1.0, 1.0), 0, 24),
    "wedge": (wedge(), 0, 1),
    "bottle": (bottle(), 1, 1),
    "can": (mesh_of(trimesh.creation.cylinder(0.3, 0.9, sections=64)), 1, 2),
    "ball": (mesh_of(trimesh.creation.icosphere(4)), 3, 1),
    "triangular prism": (prism(3), 0, 6),
    "hexagonal prism": (prism(6), 0, 12),
}


@pytest.mark.parametrize("name", KNOWN)
def test_groups_are_those_of_geometry(name: str) -> None:
    mesh, axes, order = KNOWN[name]
    group = symmetry_group(mesh, ONE, SymmetryConfig(tolerance=0.01))
    assert (len(group.continuous), 1 + len(group.discrete)) == (axes, order)


@pytest.mark.parametrize("name", KNOWN)
def test_the_discrete_motions_are_a_group_that_maps_the_surface_onto_itself(name: str) -> None:
    mesh, axes, _ = KNOWN[name]
    group = symmetry_group(mesh, ONE, SymmetryConfig(tolerance=0.01))
    surface = trimesh.Trimesh(mesh.vertices, mesh.triangles)
    points, _ = trimesh.sample.sample_surface(surface, 200, seed=0)
    dense = cKDTree(trimesh.sample.sample_surface(surface, 40_000, seed=1)[0])
    turns = [axis.turn(angle) for axis in group.continuous for angle in (0.4, 1.9)]
    for motion in (*group.discrete, *turns):
        off, _ = dense.query(motion.apply(points))
        assert off.max() < 0.05
    rotations_of_all = [np.eye(3), *(motion.rotation for motion in group.discrete)]
    if axes == 0:
        for first in rotations_of_all:
            for second in rotations_of_all:
                assert min(np.abs(first @ second - known).max() for known in rotations_of_all) < 1e-6


def test_the_axis_of_a_prism_is_not_the_middle_of_its_box() -> None:
    mesh = prism(3)
    group = symmetry_group(mesh, ONE, SymmetryConfig(tolerance=0.01))
    centroid = trimesh.Trimesh(mesh.vertices, mesh.triangles).center_mass
    assert np.linalg.norm(centroid - mesh.bounds.mean(axis=0)) > 0.05
    for motion in group.discrete:
        np.testing.assert_allclose(motion.apply(centroid), centroid, atol=0.01)


@pytest.mark.parametrize("label", ["box", "cylinder", "bottle", "bowl", "cup", "mug", "l_shape", "tray"])
@pytest.mark.parametrize("seed", range(3))
def test_everyday_things(label: str, seed: int) -> None:
    thing = random_object(np.random.default_rng(seed), label, 1)
    scale = thing.world_from_object.scale
    group = symmetry_group(thing.mesh, scale)
    assert bool(group.continuous) == (label in ROUND_LABELS)
    if group.continuous:
        assert abs(group.continuous[0].axis[2]) > np.cos(np.deg2rad(1.0))
        assert len(group.discrete) == (1 if label == "cylinder" else 0)
    elif label in ("mug", "l_shape"):
        assert group.is_trivial
    else:
        half = [g for g in group.discrete if np.trace(g.rotation) < -0.99]
        # A box may be turned over in three ways, what is open above only about the vertical.
        assert len(half) >= 3 if label == "box" else all(abs(g.rotation[2, 2]) > 0.99 for g in half) and half


@settings(max_examples=60, deadline=None)
@given(pose=rotations, index=st.integers(0, 3), jitter=rotations)
def test_a_flip_is_undone(pose: np.ndarray, index: int, jitter: np.ndarray) -> None:
    group = symmetry_group(*KNOWN["brick"][:1], ONE)
    small = Rotation.from_matrix(jitter).as_rotvec() * 0.02
    before = Similarity(pose, (0.1, 0.2, 0.7))
    moved = Similarity(Rotation.from_rotvec(small).as_matrix() @ pose, (0.1, 0.2, 0.7))
    flipped = moved @ (Similarity(), *group.discrete)[index]
    np.testing.assert_allclose(group.nearest(flipped, before).matrix(), moved.matrix(), atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(pose=rotations, angle=st.floats(-3.1, 3.1), flip=st.booleans())
def test_a_spin_is_undone(pose: np.ndarray, angle: float, flip: bool) -> None:
    """About an axis beside the origin, and upside down."""
    offset = np.array([0.02, -0.01, 0.0])
    axis = ContinuousSymmetry(np.array([0.0, 0.0, 1.0]), offset)
    over = ContinuousSymmetry(np.array([1.0, 0.0, 0.0]), offset).turn(np.pi)
    group = SymmetryGroup((axis,), (over,))
    before = Similarity(pose, (0.1, 0.2, 0.7), np.full(3, 0.3))
    rigid = Similarity(pose, before.translation)
    spun = rigid @ axis.turn(angle) @ (over if flip else Similarity())
    found = group.nearest(Similarity(spun.rotation, spun.translation, before.scale), before)
    np.testing.assert_allclose(found.matrix(), before.matrix(), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(pose=rotations, renamed=rotations)
def test_free_directions_are_rates_of_the_turns(pose: np.ndarray, renamed: np.ndarray) -> None:
    """Against the difference quotient of the turn itself; also after the axes were turned."""
    group = SymmetryGroup((ContinuousSymmetry(np.array([0.0, 0.6, 0.8]), np.array([0.03, -0.02, 0.01])),))
    for subject in (group, group.turned(renamed)):
        frame_from_object = Similarity(pose, (0.1, 0.2, 0.7))
        (rate,) = subject.free_directions(frame_from_object)
        turned = frame_from_object @ subject.continuous[0].turn(1e-6)
        shift = (turned.translation - frame_from_object.translation) / 1e-6
        turn = Rotation.from_matrix(turned.rotation @ frame_from_object.rotation.T).as_rotvec() / 1e-6
        np.testing.assert_allclose(rate, [*shift, *turn], atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.1, 10.0), pose=rotations)
def test_a_larger_object_has_the_larger_group(factor: float, pose: np.ndarray) -> None:
    offset = np.array([0.03, -0.02, 0.01])
    axis = ContinuousSymmetry(np.array([0.0, 0.6, 0.8]), offset)
    group = SymmetryGroup((axis,), (ContinuousSymmetry(np.array([1.0, 0.0, 0.0]), offset).turn(np.pi),))
    larger = group.scaled(factor)
    for before, after in (
        (axis.turn(0.7), larger.continuous[0].turn(0.7)),
        (group.discrete[0], larger.discrete[0]),
    ):
        np.testing.assert_allclose(
            after.apply(factor * pose), factor * before.apply(pose), atol=1e-9 * factor
        )


def test_what_has_no_volume_and_no_surface_is_no_fault() -> None:
    sheet = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.uint32),
        np.zeros((4, 3), np.uint8),
    )
    assert len(symmetry_group(sheet, ONE).discrete) >= 1
    nothing = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint8))
    assert symmetry_group(nothing, ONE).is_trivial
