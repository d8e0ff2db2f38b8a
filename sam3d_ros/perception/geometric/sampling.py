"""Samples of images at many places."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.uint8, np.float32)

#: `cv2.remap` takes fewer than 2^15 - 1 columns.
_MOST_COLUMNS = 2**15 - 2


def sampled(image: NDArray[Number], u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[Number]:
    """Bilinear samples of an image, to a 32nd of a pixel.

    Args:
        image: (H, W, C) uint8 or float32, C <= 4.
        u: (N,) pixels from 0 to W - 1.
        v: (N,) pixels from 0 to H - 1.

    Returns:
        (C, N) of the type of the image.
    """
    count = len(u)
    if count == 0:
        return np.zeros((image.shape[2], 0), image.dtype)
    rows = -(-count // _MOST_COLUMNS)
    columns = -(-count // rows)
    answer: NDArray[Any] = cv2.remap(
        image, _table(u, rows, columns), _table(v, rows, columns), cv2.INTER_LINEAR
    )
    return cv2.transpose(answer.reshape(rows * columns, -1))[:, :count]


def _table(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The values row by row, zeros after them."""
    if padding := rows * columns - len(values):
        values = np.append(values, np.zeros(padding, np.float32))
    return values.reshape(rows, columns)
