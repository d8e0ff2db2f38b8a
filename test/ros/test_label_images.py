"""Images of instance ids, against the ids that they were built from."""

from __future__ import annotations

import struct
from io import BytesIO

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_bench import RANGES, packed, seeds, sizes
from sensor_msgs.msg import CompressedImage

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_builder import is_resize
from sam3d_ros.ros.images import labels_from_compressed, labels_from_image

LABELS = {
    "mono8": "B",
    "8UC1": "B",
    "8SC1": "b",
    "mono16": "H",
    "16UC1": "H",
    "16SC1": "h",
    "32SC1": "i",
    "32FC1": "f",
    "64FC1": "d",
}


@given(st.sampled_from(sorted(LABELS)), sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
def test_labels_of_any_layout(encoding, height, width, padding, big, seed):
    code = LABELS[encoding]
    rng = np.random.default_rng(seed)
    least, most = RANGES.get(code, (0, 256 ** struct.calcsize(code) - 1))
    ids = rng.integers(least, most, (height, width), endpoint=True)
    labels = labels_from_image(packed(ids[..., None], code, encoding, padding=padding, big=big, rng=rng))
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, np.maximum(ids, 0))


IDS = np.array([[0, 1, 1], [7, 7, 0], [255, 0, 3]])


@pytest.mark.parametrize("encoding", ["8UC3", "rgb8", "bgr8", "rgb16", "16UC3"])
def test_labels_of_equal_channels_are_their_one_value(encoding):
    code = "H" if "16" in encoding else "B"
    labels = labels_from_image(packed(np.dstack([IDS] * 3), code, encoding, padding=1))
    np.testing.assert_array_equal(labels, IDS)


@pytest.mark.parametrize("encoding", ["rgba8", "bgra8", "8UC4"])
@pytest.mark.parametrize("alpha", [np.full((3, 3), 255), np.full((3, 3), 0), np.where(IDS, 255, 0)])
def test_labels_with_a_transparency_that_says_nothing(encoding, alpha):
    labels = labels_from_image(packed(np.dstack([IDS, IDS, IDS, alpha]), "B", encoding))
    np.testing.assert_array_equal(labels, IDS)


@pytest.mark.parametrize(
    ("channels", "encoding"),
    [
        ((IDS, IDS * 0, IDS * 0), "rgb8"),  # a label and the count of its instances
        ((IDS, IDS, np.roll(IDS, 1)), "8UC3"),
        ((IDS * 0, IDS * 0, IDS * 0, np.where(IDS, 255, 0)), "rgba8"),  # a mask in the transparency alone
        ((IDS, IDS, IDS, np.where(IDS, 128, 0)), "bgra8"),
    ],
)
def test_labels_whose_channels_differ_are_refused(channels, encoding):
    with pytest.raises(FaultError, match="one number for each pixel is expected") as refused:
        labels_from_image(packed(np.dstack(channels), "B", encoding))
    assert refused.value.fault is Fault.UNKNOWN_ENCODING


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 65536.0, 1e30])
def test_floats_that_are_no_ids_are_refused(value):
    with pytest.raises(FaultError) as refused:
        labels_from_image(packed(np.array([[[1.0], [value]]]), "f", "32FC1"))
    assert refused.value.fault is Fault.LABEL_OUT_OF_RANGE


def test_ids_that_do_not_fit_are_refused():
    with pytest.raises(FaultError, match="id 65536") as refused:
        labels_from_image(packed(np.array([[[65536]]]), "i", "32SC1"))
    assert refused.value.fault is Fault.LABEL_OUT_OF_RANGE


def png(samples: np.ndarray, image_format: str, extension: str = ".png", *options: int) -> CompressedImage:
    data = cv2.imencode(extension, samples, options)[1].tobytes()
    return CompressedImage(format=image_format, data=data)


@pytest.mark.parametrize(
    ("dtype", "image_format"),
    [
        (np.uint8, "mono8; png compressed "),
        (np.uint8, "8UC1; png compressed "),
        (np.uint8, "png"),
        (np.uint16, "16UC1; png compressed "),
        (np.uint16, "mono16; png compressed "),
        (np.uint16, "jpeg"),
    ],
)
def test_compressed_labels_are_the_samples_of_the_file(dtype: type, image_format: str) -> None:
    ids = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 30), dtype, endpoint=True)
    np.testing.assert_array_equal(labels_from_compressed(png(ids, image_format)), ids)
    padded = png(ids, image_format)
    padded.data = padded.data.tobytes() + bytes(700)
    np.testing.assert_array_equal(labels_from_compressed(padded), ids)


@pytest.mark.parametrize(("signed", "stored"), [(np.int8, np.uint8), (np.int16, np.uint16)])
def test_negative_ids_of_compressed_labels_are_none(signed: type, stored: type) -> None:
    ids = np.array([[-1, 0, 1], [np.iinfo(signed).min, 100, -7]], signed)
    encoding = {np.int8: "8SC1", np.int16: "16SC1"}[signed]
    found = labels_from_compressed(png(ids.view(stored), f"{encoding}; png compressed "))
    np.testing.assert_array_equal(found, np.maximum(ids, 0))


def test_a_palette_and_bits_are_ids() -> None:
    ids = np.random.default_rng(0).integers(0, 4, (9, 13), np.uint8)
    picture = PIL.Image.fromarray(ids, "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    file = BytesIO()
    picture.save(file, "PNG")
    message = CompressedImage(format="png", data=file.getvalue())
    np.testing.assert_array_equal(labels_from_compressed(message), ids)
    file = BytesIO()
    PIL.Image.fromarray(ids > 1).save(file, "PNG")
    message = CompressedImage(format="png", data=file.getvalue())
    np.testing.assert_array_equal(labels_from_compressed(message), ids > 1)


def test_lossless_webp_of_grey_is_ids() -> None:
    ids = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    message = png(np.dstack([ids] * 3), "webp", ".webp", cv2.IMWRITE_WEBP_QUALITY, 101)
    np.testing.assert_array_equal(labels_from_compressed(message), ids)


@pytest.mark.parametrize(
    ("message", "fault", "reason"),
    [
        (
            png(np.eye(20, dtype=np.uint8), "mono8; jpeg compressed ", ".jpg"),
            Fault.UNKNOWN_ENCODING,
            "lossy JPEG",
        ),
        (png(np.zeros((8, 8, 3), np.uint8), "webp", ".webp", 64, 80), Fault.UNKNOWN_ENCODING, "lossy WebP"),
        (
            png(np.uint8([[[1, 2, 3]]]), "rgb8; png compressed bgr8"),
            Fault.UNKNOWN_ENCODING,
            "colours do not tell",
        ),
        (CompressedImage(format="png", data=b""), Fault.TRUNCATED_DATA, "empty"),
        (CompressedImage(format="png", data=b"BM" + bytes(90)), Fault.UNKNOWN_ENCODING, "neither PNG"),
        (
            CompressedImage(format="png", data=png(np.eye(40, dtype=np.uint8), "").data[:-20]),
            Fault.TRUNCATED_DATA,
            "truncated PNG",
        ),
    ],
)
def test_files_that_hold_no_ids_are_refused(message: CompressedImage, fault: Fault, reason: str) -> None:
    with pytest.raises(FaultError, match=reason) as refused:
        labels_from_compressed(message)
    assert refused.value.fault is fault


@given(
    st.integers(200, 2000),
    st.integers(200, 2000),
    st.floats(0.1, 3.0),
    st.sampled_from([np.floor, np.ceil, np.rint]),
)
def test_any_rounding_of_a_resize_is_a_resize(width: int, height: int, scale: float, rounded):
    small = (int(rounded(width * scale)), int(rounded(height * scale)))
    assert is_resize(small, (width, height)) and is_resize((width, height), small)
    if scale >= 0.25:  # of fewer pixels a tenth is about what rounding does
        assert not is_resize((small[0], int(small[1] * 1.1)), (width, height))
