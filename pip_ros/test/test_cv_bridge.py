"""Image messages to arrays and back: layouts built byte by byte, colours from their definitions."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

ENCODINGS = {
    "rgb8": ("u1", 3),
    "bgr8": ("u1", 3),
    "rgba8": ("u1", 4),
    "bgra8": ("u1", 4),
    "mono8": ("u1", 1),
    "mono16": ("u2", 1),
    "rgb16": ("u2", 3),
    "bayer_rggb8": ("u1", 1),
    "bayer_gbrg16": ("u2", 1),
    "yuv422": ("u1", 2),
    "yuv422_yuy2": ("u1", 2),
    "8UC1": ("u1", 1),
    "8SC3": ("i1", 3),
    "16UC1": ("u2", 1),
    "16SC2": ("i2", 2),
    "32SC1": ("i4", 1),
    "32FC1": ("f4", 1),
    "64FC4": ("f8", 4),
    "8UC7": ("u1", 7),
}

bridge = CvBridge()


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 7),
    big=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout_is_read_pixel_by_pixel(encoding, height, width, padding, big, seed):
    """The oracle packs every value by itself, in the wire's byte order, with junk after each row."""
    kind, channels = ENCODINGS[encoding]
    rng = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    pixels = rng.integers(0, 100, (height, width, channels)).astype(dtype)
    wire = dtype.newbyteorder(">" if big else "<")
    rows = [b"".join(np.array(v, wire).tobytes() for v in row.ravel()) + rng.bytes(padding) for row in pixels]
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=int(big), step=len(rows[0]))
    message.data = array.array("B", b"".join(rows))
    image = bridge.imgmsg_to_cv2(message)
    assert image.dtype == dtype and image.dtype.isnative
    np.testing.assert_array_equal(image, pixels if channels > 1 else pixels[..., 0])
    back = bridge.cv2_to_imgmsg(image, encoding)
    assert (back.height, back.width, back.encoding) == (height, width, encoding)
    assert back.step == width * channels * dtype.itemsize
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(back), image)


def test_an_image_that_is_not_contiguous_is_written_row_by_row():
    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(
        bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(picture[::2, 1::2])), picture[::2, 1::2]
    )


def test_header_and_name_of_the_encoding():
    header = Header(frame_id="camera")
    message = bridge.cv2_to_imgmsg(np.zeros((2, 3, 3), np.float32), header=header)
    assert message.encoding == "32FC3"
    assert message.header.frame_id == "camera"
    assert bridge.encoding_to_cvtype2("bgra16") == "16UC4"


R, G, B = 200, 100, 50
COLOR = {
    "rgb8": [R, G, B],
    "bgr8": [B, G, R],
    "rgba8": [R, G, B, 255],
    "bgra8": [B, G, R, 255],
}


@pytest.mark.parametrize("source", COLOR)
@pytest.mark.parametrize("target", COLOR)
def test_channels_are_reordered(source, target):
    message = bridge.cv2_to_imgmsg(np.full((2, 3, len(COLOR[source])), COLOR[source], np.uint8), source)
    image = bridge.imgmsg_to_cv2(message, target)
    np.testing.assert_array_equal(image, np.full((2, 3, len(COLOR[target])), COLOR[target]))


def test_grey_follows_rec_601_and_spreads_to_all_channels():
    message = bridge.cv2_to_imgmsg(np.full((2, 3, 3), (R, G, B), np.uint8), "rgb8")
    grey = bridge.imgmsg_to_cv2(message, "mono8")
    assert grey.shape == (2, 3)
    assert abs(int(grey[0, 0]) - (0.299 * R + 0.587 * G + 0.114 * B)) <= 1
    spread = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(np.full((2, 3), 77, np.uint8), "mono8"), "bgr8")
    np.testing.assert_array_equal(spread, 77 * np.ones((2, 3, 3)))


def test_full_scale_stays_full_scale_between_8_and_16_bits():
    ramp = np.array([[0, 128, 255]], np.uint8)
    wide = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(ramp, "mono8"), "mono16")
    np.testing.assert_array_equal(wide, [[0, 128 * 257, 65535]])
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(wide, "mono16"), "mono8"), ramp)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_bayer_mosaic_of_one_color_is_that_color(pattern):
    value = {"r": R, "g": G, "b": B}
    mosaic = np.tile(np.array([value[c] for c in pattern], np.uint8).reshape(2, 2), (4, 5))
    image = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(mosaic, f"bayer_{pattern}8"), "rgb8")
    np.testing.assert_array_equal(image, np.full((8, 10, 3), (R, G, B)))


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "UYVY"), ("yuv422_yuy2", "YUYV")])
def test_yuv_is_unpacked_in_its_byte_order(encoding, order):
    """Inverse of ITU-R BT.601 with studio range, for one colour."""
    y = round(16 + 0.257 * R + 0.504 * G + 0.098 * B)
    u = round(128 - 0.148 * R - 0.291 * G + 0.439 * B)
    v = round(128 + 0.439 * R - 0.368 * G - 0.071 * B)
    pair = [{"Y": y, "U": u, "V": v}[letter] for letter in order]
    packed = np.tile(np.array(pair, np.uint8).reshape(1, 2, 2), (2, 3, 1))
    image = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(packed, encoding), "rgb8")
    np.testing.assert_allclose(image, np.full((2, 6, 3), (R, G, B)), atol=3)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("8UC3", "bgr8", "not a color format"),
        ("16UC1", "mono8", "not a color format"),
        ("rgb8", "32FC1", "number of channels"),
        ("rgb8", "bayer_rggb8", "Unsupported conversion"),
        ("rgb8", "no_such_encoding", "Unrecognized image encoding"),
    ],
)
def test_conversions_without_sense_are_refused(source, target, reason):
    kind, channels = ENCODINGS.get(source, ("u1", 3))
    shape = (2, 2, channels) if channels > 1 else (2, 2)
    message = bridge.cv2_to_imgmsg(np.zeros(shape, kind), source)
    with pytest.raises(CvBridgeError, match=reason):
        bridge.imgmsg_to_cv2(message, target)


def test_bad_messages_and_arrays_are_refused():
    with pytest.raises(CvBridgeError, match="incompatible type 8UC1"):
        bridge.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "rgb8")
    with pytest.raises(TypeError, match="not a numpy array"):
        bridge.cv2_to_imgmsg([[1, 2]])
    with pytest.raises(CvBridgeError, match="Unrecognized"):
        bridge.imgmsg_to_cv2(Image(height=1, width=1, step=1, encoding="rgb9", data=[0]))
    with pytest.raises(CvBridgeError, match="too few"):
        bridge.imgmsg_to_cv2(Image(height=2, width=2, step=6, encoding="rgb8", data=[0] * 11))


def test_compressed_images():
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), (9, 9), 4)
    png = bridge.cv2_to_compressed_imgmsg(picture, "png")
    assert png.format == "png"
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(png), picture)
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(png, "rgb8"), picture[..., ::-1])
    jpg = bridge.compressed_imgmsg_to_cv2(bridge.cv2_to_compressed_imgmsg(picture))
    assert np.abs(jpg.astype(int) - picture).mean() < 5
    with pytest.raises(CvBridgeError, match="cannot decode"):
        bridge.compressed_imgmsg_to_cv2(CompressedImage(format="png", data=[1, 2, 3]))
