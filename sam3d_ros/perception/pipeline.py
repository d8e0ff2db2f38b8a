"""The way of every frame: which objects are known, where they are now, which ones to reconstruct.

Two threads share an `ObjectPipeline`. The tracking thread calls `observe` for each frame, which is cut into evidence
there and takes milliseconds per object. A worker thread calls `reconstruct` for the evidence that the last observation
asks for, which may take seconds, and hands the answers over with `integrate`. `observe` and `integrate` exclude each
other; `reconstruct` reads nothing that they write and holds no lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from weakref import WeakKeyDictionary

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.fitting.refinement import RefinementConfig
from sam3d_ros.perception.fitting.symmetry import SymmetryConfig
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import unmade
from sam3d_ros.perception.judging.appraisal import appraised, judged
from sam3d_ros.perception.judging.scene import SceneThresholds
from sam3d_ros.perception.judging.verdict import FIGURE_REASONS, FOLLOWING_FAILED, VerdictThresholds
from sam3d_ros.perception.reconstructor import Failed, Progress, Reconstructor, made_apart
from sam3d_ros.perception.scene_watch import SceneWatch, prepare
from sam3d_ros.perception.surfaces.surface import SupportSurface, SurfaceConfig
from sam3d_ros.perception.tracking.adoption import Origin, adopt, take_stock
from sam3d_ros.perception.tracking.following import Follower, FollowingConfig
from sam3d_ros.perception.tracking.keyframes import (
    KeyframeConfig,
    others_of,
    remembered,
    still_hold,
)
from sam3d_ros.perception.tracking.tracker import Tracker, TrackerConfig, TrackUpdate
from sam3d_ros.perception.tracking.tracks import Track, TrackedObject
from sam3d_ros.perception.tracking.versions import (
    ReconstructionReason,
    VersionConfig,
    reconstruction_reason,
)

#: The stages that `Observation.milliseconds` tells.
STAGES = ("associate", "follow", "remember", "scene", "total")
_RECONSTRUCTION_SHARE = 0.9

_IDENTITY = Similarity()
_NANOSECONDS = 1e-9
#: One in so many objects at rest is judged again in a frame, when its judgement is old.
_JUDGED_SHARE = 16


@dataclass(frozen=True)
class PipelineConfig:
    """All parameters of the graph but those of the reconstructor."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    following: FollowingConfig = field(default_factory=FollowingConfig)
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    versions: VersionConfig = field(default_factory=VersionConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    verdict: VerdictThresholds = field(default_factory=VerdictThresholds)
    symmetry: SymmetryConfig = field(default_factory=SymmetryConfig)
    surfaces: SurfaceConfig = field(default_factory=SurfaceConfig)
    scene: SceneThresholds = field(default_factory=SceneThresholds)


@dataclass(frozen=True)
class ReconstructionRequest:
    """A track that wants to be reconstructed from the frame of the observation.

    Attributes:
        track_id: the track.
        evidence: what the frame tells of it.
        reason: why.
    """

    track_id: int
    evidence: Evidence
    reason: ReconstructionReason


@dataclass(frozen=True, eq=False)
class Observation:
    """What a frame told.

    Attributes:
        stamp: that of the frame, nanoseconds.
        objects: every tracked object that has a mesh, in the order of the ids; those not seen are marked so.
        created, deleted: ids of tracks that began or ended since the last observation.
        cleared: whether all former tracks ended because the clock jumped back or the reference frame changed.
        evidence: track id -> what the frame tells of it, for every track seen in it, with or without a mesh.
        requests: what to reconstruct, the most urgent first.
        faults: what was wrong with this frame: name -> number of instances. Names: `empty_mask` (too few pixels),
            `too_many_objects`, `no_depth_in_mask`.
        milliseconds: time spent, by stage (`STAGES`).
        surfaces: what objects stand on, in the order of the ids.
    """

    stamp: int
    objects: tuple[TrackedObject, ...]
    created: tuple[int, ...]
    deleted: tuple[int, ...]
    cleared: bool
    evidence: Mapping[int, Evidence]
    requests: tuple[ReconstructionRequest, ...]
    faults: Mapping[str, int]
    milliseconds: Mapping[str, float]
    surfaces: tuple[SupportSurface, ...] = ()


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
        self._scene = SceneWatch(self.config.surfaces, self.config.scene)
        self._lock = threading.Lock()
        # Remembered as long as somebody holds the evidence: as long as its reconstruction may still arrive.
        self._origins: WeakKeyDictionary[Evidence, Origin] = WeakKeyDictionary()
        self._last: tuple[Frame, Cut, TrackUpdate] | None = None
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
            self._scene.reconfigure(config.surfaces, config.scene)
            self._last = None

    def observe(self, frame: Frame, *, failed: Failed | None = None) -> Observation:
        """Follow the objects into a frame.

        The same frame may be observed again, for instance after `integrate`, to see the new objects in it.

        Args:
            frame: the frame.
            failed: told of each object that an error was raised for. It stays where it was, REJECTED for the reason
                `following_failed`. None = errors are raised.
        """
        clock = _StageClock()
        with self._lock, clock.stage("total"):
            # Looked at again, the last frame has nothing new to tell but of new meshes.
            is_known = self._last is not None and self._last[0] is frame
            with clock.stage("associate"):
                cut, update = self._cut(frame)
            evidence = {track.track_id: cut.evidence(track.view.instance_id) for track in update.seen}
            with clock.stage("follow"):
                due = self._due(frame.stamp, update.seen)
                for track in update.seen:
                    if not is_known or track.track_id in self._renewed:
                        self._follow_apart(
                            evidence[track.track_id], track, failed, is_due=track.track_id in due
                        )
            with clock.stage("remember"):
                for track in update.seen:
                    if not is_known:
                        self._remember(evidence[track.track_id], track, doubtful=not track.rested)
            self._last = (frame, cut, update)
            self._renewed.clear()
            for track in update.seen:
                self._origins[evidence[track.track_id]] = Origin(
                    track.track_id, track.view, track.fixed_from_object, track.estimate, track.keyframes
                )
            faults = {
                "empty_mask": update.tiny,
                "too_many_objects": update.too_many,
                "no_depth_in_mask": update.without_points,
            }
            faults = {name: count for name, count in faults.items() if count}
            if not is_known:
                self._counters.update(faults)
            snapshots = self._tracker.snapshots(cut.overview)
            with clock.stage("scene"):
                scene = self._scene.look(cut, snapshots, evidence, cleared=update.cleared)
            requests = self._requests(evidence, update.seen)
        return Observation(
            stamp=frame.stamp,
            objects=scene.objects,
            created=update.created,
            deleted=update.deleted,
            cleared=update.cleared,
            evidence=MappingProxyType(evidence),
            requests=requests,
            faults=MappingProxyType(faults),
            milliseconds=MappingProxyType(clock.milliseconds),
            surfaces=scene.surfaces,
        )

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None, failed: Failed | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct, refine and judge instances as one batch; for the worker thread.

        What an observation gave is looked at together with the views that are remembered of its track.

        Args:
            evidence: of instances of one frame, possibly older than the last one observed.
            progress: told the stage and the share of the work done.
            failed: told of each instance that an error was raised for. It is answered with a REJECTED box, for the
                reason `reconstruction_failed`, and the others as if it had not been there. None = errors are raised.

        Returns:
            One estimate for each, in the same order.

        Raises:
            MemoryError: there is no room for a single one.
        """
        furthest = 0.0

        def report(stage: str, share: float) -> None:
            nonlocal furthest
            # What is done again in parts does not go back.
            furthest = max(furthest, share)
            if progress is not None:
                progress(stage, furthest)

        made: Sequence[ObjectEstimate | None]
        views = [self._with_views(piece) for piece in evidence]
        if failed is None:
            made = self._made(views, report)
        else:
            made = made_apart(views, lambda part: self._made(part, report), failed)
        report("done", 1.0)
        return [
            unmade(piece) if estimate is None else estimate
            for piece, estimate in zip(evidence, made, strict=True)
        ]

    def integrate(self, evidence: Sequence[Evidence], estimates: Sequence[ObjectEstimate]) -> tuple[int, ...]:
        """Give reconstructions to their tracks; from any thread.

        The evidence has to be that of an observation, the very same objects. What moved since is carried along; the
        next `observe` refines the pose.

        Returns:
            Ids of the tracks that got a new version of their mesh. An answer whose track has ended counts as
            `dropped`; one that is judged lower than the version there is, is not taken.
        """
        changed = []
        rivals = [self._rival(piece) for piece in evidence]
        with self._lock:
            for piece, estimate, rival in zip(evidence, estimates, rivals, strict=True):
                origin = self._origins.get(piece)
                track = None if origin is None else self._tracker.get(origin.track_id)
                if origin is None or track is None:
                    self._counters["dropped"] += 1
                elif adopt(track, origin, piece, estimate, rival):
                    changed.append(track.track_id)
            self._renewed.update(changed)
        return tuple(changed)

    def _with_views(self, evidence: Evidence) -> Evidence:
        """Evidence of an observation with the views that were remembered of its track then; any other as it is."""
        with self._lock:
            origin, config = self._origins.get(evidence), self.config.keyframes
        if origin is None or not origin.keyframes:
            return evidence
        if not still_hold(origin.keyframes, evidence, origin.view.extent, config):
            return evidence
        return replace(evidence, others=others_of(origin.keyframes, evidence))

    def _rival(self, evidence: Evidence) -> ObjectEstimate | None:
        """What there was before evidence is made anew, judged with all views; None with one view, or without a mesh."""
        views = self._with_views(evidence)
        with self._lock:
            origin = self._origins.get(evidence)
        if not views.others or origin is None or origin.estimate is None:
            return None
        return replace(origin.estimate, verdict=judged(views, origin.estimate, self.config.verdict))

    def _remember(self, evidence: Evidence, track: Track, *, doubtful: bool) -> None:
        """Keep a view of a track where it shows something new, and forget all of one that has moved."""
        before, config = track.keyframes, self.config.keyframes
        track.keyframes = remembered(before, evidence, track.view, config, doubtful=doubtful)
        if track.keyframes is not before:
            take_stock(track)

    def _made(self, evidence: Sequence[Evidence], progress: Progress) -> list[ObjectEstimate]:
        """Reconstruct, refine and judge; errors are raised."""

        def reconstructing(stage: str, share: float) -> None:
            progress(stage, share * _RECONSTRUCTION_SHARE)

        estimates, config = self.reconstructor.reconstruct(evidence, progress=reconstructing), self.config
        made = []
        for index, (piece, estimate) in enumerate(zip(evidence, estimates, strict=True)):
            done = index / len(estimates)
            progress("refine", _RECONSTRUCTION_SHARE + (1.0 - _RECONSTRUCTION_SHARE) * done)
            made.append(
                appraised(
                    piece,
                    estimate,
                    metric=self.reconstructor.is_metric,
                    refinement=config.refinement,
                    thresholds=config.verdict,
                    symmetry=config.symmetry,
                )
            )
            prepare(made[-1].mesh)
        return made

    def _cut(self, frame: Frame) -> tuple[Cut, TrackUpdate]:
        """The evidence of a frame, and what it did to the tracks; nothing where it did it before."""
        if self._last is not None and self._last[0] is frame:
            _, cut, update = self._last
            return cut, replace(update, created=(), deleted=(), cleared=False)
        cut = Cut(frame)
        return cut, self._tracker.update(cut)

    def _follow_apart(self, evidence: Evidence, track: Track, failed: Failed | None, *, is_due: bool) -> None:
        """Follow a track so that an error costs the others nothing."""

        def follow(alone: Sequence[Track]) -> Sequence[Track | None]:
            self._follow(evidence, track, is_due=is_due)
            return alone

        if failed is None:
            follow([track])
        elif made_apart([track], follow, failed) == [None]:
            _give_up(track)

    def _follow(self, evidence: Evidence, track: Track, *, is_due: bool) -> None:
        """Find the pose of a track in a frame that shows it."""
        if track.estimate is None:
            return
        followed = self._follower.follow(
            evidence, track.expected(evidence.overview), track.baseline, None if is_due else track.glance
        )
        track.estimate, track.baseline, track.glance = followed.estimate, followed.baseline, followed.glance
        track.rested = followed.rested
        track.version_best = min(track.version_best, followed.estimate.verdict.state, key=_rank)
        if not followed.rested:
            track.place(followed.estimate, _fixed_from_camera(evidence))

    def _due(self, stamp: int, seen: Sequence[Track]) -> frozenset[int]:
        """The tracks to judge again though nothing may have changed: few in a frame, or it would come late."""
        interval = self.config.following.judge_interval / _NANOSECONDS
        ages = {track.track_id: abs(stamp - track.glance.stamp) for track in seen if track.glance is not None}
        overdue = sorted((i for i in ages if ages[i] >= interval), key=lambda i: -ages[i])
        return frozenset(overdue[: math.ceil(len(seen) / _JUDGED_SHARE)])

    def _requests(
        self, evidence: Mapping[int, Evidence], seen: Sequence[Track]
    ) -> tuple[ReconstructionRequest, ...]:
        urgency = list(ReconstructionReason)
        found = []
        for track in seen:
            piece = evidence[track.track_id]
            reason = reconstruction_reason(track, piece.stamp, self.config.versions)
            if reason is ReconstructionReason.MORE_VIEWS:
                self._remember(piece, track, doubtful=True)
                reason = reconstruction_reason(track, piece.stamp, self.config.versions)
            if reason is not None:
                request = ReconstructionRequest(track.track_id, piece, reason)
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


def _fixed_from_camera(evidence: Evidence) -> Similarity:
    return evidence.overview.fixed_from_camera or _IDENTITY


def _rank(state: VerdictState) -> int:
    return state.value


def _give_up(track: Track) -> None:
    """Leave a track where it was: an error was raised for it."""
    track.glance = None
    track.failures += 1
    if track.estimate is not None:
        old = track.estimate.verdict
        reasons = tuple(reason for reason in old.reasons if reason not in FIGURE_REASONS)
        verdict = replace(old, state=VerdictState.REJECTED, reasons=(FOLLOWING_FAILED, *reasons))
        track.estimate = replace(track.estimate, verdict=verdict)
