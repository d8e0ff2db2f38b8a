"""Arrays as message fields that Python neither builds nor reads element by element."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Types of message fields, by the code of the array that rclpy holds them in.
_DTYPES = {"f": np.float32, "I": np.uint32, "B": np.uint8}


def flat_array(typecode: str, values: NDArray[np.generic]) -> array.array[Any]:
    """A message field that rclpy takes over as it is; a numpy array would be walked through element by element.

    Args:
        typecode: f for float32[], I for uint32[], B for uint8[].
        values: of any shape.
    """
    flat: array.array[Any] = array.array(typecode)
    flat.frombytes(np.ascontiguousarray(values, dtype=_DTYPES[typecode]).tobytes())
    return flat
