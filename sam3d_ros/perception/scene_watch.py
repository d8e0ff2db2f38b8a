"""The scene around the tracked objects: what they stand on, and whether it allows their poses.

Looking for surfaces takes some milliseconds, and so does checking an object. Surfaces are looked for once in a while;
objects are checked as often, few in a frame, and at once when there is a new mesh. In between nothing is said that was
not said then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.judging.scene import SceneThresholds, scene_reasons
from sam3d_ros.perception.judging.solids import Probe, SolidObject
from sam3d_ros.perception.surfaces.finding import find_surfaces
from sam3d_ros.perception.surfaces.keeping import SurfaceKeeper
from sam3d_ros.perception.surfaces.standing import carrier, places_over
from sam3d_ros.perception.surfaces.surface import SupportSurface, SurfaceConfig
from sam3d_ros.perception.tracking.tracks import TrackedObject

_NANOSECONDS = 1e-9
_IDENTITY = Similarity()
#: One in so many objects is checked again in a frame, when its last check is old.
_CHECKED_SHARE = 16


@dataclass(frozen=True, eq=False)
class WatchedScene:
    """The objects of a frame as the scene leaves them, and what they stand on.

    Attributes:
        objects: with the reasons that the scene has against them.
        surfaces: in the order of their ids.
    """

    objects: tuple[TrackedObject, ...]
    surfaces: tuple[SupportSurface, ...]


@dataclass(frozen=True)
class _Stand:
    """How an object stands in the scene, as it was found last.

    Attributes:
        stamp: of the frame, nanoseconds.
        mesh_version: of the mesh that was checked.
        surface_id: what it stands on; 0 = nothing that is known.
        reasons: what the scene has against it.
    """

    stamp: int
    mesh_version: int
    surface_id: int = 0
    reasons: tuple[str, ...] = ()


class SceneWatch:
    """Follows the scene over the frames. Not thread-safe: one thread at a time.

    Args:
        config: of the surfaces.
        thresholds: of the checks.
    """

    def __init__(
        self, config: SurfaceConfig | None = None, thresholds: SceneThresholds | None = None
    ) -> None:
        self._keeper = SurfaceKeeper(config)
        self._thresholds = thresholds or SceneThresholds()
        # When surfaces were looked for last, nanoseconds; None = never.
        self._looked: int | None = None
        # Tracks of instances that are surfaces themselves.
        self._furniture: frozenset[int] = frozenset()
        self._stands: dict[int, _Stand] = {}

    def reconfigure(self, config: SurfaceConfig, thresholds: SceneThresholds) -> None:
        """Take other parameters from the next frame on; surfaces stay."""
        self._keeper.config, self._thresholds = config, thresholds
        self._looked = None
        self._stands.clear()

    def look(
        self,
        cut: Cut,
        objects: Sequence[TrackedObject],
        evidence: Mapping[int, Evidence],
        *,
        cleared: bool = False,
    ) -> WatchedScene:
        """Look at a frame.

        Args:
            cut: the frame.
            objects: that are tracked.
            evidence: track id -> what the frame tells of it.
            cleared: whether all former tracks ended.
        """
        overview, stamp = cut.overview, cut.overview.stamp
        if cleared or not overview.is_metric:
            # In a unit that may be another one in the next frame nothing stays where it is.
            self._keeper.clear()
            self._stands.clear()
            self._looked = None
        if not overview.is_metric:
            return WatchedScene(tuple(objects), ())
        interval = self._keeper.config.interval / _NANOSECONDS
        if self._looked is None or abs(stamp - self._looked) >= interval:
            self._find(cut, evidence)
        if due := self._due(objects, stamp, interval):
            self._check(objects, due, evidence, stamp)
        return WatchedScene(tuple(self._judged(thing) for thing in objects), self._keeper.surfaces)

    def _find(self, cut: Cut, evidence: Mapping[int, Evidence]) -> None:
        overview = cut.overview
        found = find_surfaces(overview, cut.label, self._keeper.config)
        self._keeper.update(found, overview.fixed_from_camera or _IDENTITY, overview.stamp)
        flat = {instance for surface in found for instance in surface.instance_ids}
        flat |= set(overview.surroundings)
        self._furniture = frozenset(
            track_id for track_id, piece in evidence.items() if piece.instance_id in flat
        )
        self._looked = overview.stamp

    def _due(self, objects: Sequence[TrackedObject], stamp: int, interval: float) -> frozenset[int]:
        """The objects to check in a frame: those with a new mesh, and a few of those not checked for long."""
        for track_id in self._stands.keys() - {thing.track_id for thing in objects}:
            del self._stands[track_id]
        new, ages = set(), {}
        for thing in objects:
            stand = self._stands.get(thing.track_id)
            if stand is None or stand.mesh_version != thing.mesh_version:
                new.add(thing.track_id)
            elif (age := abs(stamp - stand.stamp)) >= interval:
                ages[thing.track_id] = age
        oldest = sorted(ages, key=lambda track_id: -ages[track_id])
        few = len(oldest) if interval == 0.0 else math.ceil(len(objects) / _CHECKED_SHARE)
        return frozenset(new | set(oldest[:few]))

    def _check(
        self,
        objects: Sequence[TrackedObject],
        due: frozenset[int],
        evidence: Mapping[int, Evidence],
        stamp: int,
    ) -> None:
        """Find anew how some of the objects stand."""
        solids = {
            thing.track_id: _solid(thing, evidence.get(thing.track_id))
            for thing in objects
            if thing.track_id not in self._furniture and _is_solid(thing)
        }
        for thing in objects:
            if thing.track_id in due:
                stand = _Stand(stamp, thing.mesh_version)
                if solid := solids.get(thing.track_id):
                    others = [other for other in solids.values() if other is not solid]
                    stand = self._stand(stand, solid, others)
                self._stands[thing.track_id] = stand
        standing: dict[int, list[int]] = {}
        for track_id, stand in sorted(self._stands.items()):
            standing.setdefault(stand.surface_id, []).append(track_id)
        self._keeper.put({surface_id: tuple(ids) for surface_id, ids in standing.items()})

    def _stand(self, stand: _Stand, solid: SolidObject, others: Sequence[SolidObject]) -> _Stand:
        places = places_over(solid.points, self._keeper.surfaces)
        sigma = float(np.sqrt(np.trace(solid.position_covariance) / 3.0))
        return replace(
            stand,
            surface_id=carrier(places, solid.size, sigma),
            reasons=scene_reasons(solid, places, others, self._thresholds),
        )

    def _judged(self, thing: TrackedObject) -> TrackedObject:
        stand, verdict = self._stands.get(thing.track_id), thing.estimate.verdict
        if stand is None or not stand.reasons:
            return thing
        accepted = verdict.state is VerdictState.ACCEPTED
        verdict = replace(
            verdict,
            state=VerdictState.UNCERTAIN if accepted else verdict.state,
            reasons=(*verdict.reasons, *stand.reasons),
        )
        return replace(thing, estimate=replace(thing.estimate, verdict=verdict))


def prepare(mesh: Mesh) -> None:
    """Find what the checks will want to know of a mesh, on the thread that made it."""
    if len(mesh.triangles) > 0:
        Probe.of(mesh)


def _is_solid(thing: TrackedObject) -> bool:
    """Whether mesh and pose of an object are more than a guess."""
    verdict = thing.estimate.verdict
    return verdict.state is not VerdictState.REJECTED and len(thing.estimate.mesh.triangles) > 0


def _solid(thing: TrackedObject, evidence: Evidence | None) -> SolidObject:
    estimate = thing.estimate
    turn = thing.fixed_from_object.rotation @ estimate.camera_from_object.rotation.T
    return SolidObject(
        object_id=thing.track_id,
        mesh=estimate.mesh,
        fixed_from_object=thing.fixed_from_object,
        position_covariance=turn @ estimate.covariance[:3, :3] @ turn.T,
        size_sigma=float(np.nan_to_num(max(estimate.verdict.size_sigma))),
        doubt=estimate.verdict.state.value,
        evidence=evidence,
    )
