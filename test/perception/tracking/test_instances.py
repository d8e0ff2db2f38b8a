"""What tracking measures of instances, against plain definitions pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking_world import CAMERA, THREE_APART, World, box

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Cut, grid_stride
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.tracking.instances import view_instances
from sam3d_ros.perception.window import Window


def frame_of(labels: np.ndarray, depth: np.ndarray) -> Frame:
    height, width = labels.shape
    camera = Camera(width, height, 50.0, 50.0, width / 2, height / 2)
    points = camera.rays() * depth[..., None].astype(np.float32)
    return Frame(
        0,
        "camera",
        np.zeros((height, width, 3), np.uint8),
        labels,
        PointMap(points),
        PointsSource.DEPTH,
        camera,
    )


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 6),
    width=st.integers(8, 400),
    height=st.integers(8, 100),
    unknown=st.floats(0.0, 1.0),
)
def test_figures_follow_their_definitions(
    seed: int, count: int, width: int, height: int, unknown: float
) -> None:
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    for number in random.choice(np.arange(1, 65536), size=count, replace=False):
        x, y = random.integers(0, width), random.integers(0, height)
        labels[y : y + random.integers(1, height), x : x + random.integers(1, width)] = number
    depth = np.where(random.random(labels.shape) < unknown, np.nan, random.uniform(0.5, 2.0, labels.shape))
    frame = frame_of(labels, depth)
    found = view_instances(Cut(frame))
    assert sorted(view.instance_id for view in found.views) == frame.instance_ids()
    assert [view.pixels for view in found.views] == sorted(
        (view.pixels for view in found.views), reverse=True
    )
    stride = grid_stride(width)
    assert found.grid_shape == labels[::stride, ::stride].shape
    grid = labels[::stride, ::stride].ravel()
    for view in found.views:
        mask = labels == view.instance_id
        rows, columns = np.nonzero(mask)
        assert view.pixels == len(rows)
        assert view.box == Window(rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
        assert view.touches_border == bool(
            mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        )
        assert view.measured == pytest.approx(np.isfinite(depth[mask]).mean())
        assert 0.0 <= view.hidden <= 1.0
        if (grid == view.instance_id).any():
            np.testing.assert_array_equal(np.sort(view.cells), np.flatnonzero(grid == view.instance_id))
        else:
            assert len(view.cells) == 1, "a mask that falls between the cells still has a place"
        if np.isfinite(depth[mask]).any():
            points = frame.points[mask]
            points = points[np.isfinite(points[:, 2])]
            assert (view.center >= points.min(axis=0) - 1e-6).all()
            assert (view.center <= points.max(axis=0) + 1e-6).all()
        else:
            assert np.isnan(view.center).all()
            assert np.isnan(view.extent)


def test_the_hidden_one_is_the_farther_one() -> None:
    near, far = box(1, 0.0, 0.0, 0.6), box(2, 0.06, 0.0, 0.9, size=0.2)
    views = {view.instance_id: view for view in view_instances(Cut(World().frame(0.0, [near, far]))).views}
    assert views[1].hidden == 0.0
    assert views[2].hidden > 0.1


def test_the_centre_is_given_in_the_fixed_frame() -> None:
    pose = Similarity(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([3.0, 2.0, 1.0]))
    world = World()
    fixed = [
        type(thing)(thing.instance_id, thing.mesh, pose @ thing.fixed_from_object) for thing in THREE_APART
    ]
    plain = view_instances(Cut(world.frame(0.0, THREE_APART))).views
    turned = view_instances(Cut(world.frame(0.0, fixed, fixed_from_camera=pose))).views
    for first, second in zip(plain, turned, strict=True):
        assert first.instance_id == second.instance_id
        np.testing.assert_allclose(second.center, pose.apply(first.center), atol=1e-4)
        assert second.extent == pytest.approx(first.extent, abs=1e-4)


def test_limits_count_what_they_leave_out() -> None:
    labels = np.zeros((100, 100), np.uint16)
    for number in range(1, 10):
        labels[10 * number, 5 : 5 + 5 * number] = number
    frame = frame_of(labels, np.ones(labels.shape))
    found = view_instances(Cut(frame), min_pixels=20, limit=4)
    assert [view.instance_id for view in found.views] == [9, 8, 7, 6]
    assert (found.tiny, found.too_many, found.without_points) == (3, 2, 0)
    assert CAMERA.width // grid_stride(CAMERA.width) == 160
