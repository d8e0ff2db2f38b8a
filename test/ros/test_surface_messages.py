"""Support surfaces as messages: what goes out comes back, over the wire, too."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import SupportSurfaceArray
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.ros.markers import MarkerBoard
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.surface_messages import (
    surface_array,
    surface_marker,
    surface_transforms,
    surfaces_from_message,
)
from sam3d_ros.ros.transforms import similarity_from_pose, similarity_from_transform

HEADER = header_message(7_000_000_008, "map")


def surface(surface_id: int, seed: int, corners: int = 5) -> SupportSurface:
    """A surface of a regular polygon anywhere, in the middle of its frame."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    pose = Similarity(Rotation.random(random_state=seed).as_matrix(), random.uniform(-3.0, 3.0, 3))
    polygon = random.uniform(0.2, 2.0) * np.column_stack([np.cos(angle), np.sin(angle)])
    return SupportSurface(surface_id, pose, polygon, 0.25, 0.125, "table", (3, 5), 0)


@given(seeds=st.lists(st.integers(0, 1000), max_size=4), corners=st.integers(3, 32))
def test_surfaces_survive_the_wire(seeds: list[int], corners: int) -> None:
    surfaces = [surface(index, seed, corners) for index, seed in enumerate(seeds, start=1)]
    message = surface_array(surfaces, HEADER, session=2**64 - 3, revision=2)
    received = deserialize_message(serialize_message(message), SupportSurfaceArray)
    assert (received.header, received.session, received.revision) == (HEADER, 2**64 - 3, 2)
    for found, expected in zip(surfaces_from_message(received), surfaces, strict=True):
        assert (found.id, found.label, found.residual) == (expected.surface_id, "table", 0.25)
        assert found.object_ids == (3, 5)
        assert np.allclose(found.header_from_surface.matrix(), expected.fixed_from_surface.matrix())
        assert np.array_equal(found.polygon, expected.polygon)


@given(seed=st.integers(0, 1000), corners=st.integers(3, 32))
def test_the_marker_covers_the_polygon_in_the_frame_of_the_surface(seed: int, corners: int) -> None:
    shown = surface(4, seed, corners)
    marker = surface_marker(shown, HEADER)
    assert (marker.header, marker.ns, marker.id) == (HEADER, "surface", 4)
    assert np.allclose(similarity_from_pose(marker.pose).matrix(), shown.fixed_from_surface.matrix())
    triangles = np.array([(p.x, p.y, p.z) for p in marker.points]).reshape(-1, 3, 3)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    radius = np.linalg.norm(shown.polygon[0])
    assert (normals[:, 2] > 0.0).all()
    assert np.isclose(normals[:, 2].sum() / 2.0, corners / 2.0 * radius**2 * np.sin(2.0 * np.pi / corners))


def test_frames_are_named_after_the_surfaces_with_the_prefix() -> None:
    (frame,) = surface_transforms([surface(4, 0)], HEADER, "left/")
    assert (frame.header, frame.child_frame_id) == (HEADER, "left/surface_4")
    sent = similarity_from_transform(frame.transform)
    assert np.allclose(sent.matrix(), surface(4, 0).fixed_from_surface.matrix())


def test_markers_of_forgotten_surfaces_are_deleted() -> None:
    board = MarkerBoard()

    def told(*ids: int) -> dict[int, int]:
        (message,) = board.update([], HEADER, [surface(i, i) for i in ids])
        return {marker.id: marker.action for marker in message.markers}

    assert told(1, 2) == {1: Marker.ADD, 2: Marker.ADD}
    assert told(2, 3) == {1: Marker.DELETE, 2: Marker.ADD, 3: Marker.ADD}
    cleared = board.clear()
    assert {(m.ns, m.id, m.action) for m in cleared.markers} == {
        ("surface", i, Marker.DELETE) for i in (2, 3)
    }
    assert board.clear().markers == []
