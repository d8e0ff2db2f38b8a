"""Which labelled instances are no things but what things stand on and before: tables, floors and walls.

Some segmenters label everything. A thing that is seen beside another one may well hide a part of it; a table does not,
and where its pixels begin, the thing ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.range_noise import RangeNoise

#: Of the image: what covers less hides little.
_LEAST_SHARE = 0.03
#: What meets so many sides of the image reaches around the things in it.
_SIDES = 3
#: Of the outlines of all smaller instances, what is seen against it; these are looked at so many cells apart, for masks
#: may leave a seam between them.
_LEAST_OUTLINE, _SEAM = 0.4, 2
#: Of the measured cells of a flat instance, those on its plane.
_FLAT_SHARE = 0.8
#: A point is on a plane within this many standard deviations of the sensor, and this share of its depth.
_NOISES, _DEPTH_SHARE = 3.0, 0.005
#: Fewer measured cells do not tell that an instance is flat; so many are enough to.
_LEAST_CELLS, _ENOUGH_CELLS = 30, 300
#: A plane is fitted so many times, each time without the points that fitted the last one worst.
_ROUNDS = 3


def surroundings(
    labels: NDArray[np.uint16], points: NDArray[np.float32], noise: RangeNoise
) -> tuple[int, ...]:
    """The large instances that are all around, or flat with smaller ones seen against them.

    Args:
        labels: (r, c) instances on a coarse grid over the image, 0 = none.
        points: (r, c, 3) metres in the optical frame, NaN = unknown.
        noise: how much the points err.

    Returns:
        Their ids, ascending.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    large = np.flatnonzero(areas >= _LEAST_SHARE * labels.size).tolist()
    if not large:
        return ()
    outlines = _outlines(labels)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return tuple(
        instance
        for instance in large
        if sum(bool((side == instance).any()) for side in sides) >= _SIDES
        or (_is_behind(instance, outlines, areas) and _is_flat(points[labels == instance], noise))
    )


def without_surroundings(
    labels: NDArray[np.uint16], instances: tuple[int, ...], instance_id: int
) -> NDArray[np.uint16]:
    """Labels in which surroundings are 0, but for one instance that is looked at; the same array if none is there."""
    others = [other for other in instances if other != instance_id]
    if not others:
        return labels
    return np.where(np.isin(labels, others), np.uint16(0), labels)


def _outlines(labels: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """(N,) instances along their outlines, and (N,) what is beside each of them; 0 = none."""
    ahead, behind = slice(_SEAM, None), slice(None, -_SEAM)
    across, along = (labels[:, behind], labels[:, ahead]), (labels[behind], labels[ahead])
    pairs = (across, across[::-1], along, along[::-1])
    edges = [(own != beside) & (own != 0) for own, beside in pairs]
    return (
        np.concatenate([own[edge] for (own, _), edge in zip(pairs, edges, strict=True)]),
        np.concatenate([beside[edge] for (_, beside), edge in zip(pairs, edges, strict=True)]),
    )


def _is_behind(
    instance: int, outlines: tuple[NDArray[np.uint16], NDArray[np.uint16]], areas: NDArray[np.int64]
) -> bool:
    """Whether much of the outlines of smaller instances borders on this one."""
    own, beside = outlines
    smaller = areas[own] < areas[instance]
    return bool(np.count_nonzero(smaller & (beside == instance)) > _LEAST_OUTLINE * np.count_nonzero(smaller))


def _is_flat(points: NDArray[np.float32], noise: RangeNoise) -> bool:
    """Whether most of (N, 3) points lie on one plane."""
    known = points[np.isfinite(points).all(axis=1)]
    if len(known) < _LEAST_CELLS:
        return False
    known = known[:: max(1, len(known) // _ENOUGH_CELLS)].astype(np.float64)
    depth = np.abs(known[:, 2])
    tolerance = _DEPTH_SHARE * depth + _NOISES * noise.at(float(np.median(depth)))
    # A plane that the camera sees does not hold the camera: normal . point / offset = 1.
    chosen = known
    for _ in range(_ROUNDS):
        plane = np.linalg.lstsq(chosen, np.ones(len(chosen)), rcond=None)[0]
        misfit = np.abs(known @ plane - 1.0) / (np.linalg.norm(plane) * tolerance)
        chosen = known[misfit <= np.quantile(misfit, _FLAT_SHARE)]
    return bool(np.mean(misfit < 1.0) >= _FLAT_SHARE)
