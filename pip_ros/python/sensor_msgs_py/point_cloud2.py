"""PointCloud2 messages to numpy arrays and back."""

from __future__ import annotations

import array
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_DATATYPES: dict[int, np.dtype] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}

DUMMY_FIELD_PREFIX = "unnamed_field"


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured dtype (host byte order) that a cloud's fields describe.

    Args:
        fields: a field with count n > 1 becomes n members named name_0 .. name_{n-1}.
        point_step: bytes from one point to the next; without it the members' own extent.
    """
    names: list[str] = []
    offsets: list[int] = []
    formats: list[np.dtype] = []
    for i, field in enumerate(fields):
        datatype = _DATATYPES[field.datatype]
        name = field.name or f"{DUMMY_FIELD_PREFIX}_{i}"
        assert field.count > 0, "Can't process fields with count = 0."
        for k in range(field.count):
            names.append(name if field.count == 1 else f"{name}_{k}")
            offsets.append(field.offset + k * datatype.itemsize)
            formats.append(datatype)
            assert names[-1] not in names[:-1], "Duplicate field names are not allowed!"
    description: Any = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        description["itemsize"] = point_step
    return np.dtype(description)


def read_points(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points as a structured array.

    Args:
        cloud: padding after points and rows and the byte order are honoured; its data is never changed.
        field_names: which fields, in which order; all by default.
        skip_nans: leave out points with a NaN in any of these fields.
        uvs: indices of the points wanted, into the flattened cloud.
        reshape_organized_cloud: return (height, width) where the cloud is organised (height > 1).

    Raises:
        AssertionError: the message is no PointCloud2, or it has no such field.
    """
    assert isinstance(cloud, PointCloud2), "Cloud is not a sensor_msgs.msg.PointCloud2"
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if cloud.is_bigendian != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    row_step = max(cloud.row_step, cloud.width * cloud.point_step)
    grid: np.ndarray = np.ndarray(
        (cloud.height, cloud.width), dtype, cloud.data, strides=(row_step, cloud.point_step)
    )
    points: np.ndarray = grid.reshape(-1)
    if not dtype.isnative:
        points = points.astype(dtype.newbyteorder())
    if field_names is not None:
        names = points.dtype.names or ()
        assert all(name in names for name in field_names), "Requests field is not in the fields of the cloud!"
        points = points[list(field_names)]
    if skip_nans:
        valid = np.ones(len(points), bool)
        for name in points.dtype.names or ():
            valid &= points[name] == points[name]
        points = points[valid]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.height, cloud.width)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points as a plain (..., fields) array; all fields must have one datatype.

    Raises:
        AssertionError: as `read_points`, or the fields differ in datatype.
    """
    wanted = [f for f in cloud.fields if field_names is None or f.name in field_names]
    assert all(f.datatype == wanted[0].datatype for f in wanted), (
        "All fields need to have the same datatype. Use `read_points()` otherwise."
    )
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    return np.stack([points[name] for name in points.dtype.names or ()], axis=-1)


def read_points_list(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
) -> list[Any]:
    """Return the points as a list of named tuples."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    names = points.dtype.names or ()
    point_type = NamedTuple("Point", [(name, Any) for name in names])  # type: ignore[misc]
    return [point_type(*point) for point in points.tolist()]


def create_cloud(
    header: Header,
    fields: Iterable[PointField],
    points: np.ndarray | Sequence[Any],
    step: int | None = None,
) -> PointCloud2:
    """Return a cloud of points.

    Args:
        header: copied by reference into the message.
        fields: what a point consists of.
        points: a structured array of exactly that type, a plain (..., fields) array where all fields have one
            datatype, or a sequence of tuples. One more leading axis makes the cloud organised.
        step: bytes from one point to the next, where more than the fields take.

    Raises:
        AssertionError: the array does not fit the fields.
    """
    fields = list(fields)
    dtype = dtype_from_fields(fields, step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(p) for p in points], dtype)
    elif points.dtype.names is None:
        assert all(f.datatype == fields[0].datatype for f in fields), (
            "All fields need to have the same datatype. Pass a structured array otherwise."
        )
        names = dtype.names or ()
        assert points.ndim >= 2 and points.shape[-1] == len(names), (
            f"Points of shape {points.shape} do not fit {len(names)} fields."
        )
        plain = points
        points = np.zeros(plain.shape[:-1], dtype)
        for k, name in enumerate(names):
            points[name] = plain[..., k]
    else:
        assert points.dtype == dtype, (
            "PointFields and structured NumPy array dtype do not match for all fields! "
            f"Check their field order, names and types: {dtype} and {points.dtype}"
        )
    assert points.ndim <= 2, (
        "Too many dimensions for organized cloud! Points can only be organized in max. two dimensional space"
    )
    height, width = points.shape if points.ndim == 2 else (1, points.shape[0])
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(points).tobytes())
    cloud = PointCloud2(
        header=header,
        height=height,
        width=width,
        is_dense=False,
        is_bigendian=sys.byteorder == "big",
        fields=fields,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
    )
    cloud.data = data
    return cloud


def create_cloud_xyz32(
    header: Header, points: np.ndarray | Sequence[Any], step: int | None = None
) -> PointCloud2:
    """Return a cloud of (..., 3) points as float32 x, y, z."""
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points, step)
