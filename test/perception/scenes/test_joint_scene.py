"""A person and a box before one camera: what of them is put together, in which frame and in which unit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from analytic_bodies import FACING, standing_body
from hypothesis import given
from hypothesis import strategies as st
from person_and_box import parts_of

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.scenes.joint_scene import MOMENT, Scene, SeenObjects, SeenPeople, joined
from sam3d_ros.perception.tracking.tracks import TrackedObject

CAMERA = Camera(320, 240, 260.0, 260.0, 160.0, 120.0)
SECOND = 1_000_000_000
PERSON = 5
#: A camera one metre above the ground of a z-up world, which looks along x.
FIXED_FROM_CAMERA = Similarity(
    np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), translation=np.array([0.0, 0.0, 1.0])
)
HEIGHT = 1.74


def mesh_of(solid: trimesh.Trimesh) -> Mesh:
    return Mesh(
        np.asarray(solid.vertices, np.float32),
        np.asarray(solid.faces, np.uint32),
        np.full((len(solid.vertices), 3), 200, np.uint8),
    )


#: As tall as a person, the origin in the middle, z to the head.
COLUMN = mesh_of(
    trimesh.creation.capsule(height=HEIGHT - 0.44, radius=0.22, count=[48, 48]).apply_translation(
        [0, 0, 0.22 - HEIGHT / 2]
    )
)
CAMERA_FROM_PERSON = Similarity(FACING.rotation, np.array([-0.3, 0.05, 3.0]))
CUBE = mesh_of(trimesh.creation.box((1.0, 1.0, 1.0)))
CAMERA_FROM_BOX = Similarity(np.eye(3), np.array([0.6, 0.2, 2.6]), np.array([0.4, 0.5, 0.3]))


def box(
    track_id: int = 1,
    camera_from_box: Similarity = CAMERA_FROM_BOX,
    *,
    points: int = 100,
) -> TrackedObject:
    verdict = Verdict(VerdictState.ACCEPTED, (), 0.9, 0.01, 0.9, points, ScaleSource.DEPTH)
    estimate = ObjectEstimate(3, "box", CUBE, camera_from_box, np.eye(6), verdict)
    return TrackedObject(track_id, 1, estimate, FIXED_FROM_CAMERA @ camera_from_box, 0, 0)


def objects(stamp: int, *things: TrackedObject, fixed: bool = False, metric: bool = True) -> SeenObjects:
    return SeenObjects(stamp, "map" if fixed else "camera", fixed, "camera", metric, things)


def people(stamp: int, *, scale: float = 1.0, fixed: bool = False, shift: float = 0.0) -> SeenPeople:
    """A person whose points are in units of which `scale` make a metre, farther away than posed by `shift` metres."""
    rays = CAMERA.rays().astype(np.float64)
    measured_pose = Similarity(translation=np.array([0.0, 0.0, shift])) @ CAMERA_FROM_PERSON
    hits = RayScene([(COLUMN, measured_pose), (CUBE, CAMERA_FROM_BOX)]).cast(rays)
    points = scale * rays * np.where(hits.hit, hits.distance, 5.0)[..., None]
    frame = Frame(
        stamp=stamp,
        frame_id="camera",
        rgb=np.zeros((240, 320, 3), np.uint8),
        labels=np.where(hits.mesh == 0, PERSON, 0).astype(np.uint16),
        point_map=PointMap(points.astype(np.float32)),
        points_source=PointsSource.DEPTH,
        camera=CAMERA,
        is_metric=scale == 1.0,
    )
    estimate = standing_body(PERSON, CAMERA_FROM_PERSON, mesh=COLUMN)
    placed = FIXED_FROM_CAMERA if fixed else Similarity()
    body = TrackedBody(7, 1, estimate, placed, estimate.keypoints)
    return SeenPeople(frame, "map" if fixed else "camera", fixed, (body,))


PEOPLE = people(10 * SECOND)


def told(scene: Scene) -> str:
    return "; ".join(scene.notes)


def test_people_stand_with_the_objects_of_their_own_image() -> None:
    moved = Similarity(translation=np.array([0.5, 0.0, 0.0])) @ CAMERA_FROM_BOX
    then, again, now = (
        objects(10 * SECOND),
        objects(10 * SECOND, box()),
        objects(11 * SECOND, box(1, moved), box(2)),
    )
    scene = joined([objects(9 * SECOND, box(1, moved)), then, again, now], PEOPLE)
    assert scene.objects == again.objects and scene.bodies == PEOPLE.bodies and not scene.is_fixed
    assert "objects [2] are left out" in told(scene)


@given(
    st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=5).map(sorted),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("camera", "map")),
)
def test_nobody_is_put_where_they_never_were(
    stamps: list[int], objects_fixed: bool, people_fixed: bool, frame_id: str
) -> None:
    seen = [objects(stamp, box(fixed := objects_fixed), fixed=fixed) for stamp in stamps]
    posed = replace(PEOPLE, frame_id=frame_id, is_fixed=people_fixed)
    scene = joined(seen, posed)
    (moment,) = (s.stamp for s in seen if s.objects == scene.objects)
    if scene.bodies:
        assert seen[-1].frame_id == frame_id
        assert abs(moment - 10 * SECOND) <= MOMENT or (objects_fixed and people_fixed)
    else:
        assert "people are left out" in told(scene)
        assert moment == stamps[-1]
    if abs(moment - 10 * SECOND) > MOMENT:
        assert re.search(r"\d+\.\d s|target_frame", told(scene))


def test_in_a_frame_fixed_in_the_world_the_newest_objects_will_do() -> None:
    seen = [objects(11 * SECOND, box(), fixed=True), objects(12 * SECOND, box(), fixed=True)]
    scene = joined(seen, people(10 * SECOND, fixed=True))
    assert scene.objects == seen[-1].objects and len(scene.bodies) == 1 and scene.is_fixed
    assert "people are as 2.0 s before the objects" in told(scene)


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_what_is_metric_tells_how_well_it_fits(shift: float) -> None:
    scene = joined([objects(10 * SECOND, box())], people(10 * SECOND, shift=shift))
    (note,) = scene.notes
    found = re.fullmatch(
        r"body_7 is (\d+) mm and ([+-]\d+\.\d) % from the points measured on it, residual (\d+) mm", note
    )
    assert found, note
    # Both are compared at the same pixels: who is farther fills fewer, by five centimetres of three metres.
    moved, larger, residual = (float(figure) for figure in found.groups())
    assert moved == pytest.approx(1000 * shift, abs=12)
    assert larger == pytest.approx(100 * shift / 3.0, abs=0.8)
    assert residual < 12


@pytest.mark.parametrize("scale", [0.4, 1.6])
@pytest.mark.parametrize("fixed", [False, True])
def test_an_object_of_relative_scale_takes_that_of_the_person(
    scale: float, fixed: bool, tmp_path: Path
) -> None:
    relative = box(1, Similarity(scale=np.full(3, scale)) @ CAMERA_FROM_BOX)
    scene = joined(
        [objects(10 * SECOND, relative, fixed=fixed, metric=False)],
        people(10 * SECOND, scale=scale, fixed=fixed),
    )
    (note,) = scene.notes
    assert float(re.search(r"body_7: (\S+) units of depth to a metre", note).group(1)) == pytest.approx(
        scale, rel=0.02
    )
    scene.write(tmp_path / "scene.glb")
    found = parts_of(tmp_path / "scene.glb")
    assert set(found) == {"body_7", "object_1_box"}
    for name, pose, mesh, tolerance in (
        ("body_7", CAMERA_FROM_PERSON, COLUMN, 1e-4),
        ("object_1_box", CAMERA_FROM_BOX, CUBE, 0.04),
    ):
        x, y, z = pose.apply(mesh.vertices).T
        if fixed:
            x, y, z = FIXED_FROM_CAMERA.apply(np.stack([x, y, z], axis=1)).T
            truth = np.stack([x, z, -y], axis=1)
        else:
            truth = np.stack([x, -y, -z], axis=1)
        for end in (np.min, np.max):
            np.testing.assert_allclose(end(found[name], axis=0), end(truth, axis=0), atol=tolerance)
    np.testing.assert_allclose(np.ptp(found["body_7"][:, 1]), HEIGHT, atol=1e-3)


def test_a_relative_scale_that_nobody_sets_right_is_refused() -> None:
    seen = [objects(10 * SECOND, box(), metric=False)]
    unmeasured = people(10 * SECOND, scale=0.5)
    unmeasured = replace(unmeasured, frame=unmeasured.frame.without_points())
    late = people(11 * SECOND, scale=0.5)
    elsewhere = replace(late, frame=replace(late.frame, stamp=10 * SECOND, frame_id="other"))
    for posed, reason in (
        (None, "there is nobody"),
        (unmeasured, "too few"),
        (late, "1.0 s from any"),
        (elsewhere, "they are seen from other"),
    ):
        with pytest.raises(ValueError, match=f"the depth is relative.*{reason}.*relative_depth"):
            joined(seen, posed)


def test_relative_scale_from_a_neighbouring_image_is_told() -> None:
    seen = [objects(10 * SECOND + 33_000_000, box(), metric=False)]
    (note,) = joined(seen, people(10 * SECOND, scale=0.5)).notes
    assert "in an image 33 ms from theirs" in note


def test_guesses_and_missing_surfaces_are_told() -> None:
    bare = replace(PEOPLE.bodies[0], estimate=standing_body(PERSON, CAMERA_FROM_PERSON, mesh=None))
    posed = replace(PEOPLE, bodies=(bare,))
    scene = joined([objects(10 * SECOND, box(4, points=0), box(6))], posed)
    assert told(scene) == (
        "size or place of objects [4] is a guess: nothing is measured on them; "
        "body_7 is left out: it has no surface"
    )
    blind = replace(PEOPLE, frame=PEOPLE.frame.without_points())
    assert "body_7 is as the camera suggests" in told(joined([], blind))


def test_each_kind_alone_and_nothing_at_all(tmp_path: Path) -> None:
    assert joined([objects(0, box())], None).notes == ()
    assert joined([objects(0)], PEOPLE).bodies == joined([], PEOPLE).bodies == PEOPLE.bodies
    assert (
        joined([], PEOPLE).object_count == 0 and joined([objects(0, box(), box(2))], None).object_count == 2
    )
    with pytest.raises(ValueError, match="no mesh"):
        joined([], None).write(tmp_path / "scene.glb")
    with pytest.raises(ValueError, match=r"ends in \.glb"):
        joined([], PEOPLE).write(tmp_path / "scene.txt")
    assert list(tmp_path.iterdir()) == []
