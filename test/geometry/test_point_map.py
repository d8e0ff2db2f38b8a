"""Point maps give the same points however they are asked for, and those of a depth image are its unprojected pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.pointmaps import points_from_depth

PINHOLE = Camera(64, 48, 60.0, 62.0, 30.5, 24.5)
LENS = Camera(64, 48, 30.0, 30.0, 31.0, 23.0, "plumb_bob", (-0.35, 0.1, 0.001, -0.002, 0.0))


def depth_image(seed: int, unknown: float = 0.2) -> np.ndarray:
    random = np.random.default_rng(seed)
    depth = random.uniform(0.3, 5.0, (48, 64)).astype(np.float32)
    depth[random.random(depth.shape) < unknown] = np.nan
    return depth


def indices(random: np.random.Generator) -> list[Any]:
    """Every kind of index of an image that its users have."""
    rows, columns = np.sort(random.integers(0, 49, 2)), np.sort(random.integers(0, 65, 2))
    return [
        (slice(*rows), slice(*columns)),
        (slice(None, None, int(random.integers(1, 9))), slice(None, None, int(random.integers(1, 9)))),
        random.random((48, 64)) < 0.3,
        (random.integers(0, 48, 20), random.integers(0, 64, 20)),
        (3, 5),
    ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), camera=st.sampled_from([PINHOLE, LENS]), made=st.booleans())
def test_whatever_is_asked_for_is_part_of_the_whole(seed: int, camera: Camera, made: bool) -> None:
    random = np.random.default_rng(seed)
    depth = depth_image(seed)
    whole = points_from_depth(depth, camera)
    point_map = PointMap.from_depth(depth, camera)
    if made:
        np.testing.assert_array_equal(point_map.points, whole)
    for given_or_made in (point_map, PointMap(whole)):
        np.testing.assert_array_equal(given_or_made.depth, whole[..., 2])
        for index in indices(random):
            np.testing.assert_array_equal(given_or_made.at(index), whole[index])
        rows, columns = slice(5, 40), slice(10, 50, 3)
        part = given_or_made.cropped(rows, columns)
        assert part.shape == whole[rows, columns].shape[:2]
        np.testing.assert_array_equal(part.depth, whole[rows, columns, 2])
        np.testing.assert_array_equal(part.at((2, slice(None))), whole[rows, columns][2])
        np.testing.assert_array_equal(part.points, whole[rows, columns])


def test_points_of_a_depth_image_project_to_their_pixels() -> None:
    for camera in (PINHOLE, LENS):
        depth = depth_image(1)
        points = PointMap.from_depth(depth, camera).points
        known = np.isfinite(points[..., 2])
        np.testing.assert_array_equal(points[known][:, 2], depth[known])
        row, column = np.nonzero(known)
        np.testing.assert_allclose(camera.project(points[known]), np.stack([column, row], -1), atol=1e-3)


def test_nothing_is_measured_where_a_lens_leaves_no_ray() -> None:
    # Its image turns back at 45 degrees: the corners show nothing.
    lens = Camera(64, 48, 20.0, 20.0, 31.5, 23.5, "plumb_bob", (-1.0 / 3.0, 0.0, 0.0, 0.0, 0.0))
    point_map = PointMap.from_depth(np.ones((48, 64), np.float32), lens)
    blind = np.isnan(lens.rays()[..., 0])
    assert 0 < np.count_nonzero(blind) < blind.size
    np.testing.assert_array_equal(np.isnan(point_map.depth), blind)
    np.testing.assert_array_equal(np.isnan(point_map.points).any(axis=-1), blind)


def test_without_a_sensor_all_is_unknown() -> None:
    nothing = PointMap.unknown(6, 8)
    assert nothing.shape == (6, 8) and np.isnan(nothing.depth).all()
    assert nothing.points.shape == (6, 8, 3) and np.isnan(nothing.points).all()


def test_what_is_no_point_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(48, 64\) float64.*float32"):
        PointMap.from_depth(np.ones((48, 64)), PINHOLE)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(64, 48\).*camera is 64x48"):
        PointMap.from_depth(np.ones((64, 48), np.float32), PINHOLE)
    for wrong in (np.ones((4, 4), np.float32), np.ones((4, 4, 4), np.float32), np.ones((4, 4, 3))):
        with pytest.raises(ValueError, match=r"give \(H, W, 3\) float32"):
            PointMap(wrong)  # type: ignore[arg-type]
