"""One call of the networks for many instances; where memory is short, smaller ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sam3d_ros.models.devices import give_back_cached_memory, is_out_of_memory
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.reconstruction.errors import FullMemoryError, MissingWeightsError

R = TypeVar("R")


def in_batches(
    groups: Sequence[Sequence[int]],
    predict: Callable[[Sequence[int], Progress], Sequence[R]],
    progress: Progress | None,
) -> dict[int, R]:
    """What is predicted of each instance, a group in a call; where memory is short, in smaller and smaller ones.

    Raises FullMemoryError where not even one fits.
    """
    waiting, count = list(groups), sum(map(len, groups))
    size = count
    answers: dict[int, R] = {}
    while waiting:
        batch, rest = waiting[0][:size], waiting[0][size:]

        def report(stage: str, share: float, done: int = len(answers), part: int = len(batch)) -> None:
            if progress is not None:
                progress(stage, (done + part * share) / count)

        try:
            found = predict(batch, report)
        except FullMemoryError:
            if len(batch) == 1:
                raise
            size = math.ceil(len(batch) / 2)
        else:
            answers.update(zip(batch, found, strict=True))
            waiting[:1] = [rest] if rest else []
            continue
        give_back_cached_memory()  # not before the exception is gone, which holds tensors
    return answers


@contextmanager
def named_errors(damaged: tuple[type[Exception], ...], remedy: str) -> Iterator[None]:
    """The errors of the networks, `damaged` if weights are, as those of this room; `remedy` is for a full memory."""
    try:
        yield
    except damaged as error:
        raise MissingWeightsError(str(error)) from error
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise FullMemoryError(f"{str(error).splitlines()[0]} {remedy}") from error
