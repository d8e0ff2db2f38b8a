"""The protocol between the perception graph and whatever turns masks into objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence

#: Called with the name of a stage and the share of the work done, 0 to 1.
Progress = Callable[[str, float], None]


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
