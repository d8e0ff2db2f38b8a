"""compressedDepth messages, against an encoder written from the description of the formats."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage

from sam3d_ros.ros.compressed_depth import depth_from_compressed
from sam3d_ros.ros.faults import Fault, FaultError


def message(image_format: str, body: bytes, a: float = 0.0, b: float = 0.0) -> CompressedImage:
    return CompressedImage(format=image_format, data=struct.pack("<iff", 1, a, b) + body)


def png(samples: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", samples)[1].tobytes())


def rvl(samples: np.ndarray) -> bytes:
    """Wilson's encoder, nibble by nibble."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while True:
            nibble, value = value & 7, value >> 3
            nibbles.append(nibble | (8 if value else 0))
            if not value:
                return

    flat, i, previous = samples.ravel().tolist(), 0, 0
    while i < len(flat):
        start = i
        while i < len(flat) and flat[i] == 0:
            i += 1
        put(i - start)
        start = i
        while i < len(flat) and flat[i] != 0:
            i += 1
        put(i - start)
        for value in flat[start:i]:
            delta = value - previous
            put((delta << 1) ^ (delta >> 31))
            previous = value
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[k : k + 8]), 16) for k in range(0, len(nibbles), 8)]
    return struct.pack(f"<ii{len(words)}I", samples.shape[1], samples.shape[0], *words)


def holes(seed: int, height: int, width: int) -> np.ndarray:
    """Millimetres with runs of unknown pixels."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(1, 65535, (height, width)) * (rng.random((height, width)) < rng.random())
    return samples.astype(np.uint16)


maps = st.builds(holes, st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))


@given(maps, st.sampled_from(["png", "rvl", ""]))
def test_integer_depth(samples, method):
    body = rvl(samples) if method == "rvl" else png(samples)
    depth = depth_from_compressed(message(f"16UC1; compressedDepth {method}".strip(), body))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, np.where(samples == 0, np.nan, samples / 1000), rtol=1e-6)


@pytest.mark.parametrize(
    "image_format", ["16UC1; png compressed ", "mono16; png compressed ", "16UC1; png", "png", ""]
)
@given(samples=maps, tail=st.sampled_from([0, 1500]))
def test_a_plain_png_is_millimetres(image_format, samples, tail):
    """What the transport compressed makes of 16-bit depth: no header."""
    given_message = CompressedImage(format=image_format, data=png(samples) + bytes(tail))
    depth = depth_from_compressed(given_message)
    np.testing.assert_allclose(depth, np.where(samples == 0, np.nan, samples / 1000), rtol=1e-6)


@pytest.mark.parametrize(
    ("image_format", "picture"),
    [
        ("32FC1; compressedDepth png", np.ones((2, 2), np.uint16)),
        ("32FC1; png compressed ", np.ones((2, 2), np.uint16)),
        ("mono8; png compressed ", np.ones((2, 2), np.uint8)),
        ("png", np.ones((2, 2, 3), np.uint8)),
        ("png", np.ones((2, 2, 3), np.uint16)),
    ],
)
def test_plain_files_without_millimetres_are_refused(image_format, picture):
    with pytest.raises(FaultError, match="without the header of compressedDepth") as refused:
        depth_from_compressed(CompressedImage(format=image_format, data=png(picture)))
    assert refused.value.fault is Fault.UNKNOWN_ENCODING


def test_a_jpeg_is_no_depth():
    data = cv2.imencode(".jpg", np.ones((8, 8), np.uint8))[1].tobytes()
    for image_format in ("16UC1; jpeg compressed ", "jpeg", "mono8; jpeg compressed "):
        with pytest.raises(FaultError) as refused:
            depth_from_compressed(CompressedImage(format=image_format, data=data))
        assert refused.value.fault is Fault.UNKNOWN_ENCODING


SENTINELS = np.array([[1000, 0, 65535, 30000, 59999]], np.uint16)


@pytest.mark.parametrize("method", ["png", "rvl", "plain"])
@pytest.mark.parametrize(
    ("most", "known"), [(np.inf, [1, 0, 0, 1, 1]), (30.0, [1, 0, 0, 1, 0]), (2.0, [1, 0, 0, 0, 0])]
)
def test_no_measurement_and_what_is_too_far_are_unknown(method, most, known):
    body = rvl(SENTINELS) if method == "rvl" else png(SENTINELS)
    compressed = message(f"16UC1; compressedDepth {method}", body)
    if method == "plain":
        compressed = CompressedImage(format="16UC1; png compressed ", data=body)
    np.testing.assert_array_equal(np.isfinite(depth_from_compressed(compressed, most)), [known])


@given(maps, st.binary(max_size=60))
def test_what_follows_run_lengths_is_left_alone(samples, tail):
    for junk in (tail, bytes(1500), b"\xff" * 40 + bytes(8)):
        depth = depth_from_compressed(message("16UC1; compressedDepth rvl", rvl(samples) + junk))
        np.testing.assert_array_equal(np.nan_to_num(np.rint(depth * 1000)), samples)


def test_quantised_depth_that_is_too_far_is_unknown():
    """v = A / depth + B for 1, 8 and 9.5 m."""
    a, b = 10100.0, -1009.0
    stored = np.rint(a / np.array([[1.0, 8.0, 9.5]]) + b).astype(np.uint16)
    quantised = message("32FC1; compressedDepth png", png(stored), a, b)
    np.testing.assert_array_equal(np.isfinite(depth_from_compressed(quantised, 9.0)), [[True, True, False]])


@pytest.mark.parametrize(
    "image_format", ["16UC1; compressedDepth", "16UC1;compressedDepth png", "mono16; compressedDepth png"]
)
@pytest.mark.parametrize("tail", [0, 1500])
def test_formats_of_older_and_newer_versions(image_format, tail):
    samples = holes(1, 6, 7)
    depth = depth_from_compressed(message(image_format, png(samples) + bytes(tail)))
    np.testing.assert_allclose(depth, np.where(samples == 0, np.nan, samples / 1000), rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["png", "rvl"]))
def test_quantised_depth_is_right_to_half_a_step(seed, method):
    """The encoder of the transport: v = round(A / depth + B), A and B from the range and the wanted resolution."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.3, 10.0, (8, 9)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    resolution, farthest = 100.0, 10.0
    a = np.float32(resolution * (resolution + 1.0))
    b = np.float32(1.0 - a / farthest)
    stored = np.where(np.isnan(depth), 0, np.rint(a / np.where(np.isnan(depth), 1, depth) + b)).astype(
        np.uint16
    )
    body = rvl(stored) if method == "rvl" else png(stored)
    decoded = depth_from_compressed(message(f"32FC1; compressedDepth {method}", body, float(a), float(b)))
    np.testing.assert_array_equal(np.isnan(decoded), np.isnan(depth))
    known = ~np.isnan(depth)
    # Half a step of v is 0.5 depth^2 / A metres; the depths that it stands for are a little wider apart.
    allowed = 0.5 * depth[known] ** 2 / a * 1.06
    assert (np.abs(decoded - depth)[known] <= allowed + 1e-5).all()


@pytest.mark.parametrize(
    "image_format",
    ["", "16UC1", "jpeg", "8UC1; compressedDepth png", "16UC1; png compressed ", "; compressedDepth"],
)
def test_other_formats_are_refused(image_format):
    with pytest.raises(FaultError, match="'16UC1; compressedDepth png'") as refused:
        depth_from_compressed(message(image_format, png(np.ones((2, 2), np.uint16))))
    assert refused.value.fault is Fault.UNKNOWN_ENCODING


@pytest.mark.parametrize("method", ["png", "rvl"])
def test_data_that_ends_early_is_refused(method):
    samples = holes(3, 20, 20)
    samples[-1, -1] = 1
    whole = message(f"16UC1; compressedDepth {method}", rvl(samples) if method == "rvl" else png(samples))
    for length in (0, 5, 12, 19, 22, len(whole.data) // 2, len(whole.data) - 17):
        cut = CompressedImage(format=whole.format, data=whole.data[:length])
        with pytest.raises(FaultError) as refused:
            depth_from_compressed(cut)
        assert refused.value.fault in (Fault.TRUNCATED_DATA, Fault.CORRUPT_DATA)


@pytest.mark.parametrize(
    ("image_format", "body", "parameters", "reason"),
    [
        ("16UC1; compressedDepth rvl", struct.pack("<iiI", 2**30, 2**30, 0), (0, 0), "claims to be"),
        ("16UC1; compressedDepth rvl", struct.pack("<iiI", -3, 4, 0), (0, 0), "claims to be"),
        ("16UC1; compressedDepth rvl", struct.pack("<iiI", 2, 2, 0x07000000), (0, 0), "more samples"),
        ("16UC1; compressedDepth rvl", struct.pack("<iiI", 2, 2, 0), (0, 0), "empty run"),
        ("16UC1; compressedDepth rvl", struct.pack("<iiII", 9, 9, 2**32 - 1, 0xFFFFFFF1), (0, 0), "33 bits"),
        ("16UC1; compressedDepth png", png(np.ones((2, 2, 3), np.uint8)), (0, 0), "uint16 is expected"),
        ("32FC1; compressedDepth png", png(np.ones((2, 2), np.uint16)), (0, 0), "A > 0"),
        ("32FC1; compressedDepth png", png(np.ones((2, 2), np.uint16)), (np.nan, 0), "A > 0"),
    ],
)
def test_garbage_is_refused(image_format, body, parameters, reason):
    with pytest.raises(FaultError, match=reason) as refused:
        depth_from_compressed(message(image_format, body, *parameters))
    assert refused.value.fault is Fault.CORRUPT_DATA
