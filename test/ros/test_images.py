"""Image messages built byte by byte, against the arrays that they describe."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.images import (
    depth_from_image,
    image_message,
    labels_from_image,
    rgb_from_compressed,
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
}
LABELS = {"mono8": "B", "8UC1": "B", "mono16": "H", "16UC1": "H", "32SC1": "i"}

sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


def packed(
    samples: np.ndarray, code: str, encoding: str, *, padding: int = 0, big: bool = False, rng=None
) -> Image:
    """A message of (H, W, C) samples; each row is packed by struct and followed by junk."""
    rng = rng or np.random.default_rng(0)
    order = ">" if big else "<"
    rows = [struct.pack(f"{order}{row.size}{code}", *row.ravel().tolist()) for row in samples]
    message = Image(height=samples.shape[0], width=samples.shape[1], encoding=encoding, is_bigendian=int(big))
    message.step = len(rows[0]) + padding
    message.data = array.array("B", b"".join(row + rng.bytes(padding) for row in rows))
    return message


@given(st.sampled_from(sorted(PLAIN_COLORS)), sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
def test_colors_of_any_layout(encoding, height, width, padding, big, seed):
    code, channels, place = PLAIN_COLORS[encoding]
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 256 ** struct.calcsize(code), (height, width, channels))
    rgb = rgb_from_image(packed(samples, code, encoding, padding=padding, big=big, rng=rng))
    upper_byte = samples >> 8 if code == "H" else samples
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous and rgb.flags.writeable
    np.testing.assert_array_equal(rgb, upper_byte[..., list(place)])


def test_the_array_is_its_own_so_that_the_message_may_be_reused():
    message = packed(np.full((2, 2, 3), 7), "B", "rgb8")
    rgb = rgb_from_image(message)
    message.data[0] = 99
    assert (rgb == 7).all()


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


@pytest.mark.parametrize(
    ("encoding", "order"), [("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV")]
)
@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)))
def test_yuv_follows_itu_r_bt_601(encoding, order, color):
    """The forward transform of the standard (studio range), and back by the decoder."""
    r, g, b = color
    y = round(16 + 65.481 / 255 * r + 128.553 / 255 * g + 24.966 / 255 * b)
    u = round(128 - 37.797 / 255 * r - 74.203 / 255 * g + 112.0 / 255 * b)
    v = round(128 + 112.0 / 255 * r - 93.786 / 255 * g - 18.214 / 255 * b)
    pair = [{"Y": y, "U": u, "V": v}[letter] for letter in order]
    samples = np.tile(np.array(pair).reshape(1, 2, 2), (3, 4, 1))
    rgb = rgb_from_image(packed(samples, "B", encoding, padding=3)).astype(int)
    assert np.abs(rgb - [r, g, b]).max() <= 4


@given(st.sampled_from(sorted(LABELS)), sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
def test_labels_of_any_layout(encoding, height, width, padding, big, seed):
    code = LABELS[encoding]
    rng = np.random.default_rng(seed)
    least, most = (-5, 65536) if code == "i" else (0, 256 ** struct.calcsize(code))
    ids = rng.integers(least, most, (height, width))
    labels = labels_from_image(packed(ids[..., None], code, encoding, padding=padding, big=big, rng=rng))
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, np.maximum(ids, 0))


@given(sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
def test_integer_depth_is_millimetres_and_0_unknown(height, width, padding, big, seed):
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 65536, (height, width)) * rng.integers(0, 2, (height, width))
    depth = depth_from_image(packed(samples[..., None], "H", "16UC1", padding=padding, big=big, rng=rng))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, np.where(samples == 0, np.nan, samples / 1000), rtol=1e-6)


@given(
    st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=12),
    st.integers(0, 7),
    st.booleans(),
)
def test_floating_depth_is_metres_and_what_is_no_distance_unknown(values, padding, big):
    depth = depth_from_image(
        packed(np.array(values).reshape(1, -1, 1), "f", "32FC1", padding=padding, big=big)
    )
    expected = [value if 0 < value < np.inf else np.nan for value in values]
    np.testing.assert_array_equal(depth, np.array([expected], np.float32))


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
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, fault, reason):
    fields = {"height": 3, "width": 4, "step": 12, "encoding": "rgb8", "data": [0] * 36} | changes
    with pytest.raises(FaultError, match=reason) as refused:
        rgb_from_image(Image(**fields))
    assert refused.value.fault is fault


def test_the_last_row_may_lack_its_padding():
    message = packed(np.full((2, 2, 3), 5), "B", "rgb8", padding=4)
    message.data = message.data[:-4]
    assert (rgb_from_image(message) == 5).all()


def test_ids_that_do_not_fit_are_refused():
    with pytest.raises(FaultError, match="id 65536") as refused:
        labels_from_image(packed(np.array([[[65536]]]), "i", "32SC1"))
    assert refused.value.fault is Fault.LABEL_OUT_OF_RANGE


def compressed(picture: np.ndarray, extension: str, image_format: str) -> CompressedImage:
    _, data = cv2.imencode(extension, picture)
    return CompressedImage(format=image_format, data=data.tobytes())


def test_compressed_images_come_out_as_rgb():
    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[:, :15], rgb[:, 15:] = (200, 30, 10), (10, 60, 220)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    np.testing.assert_array_equal(
        rgb_from_compressed(compressed(bgr, ".png", "bgr8; png compressed bgr8")), rgb
    )
    np.testing.assert_array_equal(rgb_from_compressed(compressed(bgr, ".png", "png")), rgb)
    np.testing.assert_array_equal(
        rgb_from_compressed(compressed(rgb, ".png", "rgb8; png compressed rgb8")), rgb
    )
    decoded = rgb_from_compressed(compressed(bgr, ".jpg", "rgb8; jpeg compressed bgr8")).astype(int)
    assert np.abs(decoded - rgb)[:, [3, 26]].max() <= 6
    alpha = np.dstack([bgr, np.full((20, 30), 9, np.uint8)])
    np.testing.assert_array_equal(rgb_from_compressed(compressed(alpha, ".png", "png")), rgb)
    deep = np.full((4, 4), 0x1234, np.uint16)
    assert (rgb_from_compressed(compressed(deep, ".png", "mono16; png compressed ")) == 0x12).all()


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_pictures_that_end_early_are_refused(extension):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = compressed(picture, extension, "x").data.tobytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 20):
        with pytest.raises(FaultError) as refused:
            rgb_from_compressed(CompressedImage(format="x", data=whole[:length]))
        assert refused.value.fault in (Fault.TRUNCATED_DATA, Fault.CORRUPT_DATA)


@pytest.mark.parametrize(
    ("data", "fault", "reason"),
    [
        (b"no picture at all", Fault.UNKNOWN_ENCODING, "JPEG or PNG file is expected"),
        (b"BM" + bytes(60), Fault.UNKNOWN_ENCODING, "JPEG or PNG"),
        (b"", Fault.TRUNCATED_DATA, "of 0 bytes"),
        (b"\xff\xd8" + bytes(50) + b"\xff\xd9", Fault.CORRUPT_DATA, "claims to be 0x0"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40) + b"IEND", Fault.CORRUPT_DATA, "claims to be 0x0"),
    ],
)
def test_what_is_no_picture_is_refused(data, fault, reason):
    with pytest.raises(FaultError, match=reason) as refused:
        rgb_from_compressed(CompressedImage(format="jpeg", data=data))
    assert refused.value.fault is fault


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_file_that_claims_to_be_huge_is_refused_before_it_is_allocated(extension):
    """A size that fits the limits of OpenCV would take gigabytes."""
    data = bytearray(compressed(np.zeros((8, 8, 3), np.uint8), extension, "x").data.tobytes())
    if extension == ".png":
        data[16:24] = struct.pack(">II", 32000, 32000)
    else:
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", 32000, 32000)
    with pytest.raises(FaultError, match="claims to be 32000x32000") as refused:
        rgb_from_compressed(CompressedImage(format="x", data=bytes(data)))
    assert refused.value.fault is Fault.CORRUPT_DATA


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
