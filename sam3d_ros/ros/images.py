"""Image messages as plain arrays: colour, instance labels and depth."""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.pictures import decoded_picture

Rgb = NDArray[np.uint8]
Labels = NDArray[np.uint16]
Depth = NDArray[np.float32]

#: Units of an integer depth image (REP-118); dividing rounds correctly where a product with 0.001 does not.
_UNITS_PER_METRE = np.float32(1000.0)


@dataclass(frozen=True)
class _Layout:
    """How an encoding lays out a pixel: type of a sample, samples of a pixel, and what turns it to RGB."""

    dtype: str
    channels: int
    to_rgb: int | None = None


_COLOR_LAYOUTS = {
    "rgb8": _Layout("u1", 3),
    "bgr8": _Layout("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC3": _Layout("u1", 3, cv2.COLOR_BGR2RGB),  # no order is named: OpenCV's own
    "rgba8": _Layout("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC4": _Layout("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": _Layout("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Layout("u1", 1, cv2.COLOR_GRAY2RGB),
    "mono16": _Layout("u2", 1, cv2.COLOR_GRAY2RGB),
    "yuv422": _Layout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Layout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Layout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": _Layout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
} | {
    f"bayer_{pattern}{bits}": _Layout(f"u{bits // 8}", 1, getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB"))
    for pattern in ("rggb", "bggr", "gbrg", "grbg")
    for bits in (8, 16)
}
_LABEL_LAYOUTS = {
    "mono8": _Layout("u1", 1),
    "8UC1": _Layout("u1", 1),
    "mono16": _Layout("u2", 1),
    "16UC1": _Layout("u2", 1),
    "32SC1": _Layout("i4", 1),
}
_DEPTH_LAYOUTS = {
    "16UC1": _Layout("u2", 1),
    "mono16": _Layout("u2", 1),
    "32FC1": _Layout("f4", 1),
}

COLOR_ENCODINGS = tuple(_COLOR_LAYOUTS)
LABEL_ENCODINGS = tuple(_LABEL_LAYOUTS)
DEPTH_ENCODINGS = tuple(_DEPTH_LAYOUTS)


def rgb_from_image(message: Image) -> Rgb:
    """Decode a colour or grey image.

    Row padding (`step`) and `is_bigendian` are honoured; 16-bit samples keep their upper eight bits.

    Returns:
        (H, W, 3) uint8 RGB, an array of its own.

    Raises:
        FaultError: unknown_encoding, size_mismatch or truncated_data.
    """
    layout = _layout_of(message, _COLOR_LAYOUTS, "image")
    pixels = _pixels(message, layout, "image")
    if layout.to_rgb is None:
        return np.ascontiguousarray(pixels) if not pixels.flags.c_contiguous else pixels.copy()
    height, width = pixels.shape[:2]
    if layout.channels == 2 and width % 2:
        raise FaultError(
            Fault.SIZE_MISMATCH, f"image is {message.encoding} and {width} wide: two pixels share a colour"
        )
    if message.encoding.startswith("bayer") and (height < 3 or width < 3):
        raise FaultError(
            Fault.SIZE_MISMATCH, f"image is a mosaic of {width}x{height}: at least 3x3 is needed for a colour"
        )
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixels, layout.to_rgb), dtype=np.uint8)


def rgb_from_compressed(message: CompressedImage) -> Rgb:
    """Decode a JPEG or PNG.

    Returns:
        (H, W, 3) uint8 RGB; of 16 bits the upper eight, transparency left out.

    Raises:
        FaultError: unknown_encoding, truncated_data or corrupt_data.
    """
    picture = decoded_picture(np.frombuffer(message.data, np.uint8), "image")
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    # image_transport stores BGR unless the format says that RGB was handed to the encoder.
    if "compressed rgb" in message.format:
        return np.ascontiguousarray(picture[..., :3])
    code = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGB
    return np.asarray(cv2.cvtColor(picture, code), dtype=np.uint8)


def labels_from_image(message: Image) -> Labels:
    """Decode an image of instance ids.

    Returns:
        (H, W) uint16, 0 = none; negative ids of a signed image mean none.

    Raises:
        FaultError: unknown_encoding, size_mismatch, truncated_data or label_out_of_range.
    """
    layout = _layout_of(message, _LABEL_LAYOUTS, "labels")
    pixels = _pixels(message, layout, "labels")
    if layout.dtype == "i4":
        largest = int(pixels.max())
        if largest > np.iinfo(np.uint16).max:
            raise FaultError(
                Fault.LABEL_OUT_OF_RANGE, f"labels hold the id {largest}: ids up to 65535 are expected"
            )
        pixels = np.maximum(pixels, 0)
    return pixels.astype(np.uint16)


def depth_from_image(message: Image) -> Depth:
    """Decode a depth image; its encoding alone decides the unit (REP-118).

    Returns:
        (H, W) float32 metres along the optical axis, NaN where unknown: 16UC1 is millimetres with 0 unknown,
        32FC1 metres with 0, negative, NaN and Inf unknown (REP-117).

    Raises:
        FaultError: unknown_encoding, size_mismatch or truncated_data.
    """
    layout = _layout_of(message, _DEPTH_LAYOUTS, "depth")
    return metres(_pixels(message, layout, "depth"))


def metres(samples: NDArray[Any]) -> Depth:
    """(H, W) integer millimetres or floating metres as float32 metres, NaN where unknown."""
    depth = samples.astype(np.float32)
    if samples.dtype.kind == "u":
        depth /= _UNITS_PER_METRE
    # Written so that NaN fails it, as REP-117 asks.
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def image_message(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """(H, W) or (H, W, C) pixels of exactly the encoding's type as a message, without row padding."""
    data = np.ascontiguousarray(pixels)
    height, width = data.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = data[0].nbytes if height else 0
    message.data = array.array("B")
    message.data.frombytes(data.reshape(-1).view(np.uint8).data)
    return message


def _layout_of(message: Image, layouts: dict[str, _Layout], what: str) -> _Layout:
    layout = layouts.get(message.encoding)
    if layout is None:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"{what} has encoding {message.encoding!r}: use one of {', '.join(layouts)}",
        )
    return layout


def _pixels(message: Image, layout: _Layout, what: str) -> NDArray[Any]:
    """View of the pixels in the byte order of this machine: (H, W) or (H, W, C); copied only to swap bytes."""
    height, width, step = message.height, message.width, message.step
    dtype = np.dtype(layout.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row = width * layout.channels * dtype.itemsize
    if height == 0 or width == 0:
        raise FaultError(Fault.SIZE_MISMATCH, f"{what} is {width}x{height}: it has no pixel")
    if step < row:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"{what} has step {step}, but a row of {width} pixels of {message.encoding} takes {row} bytes",
        )
    needed = step * (height - 1) + row  # the last row may come without its padding
    if len(message.data) < needed:
        raise FaultError(
            Fault.TRUNCATED_DATA,
            f"{what} of {width}x{height} {message.encoding} with step {step} needs {needed} bytes, got "
            f"{len(message.data)}",
        )
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, layout.channels * dtype.itemsize)
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, message.data, strides=strides)
    return pixels if dtype.isnative else pixels.astype(dtype.newbyteorder("="))
