"""Markers against the objects that they show, and what a viewer would hold after each message."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Point
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.marker_serialization import serialized_with_points
from sam3d_ros.ros.markers import (
    AXES,
    GUESSED_COLOR,
    GUESSED_SHARE,
    MESH,
    NAMESPACES,
    TEXT,
    MarkerBoard,
)
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import similarity_from_pose

SECOND = 1_000_000_000
TETRAHEDRON = Mesh(
    np.array([[-0.5, -0.5, -0.5], [0.5, -0.5, -0.5], [-0.5, 0.5, -0.5], [-0.5, -0.5, 0.5]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [51, 102, 204]]),
)


def tracked(
    track_id: int, version: int = 1, state=VerdictState.ACCEPTED, scale=(0.1, 0.2, 0.3)
) -> TrackedObject:
    reasons = () if state is VerdictState.ACCEPTED else ("low_mask_iou",)
    pose = Similarity(translation=np.array([track_id, 0.0, 2.0]), scale=np.array(scale))
    verdict = Verdict(state, reasons, 0.9, 0.002, 0.95, 500, ScaleSource.DEPTH)
    estimate = ObjectEstimate(track_id, "mug", TETRAHEDRON, pose, np.eye(6), verdict)
    return TrackedObject(track_id, version, estimate, pose, 0, 0)


class Viewer:
    """Keeps markers as RViz does: by namespace and id, until they are deleted."""

    def __init__(self) -> None:
        self.markers: dict[tuple[str, int], Marker] = {}
        self.meshes_received = 0

    def receive(self, messages: list[MarkerArray | bytes]) -> None:
        for message in messages:
            wire = message if isinstance(message, bytes) else serialize_message(message)
            for marker in deserialize_message(wire, MarkerArray).markers:
                key = (marker.ns, marker.id)
                if marker.action == Marker.DELETE:
                    self.markers.pop(key, None)
                else:
                    self.markers[key] = marker
                    self.meshes_received += marker.ns == MESH


def at(seconds: float):
    return header_message(round(seconds * SECOND), "map")


def test_the_mesh_is_drawn_triangle_by_triangle_in_the_frame_of_the_object():
    viewer = Viewer()
    viewer.receive(MarkerBoard().update([tracked(4)], at(1.0)))
    marker = viewer.markers[MESH, 4]
    assert marker.type == Marker.TRIANGLE_LIST and marker.frame_locked
    assert marker.header.frame_id == "object_4" and marker.header.stamp.sec == 0
    assert (marker.pose.position.x, marker.pose.orientation.w) == (0.0, 1.0)
    points = np.array([(p.x, p.y, p.z) for p in marker.points]).reshape(-1, 3, 3)
    np.testing.assert_allclose(points, TETRAHEDRON.vertices[TETRAHEDRON.triangles])
    colors = np.array([(c.r, c.g, c.b) for c in marker.colors]).reshape(-1, 3, 3)
    np.testing.assert_allclose(colors, TETRAHEDRON.colors[TETRAHEDRON.triangles] / 255.0, atol=1e-6)
    assert {c.a for c in marker.colors} == {1.0}
    assert (marker.scale.x, marker.scale.y, marker.scale.z) == (0.1, 0.2, 0.3)


def test_what_is_guessed_of_a_mesh_is_tinted():
    item, viewer = tracked(4), Viewer()
    estimate = replace(item.estimate, measured=np.array([True, False, True, False]))
    viewer.receive(MarkerBoard().update([replace(item, estimate=estimate)], at(1.0)))
    shown = np.array([(c.r, c.g, c.b) for c in viewer.markers[MESH, 4].colors])
    # Vertices 0 and 2 are pure red and blue, 1 and 3 green and a bluish grey.
    expected = TETRAHEDRON.colors / 255.0
    for guessed in (1, 3):
        expected[guessed] += GUESSED_SHARE * (np.array(GUESSED_COLOR) - expected[guessed])
    np.testing.assert_allclose(shown, expected[TETRAHEDRON.triangles.reshape(-1)], atol=1e-6)


def test_the_mesh_is_in_the_frame_of_the_prefix():
    viewer = Viewer()
    viewer.receive(MarkerBoard(prefix="robot1/").update([tracked(4)], at(1.0)))
    frames = {name: marker.header.frame_id for (name, _), marker in viewer.markers.items()}
    assert frames == {MESH: "robot1/object_4", AXES: "map", TEXT: "map"}


def test_axes_and_text_are_where_the_object_is():
    viewer = Viewer()
    viewer.receive(MarkerBoard().update([tracked(4), tracked(5, state=VerdictState.REJECTED)], at(1.0)))
    axes, text = viewer.markers[AXES, 4], viewer.markers[TEXT, 4]
    for marker in (axes, text):
        assert marker.header == at(1.0)
        # The box of the tetrahedron is centred on its frame.
        np.testing.assert_allclose(similarity_from_pose(marker.pose).translation, (4.0, 0.0, 2.0))
    ends = np.array([(p.x, p.y, p.z) for p in axes.points])
    np.testing.assert_allclose(ends[0::2], 0.0)
    np.testing.assert_allclose(ends[1::2] / ends[1, 0], np.eye(3))
    assert text.text == "4 mug\n10.0 x 20.0 x 30.0 cm\naccepted"
    assert viewer.markers[TEXT, 5].text.endswith("rejected: low_mask_iou")
    green, red = (viewer.markers[TEXT, i].color for i in (4, 5))
    assert green.g > green.r and red.r > red.g


def test_a_mesh_is_sent_again_only_when_it_has_changed():
    board, viewer = MarkerBoard(refresh=1000.0), Viewer()
    for i in range(10):
        viewer.receive(board.update([tracked(1)], at(i)))
    assert viewer.meshes_received == 1
    viewer.receive(board.update([tracked(1, version=2)], at(11)))
    viewer.receive(board.update([tracked(1, version=2, scale=(0.1, 0.2, 0.31))], at(12)))
    assert viewer.meshes_received == 3


def test_a_change_of_verdict_sends_a_colour_and_no_mesh():
    board, viewer = MarkerBoard(refresh=1000.0), Viewer()
    colors = set()
    for i, state in enumerate((*VerdictState, *reversed(VerdictState))):
        viewer.receive(board.update([tracked(1, state=state)], at(i)))
        color = viewer.markers[TEXT, 1].color
        colors.add((state, color.r, color.g, color.b, color.a))
    assert viewer.meshes_received == 1
    assert len({color for _, *color in map(tuple, colors) for color in [tuple(color)]}) == len(colors) == 3


def test_a_viewer_that_comes_late_gets_every_mesh_in_a_while():
    board, late = MarkerBoard(refresh=3.0), Viewer()
    objects = [tracked(i) for i in range(1, 6)]
    board.update(objects, at(0.0))
    for i in range(1, 60):
        messages = board.update(objects, at(0.1 * i))
        assert len(messages) <= 2
        late.receive(messages)
    assert {key for key in late.markers if key[0] == MESH} == {(MESH, i) for i in range(1, 6)}
    # A clock that jumps back does not stop the refreshing.
    again = Viewer()
    for i in range(1, 20):
        again.receive(board.update(objects, at(-1000.0 + 0.1 * i)))
    assert again.meshes_received >= 5


@given(st.lists(st.sets(st.integers(1, 6)), max_size=12))
@settings(max_examples=25)
def test_a_viewer_shows_exactly_the_present_objects(frames):
    board, viewer = MarkerBoard(), Viewer()
    for i, present in enumerate(frames):
        viewer.receive(board.update([tracked(track_id) for track_id in sorted(present)], at(i)))
        assert viewer.markers.keys() == {(ns, track_id) for ns in NAMESPACES for track_id in present}
    viewer.receive([board.clear()])
    assert viewer.markers == {}


def test_the_label_may_be_empty():
    item = tracked(3)
    unnamed = replace(item, estimate=replace(item.estimate, label=""))
    viewer = Viewer()
    viewer.receive(MarkerBoard().update([unnamed], at(0)))
    assert viewer.markers[TEXT, 3].text.startswith("3\n")


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(names, names, st.integers(0, 7), st.integers(0, 2**32 - 1), names)
def test_points_put_into_the_bytes_read_back_as_a_marker_that_was_made_of_messages(
    frame, namespace, count, seed, text
):
    rng = np.random.default_rng(seed)
    points, colors = rng.normal(size=(count, 3)), rng.random((count, 4)).astype(np.float32)

    def marker() -> Marker:
        made = Marker(ns=namespace, id=seed % 2**31, type=Marker.TRIANGLE_LIST, frame_locked=True)
        made.header.frame_id, made.text, made.mesh_resource = frame, text, text
        made.scale.x, made.pose.orientation.w, made.color.a = 0.5, 1.0, 0.25
        made.lifetime.sec = 7
        return made

    expected = marker()
    expected.points = [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]
    expected.colors = [ColorRGBA(r=r, g=g, b=b, a=a) for r, g, b, a in colors.tolist()]
    wire = serialized_with_points(marker(), points, colors)
    assert deserialize_message(wire, MarkerArray).markers == [expected]


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"points are \(2, 3\) and colors \(3, 4\)"):
        serialized_with_points(Marker(), np.zeros((2, 3)), np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="without any"):
        serialized_with_points(Marker(points=[Point()]), np.zeros((0, 3)), np.zeros((0, 4), np.float32))
