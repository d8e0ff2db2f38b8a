"""Depth images built byte by byte, against the distances that they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_bench import RANGES, packed, seeds, sizes

from sam3d_ros.ros.images import depth_from_image


@given(
    st.sampled_from([("16UC1", "H"), ("mono16", "H"), ("16SC1", "h")]),
    sizes,
    sizes,
    st.integers(0, 7),
    st.booleans(),
    seeds,
)
def test_integer_depth_is_millimetres_and_ends_of_its_range_unknown(kind, height, width, padding, big, seed):
    encoding, code = kind
    rng = np.random.default_rng(seed)
    least, most = RANGES.get(code, (0, 65535))
    samples = rng.integers(least, most, (height, width), endpoint=True) * rng.integers(0, 2, (height, width))
    samples[rng.random((height, width)) < 0.2] = most
    depth = depth_from_image(packed(samples[..., None], code, encoding, padding=padding, big=big, rng=rng))
    assert depth.dtype == np.float32 and depth.flags.c_contiguous and depth.flags.writeable
    known = (samples > 0) & (samples < most)
    np.testing.assert_array_equal(depth, np.where(known, samples / 1000, np.nan).astype(np.float32))


FLOATS = st.one_of(
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1e4, -np.inf, np.inf, np.nan, 65.535, float(np.finfo(np.float32).max)]),
)


@given(
    st.sampled_from([("32FC1", "f"), ("64FC1", "d")]),
    st.lists(FLOATS, min_size=1, max_size=12),
    st.integers(0, 7),
    st.booleans(),
    st.sampled_from([0.5, 60.0, 1e6, np.inf]),
)
def test_floating_depth_is_metres_and_what_is_no_distance_unknown(kind, values, padding, big, most):
    encoding, code = kind
    samples = np.array(values).reshape(1, -1, 1)
    depth = depth_from_image(packed(samples, code, encoding, padding=padding, big=big), most)
    largest = np.finfo(np.float32).max
    expected = [value if 0 < value <= most and value < largest else np.nan for value in values]
    np.testing.assert_array_equal(depth, np.array([expected], np.float32))


def test_a_double_that_float32_cannot_hold_is_unknown():
    depth = depth_from_image(packed(np.array([[[1.5], [1e300], [-1e300]]]), "d", "64FC1"))
    np.testing.assert_array_equal(depth, np.array([[1.5, np.nan, np.nan]], np.float32))


@pytest.mark.parametrize(("encoding", "code", "unit"), [("16UC1", "H", 1000), ("32FC1", "f", 1)])
def test_depth_beyond_the_farthest_is_unknown(encoding, code, unit):
    samples = np.array([4.9, 5.0, 5.1, 30.0]) * unit
    samples = samples.astype(int) if code == "H" else samples
    depth = depth_from_image(packed(samples.reshape(1, -1, 1), code, encoding), 5.0)
    np.testing.assert_array_equal(np.isfinite(depth), [[True, True, False, False]])
