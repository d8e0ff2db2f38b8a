"""The checks of the scene, against scenes that are built to be right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from standing_solids import box, camera_above, cylinder, exact_estimate, look, placed, solid, sphere

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.evidence import cut
from sam3d_ros.perception.judging.scene import (
    FLOATING,
    PENETRATES,
    UNSTABLE,
    SceneThresholds,
    scene_reasons,
)
from sam3d_ros.perception.judging.solids import Probe, SolidObject
from sam3d_ros.perception.surfaces.standing import carrier, places_over
from sam3d_ros.perception.surfaces.surface import SupportSurface

WORLD_FROM_CAMERA = camera_above(1.0, 30.0).inverse()
HALF = 0.6
TABLE = SupportSurface(
    1,
    Similarity(),
    np.array([(-HALF, -HALF), (HALF, -HALF), (HALF, HALF), (-HALF, HALF)]),
    0.001,
    0.001,
    "",
    (),
    0,
)
POLE = solid(trimesh.creation.box((0.5, 0.012, 0.012)))


def scene(
    things: dict[int, tuple[Mesh, Similarity]],
    moves: dict[int, Similarity] | None = None,
    others: Sequence[tuple[Mesh, Similarity]] = (),
    sigma: float = 0.001,
) -> dict[int, SolidObject]:
    """Things on a table as a perfect sensor sees them.

    Args:
        things: id -> mesh in metres and its true pose in the world.
        moves: id -> motion of the world that its pose is wrong by.
        others: what has no label.
        sigma: standard deviation of the poses, metres.
    """
    unlabelled = {1000 + index: other for index, other in enumerate(others)}
    frame = look({**things, **unlabelled}, WORLD_FROM_CAMERA.inverse())
    labels = np.where(frame.labels >= 1000, 0, frame.labels).astype(np.uint16)
    frame = replace(frame, labels=labels, fixed_from_camera=WORLD_FROM_CAMERA)
    evidence = {piece.instance_id: piece for piece in cut(frame)}
    solids = {}
    for instance, (mesh, world_from_mesh) in things.items():
        pose = (moves or {}).get(instance, Similarity()) @ world_from_mesh
        estimate = exact_estimate(instance, mesh, pose)
        solids[instance] = SolidObject(
            instance,
            estimate.mesh,
            estimate.camera_from_object,
            sigma**2 * np.eye(3),
            0.0,
            0,
            evidence[instance],
        )
    return solids


def reasons(solids: dict[int, SolidObject], instance: int = 1) -> tuple[str, ...]:
    solid_ = solids[instance]
    others = [other for other in solids.values() if other is not solid_]
    return scene_reasons(solid_, places_over(solid_.points, [TABLE]), others, SceneThresholds())


def shift(x: float, y: float, z: float) -> Similarity:
    return Similarity(translation=np.array([x, y, z]))


@pytest.mark.parametrize(
    "mesh", [box(0.1, 0.08, 0.15), cylinder(0.04, 0.12), sphere(0.05)], ids=["box", "can", "ball"]
)
def test_what_stands_on_a_table_is_not_accused(mesh: Mesh) -> None:
    assert reasons(scene({1: (mesh, placed(0.0, 0.0))})) == ()


def test_centres_of_mass_are_those_of_the_solids() -> None:
    cone = trimesh.creation.cone(0.1, 0.4, sections=256)
    assert np.allclose(Probe(solid(cone)).centroid, (0.0, 0.0, 0.1), atol=1e-4)
    assert np.allclose(Probe(box(0.1, 0.2, 0.3)).centroid, (0.0, 0.0, 0.15), atol=1e-6)


@given(share=st.floats(-0.3, 0.5))
def test_a_box_pushed_into_another_penetrates_it_and_one_beside_it_does_not(share: float) -> None:
    solids = {
        index: SolidObject(index, box(0.1, 0.1, 0.1), placed(x, 0.0), 1e-8 * np.eye(3), 0.0, 0, None)
        for index, x in ((1, 0.0), (2, 0.1 * (1.0 - share)))
    }
    depth = share * 0.1
    allowed = SceneThresholds().max_overlap * 0.1 * np.sqrt(3.0)
    if abs(depth - allowed) > 0.002:
        assert (PENETRATES in reasons(solids)) == (depth > allowed)


def test_of_two_in_one_place_the_one_that_is_doubted_is_accused_and_where_the_pose_is_unsure_neither() -> (
    None
):
    def pair(doubt: int, sigma: float) -> dict[int, SolidObject]:
        return {
            index: SolidObject(
                index, box(0.1, 0.1, 0.1), placed(x, 0.0), sigma**2 * np.eye(3), 0.0, doubted, None
            )
            for index, x, doubted in ((1, 0.0, 0), (2, 0.08, doubt))
        }

    assert [reasons(pair(0, 1e-4), index) for index in (1, 2)] == [(PENETRATES,), (PENETRATES,)]
    assert [reasons(pair(1, 1e-4), index) for index in (1, 2)] == [(), (PENETRATES,)]
    assert [reasons(pair(0, 0.02), index) for index in (1, 2)] == [(), ()]


@pytest.mark.parametrize("height", [-0.03, -0.02, 0.03, 0.05])
def test_a_pose_in_the_table_penetrates_and_one_above_what_is_seen_floats(height: float) -> None:
    solids = scene({1: (box(0.1, 0.08, 0.15), placed(0.0, 0.0))}, {1: shift(0.0, 0.0, height)})
    assert reasons(solids) == ((PENETRATES,) if height < 0.0 else (FLOATING,))


def test_what_hangs_in_the_air_floats_but_not_what_a_pole_holds_nor_what_stands_on_another() -> None:
    cube = box(0.1, 0.08, 0.1)
    up = placed(0.0, 0.0, z=0.1)
    assert reasons(scene({1: (cube, up)})) == (FLOATING,)
    pole = (POLE, Similarity(translation=np.array([0.3, 0.0, 0.15])))
    assert reasons(scene({1: (cube, up)}, others=[pole])) == ()
    stacked = scene({1: (cube, up), 2: (box(0.14, 0.12, 0.1), placed(0.0, 0.0))})
    assert (reasons(stacked, 1), reasons(stacked, 2)) == ((), ())


def test_no_surface_and_no_view_accuse_nobody_of_floating() -> None:
    solids = scene({1: (box(0.1, 0.08, 0.1), placed(0.0, 0.0, z=0.1))})
    assert scene_reasons(solids[1], (), (), SceneThresholds()) == ()
    assert reasons({1: replace(solids[1], evidence=None)}) == ()


@pytest.mark.parametrize(("angle", "expected"), [(0.0, ()), (60.0, (UNSTABLE,))])
def test_a_tall_box_that_leans_on_its_edge_falls(angle: float, expected: tuple[str, ...]) -> None:
    pivot = np.array([0.03, 0.0, 0.0])
    turn = Rotation.from_euler("y", angle, degrees=True).as_matrix()
    lean = Similarity(turn, pivot - turn @ pivot)
    tall = box(0.06, 0.06, 0.2)
    assert reasons(scene({1: (tall, lean)})) == expected
    # A wall that it leans against, though it has no label, may hold it.
    if angle:
        end = lean.apply(np.array([0.03, 0.0, 0.2]))
        wall = (solid(trimesh.creation.box((0.02, 0.3, 0.3))), shift(end[0] + 0.02, 0.0, 0.15))
        assert reasons(scene({1: (tall, lean)}, others=[wall])) == ()


@given(x=st.floats(-1.0, 1.0), y=st.floats(-1.0, 1.0), z=st.floats(-0.4, 0.6), yaw=st.floats(-180.0, 180.0))
def test_an_object_stands_on_the_surface_that_is_right_below_it(
    x: float, y: float, z: float, yaw: float
) -> None:
    board = replace(TABLE, surface_id=2, fixed_from_surface=shift(0.0, 0.0, 0.3))
    points = placed(x, y, yaw, z).apply(box(0.1, 0.1, 0.1).vertices)
    found = carrier(places_over(points, [TABLE, board]), 0.17, 0.0005)
    inside = max(abs(x), abs(y)) < HALF
    near = 0.08 * 0.17
    for surface, height in ((1, 0.0), (2, 0.3)):
        if inside and abs(z - height) < near - 1e-3:
            assert found == surface
        if not inside or abs(z - height) > near + 1e-3:
            assert found != surface
