"""PNG, JPEG and WebP files: told apart by content, measured, found whole, and decoded.

OpenCV fills what is missing of a picture with grey and calls it a success, so each file is walked to its end mark
before it is decoded. What follows that mark is no part of the picture: some encoders and transports pad.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: More pixels than any camera has: a larger size in a file is taken for garbage instead of being allocated.
_MOST_PIXELS = 1 << 26

#: First bytes of a PNG.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_PALETTE = 0, 3
_JPEG_START = b"\xff\xd8"
#: Markers (ITU-T T.81, table B.1): frame headers, which hold the size; those without a length; and three by name.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset(range(0xD0, 0xD8)) | {0x01}
_NEXT_PICTURE, _END, _SCAN = 0xD8, 0xD9, 0xDA
#: What ends the entropy-coded bytes of a scan: a marker that is neither a stuffed zero nor a restart.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
#: Bytes of a WebP file until its size is told.
_WEBP_HEAD = 30


class Flaw(Enum):
    """Why a file is no picture."""

    UNKNOWN_FORMAT = "unknown format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"


class PictureError(ValueError):
    """A file that is no picture; the message goes on after what the file is called.

    Attributes:
        flaw: why.
    """

    def __init__(self, flaw: Flaw, message: str) -> None:
        super().__init__(message)
        self.flaw = flaw


@dataclass(frozen=True)
class PictureFile:
    """A file that is whole.

    Attributes:
        kind: PNG, JPEG or WebP.
        content: its bytes up to the end mark.
        is_lossy: samples are not those that went in, so that they cannot be ids.
        indexed: samples are indices of a palette.
        levels: samples of a grey picture go from 0 to this, where that is less than a byte holds; otherwise 0.
    """

    kind: str
    content: memoryview
    is_lossy: bool = False
    indexed: bool = False
    levels: int = 0

    def decoded(self, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
        """The picture as OpenCV gives it: (H, W) or (H, W, C) uint8 or uint16, colours in the order BGR.

        Raises:
            PictureError: it is corrupt.
        """
        try:
            picture = cv2.imdecode(np.frombuffer(self.content, np.uint8), flags)
        except cv2.error as error:
            raise PictureError(
                Flaw.CORRUPT, f"is a {self.kind} that cannot be decoded: {error.err}"
            ) from error
        if picture is None:
            raise PictureError(Flaw.CORRUPT, f"is a {self.kind} that cannot be decoded")
        return np.asarray(picture)

    def samples(self) -> NDArray[Any]:
        """The samples as they are stored: indices of a palette, and grey of 1, 2 or 4 bits from 0 up; else `decoded`.

        Raises:
            PictureError: it is corrupt.
        """
        if self.indexed:  # OpenCV looks the colours up
            try:
                with Image.open(BytesIO(self.content), formats=["PNG"]) as image:
                    return np.asarray(image)
            except (OSError, SyntaxError, ValueError, zlib.error) as error:
                raise PictureError(
                    Flaw.CORRUPT, f"is a {self.kind} that cannot be decoded: {error}"
                ) from error
        picture = self.decoded()
        return picture // (255 // self.levels) if self.levels and picture.dtype == np.uint8 else picture


def picture_file(data: bytes | NDArray[np.uint8]) -> PictureFile:
    """Check the bytes of a file, whatever its name.

    Args:
        data: the file, with whatever follows its end mark.

    Raises:
        PictureError: it is of another format, ends early, or is corrupt.
    """
    content = np.frombuffer(data, np.uint8).data
    if bytes(content[:8]) == PNG_SIGNATURE:
        return _png(content)
    if bytes(content[:2]) == _JPEG_START:
        return _jpeg(content)
    if bytes(content[:4]) == b"RIFF" and bytes(content[8:12]) == b"WEBP":
        return _webp(content)
    if len(content) < len(PNG_SIGNATURE):
        raise PictureError(
            Flaw.TRUNCATED, f"is a truncated file of {len(content)} bytes" if content else "is empty"
        )
    raise PictureError(
        Flaw.UNKNOWN_FORMAT,
        f"is neither PNG nor JPEG nor WebP: its {len(content)} bytes begin with {bytes(content[:8]).hex()}",
    )


def _png(content: memoryview) -> PictureFile:
    """Walk the chunks of a PNG (length, type, content, CRC-32) to its IEND; the first one holds the size."""
    if len(content) < 26:
        raise _truncated(content, "PNG")
    width, height, bits, color = struct.unpack_from(">IIBB", content, 16)
    _check_size(content, width, height)
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        end = at + 12 + struct.unpack_from(">I", content, at)[0]
        if end > len(content):
            break
        if zlib.crc32(content[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            raise PictureError(Flaw.CORRUPT, "is a PNG with a wrong checksum")
        if bytes(content[at + 4 : at + 8]) == b"IEND":
            levels = (1 << bits) - 1 if color == _PNG_GREY and bits < 8 else 0
            return PictureFile("PNG", content[:end], indexed=color == _PNG_PALETTE, levels=levels)
        at = end
    raise _truncated(content, "PNG")


def _jpeg(content: memoryview) -> PictureFile:
    """Walk the segments of a JPEG and the scans between them to its end marker."""
    at, size_known = len(_JPEG_START), False
    while at + 2 <= len(content):
        marker = content[at + 1]
        if content[at] != 0xFF:
            raise PictureError(Flaw.CORRUPT, f"is a JPEG without a marker at byte {at}, where one must be")
        if marker == _END:
            if not size_known:
                raise PictureError(Flaw.CORRUPT, "is a JPEG without a picture")
            return PictureFile("JPEG", content[: at + 2], is_lossy=True)
        if marker == 0xFF or marker in _BARE_MARKERS:
            at += 1 if marker == 0xFF else 2  # a fill byte, or a marker alone
            continue
        if marker == _NEXT_PICTURE or at + 9 > len(content):
            break
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            _check_size(content, width, height)
            size_known = True
        at += 2 + struct.unpack_from(">H", content, at + 2)[0]
        if marker == _SCAN:
            after = _AFTER_SCAN.search(content, at)
            if after is None:
                break
            at = after.start()
    raise _truncated(content, "JPEG")


def _webp(content: memoryview) -> PictureFile:
    """Measure a WebP, whose RIFF header tells its end, and look for its lossless bitstream."""
    end = 8 + struct.unpack_from("<I", content, 4)[0]
    if not _WEBP_HEAD <= end <= len(content):
        raise _truncated(content, "WebP")
    first = bytes(content[12:16])
    if first == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    elif first == b"VP8L":
        packed = struct.unpack_from("<I", content, 21)[0]
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(content[i : i + 3], "little") + 1 for i in (24, 27))
    _check_size(content, width, height)
    at, is_lossy = 12, True
    while at + 8 <= end:
        is_lossy = is_lossy and bytes(content[at : at + 4]) != b"VP8L"
        length = struct.unpack_from("<I", content, at + 4)[0]
        at += 8 + length + length % 2
    return PictureFile("WebP", content[:end], is_lossy=is_lossy)


def _check_size(content: memoryview, width: int, height: int) -> None:
    if not 0 < width * height <= _MOST_PIXELS:
        raise PictureError(
            Flaw.CORRUPT, f"is corrupt: in {len(content)} bytes it claims to be {width}x{height}"
        )


def _truncated(content: memoryview, kind: str) -> PictureError:
    return PictureError(
        Flaw.TRUNCATED, f"is a truncated {kind}: {len(content)} bytes end before the picture does"
    )
