"""Picture files in messages, and what is wrong with them by the names that faults have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.picture_files import Flaw, PictureError, PictureFile, picture_file
from sam3d_ros.ros.faults import Fault, FaultError

_FAULTS = {
    Flaw.UNKNOWN_FORMAT: Fault.UNKNOWN_ENCODING,
    Flaw.TRUNCATED: Fault.TRUNCATED_DATA,
    Flaw.CORRUPT: Fault.CORRUPT_DATA,
}


def decoded_picture(data: NDArray[np.uint8], what: str) -> NDArray[Any]:
    """Decode the bytes of a PNG, JPEG or WebP file; what follows its end mark is left alone.

    Args:
        data: (N,) the file.
        what: what it shows, for messages.

    Returns:
        (H, W) or (H, W, C) as it is stored: uint8 or uint16, colours in the order BGR.

    Raises:
        FaultError: unknown_encoding, truncated_data or corrupt_data.
    """
    try:
        return picture_file(data).decoded()
    except PictureError as error:
        raise _named(error, what) from error


def stored_samples(data: NDArray[np.uint8], what: str) -> tuple[PictureFile, NDArray[Any]]:
    """The file, and its samples as stored: indices where there is a palette; otherwise as `decoded_picture`."""
    try:
        file = picture_file(data)
        return file, file.samples()
    except PictureError as error:
        raise _named(error, what) from error


def encoding_in(image_format: str) -> str:
    """The encoding of the image that was compressed, as image_transport writes it: `rgb8; jpeg compressed bgr8`."""
    return image_format.partition(";")[0].strip()


def _named(error: PictureError, what: str) -> FaultError:
    return FaultError(_FAULTS[error.flaw], f"compressed {what} {error}")
