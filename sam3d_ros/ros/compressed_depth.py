"""Compressed depth: the transport compressedDepth (PNG or RVL, in millimetres or quantised), and plain PNG files.

A message of compressedDepth begins with a header of 12 bytes: the kind of compression (int32) and two parameters A and
B (float32). 16UC1 depth follows as it is. 32FC1 depth is stored as 16-bit v = A / depth + B, 0 = unknown, so that near
depths keep more digits. RVL is the run-length code of Wilson, "Fast Lossless Depth Image Compression", 2017.

The transport compressed knows no depth: it stores 16UC1 as a PNG of 16 bits without a header, and refuses floats.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from sam3d_ros.perception.picture_files import PNG_SIGNATURE
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.images import Depth, metres
from sam3d_ros.ros.pictures import decoded_picture

#: Encodings of a 16-bit depth image.
_MILLIMETRES = ("16UC1", "mono16")
_HEADER = np.dtype([("kind", "<i4"), ("a", "<f4"), ("b", "<f4")])
_RVL_SIZE = np.dtype([("width", "<i4"), ("height", "<i4")])
#: More pixels than any depth camera has; a larger size in an RVL header is taken for garbage.
_MOST_PIXELS = 1 << 26
#: Longest variable-length number of RVL that is read: 3 bits a nibble, 33 bits in all.
_MOST_NIBBLES = 11


def depth_from_compressed(message: CompressedImage, max_depth: float = math.inf) -> Depth:
    """Decode a message of compressedDepth, or a PNG of millimetres.

    Args:
        message: its `format` names the encoding, and the transport where the data begins with its header.
        max_depth: what is beyond is unknown, metres.

    Returns:
        (H, W) float32 metres along the optical axis, NaN where unknown, as `metres` has it.

    Raises:
        FaultError: unknown_encoding, truncated_data, corrupt_data or implausible_depth.
    """
    data = np.frombuffer(message.data, np.uint8)
    encoding, _, transport = (part.strip() for part in message.format.partition(";"))
    if data[: len(PNG_SIGNATURE)].tobytes() == PNG_SIGNATURE:
        return metres(_plain_samples(message.format, encoding, data), max_depth)
    if encoding not in (*_MILLIMETRES, "32FC1") or "compressedDepth" not in transport:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"compressed depth has format {message.format!r}: '16UC1; compressedDepth png', "
            "'32FC1; compressedDepth png', the same with rvl, or a PNG of 16 bits is expected",
        )
    if data.size <= _HEADER.itemsize:
        raise FaultError(
            Fault.TRUNCATED_DATA, f"compressed depth of {data.size} bytes is shorter than its header"
        )
    header = data[: _HEADER.itemsize].view(_HEADER)[0]
    body = data[_HEADER.itemsize :]
    samples = _decoded_rvl(body) if "rvl" in transport else decoded_picture(body, "depth")
    if samples.dtype != np.uint16 or samples.ndim != 2:
        raise FaultError(
            Fault.CORRUPT_DATA,
            f"compressed depth holds {samples.shape} {samples.dtype}: (H, W) uint16 is expected",
        )
    if encoding != "32FC1":
        return metres(samples, max_depth)
    a, b = float(header["a"]), float(header["b"])
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise FaultError(
            Fault.CORRUPT_DATA, f"compressed depth is quantised by A = {a}, B = {b}: A > 0 is expected"
        )
    with np.errstate(divide="ignore"):
        depth = np.float32(a) / (samples.astype(np.float32) - np.float32(b))
    depth[samples == 0] = np.nan
    return metres(depth, max_depth)


def _plain_samples(image_format: str, encoding: str, data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(H, W) millimetres of a PNG without a header, whose format names an integer encoding or none."""
    samples = decoded_picture(data, "depth")
    if encoding not in (*_MILLIMETRES, "png", "") or samples.dtype != np.uint16 or samples.ndim != 2:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"compressed depth with format {image_format!r} is a PNG of {samples.shape} {samples.dtype} without the "
            "header of compressedDepth: 16-bit grey in millimetres is expected, or depth_transport compressedDepth",
        )
    return samples


def _decoded_rvl(body: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(H, W) samples of an RVL body."""
    if body.size <= _RVL_SIZE.itemsize:
        raise FaultError(Fault.TRUNCATED_DATA, f"RVL depth of {body.size} bytes is shorter than its size")
    size = body[: _RVL_SIZE.itemsize].view(_RVL_SIZE)[0]
    width, height = int(size["width"]), int(size["height"])
    count = width * height
    if width <= 0 or height <= 0 or count > _MOST_PIXELS:
        raise FaultError(Fault.CORRUPT_DATA, f"RVL depth claims to be {width}x{height}")
    numbers = _variable_length_numbers(body[_RVL_SIZE.itemsize :])
    samples = np.zeros(count, dtype=np.int64)
    written, read, previous = 0, 0, 0
    while written < count:
        run_lengths = numbers[read : read + 2]
        zeros, present = (int(length) for length in run_lengths) if run_lengths.size == 2 else (0, 0)
        zigzag = numbers[read + 2 : read + 2 + present]
        if (run_lengths < 0).any() or (zigzag < 0).any():
            raise FaultError(Fault.CORRUPT_DATA, "RVL depth holds a number of more than 33 bits")
        read += 2
        written += zeros
        if written + present > count:
            raise FaultError(
                Fault.CORRUPT_DATA, f"RVL depth has more samples than its {width}x{height} pixels"
            )
        if run_lengths.size < 2 or zigzag.size < present:
            raise FaultError(Fault.TRUNCATED_DATA, f"RVL depth of {count} pixels ends after {written}")
        if zeros == 0 and present == 0:
            raise FaultError(Fault.CORRUPT_DATA, f"RVL depth has an empty run at pixel {written}")
        run = previous + np.cumsum((zigzag >> 1) ^ -(zigzag & 1))
        if present:
            samples[written : written + present] = run
            previous = int(run[-1])
        written += present
        read += present
    if written != count or samples.min() < 0 or samples.max() > np.iinfo(np.uint16).max:
        raise FaultError(Fault.CORRUPT_DATA, "RVL depth leaves the range of its pixels")
    return samples.astype(np.uint16).reshape(height, width)


def _variable_length_numbers(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """All numbers of a stream of nibbles: three bits each, low ones first, the fourth bit means 'more follows'.

    The nibbles fill 32-bit little-endian words from the top. A number that is too long is -1: it may be of what follows
    the picture.
    """
    words = packed[: packed.size // 4 * 4].view("<u4")
    nibbles = ((words[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)) & 0xF).astype(np.int64).ravel()
    last = np.flatnonzero((nibbles & 8) == 0)
    first = np.concatenate([[0], last[:-1] + 1]) if last.size else last
    lengths = last - first + 1
    numbers = np.zeros(last.size, dtype=np.int64)
    for place in range(min(int(lengths.max()), _MOST_NIBBLES) if lengths.size else 0):
        longer = np.flatnonzero(lengths > place)
        numbers[longer] |= (nibbles[first[longer] + place] & 7) << (3 * place)
    numbers[lengths > _MOST_NIBBLES] = -1
    return numbers
