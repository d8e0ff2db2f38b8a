"""The reconstructors there are, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.reconstructor import Reconstructor
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.reconstruction.network_config import RECONSTRUCTORS, NetworkConfig


class Weights(Protocol):
    """What a reconstructor with weights can do with them."""

    def load(self) -> None:
        """Read them now, so that the first objects do not wait."""

    def release(self) -> None:
        """Give back their memory; they are read again when they are needed."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A reconstructor that was picked.

    Attributes:
        reconstructor: the one.
        note: why it is this one, where it runs, and how to get a better one; a sentence for /diagnostics and logs.
        weights: those of the reconstructor, if it has some.
    """

    reconstructor: Reconstructor
    note: str
    weights: Weights | None = None


def select(
    name: str, *, geometric: GeometricConfig | None = None, network: NetworkConfig | None = None
) -> Selection:
    """Pick a reconstructor.

    `auto` does not fall back from damaged weights: who brought some wants to know.

    Args:
        name: of `RECONSTRUCTORS`.
        geometric: parameters of `geometric`.
        network: parameters of `sam3d`.

    Raises:
        MissingWeightsError: `sam3d` is asked for and cannot run, or `auto` found weights that are damaged.
        ValueError: there is none of this name, or a parameter does not fit this machine.
    """
    if name not in RECONSTRUCTORS:
        raise ValueError(
            f"reconstructor is {name!r}: set it to one of {', '.join(RECONSTRUCTORS)} and configure the node again"
        )
    network = network or NetworkConfig()
    obstacle = "" if name == "geometric" else network.obstacle()
    if name == "sam3d" and obstacle:
        raise MissingWeightsError(obstacle)
    if name == "geometric" or obstacle:
        # Imported here, so that who asks only for the names does not wait for Open3D and scikit-image.
        from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor

        note = f"auto: {obstacle}" if obstacle else "as asked for"
        return Selection(GeometricReconstructor(geometric), note)
    # And here, so that who needs no networks needs no PyTorch.
    from sam3d_ros.reconstruction.sam3d import Sam3dReconstructor

    reconstructor = Sam3dReconstructor.from_checkpoint(network)
    why = "auto: weights" if name == "auto" else "as asked for: weights"
    note = f"{why} in {network.folder}, on {reconstructor.description}"
    return Selection(reconstructor, note, reconstructor)


def make_reconstructor(name: str) -> Reconstructor:
    """The reconstructor of a name, with its default parameters; raises as `select` does."""
    return select(name).reconstructor
