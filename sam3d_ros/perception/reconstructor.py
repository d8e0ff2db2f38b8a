"""The protocol between the perception graph and whatever turns masks into objects."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence

#: Called with the name of a stage and the share of the work done, 0 to 1.
Progress = Callable[[str, float], None]
#: Told of an error that a reconstructor raised for one instance, with its traceback.
Failed = Callable[[Exception, str], None]
#: Reason of the verdict on an instance that a reconstructor raised an error for.
RECONSTRUCTION_FAILED = "reconstruction_failed"

T = TypeVar("T")
R = TypeVar("R")


class Reconstructor(Protocol):
    """Turns evidence of one frame into objects; all of a call are one batch."""

    @property
    def name(self) -> str:
        """The value of the parameter `reconstructor` that picks it."""
        ...

    @property
    def is_metric(self) -> bool:
        """Whether the scale of its answers is measured; if not, refinement may change it."""
        ...

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct instances.

        Args:
            evidence: of instances of one frame. Networks see its full images by `Overview.frame`.
            progress: told the stage and the share of the work done.

        Returns:
            One estimate for each, in the same order. An instance that cannot be reconstructed still gets an answer: a
            REJECTED verdict with the reason, and the best box there is for a mesh.
        """
        ...


def made_apart(
    instances: Sequence[T], make: Callable[[Sequence[T]], Sequence[R | None]], failed: Failed
) -> list[R | None]:
    """Have a batch made so that an instance which raises an error costs nobody else the answer.

    A batch that fails is halved until who fails stands alone.

    Args:
        instances: what to make.
        make: makes a batch; it gives one answer for each, None for who has none.
        failed: told of each instance that fails alone; or once, where a batch failed and its parts did not.

    Returns:
        One answer for each, in the same order; None for who fails alone, too.

    Raises:
        MemoryError: there is no room for a single one. That is not the fault of an instance.
    """
    alone: list[Exception] = []
    together: list[Exception] = []
    made: list[R | None] = [None] * len(instances)
    # Not by recursion: a function that knows itself is a cycle, which would hold the frames of evidence for a while.
    parts = [(0, len(instances))] if instances else []
    while parts:
        first, end = parts.pop()
        try:
            answers = make(instances[first:end])
            if len(answers) != end - first:
                raise ValueError(f"{len(answers)} answers for {end - first} instances: give one for each")
            made[first:end] = answers
        except Exception as error:  # noqa: BLE001 - whatever a reconstructor raises
            (together if end - first > 1 else alone).append(error)
            if end - first > 1:
                middle = (first + end) // 2
                parts += [(middle, end), (first, middle)]
    if alone and len(alone) == len(instances) and all(isinstance(raised, MemoryError) for raised in alone):
        raise alone[-1]
    for raised in alone or together[:1]:
        failed(raised, "".join(traceback.format_exception(raised)))
    return made
