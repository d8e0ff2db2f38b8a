"""The scene as a GLB: read back by another library, each vertex is where the pose puts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from tracking_world import THREE_APART, TrueReconstructor, World, serve

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.people.estimates import BodyEstimate, Skeleton
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.scenes.scene_file import write_camera_scene, write_fixed_scene


def boxes(path: Path) -> dict[str, np.ndarray]:
    """Name of each node -> its corners in the file's frame."""
    scene = trimesh.load(path, process=False)
    found = {}
    for node in scene.graph.nodes_geometry:
        matrix, geometry = scene.graph[node]
        vertices = trimesh.transform_points(scene.geometry[geometry].vertices, matrix)
        found[node] = np.array([vertices.min(axis=0), vertices.max(axis=0)])
    return found


def box_of(points: np.ndarray) -> np.ndarray:
    return np.array([points.min(axis=0), points.max(axis=0)])


def test_both_frames(tmp_path: Path) -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    # A z-up world whose camera stands at one metre and looks along x.
    fixed_from_camera = Similarity(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([0.0, 0.0, 1.0]))
    things = [
        type(thing)(
            thing.instance_id,
            thing.mesh,
            fixed_from_camera @ thing.fixed_from_object,
            f"name {thing.instance_id}",
        )
        for thing in THREE_APART
    ]
    frame = world.frame(0.0, things, fixed_from_camera=fixed_from_camera)
    objects = serve(pipeline, frame).objects
    assert len(objects) == 3

    camera_file, fixed_file = tmp_path / "camera.glb", tmp_path / "fixed.glb"
    assert write_camera_scene(camera_file, [(thing.track_id, thing.estimate) for thing in objects]) == 3
    assert write_fixed_scene(fixed_file, objects) == 3
    seen, placed = boxes(camera_file), boxes(fixed_file)
    for thing in objects:
        name = f"object_{thing.track_id}_{thing.estimate.label}"
        x, y, z = thing.estimate.camera_from_object.apply(thing.estimate.mesh.vertices).T
        np.testing.assert_allclose(seen[name], box_of(np.stack([x, -y, -z], axis=1)), atol=1e-5)
        x, y, z = thing.fixed_from_object.apply(thing.estimate.mesh.vertices).T
        np.testing.assert_allclose(placed[name], box_of(np.stack([x, z, -y], axis=1)), atol=1e-5)


def test_what_has_no_triangle_is_left_out_and_nothing_at_all_is_refused(tmp_path: Path) -> None:
    verdict = Verdict(VerdictState.REJECTED, ("no_points",), np.nan, np.nan, np.nan, 0, ScaleSource.PRIOR)
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint8))
    without = ObjectEstimate(1, "", empty, Similarity(), np.eye(6), verdict)
    thing = THREE_APART[0]
    whole = ObjectEstimate(2, "", thing.mesh, thing.fixed_from_object, np.eye(6), verdict)
    path = tmp_path / "scene.glb"
    assert write_camera_scene(path, [(1, without), (2, whole)]) == 1
    assert list(boxes(path)) == ["object_2"]
    with pytest.raises(ValueError, match="no mesh"):
        write_camera_scene(tmp_path / "none.glb", [(1, without)])
    assert not (tmp_path / "none.glb").exists()


def test_people_stand_beside_objects(tmp_path: Path) -> None:
    solid = trimesh.creation.capsule(height=0.5, radius=0.2)
    surface = Mesh(
        np.asarray(solid.vertices, np.float32),
        np.asarray(solid.faces, np.uint32),
        np.full(solid.vertices.shape, 200, np.uint8),
    )
    nothing = np.zeros(0, np.float32)
    upright = Similarity(np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]), np.array([0.3, 0.2, 2.0]))
    body = BodyEstimate(
        instance_id=4,
        label="person",
        skeleton=Skeleton((), (), ()),
        keypoints=np.zeros((0, 3), np.float32),
        confidences=nothing,
        joints=np.zeros((0, 3), np.float32),
        joint_rotations=np.zeros((0, 3, 3), np.float32),
        joint_angles=np.zeros((0, 3), np.float32),
        camera_from_body=upright,
        mesh=surface,
        rig=RigParameters(*[nothing] * 7),
        verdict=Verdict(VerdictState.ACCEPTED, (), np.nan, np.nan, np.nan, 0, ScaleSource.PRIOR),
    )
    fixed_from_camera = Similarity(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([0.0, 0.0, 1.0]))
    tracked = TrackedBody(7, 1, body, fixed_from_camera, body.keypoints)
    bare = TrackedBody(8, 1, replace(body, mesh=None), fixed_from_camera, body.keypoints)
    assert write_camera_scene(tmp_path / "camera.glb", [], [(4, body)]) == 1
    assert write_fixed_scene(tmp_path / "fixed.glb", [], [tracked, bare]) == 1
    seen = upright.apply(surface.vertices)
    x, y, z = seen.T
    found = boxes(tmp_path / "camera.glb")
    np.testing.assert_allclose(found["body_4"], box_of(np.stack([x, -y, -z], axis=1)), atol=1e-5)
    x, y, z = fixed_from_camera.apply(seen).T
    found = boxes(tmp_path / "fixed.glb")
    np.testing.assert_allclose(found["body_7"], box_of(np.stack([x, z, -y], axis=1)), atol=1e-5)
