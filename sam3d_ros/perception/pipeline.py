"""The way of every frame: which objects are known, where they are now, which ones to reconstruct.

Two threads share an `ObjectPipeline`. The tracking thread calls `observe` for each frame, which takes milliseconds
per object. A worker thread calls `reconstruct` for the instances that the last observation asks for, which may take
seconds, and hands the answers over with `integrate`. `observe` and `integrate` exclude each other; `reconstruct` reads
nothing that they write and holds no lock.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity, turned_covariance
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.fitting.canonical_axes import with_axes_near
from sam3d_ros.perception.fitting.refinement import RefinementConfig, refine
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.judging.verdict import VerdictThresholds, judge
from sam3d_ros.perception.reconstructor import Progress, Reconstructor
from sam3d_ros.perception.tracking.following import Follower, FollowingConfig
from sam3d_ros.perception.tracking.instances import InstanceView
from sam3d_ros.perception.tracking.tracker import Tracker, TrackerConfig, TrackUpdate, camera_from_fixed
from sam3d_ros.perception.tracking.tracks import Track, TrackedObject
from sam3d_ros.perception.tracking.versions import (
    ReconstructionReason,
    VersionConfig,
    may_replace,
    reconstruction_reason,
)

#: Verdict of a known object whose mask is not in the frame: its pose is that of the last sighting.
NOT_SEEN = "not_seen"
#: The stages that `Observation.milliseconds` tells.
STAGES = ("associate", "follow", "total")
#: A centre that moved by less than this share of the diameter may be another part of the same surface.
_MOVED_SHARE = 0.1
_RECONSTRUCTION_SHARE = 0.9

_IDENTITY = Similarity()


@dataclass(frozen=True)
class PipelineConfig:
    """All parameters of the graph but those of the reconstructor."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    following: FollowingConfig = field(default_factory=FollowingConfig)
    versions: VersionConfig = field(default_factory=VersionConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    verdict: VerdictThresholds = field(default_factory=VerdictThresholds)


@dataclass(frozen=True)
class ReconstructionRequest:
    """A track that wants to be reconstructed from the frame of the observation.

    Attributes:
        track_id: the track.
        instance_id: its pixels in `Frame.labels`.
        reason: why.
    """

    track_id: int
    instance_id: int
    reason: ReconstructionReason


@dataclass(frozen=True, eq=False)
class Observation:
    """What a frame told.

    Attributes:
        stamp: that of the frame, nanoseconds.
        objects: every tracked object that has a mesh, in the order of the ids; those not seen are marked so.
        created, deleted: ids of tracks that began or ended since the last observation.
        cleared: whether all former tracks ended because the clock jumped back or the reference frame changed.
        instances: track id -> instance id, for every track seen in this frame, with or without a mesh.
        requests: what to reconstruct, the most urgent first.
        faults: what was wrong with this frame: name -> number of instances. Names: `empty_mask` (too few pixels),
            `too_many_objects`, `no_depth_in_mask`.
        milliseconds: time spent, by stage (`STAGES`).
    """

    stamp: int
    objects: tuple[TrackedObject, ...]
    created: tuple[int, ...]
    deleted: tuple[int, ...]
    cleared: bool
    instances: Mapping[int, int]
    requests: tuple[ReconstructionRequest, ...]
    faults: Mapping[str, int]
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Sighting:
    """A track as it was in one frame."""

    track_id: int
    view: InstanceView
    fixed_from_object: Similarity | None


class ObjectPipeline:
    """Tracks the objects of a stream of frames; see the module for the threads.

    Args:
        reconstructor: turns instances into meshes.
        config: parameters.
    """

    def __init__(self, reconstructor: Reconstructor, config: PipelineConfig | None = None) -> None:
        self.reconstructor = reconstructor
        self.config = config or PipelineConfig()
        self._tracker = Tracker(self.config.tracker)
        self._follower = Follower(self.config.following, self.config.refinement, self.config.verdict)
        self._lock = threading.Lock()
        # A frame is remembered as long as somebody holds it: as long as its reconstruction may still arrive.
        self._sightings: WeakKeyDictionary[Frame, dict[int, _Sighting]] = WeakKeyDictionary()
        self._last: tuple[Frame, TrackUpdate] | None = None
        # Tracks with a new mesh that no observation has shown yet.
        self._renewed: set[int] = set()
        self._counters: Counter[str] = Counter()

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals since the start: the faults of all observations, and `dropped` answers of tracks that had ended."""
        return MappingProxyType(dict(self._counters))

    def reconfigure(self, config: PipelineConfig) -> None:
        """Take other parameters from the next observation on; tracks and their meshes stay."""
        follower = Follower(config.following, config.refinement, config.verdict)
        with self._lock:
            self.config = config
            self._tracker.config = config.tracker
            self._follower = follower
            self._last = None

    def observe(self, frame: Frame) -> Observation:
        """Follow the objects into a frame.

        The same frame may be observed again, for instance after `integrate`, to see the new objects in it.
        """
        clock = _StageClock()
        with self._lock, clock.stage("total"):
            is_known = frame in self._sightings
            # Looked at again, the last frame has nothing new to tell but of new meshes.
            before = self._last[1] if self._last is not None and self._last[0] is frame else None
            with clock.stage("associate"):
                update = self._tracker.update(frame) if before is None else _again(before)
            with clock.stage("follow"):
                for track in update.seen:
                    if before is None or track.track_id in self._renewed:
                        self._follow(frame, track)
            self._last = (frame, update)
            self._renewed.clear()
            self._sightings[frame] = {
                track.view.instance_id: _Sighting(track.track_id, track.view, track.fixed_from_object)
                for track in update.seen
            }
            faults = {
                "empty_mask": update.tiny,
                "too_many_objects": update.too_many,
                "no_depth_in_mask": update.without_points,
            }
            faults = {name: count for name, count in faults.items() if count}
            if not is_known:
                self._counters.update(faults)
            objects = tuple(
                snapshot
                for track in self._tracker.tracks
                if (snapshot := _snapshot(frame, track)) is not None
            )
            requests = self._requests(frame, update.seen)
        return Observation(
            stamp=frame.stamp,
            objects=objects,
            created=update.created,
            deleted=update.deleted,
            cleared=update.cleared,
            instances=MappingProxyType({track.track_id: track.view.instance_id for track in update.seen}),
            requests=requests,
            faults=MappingProxyType(faults),
            milliseconds=MappingProxyType(clock.milliseconds),
        )

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct, refine and judge instances of a frame as one batch; for the worker thread.

        Args:
            frame: a frame, possibly older than the last one observed.
            instance_ids: values in `frame.labels`.
            progress: told the stage and the share of the work done.

        Returns:
            One estimate for each id, in the same order.

        Raises:
            ValueError: an id has no pixel in the frame.
        """

        def reconstructing(stage: str, share: float) -> None:
            if progress is not None:
                progress(stage, share * _RECONSTRUCTION_SHARE)

        estimates = self.reconstructor.reconstruct(frame, instance_ids, progress=reconstructing)
        judged = []
        for index, estimate in enumerate(estimates):
            if progress is not None:
                done = index / len(estimates)
                progress("refine", _RECONSTRUCTION_SHARE + (1.0 - _RECONSTRUCTION_SHARE) * done)
            refined = refine(frame, estimate, self.config.refinement, metric=self.reconstructor.is_metric)
            judged.append(replace(refined, verdict=judge(frame, refined, self.config.verdict)))
        if progress is not None:
            progress("done", 1.0)
        return judged

    def integrate(self, frame: Frame, estimates: Sequence[ObjectEstimate]) -> tuple[int, ...]:
        """Give reconstructions to their tracks; from any thread.

        The frame has to be one that was observed, the very same object. What moved since is carried along; the next
        `observe` refines the pose.

        Returns:
            Ids of the tracks that got a new version of their mesh. An answer whose track has ended counts as
            `dropped`; one that is judged lower than the version there is, is not taken.
        """
        changed = []
        with self._lock:
            sightings = self._sightings.get(frame, {})
            for estimate in estimates:
                sighting = sightings.get(estimate.instance_id)
                track = None if sighting is None else self._tracker.get(sighting.track_id)
                if sighting is None or track is None:
                    self._counters["dropped"] += 1
                elif _adopt(track, sighting, frame, estimate):
                    changed.append(track.track_id)
            self._renewed.update(changed)
        return tuple(changed)

    def _follow(self, frame: Frame, track: Track) -> None:
        """Find the pose of a track in a frame that shows it."""
        if track.estimate is None or track.fixed_from_object is None or track.fixed_covariance is None:
            return
        from_fixed = camera_from_fixed(frame)
        expected = replace(
            track.estimate,
            instance_id=track.view.instance_id,
            label=track.label,
            camera_from_object=from_fixed @ track.fixed_from_object,
            covariance=turned_covariance(track.fixed_covariance, from_fixed.rotation),
        )
        followed = self._follower.follow(frame, expected, track.baseline, track.view.box)
        track.estimate, track.baseline = followed.estimate, followed.baseline
        track.version_best = min(track.version_best, followed.estimate.verdict.state, key=_rank)
        if not followed.rested:
            _place(track, followed.estimate, _fixed_from_camera(frame))

    def _requests(self, frame: Frame, seen: Sequence[Track]) -> tuple[ReconstructionRequest, ...]:
        urgency = list(ReconstructionReason)
        found = []
        for track in seen:
            reason = reconstruction_reason(track, frame.stamp, self.config.versions)
            if reason is not None:
                request = ReconstructionRequest(track.track_id, track.view.instance_id, reason)
                found.append((urgency.index(reason), -track.view.pixels, track.track_id, request))
        return tuple(request for *_, request in sorted(found, key=lambda entry: entry[:3]))


class _StageClock:
    """Adds up the time spent in named stages."""

    def __init__(self) -> None:
        self.milliseconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] += 1e3 * (time.perf_counter() - start)


def _again(update: TrackUpdate) -> TrackUpdate:
    """What a frame did to the tracks, when it has done it before."""
    return replace(update, created=(), deleted=(), cleared=False)


def _fixed_from_camera(frame: Frame) -> Similarity:
    return _IDENTITY if frame.fixed_from_camera is None else frame.fixed_from_camera


def _snapshot(frame: Frame, track: Track) -> TrackedObject | None:
    """A track as the world sees it at the stamp of a frame; None before it has a mesh."""
    if track.estimate is None or track.fixed_from_object is None or track.fixed_covariance is None:
        return None
    from_fixed = camera_from_fixed(frame)
    estimate = replace(
        track.estimate,
        instance_id=track.view.instance_id if track.is_seen else 0,
        label=track.label,
        camera_from_object=from_fixed @ track.fixed_from_object,
        covariance=turned_covariance(track.fixed_covariance, from_fixed.rotation),
        verdict=track.estimate.verdict if track.is_seen else _unseen(track.estimate.verdict),
    )
    return TrackedObject(
        track_id=track.track_id,
        mesh_version=track.mesh_version,
        estimate=estimate,
        fixed_from_object=track.fixed_from_object,
        last_seen=track.last_seen,
    )


def _place(track: Track, estimate: ObjectEstimate, fixed_from_camera: Similarity) -> None:
    """Keep the pose of an estimate in the fixed frame."""
    track.fixed_from_object = fixed_from_camera @ estimate.camera_from_object
    track.fixed_covariance = turned_covariance(estimate.covariance, fixed_from_camera.rotation)


def _rank(state: VerdictState) -> int:
    return state.value


def _unseen(verdict: Verdict) -> Verdict:
    state = VerdictState.UNCERTAIN if verdict.state is VerdictState.ACCEPTED else verdict.state
    return replace(verdict, state=state, reasons=(*verdict.reasons, NOT_SEEN))


def _adopt(track: Track, sighting: _Sighting, frame: Frame, estimate: ObjectEstimate) -> bool:
    """Give a track a new mesh; False if the one it has is judged better."""
    quality, measured = sighting.view.quality, sighting.view.measured > 0.0
    motion = _motion_since(sighting, track)
    if track.estimate is not None:
        # Whatever comes of it, this view has been tried: only a clearly better one is tried next.
        track.version_measured |= measured
        track.version_quality = max(track.version_quality, quality)
        track.version_stamp = frame.stamp
        if not may_replace(estimate.verdict, track.estimate.verdict, track.version_best):
            track.failures += 1
            return False
        if sighting.fixed_from_object is not None:
            estimate = with_axes_near(estimate, camera_from_fixed(frame) @ sighting.fixed_from_object)
    # One that has moved since has to be found again; one that rests is where it was found.
    track.estimate, track.baseline = estimate, estimate.verdict if motion is _IDENTITY else None
    _place(track, estimate, motion @ _fixed_from_camera(frame))
    track.mesh_version += 1
    track.failures = 0 if estimate.verdict.state is VerdictState.ACCEPTED else track.failures + 1
    track.version_best = estimate.verdict.state
    track.version_quality = quality
    track.version_stamp = frame.stamp
    track.version_measured = measured
    return True


def _motion_since(sighting: _Sighting, track: Track) -> Similarity:
    """How an object moved in the fixed frame from one sighting to its newest."""
    if sighting.fixed_from_object is not None and track.fixed_from_object is not None:
        if track.fixed_from_object is sighting.fixed_from_object:
            return _IDENTITY
        return track.fixed_from_object.rigid() @ sighting.fixed_from_object.rigid().inverse()
    shift: NDArray[np.float64] = track.view.center - sighting.view.center
    moved = bool(np.linalg.norm(shift) > _MOVED_SHARE * sighting.view.extent)
    return Similarity(translation=shift) if moved else _IDENTITY
