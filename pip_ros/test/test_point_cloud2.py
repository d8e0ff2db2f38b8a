"""PointCloud2 to arrays and back: layouts packed by `struct`."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

FORMATS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}

layouts = st.lists(
    st.tuples(st.sampled_from(sorted(FORMATS)), st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=5
)


def cloud_of(names: str, points: np.ndarray, **extra: object) -> PointCloud2:
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)]
    return point_cloud2.create_cloud(Header(frame_id="lidar"), fields, points, **extra)


@given(
    layout=layouts,
    height=st.integers(1, 3),
    width=st.integers(0, 5),
    tail=st.integers(0, 4),
    row_padding=st.integers(0, 9),
    big=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout_is_read_field_by_field(layout, height, width, tail, row_padding, big, seed):
    """Fields with gaps, counts, padding after points and rows, both byte orders: packed here by struct."""
    rng = np.random.default_rng(seed)
    order = ">" if big else "<"
    fields, places, offset = [], [], 0
    for i, (datatype, count, gap) in enumerate(layout):
        offset += gap
        fields.append(PointField(name=f"f{i}", offset=offset, datatype=datatype, count=count))
        size = struct.calcsize(order + FORMATS[datatype])
        for k in range(count):
            places.append(
                (f"f{i}" if count == 1 else f"f{i}_{k}", offset + k * size, order + FORMATS[datatype])
            )
        offset += count * size
    point_step = offset + tail
    row_step = width * point_step + row_padding
    data = bytearray(rng.bytes(height * row_step))
    values = rng.integers(0, 100, (height, width, len(places)))
    for v in range(height):
        for u in range(width):
            for k, (_, place, code) in enumerate(places):
                struct.pack_into(code, data, v * row_step + u * point_step + place, values[v, u, k])
    cloud = PointCloud2(
        height=height, width=width, fields=fields, is_bigendian=big, point_step=point_step, row_step=row_step
    )
    cloud.data = array.array("B", bytes(data))
    points = point_cloud2.read_points(cloud, reshape_organized_cloud=True)
    assert points.shape == ((height, width) if height > 1 else (width,))
    assert list(points.dtype.names) == [name for name, _, _ in places]
    for k, (name, _, _) in enumerate(places):
        np.testing.assert_array_equal(points[name].ravel(), values[..., k].ravel())
    assert bytes(cloud.data) == bytes(data)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_created_clouds_read_back(count, extra, seed):
    points = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    cloud = cloud_of("xyz", points, step=12 + extra)
    assert (cloud.point_step, cloud.row_step, cloud.width, cloud.height) == (
        12 + extra,
        (12 + extra) * count,
        count,
        1,
    )
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), points.reshape(-1, 3))


def test_xyz32_and_organized_clouds():
    grid = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(frame_id="lidar"), grid)
    assert (cloud.height, cloud.width, cloud.header.frame_id) == (2, 4, "lidar")
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
    ]
    assert bytes(cloud.data) == struct.pack("<24f", *range(24))
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, reshape_organized_cloud=True), grid)
    assert point_cloud2.read_points_numpy(cloud).shape == (8, 3)


def test_points_with_nan_are_left_out_on_request():
    points = np.array([[1, 2, 3], [np.nan, 2, 3], [1, 2, np.nan], [4, 5, np.inf]], np.float32)
    cloud = cloud_of("xyz", points)
    assert len(point_cloud2.read_points(cloud)) == 4
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, skip_nans=True), points[[0, 3]])
    # Only the fields asked for are looked at.
    assert point_cloud2.read_points(cloud, ["y"], skip_nans=True)["y"].tolist() == [2, 2, 2, 5]


def test_selected_fields_points_and_tuples():
    cloud = cloud_of("xyz", np.arange(12, dtype=np.float32).reshape(4, 3))
    picked = point_cloud2.read_points(cloud, ["z", "x"], uvs=[2, 0])
    assert picked.dtype.names == ("z", "x")
    assert picked["z"].tolist() == [8.0, 2.0]
    listed = point_cloud2.read_points_list(cloud, ["x", "y"])
    assert listed[1].x == 3.0 and listed[1].y == 4.0 and tuple(listed[3]) == (9.0, 10.0)
    with pytest.raises(AssertionError, match="not in the fields"):
        point_cloud2.read_points(cloud, ["intensity"])


def test_structured_points_and_lists_of_tuples():
    fields = [
        PointField(name="x", offset=0, datatype=8, count=1),
        PointField(name="ring", offset=8, datatype=4, count=1),
    ]
    rows = [(0.5, 3), (1.5, 65535)]
    expected = struct.pack("<dHdH", *rows[0], *rows[1])
    assert bytes(point_cloud2.create_cloud(Header(), fields, rows).data) == expected
    structured = np.array(rows, point_cloud2.dtype_from_fields(fields))
    assert bytes(point_cloud2.create_cloud(Header(), fields, structured).data) == expected
    with pytest.raises(AssertionError, match="same datatype"):
        point_cloud2.create_cloud(Header(), fields, np.zeros((2, 2)))
    with pytest.raises(AssertionError, match="same datatype"):
        point_cloud2.read_points_numpy(point_cloud2.create_cloud(Header(), fields, rows))
    with pytest.raises(AssertionError, match="do not match"):
        point_cloud2.create_cloud(Header(), fields, np.zeros(2, [("x", "f4")]))
