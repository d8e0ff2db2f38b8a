"""The samples of image messages as arrays, once encoding, size, step and data agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from sam3d_ros.ros.bridge import bridge_reads, bridged
from sam3d_ros.ros.faults import Fault, FaultError

#: Rows are aligned to so many bytes at most: more of them, in step with rows or points, are no padding.
ALIGNMENT = 64


@dataclass(frozen=True)
class Layout:
    """How an encoding lays out a pixel.

    Attributes:
        dtype: type of a sample, without its byte order.
        channels: samples of a pixel.
        to_rgb: OpenCV's code of the conversion to RGB; None = it is RGB.
    """

    dtype: str
    channels: int
    to_rgb: int | None = None

    def row(self, width: int) -> int:
        """Bytes that so many pixels take."""
        return width * self.channels * np.dtype(self.dtype).itemsize


def layout_of(message: Image, layouts: Mapping[str, Layout], what: str, *others: str) -> Layout:
    """The layout of a message; raises unknown_encoding where there is none, with those that there are, and `others`."""
    layout = layouts.get(message.encoding)
    if layout is None:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"{what} has encoding {message.encoding!r}: use one of {', '.join([*layouts, *others])}",
        )
    return layout


def pixels_of(message: Image, layout: Layout, what: str) -> NDArray[Any]:
    """The pixels in the byte order of this machine, as a view of the message where that can be.

    Rows are `step` bytes apart, and all of the data is rows; the last one may come without its padding. No driver is
    known to append anything: data that is longer has other rows than it says, and would come out sheared.

    Args:
        message: the message.
        layout: of its encoding.
        what: what it shows, for messages.

    Returns:
        (H, W) or (H, W, C).

    Raises:
        FaultError: size_mismatch or truncated_data.
    """
    height, width, step = message.height, message.width, message.step
    dtype = np.dtype(layout.dtype).newbyteorder(">" if message.is_bigendian else "<")
    check_pixels(message, layout, what)
    if bridge_reads(message, layout.row(width)):
        return bridged(message)
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, layout.channels * dtype.itemsize)
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, message.data, strides=strides)
    # OpenCV takes rows of whole samples alone.
    return pixels if dtype.isnative and step % dtype.itemsize == 0 else pixels.astype(dtype.newbyteorder("="))


def check_pixels(message: Image, layout: Layout, what: str) -> None:
    """Refuse a message whose data is not what its size, encoding and step say, as `pixels_of` does."""
    height, width, step = message.height, message.width, message.step
    row = layout.row(width)
    _check_not_empty(message, what)
    if step < row:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"{what} has step {step}, but a row of {width} pixels of {message.encoding} takes {row} bytes",
        )
    claim = f"{what} of {width}x{height} {message.encoding} with step {step} needs"
    check_rows(len(message.data), height, row, step, claim)


def check_rows(length: int, height: int, row: int, step: int, claim: str) -> None:
    """Refuse data that is no rows of a step.

    Args:
        length: bytes that came.
        height: rows.
        row: bytes of a row that are used.
        step: bytes from one row to the next.
        claim: what it is, as far as the word "needs", for messages.

    Raises:
        FaultError: truncated_data or size_mismatch.
    """
    whole, least = step * height, step * (height - 1) + row
    if length < least:
        raise FaultError(Fault.TRUNCATED_DATA, f"{claim} {least} bytes, got {length}")
    # As many bytes may be whole rows of another step, where much padding is missing.
    if length == whole or (length == least and (height == 1 or step - row < ALIGNMENT or length % height)):
        return
    raise FaultError(
        Fault.SIZE_MISMATCH,
        f"{claim} {whole} bytes, got {length}: size, steps and data must agree",
    )


def luma_and_chroma(
    message: Image, share: Fraction, what: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two planes of a semi-planar image: one brightness a pixel, then rows of pairs of colour samples.

    `step` is that of the first plane, or counts the bytes of both planes that belong to a row: both are in use, and the
    length of the data tells them apart.

    Args:
        message: the image.
        share: pairs of colours for each pixel along both axes: 1/2 or 1.
        what: what it shows, for messages.

    Returns:
        (H, W) and (share H, share W, 2) views.

    Raises:
        FaultError: size_mismatch or truncated_data.
    """
    height, width, step, length = message.height, message.width, message.step, len(message.data)
    _check_not_empty(message, what)
    if (width * share).denominator > 1 or (height * share).denominator > 1:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"{what} is {message.encoding} of {width}x{height}: four pixels share a colour",
        )
    per_pixel = 1 + 2 * share * share
    text = f"{what} of {width}x{height} {message.encoding} with step {step}"
    if step == width * per_pixel and length == step * height:
        step = width
    elif step < width:
        raise FaultError(Fault.SIZE_MISMATCH, f"{text}: a row takes {width} bytes")
    needed = int(step * height * per_pixel)
    if length != needed:
        fault = Fault.TRUNCATED_DATA if length < needed else Fault.SIZE_MISMATCH
        raise FaultError(fault, f"{text} needs {needed} bytes, got {length}")
    rows, pairs, chroma_step = int(height * share), int(width * share), int(2 * share * step)
    luma: NDArray[np.uint8] = np.ndarray((height, width), np.uint8, message.data, 0, (step, 1))
    chroma: NDArray[np.uint8] = np.ndarray(
        (rows, pairs, 2), np.uint8, message.data, step * height, (chroma_step, 2, 1)
    )
    return luma, chroma


def _check_not_empty(message: Image, what: str) -> None:
    if message.height == 0 or message.width == 0:
        raise FaultError(Fault.SIZE_MISMATCH, f"{what} is {message.width}x{message.height}: it has no pixel")
