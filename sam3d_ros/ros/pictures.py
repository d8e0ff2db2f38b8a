"""Picture files in messages, and what is wrong with them by the names that faults have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.picture_files import Flaw, PictureError, picture_file
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
        raise FaultError(_FAULTS[error.flaw], f"compressed {what} {error}") from error
