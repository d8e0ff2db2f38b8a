"""Markers with many points, serialised without a Python object for every point.

A mesh of ten thousand triangles is 30,000 points and as many colours. As messages they take Python a tenth of a second
to make and twice that to serialise, and nothing else runs meanwhile. Here the marker is serialised without them, and
they are put into its bytes as arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from visualization_msgs.msg import Marker, MarkerArray

#: Bytes before the body: the kind of encoding. Alignment counts from behind them.
_ENCAPSULATION = 4
#: Plain CDR, big and little endian (OMG DDSI-RTPS 10.2): numbers are aligned to their own size.
_PLAIN_CDR = (b"\x00\x00", b"\x00\x01")


def serialized_with_points(
    marker: Marker, points: NDArray[np.floating], colors: NDArray[np.float32]
) -> bytes:
    """A MarkerArray of one marker in the form that rclpy publishes as it is.

    Args:
        marker: the marker, still without points and colours.
        points: (N, 3) its points.
        colors: (N, 4) float32 red, green, blue, alpha of each, 0 to 1.

    Raises:
        ValueError: the marker has points, or the arrays do not belong together.
        RuntimeError: the middleware serialises in another form than plain CDR.
    """
    if marker.points or marker.colors or points.shape != (len(colors), 3) or colors.shape[1:] != (4,):
        raise ValueError(
            f"points are {points.shape} and colors {colors.shape}: give (N, 3) and (N, 4), and a marker without any"
        )
    bare = serialize_message(MarkerArray(markers=[marker]))
    place = _place_of_points(marker)
    start = _ENCAPSULATION + place
    # Two empty sequences are two lengths of 0.
    if bare[:2] not in _PLAIN_CDR or bare[start : start + 8] != bytes(8):
        raise RuntimeError(
            f"the middleware serialises markers as {bare[:4].hex()}, not as plain CDR: use rmw_fastrtps_cpp, "
            "rmw_cyclonedds_cpp or rmw_zenoh_cpp"
        )
    order = ">" if bare[1:2] == b"\x00" else "<"
    count = np.array(len(points), f"{order}u4").tobytes()
    gap = bytes(-(place + 4) % 8 if len(points) else 0)
    # Nothing behind the colours is wider than four bytes, so that the rest may move by any multiple of four.
    return b"".join(
        (
            bare[:start],
            count,
            gap,
            np.ascontiguousarray(points, f"{order}f8").tobytes(),
            count,
            np.ascontiguousarray(colors, f"{order}f4").tobytes(),
            bare[start + 8 :],
        )
    )


def _place_of_points(marker: Marker) -> int:
    """Offset in the body of the length of the points, of the only marker of a MarkerArray."""
    at = 4 + 8  # number of markers; stamp
    for text in (marker.header.frame_id, marker.ns):
        at = _aligned(at, 4) + 4 + len(text.encode()) + 1
    at = _aligned(at, 4) + 3 * 4  # id, type, action
    at = _aligned(at, 8) + 7 * 8 + 3 * 8  # pose, scale
    at += 4 * 4 + 2 * 4 + 1  # colour, lifetime, frame_locked
    return _aligned(at, 4)


def _aligned(offset: int, size: int) -> int:
    return offset + -offset % size
