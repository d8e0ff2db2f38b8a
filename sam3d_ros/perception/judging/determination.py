"""Whether the view that a mesh was made of determines how large the object is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.settings import Settings, parameter

#: Reason of a verdict: the object may end elsewhere on the side that is not seen.
HIDDEN_SIDE_UNKNOWN = "hidden_side_unknown"
#: A footprint with a handle is longer than it is wide by at least this factor, and ends of it that were measured have a
#: measured vertex within this share of its length.
_ELONGATED, _REACHED = 1.18, 0.035
#: Standard deviation of the length of such a footprint, as a share of it.
_DETERMINED = 0.055


@dataclass(frozen=True)
class DeterminationConfig(Settings):
    """When the extents of an object are known.

    Attributes:
        accept_size_sigma: standard deviation of each extent, as a share of it, that an ACCEPTED object may have.
        accept_seen_share: least measured share of the surface of an ACCEPTED object. A view that shows something convex
            as a whole measures nearly half of it.
        protruding_labels: class names, or words of them, of things with a handle or a spout. One of these is ACCEPTED
            only where both ends of its longer side were seen: what protrudes may be behind it.
    """

    accept_size_sigma: float = parameter(0.15, minimum=0.0, maximum=10.0)
    accept_seen_share: float = parameter(0.33, minimum=0.0, maximum=1.0)
    protruding_labels: tuple[str, ...] = parameter(
        ("mug", "jug", "pitcher", "kettle", "teapot", "pan", "saucepan", "watering can")
    )


def with_determination(estimate: ObjectEstimate, config: DeterminationConfig) -> ObjectEstimate:
    """The same estimate, with the reason `hidden_side_unknown` where its extents are not determined.

    Args:
        estimate: with what was measured of it, and how sure its extents are.
        config: parameters.
    """
    reasons = estimate.verdict.reasons
    if HIDDEN_SIDE_UNKNOWN in reasons or is_determined(estimate, config):
        return estimate
    return replace(estimate, verdict=replace(estimate.verdict, reasons=(*reasons, HIDDEN_SIDE_UNKNOWN)))


def is_determined(estimate: ObjectEstimate, config: DeterminationConfig) -> bool:
    """Whether the extents of an object are known; what nobody tells of it is not held against it."""
    share = np.array(estimate.verdict.size_sigma) / estimate.size
    # Where nothing at all was measured, that is the reason, and not a hidden side.
    is_told = bool(np.isfinite(share).all())
    if is_told and estimate.verdict.seen_share < config.accept_seen_share:
        return False
    if (share > config.accept_size_sigma).any():
        return False
    if estimate.measured is None or not protrudes(estimate.label, config.protruding_labels):
        return True
    return _shows_protrusion(estimate, estimate.measured, share)


def protrudes(label: str, names: Sequence[str]) -> bool:
    """Whether a class name is, or has among its words, one of some names; hyphens and underscores part words, too."""
    words = f" {' '.join(label.lower().replace('_', ' ').replace('-', ' ').split())} "
    return any(f" {name} " in words for name in names)


def _shows_protrusion(
    estimate: ObjectEstimate, measured: NDArray[np.bool_], sigma_share: NDArray[np.float64]
) -> bool:
    """Whether the footprint is longer than wide, and seen to both ends of its length."""
    long = int(np.argmax(estimate.size[:2]))
    if estimate.size[long] < _ELONGATED * estimate.size[1 - long] or not measured.any():
        return False
    seen = estimate.mesh.vertices[measured, long]
    low, high = estimate.mesh.bounds[:, long].tolist()
    gap = max(float(seen.min()) - low, high - float(seen.max())) / (high - low)
    return gap <= _REACHED and bool(sigma_share[long] <= _DETERMINED)
