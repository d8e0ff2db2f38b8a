"""Names of encodings, and the conversions between them that make sense."""

from __future__ import annotations

import re

import cv2
import numpy as np

_DEPTHS = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
_NUMBERED = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C(\d+)")

# Encodings that say what the channels mean: colour family, bits, channels.
_COLORS: dict[str, tuple[str, int, int]] = {
    "mono8": ("GRAY", 8, 1),
    "mono16": ("GRAY", 16, 1),
    "bgr8": ("BGR", 8, 3),
    "rgb8": ("RGB", 8, 3),
    "bgra8": ("BGRA", 8, 4),
    "rgba8": ("RGBA", 8, 4),
    "bgr16": ("BGR", 16, 3),
    "rgb16": ("RGB", 16, 3),
    "bgra16": ("BGRA", 16, 4),
    "rgba16": ("RGBA", 16, 4),
    "yuv422": ("YUV_UYVY", 8, 2),
    "uyvy": ("YUV_UYVY", 8, 2),
    "yuv422_yuy2": ("YUV_YUY2", 8, 2),
    "yuyv": ("YUV_YUY2", 8, 2),
    # A Bayer encoding names the first two pixels of the first row, then of the second; OpenCV names the
    # second and third pixel of the second row: rggb is its BayerBG.
    "bayer_rggb8": ("BayerBG", 8, 1),
    "bayer_bggr8": ("BayerRG", 8, 1),
    "bayer_gbrg8": ("BayerGR", 8, 1),
    "bayer_grbg8": ("BayerGB", 8, 1),
    "bayer_rggb16": ("BayerBG", 16, 1),
    "bayer_bggr16": ("BayerRG", 16, 1),
    "bayer_gbrg16": ("BayerGR", 16, 1),
    "bayer_grbg16": ("BayerGB", 16, 1),
}


class CvBridgeError(TypeError):
    """A conversion that cannot be made."""


def dtype_and_channels(encoding: str) -> tuple[str, int]:
    """Return the dtype's name and the number of channels of an encoding.

    Raises:
        CvBridgeError: the encoding is unknown.
    """
    if encoding in _COLORS:
        _, bits, channels = _COLORS[encoding]
        return f"uint{bits}", channels
    numbered = _NUMBERED.fullmatch(encoding)
    if numbered is None or int(numbered[2]) == 0:
        raise CvBridgeError(f"Unrecognized image encoding [{encoding}]")
    return _DEPTHS[numbered[1]], int(numbered[2])


def convert_color(image: np.ndarray, source: str, target: str) -> np.ndarray:
    """Convert the colours and the depth of an image.

    Raises:
        CvBridgeError: an encoding is unknown or the conversion makes no sense.
    """
    if source == target:
        return image
    source_dtype, source_channels = dtype_and_channels(source)
    target_dtype, target_channels = dtype_and_channels(target)
    if source not in _COLORS or target not in _COLORS:
        if source not in _COLORS and target in _COLORS:
            raise CvBridgeError(
                f"[{source}] is not a color format. but [{target}] is. The conversion does not make sense"
            )
        if source_channels != target_channels:
            raise CvBridgeError(f"[{source}] and [{target}] do not have the same number of channels")
        return image.astype(target_dtype)
    source_family, target_family = _COLORS[source][0], _COLORS[target][0]
    if source_family != target_family:
        packed, _, layout = source_family.partition("_")
        name = f"COLOR_{packed}2{target_family}" + (f"_{layout}" if layout else "")
        code = getattr(cv2, name, None)
        if code is None or target_family.startswith(("YUV", "Bayer")):
            raise CvBridgeError(f"Unsupported conversion from [{source}] to [{target}]")
        try:
            image = cv2.cvtColor(image, code)
        except cv2.error as error:
            raise CvBridgeError(f"cannot convert [{source}] to [{target}]: {error}") from error
    if source_dtype == target_dtype:
        return image
    # Full scale stays full scale between 8 and 16 bits.
    scale = np.iinfo(target_dtype).max / np.iinfo(source_dtype).max
    return np.rint(image * scale).astype(target_dtype)
