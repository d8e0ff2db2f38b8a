"""Support surfaces as messages, frames and markers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from geometry_msgs.msg import Point, TransformStamped
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import SupportSurface as SupportSurfaceMessage
from sam3d_ros.msg import SupportSurfaceArray
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.ros.transforms import pose_message, similarity_from_pose, transform_message

SURFACE = "surface"
#: Red, green, blue and opacity of a surface: what is on it and below it is to be seen.
_COLOR = (0.35, 0.6, 1.0, 0.35)


@dataclass(frozen=True, eq=False)
class ReceivedSurface:
    """A surface as a SupportSurfaceArray tells it.

    Attributes:
        id: stable for as long as the surface is tracked.
        label: class name, may be empty.
        header_from_surface: its frame, z up, in the frame of the message.
        polygon: (K, 2) corners of its convex hull, counter-clockwise, metres in its frame.
        residual: standard deviation of the measured points across it, metres.
        object_ids: of the objects that stand on it.
    """

    id: int
    label: str
    header_from_surface: Similarity
    polygon: NDArray[np.float64]
    residual: float
    object_ids: tuple[int, ...]


def surface_frame(surface_id: int, prefix: str = "") -> str:
    """Name of the TF frame of a surface."""
    return f"{prefix}surface_{surface_id}"


def surface_array(
    surfaces: Sequence[SupportSurface], header: Header, *, session: int, revision: int
) -> SupportSurfaceArray:
    """All surfaces at one stamp.

    Args:
        surfaces: as tracked.
        header: names the frame that they are tracked in.
        session, revision: as of the ObjectArray.
    """
    messages = [_surface_message(surface) for surface in surfaces]
    return SupportSurfaceArray(header=header, surfaces=messages, session=session, revision=revision)


def surfaces_from_message(message: SupportSurfaceArray) -> list[ReceivedSurface]:
    """Read a SupportSurfaceArray.

    Raises:
        ValueError: a pose is no rotation.
    """
    return [
        ReceivedSurface(
            id=item.id,
            label=item.label,
            header_from_surface=similarity_from_pose(item.pose),
            polygon=np.array([(corner.x, corner.y) for corner in item.convex_hull]).reshape(-1, 2),
            residual=item.residual,
            object_ids=tuple(item.objects),
        )
        for item in message.surfaces
    ]


def surface_transforms(
    surfaces: Sequence[SupportSurface], header: Header, prefix: str = ""
) -> list[TransformStamped]:
    """The frames `surface_<id>`: z up from the plane z = 0."""
    return [
        transform_message(header, surface_frame(surface.surface_id, prefix), surface.fixed_from_surface)
        for surface in surfaces
    ]


def surface_marker(surface: SupportSurface, header: Header) -> Marker:
    """The polygon of a surface as a fan of translucent triangles."""
    marker = Marker(ns=SURFACE, id=surface.surface_id, type=Marker.TRIANGLE_LIST, action=Marker.ADD)
    marker.header = header
    marker.pose = pose_message(surface.fixed_from_surface)
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    r, g, b, a = _COLOR
    marker.color = ColorRGBA(r=r, g=g, b=b, a=a)
    corners = [Point(x=x, y=y) for x, y in surface.polygon.tolist()]
    for second, third in pairwise(corners[1:]):
        marker.points += [corners[0], second, third]
    return marker


def _surface_message(surface: SupportSurface) -> SupportSurfaceMessage:
    return SupportSurfaceMessage(
        id=surface.surface_id,
        label=surface.label,
        pose=pose_message(surface.fixed_from_surface),
        convex_hull=[Point(x=x, y=y) for x, y in surface.polygon.tolist()],
        residual=surface.residual,
        objects=list(surface.object_ids),
    )
