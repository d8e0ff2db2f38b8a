"""Objects as messages, through the real serialisation, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.msg import ObjectArray, ObjectMesh
from sam3d_ros.msg import Verdict as VerdictMessage
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.object_messages import (
    confidence,
    detection_array,
    mesh_from_message,
    object_array,
    object_mesh,
    object_transforms,
    objects_from_message,
    verdict_from_message,
    verdict_message,
)
from sam3d_ros.ros.stamps import header_message, nanoseconds, time_message
from sam3d_ros.ros.transforms import similarity_from_pose, similarity_from_transform

HEADER = header_message(1_234_567_890, "map")
#: Does not fit 63 bits.
SESSION = 2**64 - 3


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def box(low=(-0.5, -0.25, -0.5), high=(0.5, 0.25, 0.0)) -> Mesh:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    vertices = np.array(low) + corners * (np.array(high) - np.array(low))
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Mesh(vertices, np.array(triangles), np.arange(24, dtype=np.uint8).reshape(8, 3))


finite = st.floats(-10.0, 10.0)
seeds = st.integers(0, 2**32 - 1)
figures = st.one_of(st.floats(0.0, 1.0, width=32), st.just(math.nan))
verdicts = st.builds(
    Verdict,
    state=st.sampled_from(VerdictState),
    reasons=st.lists(st.sampled_from(["few_points", "low_iou"]), max_size=2).map(tuple),
    mask_iou=figures,
    depth_residual=figures,
    inlier_ratio=figures,
    point_count=st.integers(0, 10**6),
    scale_source=st.sampled_from(ScaleSource),
)


@st.composite
def tracked_objects(draw) -> TrackedObject:
    rng = np.random.default_rng(draw(seeds))
    scale = rng.uniform(0.05, 2.0, 3)
    camera_from_object = Similarity(Rotation.random(None, rng).as_matrix(), rng.normal(size=3), scale)
    fixed_from_camera = Similarity(Rotation.random(None, rng).as_matrix(), rng.normal(size=3))
    root = rng.normal(size=(6, 6))
    estimate = ObjectEstimate(
        instance_id=draw(st.integers(0, 65535)),
        label=draw(st.sampled_from(["", "mug", "Tasse größer"])),
        mesh=box(rng.uniform(-0.5, -0.1, 3), rng.uniform(0.1, 0.5, 3)),
        camera_from_object=camera_from_object,
        covariance=root @ root.T,
        verdict=draw(verdicts),
    )
    return TrackedObject(
        track_id=draw(st.integers(1, 2**32 - 1)),
        mesh_version=draw(st.integers(1, 2**32 - 1)),
        estimate=estimate,
        fixed_from_object=fixed_from_camera @ camera_from_object,
        last_seen=0,
        mesh_stamp=0,
    )


@given(st.lists(tracked_objects(), max_size=3))
def test_objects_read_back_as_they_were(objects):
    message = through_the_wire(object_array(objects, HEADER, session=SESSION))
    assert isinstance(message, ObjectArray) and message.header == HEADER
    for tracked, received in zip(objects, objects_from_message(message), strict=True):
        assert (received.id, received.label, received.mesh_version) == (
            tracked.track_id,
            tracked.estimate.label,
            tracked.mesh_version,
        )
        np.testing.assert_allclose(
            received.header_from_object.matrix(), tracked.fixed_from_object.matrix(), atol=1e-12
        )
        extent = np.ptp(tracked.estimate.mesh.vertices.astype(np.float64), axis=0)
        np.testing.assert_allclose(received.size, extent * tracked.fixed_from_object.scale, rtol=1e-6)
        assert str(received.verdict) == str(tracked.estimate.verdict)


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**32 - 1))
def test_session_and_revision_are_told_whole(session: int, revision: int):
    message = through_the_wire(object_array([], HEADER, session=session, revision=revision))
    assert (message.session, message.revision) == (session, revision)


@given(tracked_objects())
def test_covariance_turns_with_the_frame(tracked):
    """Against its definition: variances of directions do not depend on the frame they are written in."""
    (received,) = objects_from_message(object_array([tracked], HEADER, session=SESSION))
    camera, fixed = tracked.estimate.camera_from_object.rotation, tracked.fixed_from_object.rotation
    for block in (slice(0, 3), slice(3, 6)):
        for axis in np.eye(3):
            # The same axis of the object, once in the optical and once in the fixed frame.
            a, b = camera @ axis, fixed @ axis
            expected = a @ tracked.estimate.covariance[block, block] @ a
            assert b @ received.covariance[block, block] @ b == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(received.covariance), np.linalg.eigvalsh(tracked.estimate.covariance), atol=1e-9
    )


@given(tracked_objects())
def test_meshes_read_back_as_they_were(tracked):
    message = through_the_wire(object_mesh(tracked, HEADER, session=SESSION))
    assert isinstance(message, ObjectMesh)
    told = (message.session, message.id, message.version)
    assert told == (SESSION, tracked.track_id, tracked.mesh_version)
    back, mesh = mesh_from_message(message), tracked.estimate.mesh
    for name in ("vertices", "triangles", "colors"):
        np.testing.assert_array_equal(getattr(back, name), getattr(mesh, name))
        assert getattr(back, name).dtype == getattr(mesh, name).dtype


def test_meshes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="multiple of 3"):
        mesh_from_message(ObjectMesh(vertices=[0.0, 1.0]))
    with pytest.raises(ValueError, match="index up to 5"):
        mesh_from_message(ObjectMesh(vertices=[0.0] * 9, colors=[0] * 9, triangles=[0, 1, 5]))


@given(tracked_objects())
def test_detection_boxes_hold_all_vertices_and_no_smaller_box_does(tracked):
    message = through_the_wire(detection_array([tracked], HEADER))
    assert isinstance(message, Detection3DArray)
    (detection,) = message.detections
    assert detection.id == str(tracked.track_id) and detection.header == HEADER
    size = np.array([detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z])
    vertices = tracked.fixed_from_object.apply(tracked.estimate.mesh.vertices)
    inside = similarity_from_pose(detection.bbox.center).inverse().apply(vertices)
    np.testing.assert_allclose(inside.max(axis=0), size / 2, atol=1e-6)
    np.testing.assert_allclose(inside.min(axis=0), -size / 2, atol=1e-6)
    (result,) = detection.results
    assert result.hypothesis.class_id == tracked.estimate.label
    assert 0.0 <= result.hypothesis.score <= 1.0


@given(tracked_objects())
def test_all_messages_agree_on_the_pose(tracked):
    (item,) = object_array([tracked], HEADER, session=SESSION).objects
    (transform,) = object_transforms([tracked], HEADER)
    (detection,) = detection_array([tracked], HEADER).detections
    pose = similarity_from_pose(item.pose.pose).matrix()
    np.testing.assert_allclose(similarity_from_transform(transform.transform).matrix(), pose, atol=1e-12)
    np.testing.assert_allclose(
        similarity_from_pose(detection.results[0].pose.pose).matrix(), pose, atol=1e-12
    )
    assert transform.child_frame_id == f"object_{tracked.track_id}" and transform.header == HEADER


@given(verdicts)
def test_verdicts_read_back(verdict):
    back = verdict_from_message(through_the_wire(verdict_message(verdict)))
    assert str(back) == str(verdict)  # the text shows NaN alike


def test_the_values_of_states_and_sources_are_those_of_the_message():
    for state in VerdictState:
        assert getattr(VerdictMessage, state.name) == state.value
    for source in ScaleSource:
        assert getattr(VerdictMessage, source.name) == source.value


@given(verdicts)
def test_confidence_is_the_worse_figure_and_none_for_the_rejected(verdict):
    score = confidence(verdict)
    known = [value for value in (verdict.mask_iou, verdict.inlier_ratio) if not math.isnan(value)]
    if verdict.state is VerdictState.REJECTED or not known:
        assert score == 0.0
    else:
        assert score == min(known)


@given(st.integers(-(2**31) * 10**9, (2**31) * 10**9 - 1))
def test_stamps_read_back(stamp):
    assert nanoseconds(through_the_wire(time_message(stamp))) == stamp
    assert isinstance(header_message(stamp, "map"), Header)


@given(tracked_objects(), st.sampled_from(["", "robot1/", "a/b/", "left_"]))
def test_a_prefix_stands_before_the_frame_of_the_object_and_of_nothing_else(tracked, prefix):
    (plain,), (transform,) = (object_transforms([tracked], HEADER, p) for p in ("", prefix))
    assert transform.child_frame_id == f"{prefix}object_{tracked.track_id}"
    assert (transform.header, transform.transform) == (HEADER, plain.transform)
