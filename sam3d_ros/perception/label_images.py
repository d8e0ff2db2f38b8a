"""Instance ids of label images, however the pixels hold them, as long as they can be read in one way only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint16]

_LARGEST_ID = np.iinfo(np.uint16).max


def single_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """The one channel that a label image has in effect.

    Colours of equal channels are grey. Transparency says nothing where all of the image has the same, or where just
    the pixels without an id are transparent.

    Args:
        pixels: (H, W), (H, W, 3) or (H, W, 4), the last with transparency.

    Returns:
        (H, W) of the same type.

    Raises:
        ValueError: the channels differ, so that nothing tells which ids the colours stand for.
    """
    if pixels.ndim == 2:
        return pixels
    ids = pixels[..., 0]
    if not ((ids == pixels[..., 1]).all() and (ids == pixels[..., 2]).all()):
        raise ValueError("colours do not tell ids: one number for each pixel is expected")
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3]
        opaque = np.iinfo(alpha.dtype).max
        if (alpha != alpha.flat[0]).any() and not np.array_equal(alpha, np.where(ids != 0, opaque, 0)):
            raise ValueError("transparency differs from the ids: one number for each pixel is expected")
    return ids


def instance_ids(samples: NDArray[Any]) -> Labels:
    """(H, W) ids of (H, W) integers or whole floats; 0 and below mean none.

    Raises:
        ValueError: an id is above 65535, or no whole number.
    """
    if samples.dtype.kind == "f":
        broken = ~(samples == np.trunc(samples))  # NaN and Inf fail it or the next
        if broken.any():
            raise ValueError(f"{samples[broken][0]} is no id: whole ids up to {_LARGEST_ID} are expected")
    if samples.dtype.kind == "f" or samples.dtype.itemsize > 2:
        largest = samples.max()
        if largest > _LARGEST_ID:
            raise ValueError(f"there is the id {largest:.0f}: ids up to {_LARGEST_ID} are expected")
    if samples.dtype.kind != "u" and samples.min() < 0:
        samples = np.maximum(samples, 0)
    return samples.astype(np.uint16)
