"""The scene around the tracked objects: what they stand on, and whether it allows their poses.

Looking for surfaces and checking objects against each other takes some milliseconds. Both are done once in a while, and
at once when there is a new mesh; in between nothing is said that was not said then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.judging.scene import SceneThresholds, scene_reasons
from sam3d_ros.perception.judging.solids import SolidObject
from sam3d_ros.perception.surfaces.finding import find_surfaces
from sam3d_ros.perception.surfaces.keeping import SurfaceKeeper
from sam3d_ros.perception.surfaces.standing import carrier
from sam3d_ros.perception.surfaces.surface import SupportSurface, SurfaceConfig
from sam3d_ros.perception.tracking.tracks import TrackedObject

_NANOSECONDS = 1e-9
_IDENTITY = Similarity()


@dataclass(frozen=True, eq=False)
class WatchedScene:
    """The objects of a frame as the scene leaves them, and what they stand on.

    Attributes:
        objects: with the reasons that the scene has against them.
        surfaces: in the order of their ids.
    """

    objects: tuple[TrackedObject, ...]
    surfaces: tuple[SupportSurface, ...]


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
        self._versions: dict[int, int] = {}
        # Tracks of instances that are surfaces themselves, and what is against the others.
        self._furniture: frozenset[int] = frozenset()
        self._reasons: Mapping[int, tuple[str, ...]] = {}

    def reconfigure(self, config: SurfaceConfig, thresholds: SceneThresholds) -> None:
        """Take other parameters from the next frame on; surfaces stay."""
        self._keeper.config, self._thresholds = config, thresholds
        self._looked = None

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
            self._looked, self._versions, self._reasons = None, {}, {}
        if not overview.is_metric:
            return WatchedScene(tuple(objects), ())
        is_due = (
            self._looked is None or abs(stamp - self._looked) * _NANOSECONDS >= self._keeper.config.interval
        )
        if is_due:
            self._find(cut, evidence)
        versions = {thing.track_id: thing.mesh_version for thing in objects}
        if is_due or any(self._versions.get(track) != version for track, version in versions.items()):
            self._check(objects, evidence)
        self._versions = versions
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

    def _check(self, objects: Sequence[TrackedObject], evidence: Mapping[int, Evidence]) -> None:
        solids = [
            _solid(thing, evidence.get(thing.track_id))
            for thing in objects
            if thing.track_id not in self._furniture and _is_solid(thing)
        ]
        standing: dict[int, list[int]] = {}
        for solid in solids:
            sigma = float(np.sqrt(np.trace(solid.position_covariance) / 3.0))
            surface_id = carrier(solid.points, sigma, self._keeper.surfaces)
            standing.setdefault(surface_id, []).append(solid.object_id)
        self._keeper.put({surface_id: tuple(sorted(ids)) for surface_id, ids in standing.items()})
        self._reasons = scene_reasons(solids, self._keeper.surfaces, self._thresholds)

    def _judged(self, thing: TrackedObject) -> TrackedObject:
        reasons = self._reasons.get(thing.track_id, ())
        verdict = thing.estimate.verdict
        if not reasons:
            return thing
        accepted = verdict.state is VerdictState.ACCEPTED
        verdict = replace(
            verdict,
            state=VerdictState.UNCERTAIN if accepted else verdict.state,
            reasons=(*verdict.reasons, *reasons),
        )
        return replace(thing, estimate=replace(thing.estimate, verdict=verdict))


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
