"""Tracked objects as RViz markers.

The mesh of an object is sent in the frame `object_<id>`, locked to it: RViz moves it with /tf. It is sent again only
when it has changed, and now and then for viewers that came late. Axes and text are light and come with every frame: the
colour of the text tells the verdict, so that no mesh is sent for one. What of a mesh is guessed is tinted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.perception.estimates import Verdict, VerdictState
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.marker_serialization import serialized_with_points
from sam3d_ros.ros.object_messages import fixed_from_box, object_frame, object_size
from sam3d_ros.ros.stamps import nanoseconds
from sam3d_ros.ros.surface_messages import SURFACE, surface_marker
from sam3d_ros.ros.transforms import pose_message

MESH, AXES, TEXT = "mesh", "axes", "text"
NAMESPACES = (MESH, AXES, TEXT)

#: Height of the text, metres.
_TEXT_HEIGHT = 0.03
#: Length and width of the axes as shares of the object's diameter.
_AXIS_LENGTH, _AXIS_WIDTH = 0.6, 0.03
_AXIS_COLORS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
#: Red, green and blue that the colours of guessed vertices are mixed with, and its share.
GUESSED_COLOR, GUESSED_SHARE = (0.65, 0.2, 1.0), 0.6
#: Red, green and blue of a verdict.
STATE_COLORS = {
    VerdictState.ACCEPTED: (0.3, 1.0, 0.3),
    VerdictState.UNCERTAIN: (1.0, 0.9, 0.2),
    VerdictState.REJECTED: (1.0, 0.3, 0.2),
}


@dataclass(frozen=True)
class _Sent:
    """What a viewer has of the mesh of an object."""

    version: int
    scale: tuple[float, ...]
    stamp: int


class MarkerBoard:
    """Knows which markers viewers have, and makes the messages that bring them up to date.

    Args:
        refresh: a mesh that did not change is sent again after so many seconds, one mesh a frame.
        prefix: of the frames of objects.
    """

    def __init__(self, refresh: float = 10.0, *, prefix: str = "") -> None:
        self._refresh = refresh
        self._prefix = prefix
        self._sent: dict[int, _Sent] = {}
        self._surfaces: set[int] = set()

    def update(
        self,
        objects: Sequence[TrackedObject],
        header: Header,
        surfaces: Sequence[SupportSurface] = (),
    ) -> list[MarkerArray | bytes]:
        """The messages to publish at a stamp, in this order; what is not among the objects any more is deleted.

        Bytes are a serialised MarkerArray, which a publisher of rclpy sends as it is. There are at most
        `len(objects) + 1` messages: a publisher that keeps fewer may lose some.
        """
        stamp = nanoseconds(header.stamp)
        light, meshes = MarkerArray(), []
        gone = self._sent.keys() - {tracked.track_id for tracked in objects}
        light.markers += self._deleted(sorted(gone))
        light.markers += self._deleted_surfaces(self._surfaces - {surface.surface_id for surface in surfaces})
        light.markers += [surface_marker(surface, header) for surface in surfaces]
        self._surfaces = {surface.surface_id for surface in surfaces}
        refreshed = self._due(stamp)
        for tracked in objects:
            known = self._sent.get(tracked.track_id)
            now = _sent(tracked, stamp)
            if known is None or refreshed == tracked.track_id or _changed(known, now):
                meshes.append(serialized_mesh_marker(tracked, self._prefix))
                self._sent[tracked.track_id] = now
            light.markers.append(axes_marker(tracked, header))
            light.markers.append(text_marker(tracked, header))
        return [light, *meshes]

    def clear(self) -> MarkerArray:
        """Delete everything that was sent."""
        markers = self._deleted(sorted(self._sent)) + self._deleted_surfaces(self._surfaces)
        self._surfaces = set()
        return MarkerArray(markers=markers)

    def _deleted(self, ids: Sequence[int]) -> list[Marker]:
        for track_id in ids:
            del self._sent[track_id]
        return [
            Marker(ns=namespace, id=track_id, action=Marker.DELETE)
            for track_id in ids
            for namespace in NAMESPACES
        ]

    def _deleted_surfaces(self, ids: Iterable[int]) -> list[Marker]:
        return [Marker(ns=SURFACE, id=surface_id, action=Marker.DELETE) for surface_id in sorted(ids)]

    def _due(self, stamp: int) -> int | None:
        """The object whose mesh was not sent for longest, if that is too long."""
        # By distance, so that a clock that has jumped back does not stop the refreshing.
        ages = {track_id: abs(stamp - sent.stamp) for track_id, sent in self._sent.items()}
        oldest = max(ages, key=ages.__getitem__, default=None)
        return None if oldest is None or ages[oldest] < self._refresh * 1e9 else oldest


def serialized_mesh_marker(tracked: TrackedObject, prefix: str = "") -> bytes:
    """The mesh with its colours, in the frame of the object, scaled to metres, as a serialised MarkerArray of one.

    It is locked to that frame and has stamp 0: it moves with the newest transform, whatever its stamp. Vertices that
    were not measured are tinted.
    """
    mesh, scale = tracked.estimate.mesh, tracked.fixed_from_object.scale
    marker = _marker(MESH, tracked.track_id, Marker.TRIANGLE_LIST)
    marker.header.frame_id = object_frame(tracked.track_id, prefix)
    marker.frame_locked = True
    marker.scale.x, marker.scale.y, marker.scale.z = scale.tolist()
    marker.color.a = 1.0
    corners = mesh.triangles.reshape(-1).astype(np.intp)
    colors = np.ones((len(mesh.vertices), 4), dtype=np.float32)
    colors[:, :3] = mesh.colors / np.float32(255.0)
    if (measured := tracked.estimate.measured) is not None:
        tint = np.float32(GUESSED_SHARE) * np.array(GUESSED_COLOR, np.float32)
        colors[~measured, :3] = np.float32(1.0 - GUESSED_SHARE) * colors[~measured, :3] + tint
    return serialized_with_points(marker, mesh.vertices[corners], colors[corners])


def axes_marker(tracked: TrackedObject, header: Header) -> Marker:
    """The axes of the object from the centre of its box: x red, y green, z blue."""
    diameter = float(np.linalg.norm(object_size(tracked)))
    marker = _marker(AXES, tracked.track_id, Marker.LINE_LIST)
    marker.header = header
    marker.pose = pose_message(fixed_from_box(tracked))
    marker.scale.x = _AXIS_WIDTH * diameter
    for direction, (r, g, b) in zip(np.eye(3).tolist(), _AXIS_COLORS, strict=True):
        x, y, z = (_AXIS_LENGTH * diameter * component for component in direction)
        marker.points += [Point(), Point(x=x, y=y, z=z)]
        marker.colors += [ColorRGBA(r=r, g=g, b=b, a=1.0)] * 2
    return marker


def text_marker(tracked: TrackedObject, header: Header) -> Marker:
    """Id, label, size and verdict beside the object, in the colour of the verdict."""
    verdict, size = tracked.estimate.verdict, object_size(tracked)
    marker = _marker(TEXT, tracked.track_id, Marker.TEXT_VIEW_FACING)
    marker.header = header
    marker.pose = pose_message(fixed_from_box(tracked))
    marker.scale.z = _TEXT_HEIGHT
    marker.color.r, marker.color.g, marker.color.b = STATE_COLORS[verdict.state]
    marker.color.a = 1.0
    marker.text = (
        f"{tracked.track_id} {tracked.estimate.label}".rstrip()
        + f"\n{_centimetres(size)} cm"
        + f"\n{verdict.state.name.lower()}{_reason(verdict)}"
    )
    return marker


def _marker(namespace: str, track_id: int, kind: int) -> Marker:
    marker = Marker(ns=namespace, id=track_id, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    return marker


def _sent(tracked: TrackedObject, stamp: int) -> _Sent:
    return _Sent(
        version=tracked.mesh_version,
        scale=tuple(tracked.fixed_from_object.scale.tolist()),
        stamp=stamp,
    )


def _changed(known: _Sent, now: _Sent) -> bool:
    return known.version != now.version or not np.allclose(known.scale, now.scale, rtol=1e-3)


def _centimetres(size: NDArray[np.float64]) -> str:
    return " x ".join(f"{100 * length:.1f}" for length in size.tolist())


def _reason(verdict: Verdict) -> str:
    return f": {verdict.reasons[0]}" if verdict.reasons else ""
