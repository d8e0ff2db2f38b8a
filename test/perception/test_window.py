"""Windows are sets of pixels: each answer against the set itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam3d_ros.perception.window import Window, window_of

HEIGHT, WIDTH = 14, 19
SHAPE = (HEIGHT, WIDTH)
IMAGE = Window(0, HEIGHT, 0, WIDTH)


@st.composite
def windows(draw: st.DrawFn, within: Window = IMAGE) -> Window:
    """Windows of at least one pixel in another one."""
    top, left = (
        draw(st.integers(within.top, within.bottom - 1)),
        draw(st.integers(within.left, within.right - 1)),
    )
    bottom, right = draw(st.integers(top + 1, within.bottom)), draw(st.integers(left + 1, within.right))
    return Window(top, bottom, left, right)


#: Two windows of which the first one holds the second.
nested = windows().flatmap(lambda outer: st.tuples(st.just(outer), windows(outer)))


def places(around: float = 40.0) -> st.SearchStrategy[tuple[float, float]]:
    """u, v in and far beyond the image, some of them unknown."""
    number = st.floats(-around, around)
    return st.one_of(st.tuples(number, number), st.just((np.nan, np.nan)))


pixel_lists = st.lists(places(), max_size=6).map(lambda pixels: np.array(pixels, float).reshape(-1, 2))


def pixels_of(window: Window) -> np.ndarray:
    """(H, W) whether each pixel is in a window."""
    mask = np.zeros(SHAPE, bool)
    mask[window.slices] = True
    return mask


@given(windows())
def test_area_and_sides_count_pixels(window: Window) -> None:
    mask = pixels_of(window)
    assert window.area == np.count_nonzero(mask)
    assert window.longest == max(np.count_nonzero(mask.any(axis=1)), np.count_nonzero(mask.any(axis=0)))


@given(st.one_of(nested, st.tuples(windows(), windows())))
def test_a_window_holds_another_when_each_pixel_of_it_is_inside(pair: tuple[Window, Window]) -> None:
    outer, inner = pair
    assert outer.holds(inner) == bool((pixels_of(outer) >= pixels_of(inner)).all())
    assert outer.holds(outer) and IMAGE.holds(outer)
    if outer.holds(inner) and inner.holds(outer):
        assert outer == inner


@given(nested)
def test_a_part_of_a_part_is_a_part_of_the_whole(pair: tuple[Window, Window]) -> None:
    outer, inner = pair
    assert outer.holds(inner)
    image = np.arange(HEIGHT * WIDTH).reshape(SHAPE)
    np.testing.assert_array_equal(image[outer.slices][inner.slices_in(outer)], image[inner.slices])


@given(windows(), st.integers(0, 25))
def test_a_grown_window_holds_all_pixels_within_the_margin(window: Window, margin: int) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    near = (rows >= window.top - margin) & (rows < window.bottom + margin)
    near &= (columns >= window.left - margin) & (columns < window.right + margin)
    np.testing.assert_array_equal(pixels_of(window.grown(margin, SHAPE)), near)


@given(windows(), st.integers(0, 12), st.integers(0, 12))
def test_growing_twice_is_growing_by_the_sum(window: Window, first: int, second: int) -> None:
    assert window.grown(first, SHAPE).grown(second, SHAPE) == window.grown(first + second, SHAPE)
    assert window.grown(0, SHAPE) == window


@given(windows(), st.integers(-30, 30), st.integers(-30, 30))
def test_moving_keeps_the_size_and_can_be_undone(window: Window, rows: int, columns: int) -> None:
    moved = window.moved(rows, columns)
    assert (moved.top, moved.left) == (window.top + rows, window.left + columns)
    assert (moved.area, moved.longest) == (window.area, window.longest)
    assert moved.moved(-rows, -columns) == window


@given(nested)
def test_a_window_in_what_an_outer_one_was_cut_to_is_moved_by_its_corner(pair: tuple[Window, Window]) -> None:
    outer, inner = pair
    assert inner.slices_in(outer) == inner.moved(-outer.top, -outer.left).slices


@given(windows(), pixel_lists)
def test_including_gives_the_smallest_window_with_all_that_the_image_has(
    window: Window, pixels: np.ndarray
) -> None:
    widened = window.including(pixels, SHAPE)
    assert widened.holds(window) and IMAGE.holds(widened)
    corners = [(window.top, window.left), (window.bottom - 1, window.right - 1)]
    for u, v in pixels[np.isfinite(pixels).all(axis=1)]:
        # The pixels on both sides of a place; beyond the image, those of its border.
        for row, column in ((np.floor(v), np.floor(u)), (np.ceil(v), np.ceil(u))):
            corners.append((int(np.clip(row, 0, HEIGHT - 1)), int(np.clip(column, 0, WIDTH - 1))))
    (top, left), (bottom, right) = np.min(corners, axis=0), np.max(corners, axis=0) + 1
    assert widened == Window(int(top), int(bottom), int(left), int(right))


@given(windows(), pixel_lists, pixel_lists)
def test_places_can_be_included_one_after_the_other(
    window: Window, first: np.ndarray, second: np.ndarray
) -> None:
    both = np.concatenate([first, second])
    one_by_one = window.including(first, SHAPE).including(second, SHAPE)
    assert one_by_one == window.including(both, SHAPE) == one_by_one.including(both, SHAPE)


@given(windows())
def test_unknown_places_widen_nothing(window: Window) -> None:
    assert window.including(np.full((3, 2), np.nan), SHAPE) == window
    assert window.including(np.zeros((0, 2)), SHAPE) == window


@given(windows())
def test_the_border_is_met_by_a_pixel_on_it(window: Window) -> None:
    mask = pixels_of(window)
    on_border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    assert window.meets_border(SHAPE) == bool(on_border)


@given(st.integers(0, 2**31), st.floats(0.0, 1.0), st.booleans())
def test_the_window_of_a_mask_is_the_smallest_one_with_all_of_it(
    seed: int, share: float, turned: bool
) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < share**4
    mask = mask.T if turned else mask
    if not mask.any():
        with pytest.raises(ValueError, match="no pixel"):
            window_of(mask)
        return
    at = np.argwhere(mask)
    (top, left), (bottom, right) = at.min(axis=0), at.max(axis=0) + 1
    assert window_of(mask) == Window(int(top), int(bottom), int(left), int(right))


@given(windows())
def test_the_window_of_a_filled_window_is_itself(window: Window) -> None:
    assert window_of(pixels_of(window)) == window
