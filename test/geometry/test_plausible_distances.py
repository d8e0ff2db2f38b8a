"""Depth and points in another unit are refused whatever is unknown in them; what sensors measure never is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.plausible_distances import check_depth_unit, check_points_unit


@given(st.floats(0.05, 50.0), st.floats(0.0, 0.9), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_scene_in_front_of_a_camera_is_taken_in_metres_alone(
    distance: float, unknown: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    depth = (distance * rng.uniform(0.8, 1.2, (60, 80))).astype(np.float32)
    depth[rng.random(depth.shape) < unknown] = rng.choice([0.0, math.nan, math.inf, -1.0])
    known = (1e-6, 1e6)
    check_depth_unit(depth, known, 1.0, 60.0, unit="metres")
    with pytest.raises(ValueError, match=r"depth in metres: .* is farther than 60 m"):
        check_depth_unit(depth * np.float32(2000.0), known, 1.0, 60.0, unit="metres")
    with pytest.raises(ValueError, match=r"is nearer than 0\.01 m"):
        check_depth_unit(depth * np.float32(1e-4), known, 1.0, 60.0, unit="metres")


def test_a_sweep_of_nothing_says_nothing() -> None:
    check_points_unit(np.zeros((0, 3)))
    check_points_unit(np.full((10, 3), np.nan))
