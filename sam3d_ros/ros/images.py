"""Image messages as plain arrays: colour, instance labels and depth."""

from __future__ import annotations

import array
import math
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam3d_ros.geometry.plausible_distances import check_depth_unit
from sam3d_ros.perception.label_images import Labels, instance_ids, single_channel
from sam3d_ros.ros.bridge import bridge_reads, bridged
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.pictures import decoded_picture, encoding_in, stored_samples
from sam3d_ros.ros.pixels import Layout, check_pixels, layout_of, luma_and_chroma, pixels_of

Rgb = NDArray[np.uint8]
Depth = NDArray[np.float32]

#: Largest float32 below the one that stands for nothing.
_MOST_FLOAT = np.nextafter(np.finfo(np.float32).max, np.float32(0))
#: Units of an integer depth image (REP-118); dividing rounds correctly where a product with 0.001 does not.
_UNITS_PER_METRE = 1000.0
#: RGB from Y, U, V, 1 by ITU-R BT.601 in studio range, for three planes of full size: OpenCV has those in full range.
_RGB_FROM_YUV = np.array(
    [
        [1.16438, 0.0, 1.59603, -222.921],
        [1.16438, -0.39176, -0.81297, 135.576],
        [1.16438, 2.01723, 0.0, -276.836],
    ]
)

#: Encodings of mosaics, and OpenCV's conversion to RGB.
_MOSAICS: dict[str, int] = {
    f"bayer_{pattern}{bits}": getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB")
    for pattern in ("rggb", "bggr", "gbrg", "grbg")
    for bits in (8, 16)
}
_COLOR_LAYOUTS = {
    "rgb8": Layout("u1", 3),
    "bgr8": Layout("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC3": Layout("u1", 3, cv2.COLOR_BGR2RGB),  # no order is named: OpenCV's own
    "rgba8": Layout("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": Layout("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC4": Layout("u1", 4, cv2.COLOR_BGRA2RGB),
    "rgb16": Layout("u2", 3),
    "bgr16": Layout("u2", 3, cv2.COLOR_BGR2RGB),
    "16UC3": Layout("u2", 3, cv2.COLOR_BGR2RGB),
    "rgba16": Layout("u2", 4, cv2.COLOR_RGBA2RGB),
    "bgra16": Layout("u2", 4, cv2.COLOR_BGRA2RGB),
    "16UC4": Layout("u2", 4, cv2.COLOR_BGRA2RGB),
    "mono8": Layout("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": Layout("u1", 1, cv2.COLOR_GRAY2RGB),
    "mono16": Layout("u2", 1, cv2.COLOR_GRAY2RGB),
    "yuv422": Layout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": Layout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": Layout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": Layout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
} | {name: Layout(f"u{1 if name.endswith('8') else 2}", 1, code) for name, code in _MOSAICS.items()}
#: Encodings that cv_bridge converts to rgb8. It knows no colours in 8UC3, and rgb8 stays as it is.
_BRIDGED_COLORS = frozenset(
    ["bgr8", "rgba8", "bgra8", "mono8", "yuv422", "yuv422_yuy2"]
    + [f"bayer_{pattern}8" for pattern in ("rggb", "bggr", "gbrg", "grbg")]
)
#: Encodings of two planes: pairs of colours for a pixel along both axes, and OpenCV's conversion.
_SEMI_PLANAR = {
    "nv12": (Fraction(1, 2), cv2.COLOR_YUV2RGB_NV12),
    "nv21": (Fraction(1, 2), cv2.COLOR_YUV2RGB_NV21),
    "nv24": (Fraction(1), None),
}
_LABEL_LAYOUTS = {
    "mono8": Layout("u1", 1),
    "8UC1": Layout("u1", 1),
    "8SC1": Layout("i1", 1),
    "mono16": Layout("u2", 1),
    "16UC1": Layout("u2", 1),
    "16SC1": Layout("i2", 1),
    "32SC1": Layout("i4", 1),
    "32FC1": Layout("f4", 1),
    "64FC1": Layout("f8", 1),
} | {
    encoding: Layout(f"u{bits // 8}", channels)
    for bits in (8, 16)
    for channels, names in ((3, ("rgb{}", "bgr{}", "{}UC3")), (4, ("rgba{}", "bgra{}", "{}UC4")))
    for encoding in (name.format(bits) for name in names)
}
_DEPTH_LAYOUTS = {
    "16UC1": Layout("u2", 1),
    "mono16": Layout("u2", 1),
    "16SC1": Layout("i2", 1),
    "32FC1": Layout("f4", 1),
    "64FC1": Layout("f8", 1),
}

#: Encodings that hold numbers and no light.
_NO_COLORS = (_LABEL_LAYOUTS.keys() | _DEPTH_LAYOUTS.keys()) - _COLOR_LAYOUTS.keys()
#: Signed encodings, whose samples PNG stores as if they were unsigned.
_SIGNED: dict[str, type[np.signedinteger[Any]]] = {"8SC1": np.int8, "16SC1": np.int16}

COLOR_ENCODINGS = (*_COLOR_LAYOUTS, *_SEMI_PLANAR)
LABEL_ENCODINGS = tuple(_LABEL_LAYOUTS)
DEPTH_ENCODINGS = tuple(_DEPTH_LAYOUTS)


def rgb_from_image(message: Image) -> Rgb:
    """Decode a colour or grey image.

    Row padding (`step`) and `is_bigendian` are honoured; 16-bit samples keep their upper eight bits, and transparency
    is left out.

    Returns:
        (H, W, 3) uint8 RGB, an array of its own.

    Raises:
        FaultError: unknown_encoding, size_mismatch or truncated_data.
    """
    if message.encoding in _SEMI_PLANAR:
        return _rgb_from_planes(message)
    layout = layout_of(message, _COLOR_LAYOUTS, "image", *_SEMI_PLANAR)
    height, width = message.height, message.width
    if layout.channels == 2 and width % 2:
        raise FaultError(
            Fault.SIZE_MISMATCH, f"image is {message.encoding} and {width} wide: two pixels share a colour"
        )
    if message.encoding in _MOSAICS:
        _check_mosaic(width, height)
    if message.encoding in _BRIDGED_COLORS and bridge_reads(message, layout.row(width)):
        check_pixels(message, layout, "image")
        return bridged(message, "rgb8")
    pixels = pixels_of(message, layout, "image")
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    elif layout.to_rgb is None:
        return pixels.copy()
    return pixels if layout.to_rgb is None else np.asarray(cv2.cvtColor(pixels, layout.to_rgb))


def _rgb_from_planes(message: Image) -> Rgb:
    share, code = _SEMI_PLANAR[message.encoding]
    luma, chroma = luma_and_chroma(message, share, "image")
    if code is not None:
        return np.asarray(cv2.cvtColorTwoPlane(luma, chroma, code))
    return np.asarray(cv2.transform(np.dstack([luma, chroma]), _RGB_FROM_YUV))


def rgb_from_compressed(message: CompressedImage) -> Rgb:
    """Decode a PNG, JPEG or WebP.

    The content tells the kind of the file, and `format` what was compressed: image_transport stores a mosaic as it is,
    and ids or depth are no colours.

    Returns:
        (H, W, 3) uint8 RGB; of 16 bits the upper eight, transparency left out.

    Raises:
        FaultError: unknown_encoding, truncated_data or corrupt_data.
    """
    encoding = encoding_in(message.format)
    if encoding in _NO_COLORS:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"compressed image has format {message.format!r}: {encoding} holds no colours, use one of "
            f"{', '.join(COLOR_ENCODINGS)}",
        )
    picture = decoded_picture(np.frombuffer(message.data, np.uint8), "image")
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 2:
        code = cv2.COLOR_GRAY2RGB
        if encoding in _MOSAICS:
            _check_mosaic(picture.shape[1], picture.shape[0])
            code = _MOSAICS[encoding]
        return np.asarray(cv2.cvtColor(picture, code), dtype=np.uint8)
    # image_transport stores BGR unless the format says that RGB was handed to the encoder.
    if "compressed rgb" in message.format:
        return np.ascontiguousarray(picture[..., :3])
    code = cv2.COLOR_BGR2RGB if picture.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    return np.asarray(cv2.cvtColor(picture, code), dtype=np.uint8)


def labels_from_image(message: Image) -> Labels:
    """Decode an image of instance ids.

    Returns:
        (H, W) uint16, 0 = none; negative ids of a signed or floating image mean none.

    Raises:
        FaultError: unknown_encoding (also of colours: those whose channels differ are no ids), size_mismatch,
            truncated_data or label_out_of_range.
    """
    layout = layout_of(message, _LABEL_LAYOUTS, "labels")
    try:
        pixels = pixels_of(message, layout, "labels")
    except FaultError as error:
        if layout.channels == 1:
            raise
        # Colours are no ids, whatever else is wrong with them.
        raise _no_ids(f"encoding {message.encoding}", error) from error
    return _ids(pixels, f"encoding {message.encoding}")


def labels_from_compressed(message: CompressedImage) -> Labels:
    """Decode a PNG or a lossless WebP of instance ids: samples as they are stored, indices where there is a palette.

    Returns:
        (H, W) uint16, 0 = none; negative ids of a signed image, by its `format`, mean none.

    Raises:
        FaultError: unknown_encoding (also of colours, and of a lossy file, which changes ids at every edge),
            truncated_data, corrupt_data or label_out_of_range.
    """
    file, samples = stored_samples(np.frombuffer(message.data, np.uint8), "labels")
    if file.is_lossy:
        raise FaultError(
            Fault.UNKNOWN_ENCODING,
            f"compressed labels are a lossy {file.kind}, which changes ids at every edge: set the format of "
            "the publisher's image_transport to png, or publish raw labels",
        )
    signed = _SIGNED.get(encoding_in(message.format))
    if signed is not None and samples.dtype.itemsize == np.dtype(signed).itemsize:
        samples = samples.view(signed)
    return _ids(samples, f"format {message.format!r}")


def _ids(pixels: NDArray[Any], given: str) -> Labels:
    try:
        samples = single_channel(pixels)
    except ValueError as error:
        raise _no_ids(given, error) from error
    try:
        return instance_ids(samples)
    except ValueError as error:
        raise FaultError(Fault.LABEL_OUT_OF_RANGE, f"labels: {error}") from error


def _no_ids(given: str, error: ValueError) -> FaultError:
    return FaultError(Fault.UNKNOWN_ENCODING, f"labels with {given}: {error}; publish 8UC1, 16UC1 or 32SC1")


def _check_mosaic(width: int, height: int) -> None:
    if height < 3 or width < 3:
        raise FaultError(
            Fault.SIZE_MISMATCH, f"image is a mosaic of {width}x{height}: at least 3x3 is needed for a colour"
        )


def depth_from_image(message: Image, max_depth: float = math.inf) -> Depth:
    """Decode a depth image; its encoding alone decides the unit (REP-118).

    Args:
        message: 16UC1, mono16 or 16SC1 in millimetres, or 32FC1 or 64FC1 in metres.
        max_depth: what is beyond is unknown, metres.

    Returns:
        (H, W) float32 metres along the optical axis, NaN where unknown, as `metres` has it.

    Raises:
        FaultError: unknown_encoding, size_mismatch, truncated_data or implausible_depth.
    """
    return metres(pixels_of(message, layout_of(message, _DEPTH_LAYOUTS, "depth"), "depth"), max_depth)


def metres(samples: NDArray[Any], max_depth: float) -> Depth:
    """Depth from what sensors write.

    Unknown are 0 and below, NaN, Inf (REP-117) and the largest number of the type, as 65535, 32767 or FLT_MAX, which
    drivers write for no measurement.

    Args:
        samples: (H, W) integer millimetres or floating metres.
        max_depth: what is beyond is unknown, metres.

    Returns:
        (H, W) float32 metres, NaN where unknown.

    Raises:
        FaultError: implausible_depth: with a `max_depth`, nearly nothing is at a distance that a sensor measures.
    """
    if samples.dtype.kind == "f":
        least, most, unit = np.nextafter(np.float32(0), np.float32(1)), _MOST_FLOAT, 1.0
    else:
        least, most, unit = 1, np.iinfo(samples.dtype).max - 1, _UNITS_PER_METRE
    if math.isfinite(max_depth):
        kind = "floats, which are metres" if unit == 1.0 else "integers, which are millimetres"
        try:
            check_depth_unit(samples, (float(least), float(most)), unit, max_depth, unit=kind)
        except ValueError as error:
            raise FaultError(Fault.IMPLAUSIBLE_DEPTH, str(error)) from error
    known = cv2.inRange(samples, float(least), min(float(most), max_depth * unit))
    # Each pixel is divided by its units in a metre, which are NaN where it is unknown: one pass, and no masks.
    table = np.full(256, np.nan, dtype=np.float32)
    table[255] = unit
    units = cv2.LUT(known, table)
    # What an unknown double becomes on its way to NaN is nobody's concern.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.divide(samples, units, out=units, dtype=np.float32, casting="same_kind"))


def image_message(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    """(H, W) or (H, W, C) pixels of exactly the encoding's type as a message, without row padding."""
    data = np.ascontiguousarray(pixels)
    height, width = data.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = data[0].nbytes if height else 0
    message.data = array.array("B")
    message.data.frombytes(data.reshape(-1).view(np.uint8).data)
    return message
