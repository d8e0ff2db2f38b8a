"""JPEG and PNG files in messages: told apart, measured and checked for their end before they are decoded."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.ros.faults import Fault, FaultError

#: More pixels than any camera has: a larger size in a file is taken for garbage instead of being allocated.
_MOST_PIXELS = 1 << 26
#: Where the end mark of a file is looked for; some encoders pad the end.
_TAIL_BYTES = 1024

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
#: Markers of a JPEG frame header, which holds the size (ITU-T T.81, table B.1), and markers without a length.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}


def decoded_picture(data: NDArray[np.uint8], what: str) -> NDArray[Any]:
    """Decode the bytes of a JPEG or PNG file.

    Args:
        data: (N,) the file.
        what: what it shows, for messages.

    Returns:
        (H, W) or (H, W, C) as it is stored: uint8 or uint16, colours in the order BGR.

    Raises:
        FaultError: unknown_encoding, truncated_data or corrupt_data.
    """
    content = np.ascontiguousarray(data).data
    if bytes(content[:2]) == _JPEG_START:
        size, end = _jpeg_size(content), _JPEG_END
    elif bytes(content[:8]) == _PNG_START:
        size, end = _png_size(content), _PNG_END
    else:
        raise FaultError(
            Fault.UNKNOWN_ENCODING if len(content) >= len(_PNG_START) else Fault.TRUNCATED_DATA,
            f"compressed {what} of {len(content)} bytes begins with {bytes(content[:8]).hex()!r}: a JPEG or PNG "
            "file is expected",
        )
    # OpenCV fills what is missing of a picture with grey and calls it a success.
    if size is None or end not in bytes(content[-_TAIL_BYTES:]):
        raise FaultError(
            Fault.TRUNCATED_DATA, f"compressed {what} of {len(content)} bytes ends before its picture"
        )
    if not 0 < size[0] * size[1] <= _MOST_PIXELS:
        raise FaultError(
            Fault.CORRUPT_DATA, f"compressed {what} of {len(content)} bytes claims to be {size[0]}x{size[1]}"
        )
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FaultError(Fault.CORRUPT_DATA, f"compressed {what} cannot be decoded: {error}") from error
    if picture is None:
        raise FaultError(Fault.CORRUPT_DATA, f"compressed {what} of {len(content)} bytes cannot be decoded")
    return np.asarray(picture)


def _png_size(content: memoryview) -> tuple[int, int] | None:
    """Width and height in the header chunk, which comes first."""
    return struct.unpack(">II", content[16:24]) if len(content) >= 24 else None


def _jpeg_size(content: memoryview) -> tuple[int, int] | None:
    """Width and height in the frame header, found from segment to segment; None where the file ends before."""
    at = len(_JPEG_START)
    while at + 9 <= len(content):
        if content[at] != 0xFF:
            return 0, 0  # no marker where one must be
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
    return None
