"""Image messages built byte by byte, against the arrays that they describe."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest
from cv_bridge import CvBridge
from hypothesis import given
from hypothesis import strategies as st
from image_bench import packed, seeds, sizes
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam3d_ros.ros.bridge import _bridge
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.images import (
    depth_from_image,
    image_message,
    labels_from_image,
    rgb_from_image,
)

# Encoding -> struct code of a sample, and the place of R, G and B among the samples of a pixel.
PLAIN_COLORS = {
    "rgb8": ("B", 3, (0, 1, 2)),
    "bgr8": ("B", 3, (2, 1, 0)),
    "8UC3": ("B", 3, (2, 1, 0)),
    "rgba8": ("B", 4, (0, 1, 2)),
    "bgra8": ("B", 4, (2, 1, 0)),
    "8UC4": ("B", 4, (2, 1, 0)),
    "mono8": ("B", 1, (0, 0, 0)),
    "8UC1": ("B", 1, (0, 0, 0)),
    "mono16": ("H", 1, (0, 0, 0)),
    "rgb16": ("H", 3, (0, 1, 2)),
    "bgr16": ("H", 3, (2, 1, 0)),
    "16UC3": ("H", 3, (2, 1, 0)),
    "rgba16": ("H", 4, (0, 1, 2)),
    "bgra16": ("H", 4, (2, 1, 0)),
    "16UC4": ("H", 4, (2, 1, 0)),
}


@given(st.sampled_from(sorted(PLAIN_COLORS)), sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
def test_colors_of_any_layout(encoding, height, width, padding, big, seed):
    code, channels, place = PLAIN_COLORS[encoding]
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 256 ** struct.calcsize(code), (height, width, channels))
    rgb = rgb_from_image(packed(samples, code, encoding, padding=padding, big=big, rng=rng))
    upper_byte = samples >> 8 if code == "H" else samples
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous and rgb.flags.writeable
    np.testing.assert_array_equal(rgb, upper_byte[..., list(place)])


@pytest.mark.parametrize("encoding", [*PLAIN_COLORS, "bayer_rggb8", "yuv422", "yuyv"])
@pytest.mark.parametrize("padding", [0, 4])
def test_the_array_is_its_own_so_that_the_message_may_be_reused(encoding, padding):
    code, channels, _ = PLAIN_COLORS.get(encoding, ("B", 2 if "yu" in encoding else 1, None))
    message = packed(np.full((4, 4, channels), 7), code, encoding, padding=padding)
    rgb = rgb_from_image(message)
    before = rgb.copy()
    for i in range(len(message.data)):
        message.data[i] = 99
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "bgra8", "mono8", "mono16", "yuv422", "bayer_gbrg8"])
def test_a_cv_bridge_that_was_built_for_another_numpy_is_done_without(encoding, monkeypatch):
    """Its Python half is imported, and its compiled half is not when it is asked for an encoding."""
    code, channels, _ = PLAIN_COLORS.get(encoding, ("B", 2 if "yu" in encoding else 1, None))
    samples = np.random.default_rng(0).integers(0, 256, (6, 8, channels))
    message = packed(samples, code, encoding)
    expected = rgb_from_image(message)

    def refuse(*_arguments):
        raise ImportError("numpy.core.multiarray failed to import")

    with monkeypatch.context() as patch:
        for name in ("encoding_to_cvtype2", "encoding_to_dtype_with_channels", "imgmsg_to_cv2"):
            patch.setattr(CvBridge, name, refuse)
        _bridge.cache_clear()
        np.testing.assert_array_equal(rgb_from_image(message), expected)
    _bridge.cache_clear()


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize(("bits", "code"), [(8, "B"), (16, "H")])
def test_a_mosaic_of_one_color_is_that_color(pattern, bits, code):
    value = {"r": 200, "g": 100, "b": 50}
    mosaic = np.tile(np.array([value[letter] for letter in pattern]).reshape(2, 2), (4, 5))[..., None]
    rgb = rgb_from_image(packed(mosaic << (bits - 8), code, f"bayer_{pattern}{bits}", big=bits == 16))
    np.testing.assert_array_equal(rgb, np.full((8, 10, 3), (200, 100, 50)))


def test_the_first_pixel_of_a_mosaic_has_the_first_color_of_its_name():
    """A red disc on a black mosaic: the red samples are where the pattern puts them."""
    samples = np.zeros((6, 6, 1), int)
    samples[::2, ::2] = 240  # the places of the first letter
    rgb = rgb_from_image(packed(samples, "B", "bayer_rggb8"))
    assert rgb[2:4, 2:4, 0].min() > 200 and rgb[2:4, 2:4, 1:].max() < 60
    rgb = rgb_from_image(packed(samples, "B", "bayer_bggr8"))
    assert rgb[2:4, 2:4, 2].min() > 200 and rgb[2:4, 2:4, :2].max() < 60


def studio_yuv(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """The forward transform of ITU-R BT.601, studio range."""
    return (
        round(16 + 65.481 / 255 * red + 128.553 / 255 * green + 24.966 / 255 * blue),
        round(128 - 37.797 / 255 * red - 74.203 / 255 * green + 112.0 / 255 * blue),
        round(128 + 112.0 / 255 * red - 93.786 / 255 * green - 18.214 / 255 * blue),
    )


@pytest.mark.parametrize(
    ("encoding", "order"), [("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV")]
)
@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)))
def test_yuv_follows_itu_r_bt_601(encoding, order, color):
    """The forward transform of the standard (studio range), and back by the decoder."""
    y, u, v = studio_yuv(*color)
    pair = [{"Y": y, "U": u, "V": v}[letter] for letter in order]
    samples = np.tile(np.array(pair).reshape(1, 2, 2), (3, 4, 1))
    rgb = rgb_from_image(packed(samples, "B", encoding, padding=3)).astype(int)
    assert np.abs(rgb - color).max() <= 4


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
@given(
    color=st.tuples(*[st.integers(0, 255)] * 3),
    padding=st.sampled_from([0, 3, 10]),
    in_all=st.booleans(),
    seed=seeds,
)
def test_semi_planar_images(encoding, color, padding, in_all, seed):
    """A uniform colour with brightness in its own plane; `step` is that of the plane, or of all bytes of a row."""
    height, width = 6, 8
    y, u, v = studio_yuv(*color)
    share = 1 if encoding == "nv24" else 2
    pair = (v, u) if encoding == "nv21" else (u, v)
    padding = 0 if in_all else padding
    rng = np.random.default_rng(seed)
    luma = rng.integers(0, 256, (height, width + padding))
    luma[:, :width] = y
    chroma = rng.integers(0, 256, (height // share, 2 * (width + padding) // share))
    chroma[:, : 2 * width // share] = np.tile(pair, width // share)
    message = Image(height=height, width=width, encoding=encoding, step=width + padding)
    message.data = array.array("B", luma.astype(np.uint8).tobytes() + chroma.astype(np.uint8).tobytes())
    if in_all:
        message.step = len(message.data) // height
    rgb = rgb_from_image(message)
    assert rgb.shape == (height, width, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - color).max() <= 4


def test_colors_of_semi_planar_images_are_where_they_belong():
    """The left half is red, the lower one bright; each plane tells its own."""
    luma = np.full((4, 8), 60, np.uint8)
    luma[2:] = 180
    chroma = np.full((2, 4, 2), 128, np.uint8)
    chroma[:, :2, 1] = 200
    message = Image(height=4, width=8, encoding="nv12", step=8)
    message.data = array.array("B", luma.tobytes() + chroma.tobytes())
    rgb = rgb_from_image(message).astype(int)
    assert (rgb[:, :4, 0] > rgb[:, :4, 2] + 50).all()
    assert (rgb[:, 4:].max(axis=-1) - rgb[:, 4:].min(axis=-1) <= 2).all()
    assert rgb[2:].mean() > rgb[:2].mean() + 80


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"data": [0] * 47}, Fault.TRUNCATED_DATA),
        ({"data": [0] * 32}, Fault.TRUNCATED_DATA),
        ({"data": [0] * 49}, Fault.SIZE_MISMATCH),
        ({"data": [0] * 64}, Fault.SIZE_MISMATCH),
        ({"step": 7}, Fault.SIZE_MISMATCH),
        ({"step": 16}, Fault.TRUNCATED_DATA),
        ({"width": 7}, Fault.SIZE_MISMATCH),
        ({"height": 3}, Fault.SIZE_MISMATCH),
        ({"height": 0}, Fault.SIZE_MISMATCH),
    ],
)
def test_planes_that_do_not_fit_are_refused(changes, fault):
    fields = {"height": 4, "width": 8, "step": 8, "encoding": "nv21", "data": [0] * 48} | changes
    with pytest.raises(FaultError) as refused:
        rgb_from_image(Image(**fields))
    assert refused.value.fault is fault


@pytest.mark.parametrize("decode", [rgb_from_image, labels_from_image, depth_from_image])
def test_unknown_encodings_are_refused_with_those_that_are_known(decode):
    with pytest.raises(FaultError, match=r"encoding 'hsv8': use one of .*mono16") as refused:
        decode(Image(height=1, width=1, step=3, encoding="hsv8", data=[0, 0, 0]))
    assert refused.value.fault is Fault.UNKNOWN_ENCODING


@pytest.mark.parametrize(
    ("changes", "fault", "reason"),
    [
        ({"data": [0] * 35}, Fault.TRUNCATED_DATA, "needs 36 bytes, got 35"),
        ({"data": []}, Fault.TRUNCATED_DATA, "got 0"),
        ({"height": 2**31, "width": 2**31 // 3, "step": 2**31}, Fault.TRUNCATED_DATA, "bytes, got"),
        ({"step": 11}, Fault.SIZE_MISMATCH, "step 11, but a row of 4 pixels of rgb8 takes 12 bytes"),
        ({"step": 0}, Fault.SIZE_MISMATCH, "step 0"),
        ({"height": 0}, Fault.SIZE_MISMATCH, "no pixel"),
        ({"width": 0}, Fault.SIZE_MISMATCH, "no pixel"),
        ({"encoding": "yuv422", "width": 3}, Fault.SIZE_MISMATCH, "two pixels share"),
        ({"encoding": "bayer_rggb8", "height": 2}, Fault.SIZE_MISMATCH, "mosaic"),
        ({"data": [0] * 37}, Fault.SIZE_MISMATCH, "needs 36 bytes, got 37"),
        ({"height": 2}, Fault.SIZE_MISMATCH, "needs 24 bytes, got 36"),
        ({"width": 3, "step": 9}, Fault.SIZE_MISMATCH, "needs 27 bytes, got 36"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, fault, reason):
    fields = {"height": 3, "width": 4, "step": 12, "encoding": "rgb8", "data": [0] * 36} | changes
    with pytest.raises(FaultError, match=reason) as refused:
        rgb_from_image(Image(**fields))
    assert refused.value.fault is fault


@pytest.mark.parametrize(
    ("encoding", "dtype", "decode"),
    [
        ("16UC1", np.uint16, depth_from_image),
        ("32FC1", np.float32, depth_from_image),
        ("rgb8", np.uint8, rgb_from_image),
        ("mono16", np.uint16, labels_from_image),
    ],
)
def test_rows_that_are_longer_than_their_step_are_refused(encoding, dtype, decode):
    """A crop that tells its own width and step but keeps the rows of the whole picture would come out sheared."""
    shape = (48, 64, 3) if encoding == "rgb8" else (48, 64)
    message = image_message(np.ones(shape, dtype), encoding, Header())
    message.width, message.step = 63, message.step // 64 * 63
    with pytest.raises(FaultError, match="must agree") as refused:
        decode(message)
    assert refused.value.fault is Fault.SIZE_MISMATCH


@given(sizes, sizes, st.integers(0, 20), st.integers(-40, 60))
def test_data_is_rows_of_the_step_and_nothing_else(height, width, padding, surplus):
    message = packed(np.full((height, width, 3), 5), "B", "rgb8", padding=padding)
    whole = len(message.data)
    message.data = array.array("B", (message.data.tobytes() + bytes(60))[: max(whole + surplus, 0)])
    length = len(message.data)
    if length in (whole, whole - padding):
        assert (rgb_from_image(message) == 5).all()
        return
    with pytest.raises(FaultError) as refused:
        rgb_from_image(message)
    too_short = length < whole - padding  # the last row may come without its padding
    assert refused.value.fault is (Fault.TRUNCATED_DATA if too_short else Fault.SIZE_MISMATCH)


def test_a_last_row_that_lacks_much_may_be_of_another_step():
    """Rows of 154 bytes, of which the last one ends after 90, are as long as rows of 152 bytes."""
    message = packed(np.full((32, 30, 3), 5), "B", "rgb8", padding=64)
    message.data = message.data[:-64]
    assert len(message.data) == 32 * 152
    with pytest.raises(FaultError, match="must agree") as refused:
        rgb_from_image(message)
    assert refused.value.fault is Fault.SIZE_MISMATCH


@given(sizes, sizes, seeds)
def test_messages_that_are_written_read_back(height, width, seed):
    rng = np.random.default_rng(seed)
    header = Header(frame_id="camera")
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    message = image_message(rgb, "rgb8", header)
    assert message.header.frame_id == "camera" and message.step == 3 * width
    np.testing.assert_array_equal(rgb_from_image(message), rgb)
    ids = rng.integers(0, 65536, (height, width)).astype(np.uint16)
    np.testing.assert_array_equal(labels_from_image(image_message(ids, "16UC1", header)), ids)
    depth = rng.uniform(0.1, 9, (height, width)).astype(np.float32)
    np.testing.assert_array_equal(depth_from_image(image_message(depth, "32FC1", header)), depth)
