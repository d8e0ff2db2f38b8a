"""Closing of the pinholes that marching cubes leaves in ambiguous cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def is_closed(triangles: Indices) -> bool:
    """Whether each directed edge of (M, 3) triangles is met once, and once by its opposite."""
    start, end = _edges(triangles)
    count = int(triangles.max()) + 1
    forward, backward = np.sort(start * count + end), np.sort(end * count + start)
    return bool((np.diff(forward) > 0).all() and np.array_equal(forward, backward))


def closed(vertices: NDArray[np.floating], triangles: Indices) -> tuple[NDArray[np.float64], Indices]:
    """Fill each loop of open edges with a fan around its middle.

    Args:
        vertices: (N, 3).
        triangles: (M, 3).

    Returns:
        The vertices with the middles appended, and the triangles with the fans appended; the very triangles where
        nothing is open.
    """
    start, end = _edges(triangles)
    count = len(vertices)
    forward, backward = start * count + end, end * count + start
    known = np.sort(forward)
    found = np.minimum(np.searchsorted(known, backward), len(known) - 1)
    is_open = known[found] != backward
    middles: list[NDArray[np.float64]] = []
    fans: list[tuple[int, int, int]] = []
    for loop in _loops(start[is_open].tolist(), end[is_open].tolist()):
        middle = count + len(middles)
        middles.append(vertices[loop].mean(axis=0))
        fans += [(b, a, middle) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    if not fans:
        return np.asarray(vertices, np.float64), triangles
    return np.concatenate([vertices, middles]), np.concatenate([triangles, np.array(fans, np.int64)])


def _loops(starts: list[int], ends: list[int]) -> list[list[int]]:
    """Directed edges as simple loops of vertices; loops that touch at a vertex are told apart there."""
    following: dict[int, list[int]] = {}
    for a, b in zip(starts, ends, strict=True):
        following.setdefault(a, []).append(b)
    loops: list[list[int]] = []
    for first in list(following):
        while following[first]:
            path = [first]
            while following.get(path[-1]):
                at = following[path[-1]].pop()
                if at in path:
                    loops.append(path[path.index(at) :])
                    del path[path.index(at) + 1 :]
                else:
                    path.append(at)
    return [loop for loop in loops if len(loop) > 2]


def _edges(triangles: Indices) -> tuple[Indices, Indices]:
    return triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
