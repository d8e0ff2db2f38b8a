"""Convex polygons: areas and overlaps, against closed forms and a count of random points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sam3d_ros.geometry.polygons import (
    convex_hull,
    depth_inside_hull,
    polygon_area,
    shared_polygon,
    simplified_polygon,
)

SQUARE = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])


def moved(x: float, y: float) -> np.ndarray:
    """The square elsewhere."""
    return SQUARE + np.array([x, y])


def hull(seed: int) -> np.ndarray:
    """Of some random points within two of the origin."""
    random = np.random.default_rng(seed)
    return convex_hull(random.uniform(-2.0, 2.0, (random.integers(3, 20), 2)) * random.uniform(0.3, 1.0, 2))


@given(x=st.floats(-1.5, 1.5), y=st.floats(-1.5, 1.5))
def test_squares_share_a_rectangle(x: float, y: float) -> None:
    expected = max(0.0, 1.0 - abs(x)) * max(0.0, 1.0 - abs(y))
    assert polygon_area(shared_polygon(SQUARE, moved(x, y))) == pytest.approx(expected, abs=1e-5)


@given(a=st.integers(0, 10_000), b=st.integers(0, 10_000))
def test_what_polygons_share_is_the_same_from_both_sides_and_no_more_than_either(a: int, b: int) -> None:
    first, second = hull(a), hull(b)
    assume(min(polygon_area(first), polygon_area(second)) > 0.01)
    shared = polygon_area(shared_polygon(first, second))
    assert shared == pytest.approx(polygon_area(shared_polygon(second, first)), abs=1e-3)
    assert shared <= min(polygon_area(first), polygon_area(second)) + 1e-3
    grid = np.stack(np.meshgrid(*[np.linspace(-2.0, 2.0, 81)] * 2), axis=-1).reshape(-1, 2)
    inside = (depth_inside_hull(grid, first) > 0.0) & (depth_inside_hull(grid, second) > 0.0)
    assert shared == pytest.approx(np.count_nonzero(inside) * 0.05**2, abs=0.4)


@given(count=st.integers(3, 200), most=st.integers(3, 40))
def test_a_circle_with_fewer_corners_is_still_about_as_large(count: int, most: int) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    simple = simplified_polygon(circle, most)
    kept = min(count, most)
    assert len(simple) == kept
    assert polygon_area(simple) <= polygon_area(circle) + 1e-12
    # Uneven corners cut off at most four times what as many even ones do.
    regular = kept / 2.0 * np.sin(2.0 * np.pi / kept)
    assert np.pi - polygon_area(simple) <= 4.0 * (np.pi - regular) + 1e-9


def test_nothing_has_no_area() -> None:
    assert polygon_area(np.zeros((0, 2))) == 0.0
    assert polygon_area(SQUARE[:2]) == 0.0
    assert polygon_area(shared_polygon(SQUARE, moved(5.0, 0.0))) == 0.0
