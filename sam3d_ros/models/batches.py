"""Work for several items at once, and less of it at a time where memory is short."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from sam3d_ros.models.devices import give_back_cached_memory, is_out_of_memory

T = TypeVar("T")


def in_batches(count: int, size: int, run: Callable[[slice], None]) -> None:
    """Run over `count` items, `size` at a time; where memory is short, halve the size of the batches.

    Raises:
        RuntimeError: the memory is too short for a single item.
    """
    start = 0
    while start < count:
        try:
            run(slice(start, min(start + size, count)))
            start += size
            continue
        except RuntimeError as error:
            if size == 1 or not is_out_of_memory(error):
                raise
        # Not in the handler: until it ends, the error holds on to what the failed batch had allocated.
        size = math.ceil(size / 2)
        give_back_cached_memory()


def first_that_fits(attempts: Sequence[Callable[[], T]]) -> T:
    """The outcome of the first attempt for which there is enough memory; each needs less than the one before.

    Raises:
        RuntimeError: there is too little even for the last.
    """
    for attempt in attempts[:-1]:
        try:
            return attempt()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        give_back_cached_memory()
    return attempts[-1]()
