"""Surfaces from view to view: which one is known, what was seen of it so far, and when it is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.polygons import convex_hull, polygon_area, shared_polygon, simplified_polygon
from sam3d_ros.perception.surfaces.surface import FoundSurface, SupportSurface, SurfaceConfig

Array = NDArray[np.float64]

_NANOSECONDS = 1e-9
#: Two planes are one when they are this near where both were seen, in standard deviations of the sensor and at least in
#: metres; and when their normals differ by no more than this, radians.
_NOISES, _LEAST_GAP, _TURN = 3.0, 0.015, 0.12
#: A surface is where it was while the corners of what is seen stay this near to it: resting ones do not tremble.
_REST_NOISES = 1.0
#: The polygon is kept while a view adds to it, or takes away, no more than this share.
_GROWTH = 0.02
#: Corners of a polygon.
_MOST_CORNERS = 32


@dataclass(frozen=True, eq=False)
class _Match:
    """A found surface that may be a known one, and the area that both show."""

    known: int
    found: int
    shared: float


class SurfaceKeeper:
    """Gives surfaces of successive views stable ids. Not thread-safe: one thread at a time.

    Args:
        config: parameters.
    """

    def __init__(self, config: SurfaceConfig | None = None) -> None:
        self.config = config or SurfaceConfig()
        self._surfaces: dict[int, SupportSurface] = {}
        self._next_id = 1

    @property
    def surfaces(self) -> tuple[SupportSurface, ...]:
        """All that are known, in the order of their ids."""
        return tuple(self._surfaces.values())

    def clear(self) -> None:
        """Forget all surfaces. Ids are not used again."""
        self._surfaces.clear()

    def put(self, object_ids: Mapping[int, tuple[int, ...]]) -> None:
        """Say which objects stand on which surface; nothing stands on one that is not named."""
        for surface_id, surface in self._surfaces.items():
            standing = object_ids.get(surface_id, ())
            if surface.object_ids != standing:
                self._surfaces[surface_id] = replace(surface, object_ids=standing)

    def update(
        self, found: Sequence[FoundSurface], fixed_from_camera: Similarity, stamp: int
    ) -> dict[int, FoundSurface]:
        """Take in what a view shows.

        Args:
            found: the surfaces of the view.
            fixed_from_camera: pose of the camera in the frame of tracking.
            stamp: time of the view, nanoseconds.

        Returns:
            Id of each surface that the view shows -> what was found of it.
        """
        seen = [_placed(surface, fixed_from_camera, stamp) for surface in found]
        shown: dict[int, FoundSurface] = {}
        taken: set[int] = set()
        for match in sorted(self._matches(seen), key=lambda match: -match.shared):
            if match.known not in shown and match.found not in taken:
                known = self._surfaces[match.known]
                self._surfaces[match.known] = _merged(known, seen[match.found], self.config)
                shown[match.known] = found[match.found]
                taken.add(match.found)
        for index, surface in enumerate(seen):
            if index not in taken and len(self._surfaces) < self.config.max_surfaces:
                self._surfaces[self._next_id] = replace(surface, surface_id=self._next_id)
                shown[self._next_id] = found[index]
                self._next_id += 1
        self._forget(stamp)
        return shown

    def _matches(self, seen: Sequence[SupportSurface]) -> list[_Match]:
        matches = []
        for surface_id, known in self._surfaces.items():
            for index, surface in enumerate(seen):
                shared = _shared_area(known, surface)
                if shared > 0.0:
                    matches.append(_Match(surface_id, index, shared))
        return matches

    def _forget(self, stamp: int) -> None:
        for surface_id, surface in tuple(self._surfaces.items()):
            unseen = (stamp - surface.last_seen) * _NANOSECONDS
            if unseen > self.config.lost_timeout and not surface.object_ids:
                del self._surfaces[surface_id]


def _placed(found: FoundSurface, fixed_from_camera: Similarity, stamp: int) -> SupportSurface:
    """A found surface in the frame of tracking."""
    return SupportSurface(
        surface_id=0,
        fixed_from_surface=fixed_from_camera @ found.camera_from_surface,
        polygon=simplified_polygon(found.polygon, _MOST_CORNERS),
        residual=found.residual,
        sigma=found.sigma,
        label=found.label,
        object_ids=(),
        last_seen=stamp,
    )


def _shared_area(known: SupportSurface, seen: SupportSurface) -> float:
    """Square metres that two surfaces share; 0 where they are not on one plane."""
    local = known.fixed_from_surface.inverse() @ seen.fixed_from_surface
    if local.rotation[2, 2] < np.cos(_TURN):
        return 0.0
    shared = shared_polygon(_from_above(local, seen.polygon), known.polygon)
    if len(shared) < 3:
        return 0.0
    gap = max(_LEAST_GAP, _NOISES * float(np.hypot(known.sigma, seen.sigma)))
    middle = local.apply_inverse(np.array([*shared.mean(axis=0), 0.0]))
    return polygon_area(shared) if abs(middle[2]) < gap else 0.0


def _merged(known: SupportSurface, seen: SupportSurface, config: SurfaceConfig) -> SupportSurface:
    """A known surface after another look; plane and polygon stay what they are while the look tells nothing new."""
    local = known.fixed_from_surface.inverse() @ seen.fixed_from_surface
    corners = local.apply(np.column_stack([seen.polygon, np.zeros(len(seen.polygon))]))
    pose, polygon = known.fixed_from_surface, known.polygon
    if np.abs(corners[:, 2]).max() > _REST_NOISES * max(known.sigma, seen.sigma):
        pose = _on_plane(known.fixed_from_surface, seen.fixed_from_surface)
        onto = pose.inverse() @ seen.fixed_from_surface
        corners = onto.apply(np.column_stack([seen.polygon, np.zeros(len(seen.polygon))]))
    grown = _bounded(
        convex_hull(np.concatenate([polygon, corners[:, :2]])), corners[:, :2], config.max_extent
    )
    both = polygon_area(shared_polygon(grown, polygon))
    changed = max(polygon_area(grown), polygon_area(polygon)) - both
    if len(grown) >= 3 and changed > _GROWTH * polygon_area(polygon):
        polygon = simplified_polygon(grown, _MOST_CORNERS)
    return replace(
        known,
        fixed_from_surface=pose,
        polygon=polygon,
        residual=seen.residual,
        sigma=seen.sigma,
        label=seen.label or known.label,
        last_seen=seen.last_seen,
    )


def _on_plane(known: Similarity, seen: Similarity) -> Similarity:
    """A known frame moved and turned as little as it takes to lie on the plane z = 0 of another one."""
    normal = seen.rotation[:, 2]
    x = known.rotation[:, 0] - (known.rotation[:, 0] @ normal) * normal
    x /= np.linalg.norm(x)
    origin = known.translation - ((known.translation - seen.translation) @ normal) * normal
    return Similarity(np.stack([x, np.cross(normal, x), normal], axis=1), origin)


def _bounded(polygon: Array, seen: Array, extent: float) -> Array:
    """What of a polygon lies in a square of some extent around what is seen now, and all of the latter."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    reach = np.maximum((high - low) / 2.0, extent / 2.0)
    left, bottom = (low + high) / 2.0 - reach
    right, top = (low + high) / 2.0 + reach
    square = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
    return shared_polygon(polygon, square)


def _from_above(target_from_surface: Similarity, polygon: Array) -> Array:
    """(K, 2) a polygon of one surface in the coordinates of another one."""
    return target_from_surface.apply(np.column_stack([polygon, np.zeros(len(polygon))]))[:, :2]
