"""The cases of dual marching cubes, derived from its rule.

A cube whose corners lie on both sides of a surface is crossed along some of its edges. On every face, segments
join the crossed edges; the segments close to loops, and each loop becomes one vertex of the dual surface
(Nielson 2004). Where a face is crossed four times, the segments cut off its two inside corners.

Two cubes at such a face may each have both segments in one loop. Their vertices would then share an edge that
four faces meet. These cubes are told apart by the other way to cut the face, which is the case with inside and
outside exchanged (Wenger 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import torch
from torch import Tensor

#: (8, 3) corners of a cube, x fastest.
CORNERS = torch.tensor([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
#: Corners of the twelve edges, in the order of the weights of the trained network.
EDGES = ((0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4))
CASES = 256
#: The six faces: outward direction.
FACES = torch.tensor([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class DualCases:
    """What a cube does in each case; bit i of a case says that corner i is inside.

    Attributes:
        loop: (256, 12) int64 number of the loop through each edge, -1 where the edge is not crossed.
        loops: (256,) int64 number of loops.
        shared_face: (256,) int64 face whose two segments belong to one loop, -1 where there is none.
    """

    loop: Tensor
    loops: Tensor
    shared_face: Tensor


def _face_corners(face: int) -> set[int]:
    axis, side = face // 2, face % 2
    return {corner for corner in range(8) if (corner >> axis & 1) == side}


def _segments(case: int, face: int) -> list[tuple[int, int]]:
    """Pairs of crossed edges that a face joins."""
    corners = _face_corners(face)
    inside = {corner for corner in corners if case >> corner & 1}
    crossed = [e for e, ends in enumerate(EDGES) if set(ends) <= corners and len(inside & set(ends)) == 1]
    if len(crossed) <= 2:
        return [(crossed[0], crossed[1])] if crossed else []
    return [(a, b) for a, b in combinations(crossed, 2) if set(EDGES[a]) & set(EDGES[b]) & inside]


def _loops(segments: list[tuple[int, int]]) -> list[set[int]]:
    loops: list[set[int]] = []
    for segment in segments:
        joined = set(segment).union(*(loop for loop in loops if loop & set(segment)))
        loops = [loop for loop in loops if not loop & joined] + [joined]
    return sorted(loops, key=min)


@cache
def dual_cases() -> DualCases:
    """Derive all cases."""
    loop_of_edge = torch.full((CASES, len(EDGES)), -1)
    count = torch.zeros(CASES, dtype=torch.long)
    shared_face = torch.full((CASES,), -1)
    for case in range(CASES):
        by_face = [_segments(case, face) for face in range(len(FACES))]
        loops = _loops([segment for segments in by_face for segment in segments])
        count[case] = len(loops)
        for number, loop in enumerate(loops):
            loop_of_edge[case, sorted(loop)] = number
        for face, segments in enumerate(by_face):
            if len(segments) == 2 and len({int(loop_of_edge[case, a]) for a, _ in segments}) == 1:
                assert shared_face[case] == -1, "the rule gives each case at most one such face"
                shared_face[case] = face
    return DualCases(loop_of_edge, count, shared_face)
