"""People as messages, frames and markers: all tell the same places, after the wire."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from analytic_bodies import FACING, JOINTS, KEYPOINTS, SKELETON, SURFACE, standing_body
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.body_markers import NAMESPACES, BodyMarkerBoard, joint_marker, name_marker, skeleton_marker
from sam3d_ros.ros.body_messages import bodies_from_message, body_array, body_mesh, body_transforms
from sam3d_ros.ros.object_messages import mesh_from_message
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import similarity_from_pose, similarity_from_transform

HEADER = header_message(1_500_000_000, "map")
#: Does not fit 63 bits.
SESSION = 2**64 - 3
FIXED_FROM_CAMERA = Similarity.from_quaternion((0.1, -0.4, 0.2, 0.8), (1.0, 2.0, 3.0))
poses = st.builds(
    Similarity.from_quaternion,
    st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.tuples(*[st.floats(-5, 5)] * 3),
)


def tracked(track_id: int = 4, pose: Similarity = FACING, **options: object) -> TrackedBody:
    estimate = standing_body(9, pose, **options)
    keypoints = FIXED_FROM_CAMERA.apply(estimate.keypoints).astype(np.float32)
    return TrackedBody(track_id, 3, estimate, FIXED_FROM_CAMERA, keypoints)


@given(poses)
def test_a_body_array_brings_everything_to_the_other_side(pose: Similarity) -> None:
    wire = serialize_message(body_array([tracked(pose=pose)], HEADER, session=SESSION))
    message = deserialize_message(wire, BodyArray)
    assert message.header == HEADER
    (body,) = bodies_from_message(message)
    truth = FIXED_FROM_CAMERA @ pose
    assert (body.id, body.label, body.mesh_version) == (4, "person", 3)
    assert body.skeleton == SKELETON
    assert np.allclose(body.header_from_body.matrix(), truth.matrix(), atol=1e-6)
    assert np.allclose(body.keypoints, truth.apply(list(KEYPOINTS.values())), atol=1e-5)
    assert np.allclose(body.joints, truth.apply(JOINTS), atol=1e-5)
    assert np.allclose(body.joint_rotations[0], truth.rotation, atol=1e-5)
    assert (body.confidences == 0.5).all()
    for field in fields(RigParameters):
        assert np.array_equal(getattr(body.rig, field.name), getattr(standing_body().rig, field.name))
    assert body.verdict.state is VerdictState.ACCEPTED


def test_nobody_is_an_empty_array() -> None:
    wire = serialize_message(body_array([], HEADER, session=SESSION))
    message = deserialize_message(wire, BodyArray)
    assert bodies_from_message(message) == []
    assert message.session == SESSION


def test_arrays_that_do_not_fit_the_names_are_refused() -> None:
    message = body_array([tracked()], HEADER, session=SESSION)
    message.joint_names.append("tail")
    with pytest.raises(ValueError, match="joint_positions of body 4 has 9 numbers: 12 are expected"):
        bodies_from_message(message)


def test_the_surface_is_told_in_the_frame_of_the_body() -> None:
    message = deserialize_message(serialize_message(body_mesh(tracked(), HEADER, session=SESSION)), BodyMesh)
    assert (message.header.stamp, message.header.frame_id) == (HEADER.stamp, "body_4")
    assert (message.session, message.id, message.version) == (SESSION, 4, 3)
    mesh = mesh_from_message(message)
    assert np.array_equal(mesh.vertices, SURFACE.vertices)
    assert np.array_equal(mesh.triangles, SURFACE.triangles)
    bare = tracked(mesh=None)
    assert body_mesh(bare, HEADER, session=SESSION) is None
    assert body_array([bare], HEADER, session=SESSION).bodies[0].mesh_version == 0


@given(poses)
def test_frames_make_one_tree_that_ends_where_the_joints_are(pose: Similarity) -> None:
    truth = FIXED_FROM_CAMERA @ pose
    found = {"map": Similarity()}
    for transform in body_transforms([tracked(pose=pose), tracked(5)], HEADER):
        assert transform.header.stamp == HEADER.stamp
        parent = found[transform.header.frame_id]
        found[transform.child_frame_id] = parent @ similarity_from_transform(transform.transform)
    bodies = {f"{name}_{i}" for i in (4, 5) for name in ("body", *SKELETON.joints)}
    assert set(found) == {"map"} | bodies
    assert np.allclose(found["body_4"].matrix(), truth.matrix(), atol=1e-6)
    for index, name in enumerate(SKELETON.joints):
        joint = found[f"{name}_4"]
        assert np.allclose(joint.translation, truth.apply(JOINTS[index]), atol=1e-5)
        turn = Similarity.from_quaternion((0, 0, np.sin(0.05 * index), np.cos(0.05 * index)))
        assert np.allclose(joint.rotation, truth.rotation @ turn.rotation, atol=1e-5)


def test_a_prefix_stands_before_every_frame_of_a_person_and_leaves_the_tree_as_it_is() -> None:
    prefix = "robot1/"
    plain = body_transforms([tracked()], HEADER)
    for transform, other in zip(body_transforms([tracked()], HEADER, prefix=prefix), plain, strict=True):
        assert transform.child_frame_id == prefix + other.child_frame_id
        parent = other.header.frame_id
        assert transform.header.frame_id == (parent if parent == "map" else prefix + parent)
        assert transform.transform == other.transform
    mesh = body_mesh(tracked(), HEADER, session=SESSION, prefix=prefix)
    assert mesh is not None and mesh.header.frame_id == "robot1/body_4"
    viewer = Viewer()
    viewer.receive(BodyMarkerBoard(prefix=prefix).update([tracked()], HEADER))
    assert viewer.shown["surface", 4].header.frame_id == "robot1/body_4"
    assert viewer.shown["name", 4].text.startswith("robot1/body_4 ")


def test_joints_may_be_left_out_of_the_tree() -> None:
    transforms = body_transforms([tracked()], HEADER, joints=False)
    assert [t.child_frame_id for t in transforms] == ["body_4"]


def test_the_skeleton_is_drawn_between_the_keypoints_that_are_known() -> None:
    body = tracked(unknown=("left_wrist",))
    lines, spheres = skeleton_marker(body, HEADER), joint_marker(body, HEADER)
    places = (FIXED_FROM_CAMERA @ FACING).apply(list(KEYPOINTS.values()))
    drawn = np.array([(p.x, p.y, p.z) for p in lines.points]).reshape(-1, 2, 3)
    known = [link for link in SKELETON.links if 5 not in link]
    assert np.allclose(drawn, places[np.array(known)], atol=1e-5)
    assert len(lines.colors) == len(lines.points)
    assert np.allclose([(p.x, p.y, p.z) for p in spheres.points], places[:5], atol=1e-5)
    left, right = spheres.colors[1], spheres.colors[2]
    assert (left.b, left.r) != (right.b, right.r)


def test_the_name_stands_above_the_head() -> None:
    body = tracked(state=VerdictState.REJECTED)
    marker = name_marker(body, HEADER)
    place = body.fixed_from_body.apply_inverse(similarity_from_pose(marker.pose).translation)
    assert place[2] > KEYPOINTS["nose"][2]
    assert np.allclose(place[:2], 0.0, atol=1e-6)
    assert marker.text.splitlines() == ["body_4 person", "REJECTED"]


class Viewer:
    """Shows what the messages say, as RViz does."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, int], Marker] = {}

    def receive(self, messages: list[MarkerArray | bytes]) -> None:
        for message in messages:
            wire = message if isinstance(message, bytes) else serialize_message(message)
            for marker in deserialize_message(wire, MarkerArray).markers:
                if marker.action == Marker.DELETE:
                    self.shown.pop((marker.ns, marker.id), None)
                else:
                    self.shown[marker.ns, marker.id] = marker


@given(st.lists(st.frozensets(st.integers(1, 4)), max_size=6))
def test_a_viewer_shows_exactly_the_present_people(frames: list[frozenset[int]]) -> None:
    board, viewer = BodyMarkerBoard(), Viewer()
    for present in frames:
        viewer.receive(board.update([tracked(i) for i in sorted(present)], HEADER))
        assert set(viewer.shown) == {(ns, i) for ns in NAMESPACES for i in present}
    viewer.receive([board.clear()])
    assert viewer.shown == {}


def test_the_surface_is_translucent_and_moves_with_the_body() -> None:
    viewer = Viewer()
    viewer.receive(BodyMarkerBoard().update([tracked()], HEADER))
    surface = viewer.shown["surface", 4]
    assert (surface.type, surface.header.frame_id, surface.frame_locked) == (
        Marker.TRIANGLE_LIST,
        "body_4",
        True,
    )
    drawn = np.array([(p.x, p.y, p.z) for p in surface.points]).reshape(-1, 3, 3)
    assert np.array_equal(drawn, SURFACE.vertices[SURFACE.triangles])
    assert all(0.0 < color.a < 1.0 for color in surface.colors)
    viewer = Viewer()
    viewer.receive(BodyMarkerBoard(surfaces=False).update([tracked()], HEADER))
    assert ("surface", 4) not in viewer.shown


def test_an_empty_label_leaves_no_gap() -> None:
    body = tracked()
    body = replace(body, estimate=replace(body.estimate, label=""))
    assert name_marker(body, HEADER).text.startswith("body_4\n")
