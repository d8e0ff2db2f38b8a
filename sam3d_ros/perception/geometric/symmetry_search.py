"""The search for the symmetry that completes what one view cannot see.

A symmetry is judged by what it claims: the images of the observed points must lie where the view leaves space,
behind measured surfaces and inside the silhouette (the test of Thrun and Wegbreit 2005). Among those that
pass, the most symmetric and the tightest wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.polygons import convex_hull
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.footprint import smallest_rectangle
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.symmetry import Symmetry, SymmetryKind, motions

Array = NDArray[np.float64]

#: The larger groups first: when one of them explains the view, the smaller ones need no look.
_ORDER = (
    SymmetryKind.REVOLUTION,
    SymmetryKind.TWO_MIRRORS,
    SymmetryKind.HALF_TURN,
    SymmetryKind.MIRROR,
)
#: Observed points that vote in the coarse search, and on the many turns of a revolution.
_COARSE_POINTS = 80
_REVOLVED_POINTS = 40
_MIRROR_ANGLES = 16
_OFFSETS = 12
_CENTERS = 10
#: Half turns that pairs of mirrors are tried at.
_KEPT = 6
_COARSE_ROUNDS, _FINE_ROUNDS = 4, 2
#: A violation counts up to this share of the span, so that a few points (a handle) cannot veto a symmetry.
_CAP = 0.1
#: Cost, in spans, of stretching the object against what is expected: of the logarithm, and of its square.
_STRETCH_COSTS = (0.004, 0.006)
#: Cost of a group, in spans: of those that explain the view alike, the larger group says more.
_GROUP_COST = {
    SymmetryKind.REVOLUTION: 0.0,
    SymmetryKind.TWO_MIRRORS: 0.0005,
    SymmetryKind.HALF_TURN: 0.002,
    SymmetryKind.MIRROR: 0.003,
    SymmetryKind.NONE: 0.01,
}
#: What protrudes from something round, a handle, has up to this share of its points, and costs so many spans. Points
#: that are off by this share of the tolerance on average belong to the rest.
_PROTRUDING, _PROTRUSION_COST, _WITHIN = 0.2, 0.001, 0.3
#: That is round when the mean sine between its normals and the ways from the axis is at most this; and so many times
#: that where the axis is not known well yet.
_ROUND_SINE, _NEARLY_ROUND = 0.27, 1.3
#: Share of the tolerance that is left in the end; first step of the search then, in radians and spans; how many.
_STRICT, _SETTLING, _SETTLING_ROUNDS = 0.3, 0.02, 8
#: Refinement hardly ever lowers a cost by more than this.
_GAIN = 0.01
#: The view determines a symmetry when pushing its center back by this share of the span adds that violation.
_PUSH, _PUSHED_VIOLATION = 0.2, 0.002


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What hypotheses are measured against: observed points, their outline, free space, and the expected size.

    The span is the diagonal of the expected footprint: symmetries move points in the ground plane only, so that
    a tall object's errors are large or small against its width, not against its height.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    outline: Array
    free_space: FreeSpace
    span: float
    tolerance: float
    expected_depth: float
    width: float
    margin: float
    strict: bool = False
    protruding: float = 0.0

    def thinned(self, count: int) -> _Evidence:
        """The same with at most so many points to vote."""
        if len(self.points) <= count:
            return self
        return self.only(np.linspace(0, len(self.points) - 1, count).astype(int))

    def only(self, chosen: NDArray[np.intp]) -> _Evidence:
        """The same with some of the points to vote."""
        return replace(self, points=self.points[chosen], normals=self.normals[chosen])


def find_symmetry(
    points: Array,
    normals: Array,
    base: float,
    free_space: FreeSpace,
    noise: float,
    margin: float,
    config: GeometricConfig,
) -> Symmetry:
    """Search the groups of `SymmetryKind`.

    Args:
        points: (N, 3) observed points in the ground frame (x away from the camera, z up), metres.
        normals: (N, 3) of the surface there.
        base: height where the object ends below.
        free_space: the region that the view leaves.
        noise: of a point, metres.
        margin: metres that cleaning took off the outline.
        config: parameters.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    seen = np.maximum(high - low, 1e-4) + np.array([margin, 2.0 * margin, margin])
    height = max(float(high[2]) - base, 1e-4)
    expected = max(seen[0], config.depth_prior * min(seen[1], height))
    span = float(np.hypot(expected, seen[1]))
    evidence = _Evidence(
        points.astype(np.float32),
        normals.astype(np.float32),
        convex_hull(points[:, :2]),
        free_space,
        span,
        noise + 0.002 * span,
        expected,
        float(seen[1]),
        margin,
    )
    angle = smallest_rectangle(points[:, :2]).angle
    best = Symmetry(SymmetryKind.NONE, angle, points[:, :2].mean(axis=0), 0.0, False)
    best_cost = _GROUP_COST[best.kind] + _stretch_cost(abs(np.log(expected / seen[0])))
    hypotheses = _Hypotheses(evidence, low, high, angle)
    for kind in _ORDER:
        # A group never costs less than its own price.
        if _GROUP_COST[kind] >= best_cost:
            continue
        (at, *_), (cost, *_) = _cheapest(kind, hypotheses.of(kind), evidence.thinned(_voters(kind)))
        if cost <= best_cost + _GAIN:
            at, cost = _refined(kind, at, evidence)
        if cost >= best_cost:
            continue
        found = _symmetry(kind, at, evidence)
        if found.violation <= config.max_violation:
            best, best_cost = found, cost
    if best_cost > _PROTRUSION_COST:
        at, cost, rest = _round_but_for_a_protrusion(hypotheses, evidence)
        if cost < best_cost:
            return _symmetry(SymmetryKind.REVOLUTION, at, rest)
    if best.kind in (SymmetryKind.NONE, SymmetryKind.REVOLUTION):
        # The axis of what is round follows from the bend of what is seen, and not from where the view leaves room.
        return best
    angle, *center = _settled(best, evidence)
    return replace(best, angle=float(angle), center=np.array(center))


def _symmetry(kind: SymmetryKind, at: Array, evidence: _Evidence) -> Symmetry:
    """The symmetry at (3,) parameters, and whether the view determines it."""
    pushed = at + np.array([0.0, _PUSH * evidence.span, 0.0])
    violation = _violations(kind, np.stack([at, pushed]), evidence)[0]
    determined = bool(violation[1] > violation[0] + _PUSHED_VIOLATION)
    return Symmetry(kind, float(at[0]), at[1:], float(violation[0]), determined)


def _round_but_for_a_protrusion(
    hypotheses: _Hypotheses, evidence: _Evidence
) -> tuple[Array, float, _Evidence]:
    """Where something round stands that a handle protrudes from, what that costs, and the points without the handle.

    A mirror would do, too, but puts a second handle behind it. The costs are infinite where the rest is not round.
    """
    kind = SymmetryKind.REVOLUTION
    trimmed = replace(evidence, protruding=_PROTRUDING)
    (at, *_), _ = _cheapest(kind, hypotheses.of(kind), trimmed.thinned(_voters(kind)))
    at, _ = _refined(kind, at, trimmed)
    depth = _contradiction(kind, at[None], evidence)[0].mean(axis=0)
    inside = (depth <= np.quantile(depth, 1.0 - _PROTRUDING)) | (depth <= _WITHIN * evidence.tolerance)
    rest = evidence.only(np.flatnonzero(inside))
    # Most things are far from round: only for the others the axis is looked for once more.
    if not _is_round(at, rest, _NEARLY_ROUND):
        return at, np.inf, rest
    at, cost = _refined(kind, at, rest)
    return at, cost + _PROTRUSION_COST if _is_round(at, rest) else np.inf, rest


def _is_round(at: Array, evidence: _Evidence, slack: float = 1.0) -> bool:
    """Whether the sides of an object face away from a vertical axis, to some times what a round one may be off."""
    away, normals = evidence.points[:, :2] - at[1:], evidence.normals[:, :2]
    length = np.linalg.norm(away, axis=1) * np.linalg.norm(normals, axis=1)
    sine = np.abs(away[:, 0] * normals[:, 1] - away[:, 1] * normals[:, 0]) / np.maximum(length, 1e-12)
    weight = np.linalg.norm(normals, axis=1)
    return bool((weight * sine).sum() <= slack * _ROUND_SINE * weight.sum())


class _Hypotheses:
    """Where each group may stand: (H, 3) angle, center x, center y, made only when asked for."""

    def __init__(self, evidence: _Evidence, low: Array, high: Array, angle: float) -> None:
        self._evidence, self._low, self._high, self._angle = evidence, low, high, angle
        self._reach = 0.75 * max(evidence.expected_depth, high[0] - low[0], 0.5 * evidence.width)
        self._angles = angle + np.arange(_MIRROR_ANGLES) * np.pi / _MIRROR_ANGLES

    def of(self, kind: SymmetryKind) -> Array:
        """Those of one group."""
        if kind is SymmetryKind.TWO_MIRRORS:
            return self._pairs_of_mirrors()
        return self._mirrors() if kind is SymmetryKind.MIRROR else self._axes()

    def _axes(self) -> Array:
        """A grid from the near part of the object to behind it."""
        low, high = self._low, self._high
        xs = np.linspace(low[0] + 0.2 * (high[0] - low[0]), low[0] + self._reach, _CENTERS)
        ys = np.linspace(0.75 * low[1] + 0.25 * high[1], 0.25 * low[1] + 0.75 * high[1], _CENTERS)
        centers = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
        return np.column_stack([np.full(len(centers), self._angle), centers])

    def _pairs_of_mirrors(self) -> Array:
        """Two mirrors make a half turn: they stand where that is cheap, at any angle of a quarter turn."""
        axes, _ = _cheapest(SymmetryKind.HALF_TURN, self._axes(), self._evidence.thinned(_COARSE_POINTS))
        quarter = self._angles[: _MIRROR_ANGLES // 2]
        return np.column_stack([np.repeat(quarter, len(axes)), np.tile(axes[:, 1:], (len(quarter), 1))])

    def _mirrors(self) -> Array:
        """Mirrors at all angles, at offsets around the expected middle."""
        low, high = self._low, self._high
        middle = np.array([low[0] + 0.5 * self._reach, 0.5 * (low[1] + high[1])])
        span = 0.5 * float(np.linalg.norm(high[:2] - low[:2])) + 0.5 * self._reach
        offsets = np.linspace(-0.6, 0.6, _OFFSETS) * span
        angle, offset = (grid.ravel() for grid in np.meshgrid(self._angles, offsets, indexing="ij"))
        normals = np.column_stack([np.cos(angle), np.sin(angle)])
        return np.column_stack([angle, middle + offset[:, None] * normals])


def _voters(kind: SymmetryKind) -> int:
    """Points that vote in the coarse search."""
    return _REVOLVED_POINTS if kind is SymmetryKind.REVOLUTION else _COARSE_POINTS


def _cheapest(kind: SymmetryKind, parameters: Array, evidence: _Evidence) -> tuple[Array, Array]:
    """The (K, 3) best of the hypotheses, the very best first, and their (K,) costs."""
    costs = _cost(kind, parameters, evidence)
    order = np.argsort(costs)[:_KEPT]
    return parameters[order], costs[order]


def _refined(kind: SymmetryKind, at: Array, evidence: _Evidence) -> tuple[Array, float]:
    """Pattern search around (3,) parameters, first on few points, then on more; and the cost there."""
    pattern = _pattern(kind)
    steps = np.array([np.pi / _MIRROR_ANGLES / 2.0, 0.08 * evidence.span, 0.08 * evidence.span])
    for voters, rounds in ((_voters(kind), _COARSE_ROUNDS), (2 * _voters(kind), _FINE_ROUNDS)):
        points = evidence.thinned(voters)
        for _ in range(rounds):
            tried = at + pattern * steps
            costs = _cost(kind, tried, points)
            best = int(np.argmin(costs))
            if best == len(pattern) // 2:
                steps = steps / 2.0
            at, cost = tried[best], float(costs[best])
    return at, cost


def _pattern(kind: SymmetryKind) -> Array:
    """(P, 3) steps to the neighbours in angle, x and y, the middle one to nowhere; turns only where they matter."""
    sides = (-1.0, 0.0, 1.0)
    turns = sides if kind in (SymmetryKind.MIRROR, SymmetryKind.TWO_MIRRORS) else (0.0,)
    return np.array([(a, x, y) for a in turns for x in sides for y in sides])


def _settled(found: Symmetry, evidence: _Evidence) -> Array:
    """(3,) parameters of a symmetry, found with some tolerance, where it may no longer make use of that.

    What the view does not tell is kept as large as it was expected to be as long as that costs nothing: a tolerance
    would be used up by all objects whose hidden side is expected too far away.
    """
    strict = replace(evidence, tolerance=_STRICT * evidence.tolerance, strict=True)
    pattern = _pattern(found.kind)
    steps = _SETTLING * np.array([1.0, evidence.span, evidence.span])
    at = np.array([found.angle, *found.center])
    for _ in range(_SETTLING_ROUNDS):
        tried = at + pattern * steps
        best = int(np.argmin(_cost(found.kind, tried, strict)))
        if best == len(pattern) // 2:
            steps = steps / 2.0
        at = tried[best]
    return at


def _cost(kind: SymmetryKind, parameters: Array, evidence: _Evidence) -> Array:
    """(H,) cost in spans of (H, 3) hypotheses: violation, group, and stretching against expectation."""
    violation, stretch = _violations(kind, parameters, evidence)
    return np.asarray(violation + _GROUP_COST[kind] + _stretch_cost(stretch))


def _stretch_cost(stretch: Any) -> Any:
    """Of the absolute log-stretch, a number or an array."""
    return _STRETCH_COSTS[0] * stretch + _STRETCH_COSTS[1] * stretch**2


def _violations(kind: SymmetryKind, parameters: Array, evidence: _Evidence) -> tuple[Array, Array]:
    """(H,) mean violation in spans, and (H,) absolute log-stretch of depth and width together."""
    depth = _contradiction(kind, parameters, evidence).mean(axis=1)
    kept = depth.shape[1] - int(evidence.protruding * depth.shape[1])
    if kept < depth.shape[1]:
        depth = np.partition(depth, kept - 1, axis=1)[:, :kept]
    violation = depth.mean(axis=1).astype(np.float64) / evidence.span
    stretch = np.zeros(len(parameters))
    if kind is SymmetryKind.REVOLUTION:
        # What turns is as deep as it is wide: the view itself tells its depth.
        return violation, stretch
    linear, offset = motions(kind, parameters[:, 0], parameters[:, 1:])
    for axis, expected in ((0, evidence.expected_depth), (1, evidence.width)):
        own = evidence.outline[:, axis]
        images = linear[..., axis, :] @ evidence.outline.T + offset[..., axis, None]
        low = np.minimum(images.min(axis=(1, 2)), own.min()) - evidence.margin
        high = np.maximum(images.max(axis=(1, 2)), own.max()) + evidence.margin
        stretch += np.abs(np.log(np.maximum(high - low, 1e-4) / expected))
    return violation, stretch


def _contradiction(kind: SymmetryKind, parameters: Array, evidence: _Evidence) -> NDArray[np.float32]:
    """(H, G, N) metres that the images of each point under each motion contradict the view."""
    return np.asarray(
        evidence.free_space.contradiction(
            evidence.points,
            evidence.normals,
            motions(kind, parameters[:, 0], parameters[:, 1:]),
            evidence.tolerance,
            _CAP * evidence.span,
            strict=evidence.strict,
        )
    )
