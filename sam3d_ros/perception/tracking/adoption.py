"""How a track takes a new mesh, or keeps the one it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.canonical_axes import with_axes_near
from sam3d_ros.perception.tracking.instances import InstanceView
from sam3d_ros.perception.tracking.keyframes import Keyframe, shares_shown
from sam3d_ros.perception.tracking.tracks import Track
from sam3d_ros.perception.tracking.versions import may_replace

#: A centre that moved by less than this share of the diameter may be another part of the same surface.
_MOVED_SHARE = 0.1
_IDENTITY = Similarity()


@dataclass(frozen=True, eq=False)
class Origin:
    """The track that evidence belongs to, as it was then, with its estimate in that view."""

    track_id: int
    view: InstanceView
    fixed_from_object: Similarity | None
    estimate: ObjectEstimate | None
    keyframes: tuple[Keyframe, ...]


def take_stock(track: Track) -> None:
    """See how much of the mesh of a track its remembered views would tell for the first time."""
    if track.estimate is None or track.fixed_from_object is None:
        return
    shown, news = shares_shown(track.estimate, track.fixed_from_object, track.keyframes, track.version_views)
    # After a motion that made them forgotten, the views of now may tell less than the mesh knows already.
    track.news = news if not shown < track.estimate.verdict.seen_share else 0.0


def adopt(
    track: Track,
    origin: Origin,
    evidence: Evidence,
    estimate: ObjectEstimate,
    rival: ObjectEstimate | None,
) -> bool:
    """Give a track a new mesh; False if the one it has is judged better.

    Args:
        track: the track.
        origin: the same when its evidence was taken.
        evidence: what the mesh was made of.
        estimate: the new mesh.
        rival: the former one, judged with several views as the new one is; None = with one.
    """
    tried = frozenset(keyframe.evidence.stamp for keyframe in origin.keyframes)
    quality, measured = origin.view.quality, origin.view.measured > 0.0
    motion = _motion_since(origin, track)
    if track.estimate is not None:
        # Whatever comes of it, this view has been tried: only a clearly better one is tried next.
        track.version_measured |= measured
        track.version_quality = max(track.version_quality, quality)
        track.version_stamp = evidence.stamp
        track.version_views |= tried
        is_same = rival is not None and rival.mesh is track.estimate.mesh
        former = rival.verdict if rival is not None and is_same else track.estimate.verdict
        if not may_replace(estimate.verdict, former, track.version_best):
            track.failures += 1
            take_stock(track)
            return False
        if origin.fixed_from_object is not None:
            estimate = with_axes_near(
                estimate, evidence.overview.camera_from_fixed @ origin.fixed_from_object
            )
    # One that has moved since has to be found again; one that rests is where it was found.
    track.estimate, track.baseline = estimate, estimate.verdict if motion is _IDENTITY else None
    track.glance = None
    track.place(estimate, motion @ (evidence.overview.fixed_from_camera or _IDENTITY))
    track.mesh_version += 1
    track.mesh_stamp = evidence.stamp
    track.failures = 0 if estimate.verdict.state is VerdictState.ACCEPTED else track.failures + 1
    track.version_best = estimate.verdict.state
    track.version_quality = quality
    track.version_stamp = evidence.stamp
    track.version_measured = measured
    track.version_views = tried
    take_stock(track)
    return True


def _motion_since(origin: Origin, track: Track) -> Similarity:
    """How an object moved in the fixed frame from one sighting to its newest.

    One that is remembered from then has rested; its pose may have changed all the same, for its mesh was guessed.
    """
    if any(keyframe in track.keyframes for keyframe in origin.keyframes):
        return _IDENTITY
    if origin.fixed_from_object is not None and track.fixed_from_object is not None:
        if track.fixed_from_object is origin.fixed_from_object:
            return _IDENTITY
        return track.fixed_from_object.rigid() @ origin.fixed_from_object.rigid().inverse()
    shift: NDArray[np.float64] = track.view.center - origin.view.center
    moved = bool(np.linalg.norm(shift) > _MOVED_SHARE * origin.view.extent)
    return Similarity(translation=shift) if moved else _IDENTITY
