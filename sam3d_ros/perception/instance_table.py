"""All instances of a label image in one pass: how large each is and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.window import Window


@dataclass(frozen=True, eq=False)
class InstanceTable:
    """The instances of a label image.

    Attributes:
        ids: (N,) int64 labels that occur, ascending, without 0.
        areas: (N,) int64 pixels of each.
        boxes: (N, 4) int64 first row, row behind the last, first column, column behind the last.
    """

    ids: NDArray[np.int64]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int64]

    def index(self, instance_id: int) -> int | None:
        """The row of an instance; None where it has no pixel."""
        at = int(np.searchsorted(self.ids, instance_id))
        return at if at < len(self.ids) and int(self.ids[at]) == instance_id else None

    def window(self, index: int) -> Window:
        """The box of a row."""
        return Window(*self.boxes[index].tolist())


def instance_table(labels: NDArray[np.uint16]) -> InstanceTable:
    """Count and frame the instances of (H, W) labels.

    Labels come in runs, a few in each row: looking at the runs takes a tenth of the time of looking at the pixels, and
    no second look for each instance.
    """
    width = labels.shape[1]
    flat = labels.ravel()
    begins = np.empty(flat.size, np.bool_)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    # A run ends with its row.
    begins[::width] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=flat.size)
    values = flat[starts]
    marked = np.flatnonzero(values)
    marked = marked[np.argsort(values[marked], kind="stable")]
    if len(marked) == 0:
        return InstanceTable(*(np.zeros(shape, np.int64) for shape in (0, 0, (0, 4))))
    values, starts, lengths = values[marked], starts[marked], lengths[marked]
    first = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    rows, left = np.divmod(starts, width)
    boxes = [
        np.minimum.reduceat(rows, first),
        np.maximum.reduceat(rows, first) + 1,
        np.minimum.reduceat(left, first),
        np.maximum.reduceat(left + lengths, first),
    ]
    return InstanceTable(
        values[first].astype(np.int64), np.add.reduceat(lengths, first), np.stack(boxes, axis=1)
    )
