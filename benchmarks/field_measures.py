"""The measures that reconstruction of objects is compared by, of each object and as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.shape_measures import add_sb, bootstrap_interval, cd_norm, diameter_error
from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState

Array = NDArray[np.float64]

RECALLS = (0.1, 0.05)
#: An object whose diameter is nearer to the truth than this share of it has the right size.
SIZE_TOLERANCE = 0.05
#: What counts for an object that was not answered: a whole diameter.
UNANSWERED = 1.0


@dataclass(frozen=True)
class FieldMeasures:
    """One object; shares of its true diameter, all `UNANSWERED` where it got no answer.

    Attributes:
        add_sb: distance of the surfaces where they are posed.
        cd_norm: the same after registration.
        diameter_error: of the diameter.
        is_answered: whether there is a mesh that was not REJECTED.
    """

    add_sb: float
    cd_norm: float
    diameter_error: float
    is_answered: bool = True

    @staticmethod
    def of(estimate: ObjectEstimate, truth: Mesh) -> FieldMeasures:
        """Compare an estimate with the true mesh in the optical frame."""
        if estimate.verdict.state is VerdictState.REJECTED or len(estimate.mesh.triangles) == 0:
            return FieldMeasures(UNANSWERED, UNANSWERED, UNANSWERED, is_answered=False)
        posed = transformed(estimate.mesh, estimate.camera_from_object)
        return FieldMeasures(add_sb(posed, truth), cd_norm(posed, truth), diameter_error(posed, truth))


def print_field_measures(sets: Mapping[str, Sequence[FieldMeasures]]) -> None:
    """A table with 95 % bootstrap intervals; objects without an answer count as failures everywhere."""
    recalls = " ".join(f"{f'ADD-SB recall at {bound:g}':>26s}" for bound in RECALLS)
    print(
        f"\n{'shares of the diameter':28s} {'count':>5s} {'unanswered':>10s} {'ADD-SB':>24s} {'CD_norm':>24s} "
        f"{recalls} {f'DRE@{SIZE_TOLERANCE:g}':>24s}"
    )
    for name, some in sets.items():
        if not some:
            continue
        distance, shape, size = (
            [getattr(measures, field) for measures in some]
            for field in ("add_sb", "cd_norm", "diameter_error")
        )
        shares = " ".join(f"{with_interval(distance, _below(bound), percent=True):>26s}" for bound in RECALLS)
        print(
            f"{name:28.28s} {len(some):5d} {sum(not m.is_answered for m in some):10d} "
            f"{with_interval(distance, _mean):>24s} {with_interval(shape, _mean):>24s} {shares} "
            f"{with_interval(size, _below(SIZE_TOLERANCE), percent=True):>24s}"
        )


def with_interval(
    values: Sequence[float], statistic: Callable[[Array], Array], *, percent: bool = False
) -> str:
    """A statistic and its interval."""
    low, high = bootstrap_interval(values, statistic)
    middle = float(statistic(np.asarray(values, dtype=np.float64)))
    if percent:
        return f"{middle:.1%} ({low:.1%}..{high:.1%})"
    return f"{middle:.3f} ({low:.3f}..{high:.3f})"


def _mean(values: Array) -> Array:
    return np.asarray(values.mean(axis=-1))


def _below(bound: float) -> Callable[[Array], Array]:
    return lambda values: np.asarray((values <= bound).mean(axis=-1))
