"""Which instance of a new frame is which known track.

The segmenter may number its instances anew in every frame, so ids count for nothing here: masks that
overlap, surfaces that are near in space and equal class names do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.instances import InstanceView

#: Cost of leaving a track without an instance; a match has to be cheaper.
_MISS_COST = 1.0
#: A pair that must not be matched, whatever it would spare elsewhere.
_FORBIDDEN = 1e6


@dataclass(frozen=True)
class AssociationConfig(Settings):
    """When an instance may be a track, and how evidence is weighed.

    Attributes:
        min_overlap: without a distance, a match needs this intersection over union of the masks.
        relabelled_overlap: an instance of another class name needs this overlap.
        overlap_weight: share of the overlap in the cost, the rest is the distance.
        label_penalty: added to the cost when class names differ.
        gate_floor: metres that any object may move between two sightings.
        gate_share: share of its diameter that it may move in addition.
        gate_speed: metres per second that it may move in addition since it was last seen.
        gate_growth: seconds after which that grows no further.
    """

    min_overlap: float = parameter(0.1, minimum=0.0, maximum=1.0)
    relabelled_overlap: float = parameter(0.5, minimum=0.0, maximum=1.0)
    overlap_weight: float = parameter(0.6, minimum=0.0, maximum=1.0)
    label_penalty: float = parameter(0.3, minimum=0.0, maximum=1.0)
    gate_floor: float = parameter(0.03, minimum=0.001, maximum=100.0)
    gate_share: float = parameter(0.5, minimum=0.0, maximum=100.0)
    gate_speed: float = parameter(1.0, minimum=0.0, maximum=100.0)
    gate_growth: float = parameter(0.5, minimum=0.0, maximum=3600.0)


@dataclass(frozen=True, eq=False)
class Expectation:
    """Where a track should show in the new frame.

    Attributes:
        label: class name, may be empty.
        silhouettes: cells of the coarse grid (see `instances`) that it should cover; one or several guesses.
        center: (3,) centre of its visible surface when last seen, fixed frame, metres; NaN = unknown.
        extent: its diameter, metres; NaN = unknown.
        elapsed: seconds since it was last seen.
    """

    label: str
    silhouettes: tuple[NDArray[np.int64], ...]
    center: NDArray[np.float64]
    extent: float
    elapsed: float


def associate(
    expectations: Sequence[Expectation],
    views: Sequence[InstanceView],
    grid_shape: tuple[int, int],
    config: AssociationConfig,
) -> list[tuple[int, int]]:
    """Match tracks and instances at the least total cost.

    Returns:
        Pairs of an index into `expectations` and one into `views`; each index occurs at most once.
    """
    if not expectations or not views:
        return []
    cost = association_costs(expectations, views, grid_shape, config)
    tracks, instances = cost.shape
    # A private column for each track stands for "not seen", so that a bad match is never forced.
    padded = np.full((tracks, instances + tracks), _FORBIDDEN)
    padded[:, :instances] = cost
    padded[np.arange(tracks), instances + np.arange(tracks)] = _MISS_COST
    rows, columns = linear_sum_assignment(padded)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if column < instances]


def association_costs(
    expectations: Sequence[Expectation],
    views: Sequence[InstanceView],
    grid_shape: tuple[int, int],
    config: AssociationConfig,
) -> NDArray[np.float64]:
    """(T, I) cost of each match, 0 = certain; far above 1 where the pair is forbidden."""
    overlap = _overlaps(expectations, views, grid_shape)
    centers = np.stack([view.center for view in views])
    extents = np.array([view.extent for view in views])
    expected_centers = np.stack([expected.center for expected in expectations])
    expected_extents = np.array([expected.extent for expected in expectations])
    elapsed = np.array([expected.elapsed for expected in expectations])
    distance = np.sqrt(np.square(centers - expected_centers[:, None]).sum(axis=2))
    # What is unknown has no extent; and where both are, fmax would say NaN.
    size = np.fmax(np.fmax(expected_extents[:, None], extents), 0.0)
    gate = (
        config.gate_floor
        + config.gate_share * size
        + config.gate_speed * np.minimum(elapsed, config.gate_growth)[:, None]
    )
    known = ~np.isnan(distance)
    weight = np.where(known, config.overlap_weight, 1.0)
    # Distances that are unknown have no weight; zero keeps their NaN out of the sum.
    farness = np.where(known, distance / gate, 0.0)
    renamed = np.array(
        [
            [bool(expected.label and view.label and expected.label != view.label) for view in views]
            for expected in expectations
        ]
    )
    allowed = np.where(known, farness <= 1.0, overlap >= config.min_overlap)
    allowed &= ~renamed | (overlap >= config.relabelled_overlap)
    value = weight * (1.0 - overlap) + (1.0 - weight) * farness + config.label_penalty * renamed
    return np.where(allowed, value, _FORBIDDEN)


def _overlaps(
    expectations: Sequence[Expectation], views: Sequence[InstanceView], grid_shape: tuple[int, int]
) -> NDArray[np.float64]:
    """(T, I) intersection over union on the coarse grid, the best of each track's silhouettes."""
    owner = np.zeros(grid_shape[0] * grid_shape[1], dtype=np.int64)
    for index, view in enumerate(views, start=1):
        owner[view.cells] = index
    areas = np.array([len(view.cells) for view in views], dtype=np.float64)
    overlap = np.zeros((len(expectations), len(views)))
    for row, expected in enumerate(expectations):
        for cells in expected.silhouettes:
            common = np.bincount(owner[cells], minlength=len(views) + 1)[1:]
            union = areas + len(cells) - common
            overlap[row] = np.maximum(overlap[row], common / np.maximum(union, 1.0))
    return overlap
