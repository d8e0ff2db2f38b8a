"""Image messages built byte by byte."""

from __future__ import annotations

import array
import struct

import numpy as np
from hypothesis import strategies as st
from sensor_msgs.msg import Image

sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)
#: Least and most that is drawn of a sample.
RANGES = {"b": (-128, 127), "h": (-32768, 32767), "i": (-5, 65535), "f": (-5, 65535), "d": (-5, 65535)}


def packed(
    samples: np.ndarray, code: str, encoding: str, *, padding: int = 0, big: bool = False, rng=None
) -> Image:
    """A message of (H, W, C) samples; each row is packed by struct and followed by junk."""
    rng = rng or np.random.default_rng(0)
    order = ">" if big else "<"
    rows = [struct.pack(f"{order}{row.size}{code}", *row.ravel().tolist()) for row in samples]
    message = Image(height=samples.shape[0], width=samples.shape[1], encoding=encoding, is_bigendian=int(big))
    message.step = len(rows[0]) + padding
    message.data = array.array("B", b"".join(row + rng.bytes(padding) for row in rows))
    return message
