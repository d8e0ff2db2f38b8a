"""The symmetry group of a mesh, whoever made it.

Every symmetry keeps the convex hull, so that axes pass through the centroid of its surface, and its second moments. Few
directions come into question: those of the object's own axes, of the moments, and, where two moments are alike, of the
diagonals between. A motion counts when the images of points of the surface lie near it: of its outside, for what is in
a cup hardly shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from sam3d_ros.geometry.frames import Similarity, orthonormalized
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.symmetry_group import NO_SYMMETRY, ContinuousSymmetry, SymmetryGroup

Array = NDArray[np.float64]

#: Points spread over a surface, those of them whose images are looked at, and vertices that tell the convex hull.
_SURFACE_POINTS, _IMAGE_POINTS, _HULL_POINTS = 4000, 160, 1500
#: A handle is too few of the points to matter on average: in each of these directions the hull of an image reaches as
#: far as that of the surface, but for so many times the tolerance.
_DIRECTIONS = np.array([d for d in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(d)])
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
_JUT = 3.6
#: Turns that stand for all turns of something round; no polygon of a few sides looks alike after each of them.
_TURNS = (np.pi / 4.0, 2.0, np.pi / 2.0, np.pi)
#: What passes so many tests is round though each of them is passed narrowly.
_ROUND_SLACK = 1.2
#: Orders that an axis may have, the highest first.
_ORDERS = (6, 5, 4, 3)
#: The largest group of turns of a body with edges, that of an icosahedron.
_LARGEST_GROUP = 60
#: Directions and motions nearer to each other than this are one, radians.
_SAME = np.deg2rad(8.0)


@dataclass(frozen=True)
class SymmetryConfig(Settings):
    """When an object looks alike after a motion.

    Attributes:
        tolerance: root mean square distance of the moved surface to the surface, as a share of the diameter; 0 = no
            symmetry is looked for.
        alike: moments that differ by this share at most may belong to a symmetry of an order above two.
    """

    tolerance: float = parameter(0.022, minimum=0.0, maximum=0.2)
    alike: float = parameter(0.25, minimum=0.0, maximum=1.0)


def symmetry_group(mesh: Mesh, scale: Array, config: SymmetryConfig | None = None) -> SymmetryGroup:
    """The motions that a mesh looks alike after, in metric coordinates along its own axes.

    Args:
        mesh: canonical coordinates.
        scale: (3,) metres per canonical unit.
        config: parameters.
    """
    config = config or SymmetryConfig()
    if len(mesh.triangles) == 0 or config.tolerance == 0.0:
        return NO_SYMMETRY
    body = _Body.of(mesh, np.asarray(scale, np.float64), config)
    round_axes = _distinct(axis for axis in body.axes_alike if body.is_round(axis))
    if len(round_axes) > 1:
        return SymmetryGroup(tuple(ContinuousSymmetry(axis, body.center) for axis in np.eye(3)))
    if round_axes:
        flips = (axis for axis in _across(round_axes[0]) if body.looks_alike(axis, np.pi))
        flip = next(flips, None)
        found = () if flip is None else (_turn(flip, np.pi, body.center),)
        return SymmetryGroup((ContinuousSymmetry(round_axes[0], body.center),), found)
    return SymmetryGroup(discrete=_closed(list(body.turns()), body))


@dataclass(frozen=True, eq=False)
class _Body:
    """A surface that questions are asked of.

    Attributes:
        surface: its points, metric.
        spacing: metres; root mean square distance of a place on the surface to the nearest of these.
        points: (N, 3) on the outside of the surface, metric.
        hull: (K, 3) corners of its convex hull, metric.
        center: (3,) centroid of its convex hull's surface.
        moments: (3, 3) second moments of that about it.
        reach: metres that an image may be off, root mean square.
        jut: metres that the hull of the image may reach farther, or less far, in any direction.
        alike: see `SymmetryConfig`.
    """

    surface: cKDTree
    spacing: float
    points: Array
    hull: Array
    center: Array
    moments: Array
    reach: float
    jut: float
    alike: float

    @staticmethod
    def of(mesh: Mesh, scale: Array, config: SymmetryConfig) -> _Body:
        metric, triangles = mesh.vertices.astype(np.float64) * scale, mesh.triangles.astype(np.int64)
        points, normals, area = _surface_points(metric, triangles, _SURFACE_POINTS)
        chosen = slice(None, None, _SURFACE_POINTS // _IMAGE_POINTS)
        # Planes keep their normals by the inverse transpose of the map.
        outward = normals[chosen] * scale
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        inside = VisibleSurface.of(mesh).faces_itself(points[chosen] / scale, outward)
        hull, center, moments = _moments_of_hull(metric)
        diameter = float(np.linalg.norm(np.ptp(metric, axis=0)))
        return _Body(
            cKDTree(points),
            # Of random points the nearest is that far on average: a disc of this size holds one of them.
            float(np.sqrt(area / (np.pi * _SURFACE_POINTS))),
            points[chosen] if inside.all() else points[chosen][~inside],
            hull,
            center,
            moments,
            config.tolerance * diameter,
            _JUT * config.tolerance * diameter,
            config.alike,
        )

    def looks_alike(self, axis: Array, angle: float, slack: float = 1.0) -> bool:
        """Whether the body looks alike after a turn about an axis through its centroid, to some times the reach."""
        turn = _turn(axis, angle, self.center)
        if np.abs(_extents(turn.apply(self.hull)) - self._extents).max() > slack * self.jut:
            return False
        off, _ = self.surface.query(turn.apply(self.points))
        return bool(np.mean(off**2) - self.spacing**2 <= (slack * self.reach) ** 2)

    @cached_property
    def _extents(self) -> Array:
        return _extents(self.hull)

    def is_round(self, axis: Array) -> bool:
        """Whether it looks alike after any turn about an axis."""
        return all(self.looks_alike(axis, angle, _ROUND_SLACK) for angle in _TURNS)

    @cached_property
    def axes_alike(self) -> tuple[Array, ...]:
        """Axes that the moments allow more than half a turn about."""
        _, principal = np.linalg.eigh(self.moments)
        found = []
        for axis in _distinct([*np.eye(3), *principal.T]):
            first, second = _across(axis)[:2]
            across = np.array([first, second]) @ self.moments @ np.array([first, second]).T
            low, high = np.linalg.eigvalsh(across)
            if high - low <= self.alike * high:
                found.append(axis)
        return tuple(found)

    def turns(self) -> Iterator[tuple[Array, float]]:
        """Axis and angle of the least turn that it looks alike after, for each axis that has one."""
        alike = self.axes_alike
        single = _distinct([*np.eye(3), *(diagonal for axis in alike for diagonal in _across(axis))])
        for axis in single:
            high = [order for order in _ORDERS if any(_angle(axis, a) < _SAME for a in alike)]
            for order in (*high, 2):
                if self.looks_alike(axis, 2.0 * np.pi / order):
                    yield axis, 2.0 * np.pi / order
                    break
        if len(alike) == 3:
            for diagonal in np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]) / np.sqrt(3.0):
                if self.looks_alike(diagonal, 2.0 * np.pi / 3.0):
                    yield diagonal, 2.0 * np.pi / 3.0


def _extents(points: Array) -> Array:
    """How far (N, 3) points reach in each of the directions."""
    return np.asarray((points @ _DIRECTIONS.T).max(axis=0))


def _closed(turns: Sequence[tuple[Array, float]], body: _Body) -> tuple[Similarity, ...]:
    """The group that some turns generate, without the identity; none where they do not make one."""
    generators = [_turn(axis, angle, body.center).rotation for axis, angle in turns]
    # Of the rotation between two, 1 + 2 cos of its angle is the sum of the products of their entries.
    alike = 1.0 + 2.0 * np.cos(_SAME)
    group, fresh = np.eye(3)[None], [np.eye(3)]
    while fresh:
        products = [a @ b for a in fresh for b in generators]
        fresh = []
        for product in products:
            if np.tensordot(group, product).max() < alike:
                fresh.append(orthonormalized(product))
                group = np.concatenate([group, fresh[-1][None]])
                if len(group) > _LARGEST_GROUP:
                    # Axes that do not belong together: the first one is sure.
                    return _closed(turns[:1], body)
    return tuple(Similarity(rotation, body.center - rotation @ body.center) for rotation in group[1:])


def _moments_of_hull(points: Array) -> tuple[Array, Array, Array]:
    """(K, 3) corners of the convex hull of points, or of some; (3,) centroid and (3, 3) moments of its surface."""
    chosen = points[:: 1 + len(points) // _HULL_POINTS]
    # Joggled: a sheet has a hull, too.
    hull = ConvexHull(chosen, qhull_options="QJ")
    corners = chosen[hull.simplices]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    area = area / area.sum()
    center = area @ corners.mean(axis=1)
    corners = corners - center
    # Of a triangle: the mean of p p^T is (s s^T + sum of its corners' c c^T) / 12, s being the sum of the corners.
    total = corners.sum(axis=1)
    moments = np.einsum("n,ni,nj->ij", area, total, total) + np.einsum(
        "n,nki,nkj->ij", area, corners, corners
    )
    return chosen[hull.vertices], center, moments / 12.0


def _surface_points(vertices: Array, triangles: NDArray[np.int64], count: int) -> tuple[Array, Array, float]:
    """(count, 3) points spread evenly over the surface, always the same, the normals there, and its area."""
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
    area = np.cumsum(length)
    random = np.random.default_rng(0)
    # In no order: any part of them is spread as evenly.
    chosen = random.permutation(np.searchsorted(area, (np.arange(count) + 0.5) * (area[-1] / count)))
    u, v = random.random((2, count, 1))
    beyond = u + v > 1.0
    u, v = np.where(beyond, 1.0 - u, u), np.where(beyond, 1.0 - v, v)
    points = a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]
    return points, normals[chosen] / length[chosen, None], float(area[-1] / 2.0)


def _turn(axis: Array, angle: float, center: Array) -> Similarity:
    return ContinuousSymmetry(axis, center).turn(angle)


def _across(axis: Array) -> tuple[Array, ...]:
    """Directions across an axis, an eighth of a turn apart; the first one is as near to an own axis as can be."""
    own = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = own - (own @ axis) * axis
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    diagonal = (first + second) / np.sqrt(2.0)
    return first, second, diagonal, np.cross(axis, diagonal)


def _distinct(axes: Sequence[Array] | Iterator[Array]) -> list[Array]:
    """Axes without those that nearly are one of those before."""
    found: list[Array] = []
    for axis in axes:
        if all(_angle(axis, known) > _SAME for known in found):
            found.append(np.asarray(axis))
    return found


def _angle(a: Array, b: Array) -> float:
    """Between two axes, which have no direction; radians."""
    return float(np.arccos(np.clip(abs(a @ b), 0.0, 1.0)))
