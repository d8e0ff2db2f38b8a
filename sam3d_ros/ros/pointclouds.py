"""PointCloud2 messages as plain arrays of points, and back.

sensor_msgs_py reads and makes them where it does well. Views of our own stay for what it does wrong: it passes over the
padding of rows, turns the bytes of a message of the other byte order round in the message itself, and gives up on a
cloud for any of its fields, though x, y and z may be sound.
"""

from __future__ import annotations

import array
import sys

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.pixels import ALIGNMENT, check_rows

Points = NDArray[np.float32]

_DTYPES = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}
_AXES = ("x", "y", "z")
#: Bytes of a value, by datatype.
_SIZES = dict(zip(range(PointField.INT8, PointField.FLOAT64 + 1), (1, 1, 2, 2, 4, 4, 4, 8), strict=True))


def points_from_cloud(message: PointCloud2) -> Points:
    """The points of a cloud, organised or not.

    Returns:
        (N, 3) float32 x y z in the frame of the cloud, metres; NaN altogether is a point with a NaN or Inf, and one at
        the origin, which drivers write where nothing came back.

    Raises:
        FaultError: missing_fields, size_mismatch or truncated_data.
    """
    return grid_from_cloud(message).reshape(-1, 3)


def grid_from_cloud(message: PointCloud2) -> Points:
    """The points of an organised cloud in its rows: (height, width, 3), otherwise as `points_from_cloud`."""
    columns = [_column(message, name) for name in _AXES]
    height, width = message.height, message.width
    _check_size(message)
    grid = np.empty((height, width, 3), dtype=np.float32)
    if height == 0 or width == 0:
        return grid
    # A double beyond float32 becomes Inf, and so unknown; junk between the bytes may be a signalling NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        if _is_plain(message):
            points = point_cloud2.read_points(message, field_names=list(_AXES))
            for axis, name in enumerate(_AXES):
                grid[..., axis] = points[name].reshape(height, width)
        else:
            strides = (message.row_step, message.point_step)
            for axis, (dtype, offset) in enumerate(columns):
                grid[..., axis] = np.ndarray((height, width), dtype, message.data, offset, strides)
    # By coordinate: a reduction over an axis of three takes numpy several times as long.
    x, y, z = grid[..., 0], grid[..., 1], grid[..., 2]
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & ((x != 0) | (y != 0) | (z != 0))
    if not known.all():
        grid[~known] = np.nan
    return grid


def cloud_from_points(points: NDArray[np.floating], header: Header) -> PointCloud2:
    """(N, 3) or (H, W, 3) points as a cloud of float32 x, y, z without padding.

    Raises:
        ValueError: the last axis is not x y z.
    """
    if points.ndim not in (2, 3) or points.shape[-1] != 3:
        raise ValueError(f"points are {points.shape}: give (N, 3) or (H, W, 3)")
    packed = np.ascontiguousarray(points, dtype=np.float32)
    # It cannot make a cloud of nothing.
    message = point_cloud2.create_cloud_xyz32(header, packed if packed.size else np.zeros((1, 3), np.float32))
    if not packed.size:
        message.height, message.width = packed.shape[:2] if packed.ndim == 3 else (1, 0)
        message.row_step, message.data = 12 * message.width, array.array("B")
    message.is_dense = bool(np.isfinite(packed).all())
    return message


def _is_plain(message: PointCloud2) -> bool:
    """Whether sensor_msgs_py reads a cloud whose size is checked as it is meant."""
    names = {field.name for field in message.fields}
    return (
        bool(message.is_bigendian) == (sys.byteorder == "big")
        and len(message.data) == message.height * message.width * message.point_step
        and len(names) == len(message.fields)
        and all(
            field.name
            and field.count == 1
            and field.datatype in _SIZES
            and field.offset + _SIZES[field.datatype] <= message.point_step
            for field in message.fields
        )
    )


def _column(message: PointCloud2, name: str) -> tuple[np.dtype, int]:
    """Type and offset of a coordinate within a point."""
    field = next((field for field in message.fields if field.name == name), None)
    if field is None or field.datatype not in _DTYPES or field.count > 1:
        found = ", ".join(f"{f.name} (datatype {f.datatype} x {f.count})" for f in message.fields)
        raise FaultError(
            Fault.MISSING_FIELDS,
            f"points have fields {found or 'none'}: x, y and z of FLOAT32 or FLOAT64 are expected",
        )
    dtype = np.dtype(_DTYPES[field.datatype]).newbyteorder(">" if message.is_bigendian else "<")
    end = field.offset + dtype.itemsize
    if end > message.point_step:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"points have {name} at bytes {field.offset} to {end} of points of {message.point_step} bytes",
        )
    return dtype, field.offset


def _check_size(message: PointCloud2) -> None:
    """Refuse a cloud whose data is not what it claims, before anything of that size is allocated."""
    height, width, step = message.height, message.width, message.point_step
    size = f"points of {width}x{height} with point_step {step}"
    row = width * step
    # The step of a single row leads nowhere; some leave it 0.
    row_step = max(message.row_step, row) if height <= 1 else message.row_step
    if row_step < row:
        raise FaultError(Fault.SIZE_MISMATCH, f"{size} have row_step {row_step}, but a row takes {row} bytes")
    length = len(message.data)
    check_rows(length, height, row, row_step, f"{size} and row_step {row_step} need")
    padding = (length if height == 1 else row_step) - row
    if height and width and padding >= ALIGNMENT and padding % width == 0:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"{size} have rows of {row + padding} bytes, as points of {step + padding // width} bytes have: which of "
            "them is right is not told",
        )
