"""The scene judged as a whole: things are not in one another, stand on something, and do not tip over.

Each check accuses an object of a pose or a shape that the scene does not allow. It does so on evidence alone: what is
held by a hand, hangs, or leans against something that has no mesh, is let off where anything is seen to touch it, and
where it is not seen what does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.polygons import convex_hull, depth_inside_hull
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.judging.gaps import goes_on_below, is_seen_through, may_be_held
from sam3d_ros.perception.judging.solids import SolidObject
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.surfaces.standing import Place, lowest
from sam3d_ros.perception.surfaces.surface import SupportSurface

Array = NDArray[np.float64]

#: Reasons of a verdict that the scene gives.
PENETRATES, FLOATING, UNSTABLE = "penetrates", "floating", "unstable"
SCENE_REASONS = (PENETRATES, FLOATING, UNSTABLE)
#: A gap is looked into so far below an object, as a share of its size, over its lowest points, that share of all.
_LOOKED_INTO, _UNDERSIDE = 0.5, 0.15
#: Heights in the gap that are looked at, as shares of it.
_LEVELS = (0.3, 0.5, 0.7)
#: An object stands on what of it is this near to its lowest point, as a share of its size: undersides are uneven.
_FLATNESS = 0.03
#: What is measured below this share of the gap tells that the object goes on there.
_WELL_BELOW = 0.35


@dataclass(frozen=True)
class SceneThresholds(Settings):
    """What the scene allows; lengths are shares of the size of an object, to which `sigmas` are added.

    Attributes:
        max_overlap: how deep two objects, or an object and a surface, may be in one another; of the smaller one.
        max_gap: how far an object may be above what carries it.
        max_overhang: how far its centre of mass may be outside the hull of its contacts.
        sigmas: standard deviations of its pose and of what is beside it that are allowed beside these.
    """

    max_overlap: float = parameter(0.03, minimum=0.0, maximum=10.0)
    max_gap: float = parameter(0.03, minimum=0.0, maximum=10.0)
    max_overhang: float = parameter(0.03, minimum=0.0, maximum=10.0)
    sigmas: float = parameter(2.0, minimum=0.0, maximum=100.0)


def scene_reasons(
    solid: SolidObject,
    places: Sequence[Place],
    neighbours: Sequence[SolidObject],
    thresholds: SceneThresholds,
) -> tuple[str, ...]:
    """What the scene has against one of its objects.

    Args:
        solid: the object.
        places: where it is over surfaces, the nearest one first.
        neighbours: all others; tables and what else is a surface are none.
        thresholds: what is allowed.
    """
    reasons = []
    if any(_is_in_surface(solid, place, thresholds) for place in places) or any(
        _is_wrongly_in(solid, other, thresholds) for other in neighbours
    ):
        reasons.append(PENETRATES)
    if solid.evidence is not None and places:
        reasons += _unsupported(solid, solid.evidence, neighbours, places[0], thresholds)
    return tuple(reasons)


def _is_wrongly_in(solid: SolidObject, other: SolidObject, thresholds: SceneThresholds) -> bool:
    """Whether an object is in another one; where other figures speak against one of both, that one is wrong."""
    if solid.doubt < other.doubt or not solid.is_near(other, 0.0):
        return False
    depth, way = max((solid.overlap(other), other.overlap(solid)), key=lambda overlap: overlap[0])
    sigma = float(np.hypot(solid.sigma_along(way), other.sigma_along(way)))
    allowed = thresholds.max_overlap * min(solid.size, other.size)
    return depth > allowed + thresholds.sigmas * sigma


def _is_in_surface(solid: SolidObject, place: Place, thresholds: SceneThresholds) -> bool:
    allowed = thresholds.max_overlap * solid.size + thresholds.sigmas * _sigma(solid, place.surface)
    if place.bottom >= -allowed:
        return False
    inside = depth_inside_hull(place.points[:, :2], place.surface.polygon) > 0.0
    return bool(inside.any()) and lowest(place.points[inside, 2]) < -allowed


def _unsupported(
    solid: SolidObject,
    evidence: Evidence,
    neighbours: Sequence[SolidObject],
    below: Place,
    thresholds: SceneThresholds,
) -> tuple[str, ...]:
    """Why an object would fall: `floating`, `unstable`, or nothing where it would not, or nobody knows."""
    surface, local = below.surface, below.points
    apart = [other.evidence.instance_id for other in neighbours if other.evidence is not None]
    near = thresholds.max_gap * solid.size + thresholds.sigmas * _sigma(solid, surface)
    on_others = _contacts(solid, neighbours, thresholds)
    if below.bottom > near and not on_others.any():
        return (FLOATING,) if _floats(solid, evidence, below, apart) else ()
    # That its pose is too high or too low moves all of its underside.
    on_surface = local[:, 2] <= below.bottom + _FLATNESS * solid.size if below.bottom <= near else on_others
    is_tipping = _tips(solid, surface, local[on_others | on_surface, :2], thresholds)
    if is_tipping and not _may_be_held(solid, evidence, surface, 2.0 * near, apart):
        return (UNSTABLE,)
    return ()


def _contacts(
    solid: SolidObject, neighbours: Sequence[SolidObject], thresholds: SceneThresholds
) -> NDArray[np.bool_]:
    """(N,) which points of an object may touch another one."""
    touching = np.zeros(len(solid.points), bool)
    for other in neighbours:
        sigma = float(np.sqrt(np.trace(solid.position_covariance + other.position_covariance) / 3.0))
        near = thresholds.max_gap * min(solid.size, other.size) + thresholds.sigmas * sigma
        if solid.is_near(other, near):
            touching |= other.touches(solid.points, near)
    return touching


def _tips(solid: SolidObject, surface: SupportSurface, contacts: Array, thresholds: SceneThresholds) -> bool:
    """Whether the centre of mass is outside the hull of (N, 2) contacts, in the frame of the surface below."""
    middle = surface.fixed_from_surface.apply_inverse(solid.centroid)[:2]
    allowed = thresholds.max_overhang * solid.size + thresholds.sigmas * solid.size_sigma / 2.0
    # Each contact may be so far beside where it seems to be.
    around = allowed * np.array([(1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7)])
    hull = convex_hull(np.concatenate([contacts + step for step in (*around, *-around)]))
    return bool(depth_inside_hull(middle[None], hull)[0] < 0.0)


def _floats(solid: SolidObject, evidence: Evidence, below: Place, apart: Collection[int]) -> bool:
    """Whether the view shows that an object is not where it should be: in the air, with nothing that holds it.

    Where the instance goes on below its mesh, it is not in the air: its pose, or its shape, is wrong.
    """
    surface, local, bottom = below.surface, below.points, below.bottom
    from_fixed = evidence.overview.camera_from_fixed
    camera_from_surface = from_fixed @ surface.fixed_from_surface
    normal = camera_from_surface.rotation[:, 2]
    ground = float(normal @ camera_from_surface.translation)
    noise = 3.0 * evidence.overview.range_noise.at(float(from_fixed.apply(solid.centroid)[2]))
    gap = min(bottom, _LOOKED_INTO * solid.size)
    level = ground + bottom - max(_WELL_BELOW * gap, noise)
    if level > ground + noise and goes_on_below(evidence, normal, level):
        return True
    underside = local[local[:, 2] <= np.quantile(local[:, 2], _UNDERSIDE), :2]
    places = np.concatenate(
        [np.column_stack([underside, np.full(len(underside), bottom - share * gap)]) for share in _LEVELS]
    )
    return is_seen_through(evidence, camera_from_surface.apply(places)) and not _may_be_held(
        solid, evidence, surface, 0.3 * bottom, apart
    )


def _may_be_held(
    solid: SolidObject,
    evidence: Evidence,
    surface: SupportSurface,
    height: float,
    apart: Collection[int],
) -> bool:
    """Whether anything may hold an object but what is lower than some metres above a surface."""
    from_fixed = evidence.overview.camera_from_fixed
    camera_from_surface = from_fixed @ surface.fixed_from_surface
    normal = camera_from_surface.rotation[:, 2]
    level = float(normal @ camera_from_surface.translation) + height
    return may_be_held(solid, evidence, normal, level, apart)


def _sigma(solid: SolidObject, surface: SupportSurface) -> float:
    """Standard deviation of the height of an object over a surface, metres."""
    return float(np.hypot(solid.sigma_along(surface.fixed_from_surface.rotation[:, 2]), surface.sigma))
