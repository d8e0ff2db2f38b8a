"""What cv_bridge reads of image messages that are checked, and what is left to views of our own.

It is asked where it does well: rows without padding, in the byte order of this machine. What it does wrong or not:

- padded rows: it copies them, and shears them where they are no whole number of pixels long;
- a last row without its padding, and, with NumPy 2, the other byte order: it raises;
- 16-bit colours to 8 bits: it scales by 255 / 65535 in floats, which takes several times as long as the upper byte;
- `uyvy`, `yuyv` and semi-planar encodings: not every version knows them;
- everything, where it was built for another NumPy than the one that is there: it raises.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import Image

_NEWER_NAMES = frozenset({"uyvy", "yuyv"})


def bridge_reads(message: Image, row: int) -> bool:
    """Whether cv_bridge is the one to read a message, once its size is checked.

    Args:
        message: the message.
        row: bytes of the pixels of a row.
    """
    return (
        message.step == row
        and bool(message.is_bigendian) == (sys.byteorder == "big")
        and message.encoding not in _NEWER_NAMES
        and _bridge() is not None
    )


def bridged(message: Image, encoding: str = "passthrough") -> NDArray[Any]:
    """The pixels of a message that `bridge_reads`, converted to an encoding: a view of it, or an array of their own."""
    bridge = _bridge()
    assert bridge is not None
    return np.asarray(bridge.imgmsg_to_cv2(message, encoding))


@cache
def _bridge() -> CvBridge | None:
    """cv_bridge; None where its compiled half cannot be loaded, which it says no earlier than when it is used."""
    bridge = CvBridge()
    try:
        bridge.encoding_to_cvtype2("rgb8")
    except (ImportError, AttributeError, SystemError):  # three ways in which a module is of another NumPy
        return None
    return bridge
