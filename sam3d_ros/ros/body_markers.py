"""Tracked people as RViz markers: skeleton, joints, a translucent surface and a name.

People move, so that everything is sent with every image. The surface is sent in the frame `body_<id>`, locked to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.body_messages import body_frame
from sam3d_ros.ros.marker_serialization import serialized_with_points
from sam3d_ros.ros.markers import STATE_COLORS

SKELETON, JOINTS, SURFACE, NAME = "skeleton", "joints", "surface", "name"
NAMESPACES = (SKELETON, JOINTS, SURFACE, NAME)

#: Metres.
_LINE_WIDTH, _SPHERE_DIAMETER, _TEXT_HEIGHT, _TEXT_DISTANCE = 0.012, 0.025, 0.08, 0.15
_SURFACE_ALPHA = 0.35
#: Sides of a skeleton are told apart by colour: red, green and blue of each.
_SIDE_COLORS = {"left": (0.2, 0.6, 1.0), "right": (1.0, 0.45, 0.2), "middle": (0.9, 0.9, 0.9)}


class BodyMarkerBoard:
    """Knows whose markers viewers have, and makes the messages that bring them up to date.

    Args:
        surfaces: whether the surface is shown; a megabyte for every person and image.
        prefix: of the frames of people.
    """

    def __init__(self, *, surfaces: bool = True, prefix: str = "") -> None:
        self._surfaces = surfaces
        self._prefix = prefix
        self._shown: set[int] = set()

    def update(self, bodies: Sequence[TrackedBody], header: Header) -> list[MarkerArray | bytes]:
        """The messages to publish at a stamp, in this order; who is not among the bodies is deleted.

        Bytes are a serialised MarkerArray, which a publisher of rclpy sends as it is. There are at most
        `len(bodies) + 1` messages.
        """
        present = {tracked.track_id for tracked in bodies}
        light = _deleted(sorted(self._shown - present))
        surfaces = []
        for tracked in bodies:
            light.markers += [
                skeleton_marker(tracked, header),
                joint_marker(tracked, header),
                name_marker(tracked, header, self._prefix),
            ]
            if self._surfaces and tracked.estimate.mesh is not None:
                surfaces.append(serialized_surface_marker(tracked, self._prefix))
        self._shown = present
        return [light, *surfaces]

    def clear(self) -> MarkerArray:
        """Delete everything that was sent."""
        gone, self._shown = sorted(self._shown), set()
        return _deleted(gone)


def skeleton_marker(tracked: TrackedBody, header: Header) -> Marker:
    """Lines between the keypoints that are known, coloured by side."""
    marker = _marker(SKELETON, tracked, Marker.LINE_LIST, header)
    marker.scale.x = _LINE_WIDTH
    names, points = tracked.estimate.skeleton.keypoints, _points(tracked.keypoints)
    for start, end in tracked.estimate.skeleton.links:
        first, last = points[start], points[end]
        if first is not None and last is not None:
            marker.points += [first, last]
            marker.colors += [_side_color(names[start]), _side_color(names[end])]
    return marker


def joint_marker(tracked: TrackedBody, header: Header) -> Marker:
    """A sphere at each keypoint that is known."""
    marker = _marker(JOINTS, tracked, Marker.SPHERE_LIST, header)
    marker.scale.x = marker.scale.y = marker.scale.z = _SPHERE_DIAMETER
    names = tracked.estimate.skeleton.keypoints
    for name, point in zip(names, _points(tracked.keypoints), strict=True):
        if point is not None:
            marker.points.append(point)
            marker.colors.append(_side_color(name))
    return marker


def name_marker(tracked: TrackedBody, header: Header, prefix: str = "") -> Marker:
    """Frame, class name and verdict above the head, in the colour of the verdict."""
    estimate = tracked.estimate
    marker = _marker(NAME, tracked, Marker.TEXT_VIEW_FACING, header)
    place = tracked.fixed_from_body.apply((0.0, 0.0, _top(tracked) + _TEXT_DISTANCE))
    marker.pose.position.x, marker.pose.position.y, marker.pose.position.z = place.tolist()
    marker.scale.z = _TEXT_HEIGHT
    marker.color.r, marker.color.g, marker.color.b = STATE_COLORS[estimate.verdict.state]
    reasons = estimate.verdict.reasons
    state = estimate.verdict.state.name + (f": {reasons[0]}" if reasons else "")
    marker.text = f"{body_frame(tracked.track_id, prefix)} {estimate.label}".rstrip() + f"\n{state}"
    return marker


def serialized_surface_marker(tracked: TrackedBody, prefix: str = "") -> bytes:
    """The translucent surface in the frame of the body, as a serialised MarkerArray of one.

    It is locked to that frame and has stamp 0: it moves with the newest transform, whatever its stamp.

    Raises:
        ValueError: the body has no surface.
    """
    mesh = tracked.estimate.mesh
    if mesh is None:
        raise ValueError(f"body {tracked.track_id} has no surface: ask the reconstructor for one")
    header = Header(frame_id=body_frame(tracked.track_id, prefix))
    marker = _marker(SURFACE, tracked, Marker.TRIANGLE_LIST, header)
    marker.frame_locked = True
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    marker.color.a = _SURFACE_ALPHA
    corners = mesh.triangles.reshape(-1).astype(np.intp)
    colors = np.full((len(mesh.vertices), 4), _SURFACE_ALPHA, dtype=np.float32)
    colors[:, :3] = mesh.colors / np.float32(255.0)
    return serialized_with_points(marker, mesh.vertices[corners], colors[corners])


def _marker(namespace: str, tracked: TrackedBody, kind: int, header: Header) -> Marker:
    marker = Marker(header=header, ns=namespace, id=tracked.track_id, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.color.a = 1.0
    return marker


def _deleted(ids: Sequence[int]) -> MarkerArray:
    return MarkerArray(
        markers=[Marker(ns=name, id=i, action=Marker.DELETE) for i in ids for name in NAMESPACES]
    )


def _points(positions: NDArray[np.float32]) -> list[Point | None]:
    known = np.asarray(np.isfinite(positions).all(axis=1)).tolist()
    return [
        Point(x=x, y=y, z=z) if is_known else None
        for (x, y, z), is_known in zip(positions.astype(np.float64).tolist(), known, strict=True)
    ]


def _side_color(name: str) -> ColorRGBA:
    r, g, b = _SIDE_COLORS.get(name.partition("_")[0], _SIDE_COLORS["middle"])
    return ColorRGBA(r=r, g=g, b=b, a=1.0)


def _top(tracked: TrackedBody) -> float:
    """How far the body reaches above the hips, metres along its z."""
    heights = tracked.fixed_from_body.apply_inverse(tracked.keypoints)[:, 2]
    return float(np.nanmax(heights, initial=0.0))
