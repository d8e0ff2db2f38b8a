"""Picture files in messages: decoded to their end mark, or refused by name."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.images import image_message, rgb_from_compressed, rgb_from_image


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


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_pictures_that_end_early_are_refused(extension):
    whole = compressed(noise(), extension, "x").data.tobytes()
    for length in (0, 1, 12, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        with pytest.raises(FaultError) as refused:
            rgb_from_compressed(CompressedImage(format="x", data=whole[:length]))
        assert refused.value.fault in (Fault.TRUNCATED_DATA, Fault.CORRUPT_DATA)


ENCODERS = {
    "JPEG": (".jpg", []),
    "progressive JPEG": (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "JPEG with restarts": (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
    "PNG": (".png", []),
    "WebP": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
    "lossless WebP": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("tail", [b"", bytes(1500), bytes(100_000), b"\xff" * 700, "again"])
def test_what_follows_the_end_of_a_picture_is_left_alone(encoder, tail):
    extension, options = ENCODERS[encoder]
    whole = cv2.imencode(extension, noise(), options)[1].tobytes()
    data = whole + (whole if tail == "again" else tail)
    rgb = rgb_from_compressed(CompressedImage(format="x", data=data))
    np.testing.assert_array_equal(rgb[..., ::-1], cv2.imdecode(np.frombuffer(whole, np.uint8), 1))


@pytest.mark.parametrize("encoder", ["JPEG", "progressive JPEG", "JPEG with restarts", "PNG"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_picture_is_not_made_whole_by_what_follows(encoder, share):
    extension, options = ENCODERS[encoder]
    whole = cv2.imencode(extension, noise(), options)[1].tobytes()
    for tail in (bytes(1500), bytes(100_000), whole):
        data = whole[: int(share * len(whole))] + tail
        with pytest.raises(FaultError) as refused:
            rgb_from_compressed(CompressedImage(format="x", data=data))
        assert refused.value.fault in (Fault.TRUNCATED_DATA, Fault.CORRUPT_DATA)


def test_a_thumbnail_inside_does_not_end_a_picture():
    thumbnail = cv2.imencode(".jpg", noise(8, 8))[1].tobytes()
    whole = cv2.imencode(".jpg", noise())[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    rgb = rgb_from_compressed(CompressedImage(format="jpeg", data=whole[:2] + segment + whole[2:]))
    assert rgb.shape == (64, 64, 3)
    with pytest.raises(FaultError) as refused:
        rgb_from_compressed(CompressedImage(format="jpeg", data=(whole[:2] + segment + whole[2:])[:-200]))
    assert refused.value.fault is Fault.TRUNCATED_DATA


@pytest.mark.parametrize(
    ("data", "fault", "reason"),
    [
        (b"no picture at all", Fault.UNKNOWN_ENCODING, "neither PNG nor JPEG"),
        (b"BM" + bytes(60), Fault.UNKNOWN_ENCODING, "neither PNG nor JPEG"),
        (b"", Fault.TRUNCATED_DATA, "is empty"),
        (b"\xff\xd8" + bytes(50) + b"\xff\xd9", Fault.CORRUPT_DATA, "without a marker at byte 2"),
        (b"\xff\xd8\xff\xd9" + bytes(50), Fault.CORRUPT_DATA, "without a picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40) + b"IEND", Fault.CORRUPT_DATA, "claims to be 0x0"),
        (b"RIFF\x20\0\0\0WEBPVP8X" + bytes(30), Fault.CORRUPT_DATA, "cannot be decoded"),
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


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_mosaic_is_stored_as_it_is_and_becomes_colors(pattern, bits):
    """What image_transport makes of a mosaic, beside the same mosaic as an image."""
    rng = np.random.default_rng(0)
    mosaic = rng.integers(0, 1 << bits, (24, 32), np.uint16).astype(f"u{bits // 8}")
    encoding = f"bayer_{pattern}{bits}"
    raw = rgb_from_image(image_message(mosaic, encoding, Header()))
    found = rgb_from_compressed(compressed(mosaic, ".png", f"{encoding}; png compressed "))
    np.testing.assert_array_equal(found, raw)
    # One that the encoder was given in colours is what it is.
    np.testing.assert_array_equal(
        rgb_from_compressed(compressed(raw[..., ::-1], ".png", f"{encoding}; png compressed bgr8")), raw
    )


def test_a_mosaic_too_small_for_a_color_is_refused():
    with pytest.raises(FaultError, match="mosaic of 2x8") as refused:
        rgb_from_compressed(compressed(np.zeros((8, 2), np.uint8), ".png", "bayer_rggb8; png compressed "))
    assert refused.value.fault is Fault.SIZE_MISMATCH


@pytest.mark.parametrize("encoding", ["16UC1", "16SC1", "32FC1", "64FC1", "32SC1", "8SC1"])
def test_ids_and_depth_are_no_picture(encoding):
    message = compressed(np.zeros((8, 8), np.uint16), ".png", f"{encoding}; png compressed ")
    with pytest.raises(FaultError, match=f"{encoding} holds no colours") as refused:
        rgb_from_compressed(message)
    assert refused.value.fault is Fault.UNKNOWN_ENCODING
