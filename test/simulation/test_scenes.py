"""Scenes: seeded, at rest, apart from each other, and in the canonical frame."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.geometry.surfaces import sample_surface, surface_distance, transformed
from sam3d_ros.simulation.scenes import LABELS, TABLE_SIZE, SceneObject, random_object, random_scene

SEEDS = range(6)


def world_points(thing: SceneObject) -> np.ndarray:
    return thing.world_from_object.apply(thing.mesh.vertices)


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_are_canonical_and_of_everyday_size(seed: int) -> None:
    scene = random_scene(seed)
    assert [thing.instance_id for thing in scene.objects] == [1, 2, 3, 4, 5]
    assert scene.label_names == {thing.instance_id: thing.label for thing in scene.objects}
    for thing in scene.objects:
        low, high = thing.mesh.bounds
        assert low.min() >= -0.5
        assert high.max() <= 0.5
        np.testing.assert_allclose(low + high, 0.0, atol=1e-6)
        assert (high - low).max() == pytest.approx(1.0, abs=1e-6)
        assert thing.world_from_object.is_uniform
        assert 0.05 <= thing.size.max() <= 0.30
        assert thing.mesh.is_watertight()
        assert thing.mesh.volume() > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_rest_on_the_table_and_are_stable(seed: int) -> None:
    for thing in random_scene(seed).objects:
        points = world_points(thing)
        assert points[:, 2].min() == pytest.approx(0.0, abs=1e-6)
        # It does not tip: the centre of mass is above the polygon that touches the table.
        touching = points[points[:, 2] < 0.002][:, :2]
        a, b, c = points[thing.mesh.triangles.astype(int)].transpose(1, 0, 2)
        volumes = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
        center = (volumes[:, None] * (a + b + c) / 4).sum(axis=0) / volumes.sum()
        directions = np.stack([np.cos(np.linspace(0, 2 * np.pi, 36)), np.sin(np.linspace(0, 2 * np.pi, 36))])
        assert ((touching - center[:2]) @ directions).max(axis=0).min() > -1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_do_not_intersect(seed: int) -> None:
    scene = random_scene(seed, object_count=7)
    rng = np.random.default_rng(0)
    for a, b in combinations(scene.objects, 2):
        points = a.world_from_object.apply(sample_surface(a.mesh, 500, rng)[0])
        # An odd number of surfaces straight above a point would mean that it is inside.
        upward = np.tile(np.float32([0.0123, 0.0071, 1.0]), (len(points), 1))
        hits = RayScene([(b.mesh, b.world_from_object)]).cast(upward, points.astype(np.float32))
        inside = hits.hit & (np.einsum("ij,ij->i", hits.normal, upward) > 0)
        assert not inside.any()


def test_a_full_table_has_nothing_over_its_edge() -> None:
    for thing in random_scene(1, object_count=14).objects:
        assert (np.abs(world_points(thing)[:, :2]) <= np.array(TABLE_SIZE) / 2).all()


def test_the_same_seed_gives_the_same_scene() -> None:
    a, b = random_scene(11), random_scene(11)
    for one, other in zip(a.things, b.things, strict=True):
        assert one.label == other.label
        np.testing.assert_array_equal(one.mesh.vertices, other.mesh.vertices)
        np.testing.assert_array_equal(one.mesh.colors, other.mesh.colors)
        np.testing.assert_array_equal(one.world_from_object.matrix(), other.world_from_object.matrix())
    assert a.light == b.light
    assert not np.array_equal(
        a.objects[0].world_from_object.matrix(), random_scene(12).objects[0].world_from_object.matrix()
    )


def test_every_class_comes_before_any_comes_again() -> None:
    labels = [thing.label for thing in random_scene(0, object_count=len(LABELS)).objects]
    assert sorted(labels) == sorted(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_paint_on_the_mesh_is_paint_on_the_body(label: str) -> None:
    thing = random_object(np.random.default_rng(5), label, 1)
    metric = (thing.mesh.vertices * thing.world_from_object.scale).astype(np.float32)
    painted = np.rint(np.clip(thing.paint(metric), 0, 1) * 255)
    # Places on the border of a noise cell or of a stripe may fall to either side by rounding.
    assert np.abs(painted - thing.mesh.colors).mean() < 2.0


@pytest.mark.parametrize("label", LABELS)
def test_round_things_are_the_same_after_a_turn_and_others_are_not(label: str) -> None:
    thing = random_object(np.random.default_rng(3), label, 1)
    turn = Similarity(
        Rotation.from_euler("z", 2 * np.pi * 5 / 72 if thing.is_round else np.pi / 7).as_matrix()
    )
    distance = surface_distance(thing.mesh, transformed(thing.mesh, turn), samples=500)
    assert (distance < 1e-4) == thing.is_round


def test_too_many_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer objects"):
        random_scene(0, object_count=60)


def test_the_table_is_the_plane_zero() -> None:
    scene = random_scene(2)
    table = next(thing for thing in scene.furniture if thing.label == "table")
    assert world_points(table)[:, 2].max() == pytest.approx(0.0, abs=1e-7)
