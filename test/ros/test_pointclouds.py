"""Point clouds packed by struct, against their points."""

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

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.pointclouds import cloud_from_points, grid_from_cloud, points_from_cloud


def fields(**places: tuple[int, int]) -> list[PointField]:
    return [PointField(name=n, offset=o, datatype=t, count=1) for n, (o, t) in places.items()]


@given(
    height=st.integers(0, 3),
    width=st.integers(0, 6),
    order=st.permutations(["x", "y", "z", "ring"]),
    wide=st.booleans(),
    tail=st.integers(0, 5),
    padding=st.integers(0, 9),
    big=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout(height, width, order, wide, tail, padding, big, seed):
    rng = np.random.default_rng(seed)
    code, size, datatype = ("d", 8, PointField.FLOAT64) if wide else ("f", 4, PointField.FLOAT32)
    places, offset = {}, 0
    for name in order:
        places[name] = (offset, PointField.UINT16 if name == "ring" else datatype)
        offset += 2 if name == "ring" else size
    point_step = offset + tail
    row_step = width * point_step + padding
    points = rng.normal(size=(height, width, 3)).astype(np.float32)
    points[rng.random((height, width)) < 0.2, rng.integers(3)] = rng.choice([np.nan, np.inf, -np.inf])
    data = bytearray(rng.bytes(height * row_step))
    for v in range(height):
        for u in range(width):
            for axis, name in enumerate("xyz"):
                place = v * row_step + u * point_step + places[name][0]
                struct.pack_into((">" if big else "<") + code, data, place, float(points[v, u, axis]))
    cloud = PointCloud2(
        height=height, width=width, is_bigendian=big, point_step=point_step, row_step=row_step
    )
    cloud.fields = fields(**places)
    cloud.data = array.array("B", bytes(data))
    expected = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)
    grid = grid_from_cloud(cloud)
    assert grid.dtype == np.float32 and grid.shape == (height, width, 3)
    np.testing.assert_array_equal(grid, expected)
    np.testing.assert_array_equal(points_from_cloud(cloud), expected.reshape(-1, 3))


@given(st.integers(0, 20), st.integers(0, 2**32 - 1), st.booleans())
def test_clouds_that_are_written_read_back_and_read_alike_elsewhere(count, seed, organised):
    points = (
        np.random.default_rng(seed).normal(size=(3, count, 3) if organised else (count, 3)).astype(np.float32)
    )
    cloud = cloud_from_points(points, Header(frame_id="lidar"))
    assert cloud.header.frame_id == "lidar" and cloud.is_dense
    np.testing.assert_array_equal(points_from_cloud(cloud), points.reshape(-1, 3))
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), points.reshape(-1, 3))
    if organised:
        np.testing.assert_array_equal(grid_from_cloud(cloud), points)


def test_a_cloud_with_a_hole_is_not_dense():
    assert not cloud_from_points(np.array([[0, 0, np.nan]]), Header()).is_dense
    with pytest.raises(ValueError, match="give \\(N, 3\\)"):
        cloud_from_points(np.zeros((2, 4)), Header())


def organised(height: int = 6, width: int = 40, step: int = 16) -> PointCloud2:
    """A cloud with four bytes of something after each point."""
    cloud = PointCloud2(height=height, width=width, point_step=step, row_step=step * width)
    cloud.fields = fields(x=(0, 7), y=(4, 7), z=(8, 7))
    points = np.zeros((height, width, step // 4), "<f4")
    points[..., :3] = np.arange(height * width * 3).reshape(height, width, 3)
    cloud.data = array.array("B", points.tobytes())
    return cloud


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 39, "row_step": 39 * 16},
        {"height": 5},
        {"height": 1},
        {"height": 1, "row_step": 0},
        {"point_step": 12},
        {"point_step": 12, "row_step": 40 * 12},
        {"row_step": 40 * 16 - 4},
        {"height": 0},
        {"width": 0, "row_step": 0},
    ],
    ids=str,
)
def test_clouds_whose_sizes_disagree_with_their_data_are_refused(changes):
    cloud = organised()
    assert np.isfinite(points_from_cloud(cloud)).all()
    for name, value in changes.items():
        setattr(cloud, name, value)
    with pytest.raises(FaultError) as refused:
        points_from_cloud(cloud)
    assert refused.value.fault is Fault.SIZE_MISMATCH


@pytest.mark.parametrize(
    "other",
    [
        PointField(name="ring", offset=12, datatype=PointField.UINT16, count=1),
        PointField(name="ring", offset=12, datatype=PointField.UINT16, count=0),
        PointField(name="normal", offset=0, datatype=PointField.FLOAT32, count=3),
        PointField(name="rgb", offset=12, datatype=99, count=1),
        PointField(name="beyond", offset=2**31, datatype=PointField.FLOAT32, count=1),
        PointField(name="x", offset=4, datatype=PointField.FLOAT32, count=1),  # the first one counts
        PointField(name="", offset=12, datatype=PointField.UINT8, count=1),
    ],
)
def test_what_else_a_point_holds_is_of_no_matter(other):
    cloud = organised()
    expected = points_from_cloud(cloud)
    cloud.fields = [*cloud.fields, other]
    before = bytes(cloud.data)
    np.testing.assert_array_equal(points_from_cloud(cloud), expected)
    assert bytes(cloud.data) == before


@pytest.mark.parametrize("shape", [(0, 3), (0, 5, 3), (4, 0, 3)])
def test_clouds_of_nothing(shape):
    cloud = cloud_from_points(np.zeros(shape), Header(frame_id="lidar"))
    assert (cloud.height, cloud.width) == (shape[:2] if len(shape) == 3 else (1, 0))
    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (12, 12 * cloud.width, 0)
    assert points_from_cloud(cloud).shape == (0, 3)


@pytest.mark.parametrize("row_step", [0, 16, 160, 200])
def test_the_step_of_a_single_row_leads_nowhere(row_step):
    cloud = organised(1, 10)
    cloud.row_step = row_step
    assert points_from_cloud(cloud).shape == (10, 3)
    cloud.data = cloud.data + array.array("B", bytes(7))
    with pytest.raises(FaultError) as refused:
        points_from_cloud(cloud)
    assert refused.value.fault is Fault.SIZE_MISMATCH


def test_a_last_row_may_lack_its_padding():
    cloud = organised(3, 10)
    cloud.width, cloud.data = 9, cloud.data[:-16]
    assert points_from_cloud(cloud).shape == (27, 3)


@pytest.mark.parametrize(
    ("changes", "fault", "reason"),
    [
        ({"fields": fields(x=(0, 7), y=(4, 7))}, Fault.MISSING_FIELDS, "x .*, y"),
        ({"fields": []}, Fault.MISSING_FIELDS, "fields none"),
        ({"fields": fields(x=(0, 7), y=(4, 7), z=(8, 5))}, Fault.MISSING_FIELDS, r"z \(datatype 5"),
        (
            {"fields": fields(x=(0, 7), y=(4, 7), z=(9, 7))},
            Fault.SIZE_MISMATCH,
            "bytes 9 to 13 of points of 12",
        ),
        ({"point_step": 0}, Fault.SIZE_MISMATCH, "points of 0 bytes"),
        ({"height": 2, "row_step": 23}, Fault.SIZE_MISMATCH, "row_step 23, but a row takes 24"),
        ({"data": [0] * 23}, Fault.TRUNCATED_DATA, "need 24 bytes, got 23"),
        ({"width": 2**32 - 1, "height": 2**32 - 1, "row_step": 2**32 - 1}, Fault.SIZE_MISMATCH, "row_step"),
        ({"width": 2**28, "row_step": 2**28 * 12}, Fault.TRUNCATED_DATA, "got 24"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(changes, fault, reason):
    usual = {
        "height": 1,
        "width": 2,
        "point_step": 12,
        "row_step": 24,
        "fields": fields(x=(0, 7), y=(4, 7), z=(8, 7)),
        "data": [0] * 24,
    }
    with pytest.raises(FaultError, match=reason) as refused:
        points_from_cloud(PointCloud2(**(usual | changes)))
    assert refused.value.fault is fault


def test_what_did_not_come_back_is_unknown():
    points = np.float32([[0, 0, 0], [1, 2, 3], [0, 0, 1e-3], [-0.0, 0, 0]])
    found = points_from_cloud(cloud_from_points(points, Header()))
    np.testing.assert_array_equal(found, np.where([[False], [True], [True], [False]], points, np.nan))
