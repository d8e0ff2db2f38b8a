"""The way of every frame for people: who is known, who is posed, and what is told of them.

Two threads share a `BodyPipeline`. The tracking thread calls `observe` for each frame, which takes milliseconds. The
reconstruction thread calls `reconstruct` with the newest sighting there is: people move, so that they are posed anew
in each frame that it gets to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.class_names import is_one_of
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate, BodyReconstructor
from sam3d_ros.perception.people.prompting import matched_prompts
from sam3d_ros.perception.reconstructor import Failed, Progress, made_apart
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.association import AssociationConfig
from sam3d_ros.perception.tracking.tracker import Tracker, TrackerConfig

_IDENTITY = Similarity()
#: Share of the width and height of a box in which what is measured is the person and not what is behind.
_MIDDLE = 0.5


@dataclass(frozen=True)
class PeopleConfig(Settings):
    """Who is a person, and how people are tracked.

    Attributes:
        people: class names of people; a whole number stands for the instance of that value in the labels, or for the
            class id of that value in detections.
        max_people: at most this many people of a frame are posed, known ones first, then the largest.
        min_mask_pixels: smaller masks, and boxes, are passed over.
        lost_timeout: seconds without a mask after which a person who returns is a new one.
        keypoint_smoothing: time constant of a low pass on the keypoints, seconds; 0 = off. What moves steadily
            is shown late by as much. Joints, meshes and frames are never smoothed.
        association: when an instance may be a person who is known.
    """

    people: tuple[str, ...] = ("person",)
    max_people: int = parameter(8, minimum=1, maximum=64)
    min_mask_pixels: int = parameter(100, minimum=1, maximum=1_000_000)
    lost_timeout: float = parameter(3.0, minimum=0.0, maximum=3600.0)
    keypoint_smoothing: float = parameter(0.0, minimum=0.0, maximum=2.0)
    association: AssociationConfig = field(default_factory=AssociationConfig)

    def instances_of(self, frame: Frame) -> list[int]:
        """The instances of a frame that are people, ascending."""
        if frame.boxes:
            # Numbers of boxes are places in a message; a class id that has no name is told as the name.
            return [i for i in frame.instance_ids() if is_one_of(frame.label(i), self.people)]
        ids = {int(entry) for entry in self.people if entry.isdecimal()}
        return [i for i in frame.instance_ids() if i in ids or is_one_of(frame.label(i), self.people)]

    def tracker(self) -> TrackerConfig:
        """The same for the tracker."""
        return TrackerConfig(
            association=self.association,
            max_objects=self.max_people,
            min_mask_pixels=self.min_mask_pixels,
            lost_timeout=self.lost_timeout,
            excluded_labels=frozenset(),
        )


@dataclass(frozen=True, eq=False)
class Sighting:
    """Who is in a frame.

    Attributes:
        frame: the frame; its prompts are those that belong to somebody.
        instances: track id -> instance id of everybody in it.
        alive: ids of all tracks, also of those who are not in it.
        faults: what was wrong with this frame: name -> number of instances, as in `pipeline.Observation`.
    """

    frame: Frame
    instances: Mapping[int, int]
    alive: frozenset[int]
    faults: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class TrackedBody:
    """A tracked person at the stamp of a frame.

    Attributes:
        track_id: 1, 2, ...; stays with the person as long as they are tracked and is never given again.
        version: 1 for the first pose, one more for each further one.
        estimate: in the camera, as reconstructed.
        fixed_from_camera: to the frame of tracking.
        keypoints: (K, 3) float32 in the frame of tracking, metres; smoothed where that is asked for.
    """

    track_id: int
    version: int
    estimate: BodyEstimate
    fixed_from_camera: Similarity
    keypoints: NDArray[np.float32]

    @property
    def fixed_from_body(self) -> Similarity:
        """The body frame in the frame of tracking."""
        return self.fixed_from_camera @ self.estimate.camera_from_body

    @property
    def joints(self) -> NDArray[np.float32]:
        """(J, 3) in the frame of tracking, metres."""
        return self.fixed_from_camera.apply(self.estimate.joints).astype(np.float32)

    @property
    def joint_rotations(self) -> NDArray[np.float64]:
        """(J, 3, 3) fixed_from_joint."""
        return np.asarray(self.fixed_from_camera.rotation @ self.estimate.joint_rotations)


@dataclass(frozen=True, eq=False)
class _Memory:
    """What is kept of a person from frame to frame."""

    version: int
    stamp: int
    keypoints: NDArray[np.float32]


class BodyPipeline:
    """Tracks and poses the people of a stream of frames; see the module for the threads.

    Args:
        reconstructor: poses instances.
        config: parameters.
    """

    def __init__(self, reconstructor: BodyReconstructor, config: PeopleConfig | None = None) -> None:
        self.reconstructor = reconstructor
        self._config = config or PeopleConfig()
        self._tracker = Tracker(self._config.tracker())
        self._memories: dict[int, _Memory] = {}

    @property
    def config(self) -> PeopleConfig:
        """Parameters; others hold from the next frame on."""
        return self._config

    @config.setter
    def config(self, config: PeopleConfig) -> None:
        self._config = config
        self._tracker.config = config.tracker()

    def observe(self, frame: Frame) -> Sighting:
        """Find the people of a frame; for the tracking thread."""
        people = self._config.instances_of(frame)
        update = self._tracker.update(Cut(_of_people(frame, people)))
        unmatched = 0
        if frame.prompts:
            prompts = matched_prompts(frame, people)
            unmatched = len(frame.prompts) - len(prompts)
            frame = replace(frame, prompts=prompts)
        faults = {
            "empty_mask": update.tiny,
            "too_many_objects": update.too_many,
            "no_depth_in_mask": update.without_points,
            "unmatched_keypoints": unmatched,
        }
        return Sighting(
            frame=frame,
            instances=MappingProxyType({track.track_id: track.view.instance_id for track in update.seen}),
            alive=frozenset(track.track_id for track in self._tracker.tracks),
            faults=MappingProxyType({name: count for name, count in faults.items() if count}),
        )

    def reconstruct(
        self, sighting: Sighting, *, progress: Progress | None = None, failed: Failed | None = None
    ) -> tuple[TrackedBody, ...]:
        """Pose everybody of a sighting in one call; for the reconstruction thread.

        Args:
            sighting: who is there.
            progress: told the stage and the share of the work done.
            failed: told of each person that an error was raised for, who is left out. None = errors are raised.

        Returns:
            The people in the order of their ids.

        Raises:
            MemoryError: there is no room for a single one.
        """
        frame = sighting.frame
        self._memories = {i: memory for i, memory in self._memories.items() if i in sighting.alive}
        if not sighting.instances:
            return ()
        ids = sorted(sighting.instances)
        wanted = [sighting.instances[track_id] for track_id in ids]

        def make(part: Sequence[int]) -> list[BodyEstimate | None]:
            posed = self.reconstructor.reconstruct(frame, part, progress=progress)
            found = {estimate.instance_id: estimate for estimate in posed}
            return [found.get(instance_id) for instance_id in part]

        estimates = make(wanted) if failed is None else made_apart(wanted, make, failed)
        fixed_from_camera = _IDENTITY if frame.fixed_from_camera is None else frame.fixed_from_camera
        bodies = []
        for track_id, estimate in zip(ids, estimates, strict=True):
            if estimate is None:
                continue
            keypoints = fixed_from_camera.apply(estimate.keypoints).astype(np.float32)
            memory = self._remember(track_id, frame.stamp, keypoints)
            bodies.append(
                TrackedBody(track_id, memory.version, estimate, fixed_from_camera, memory.keypoints)
            )
        return tuple(bodies)

    def _remember(self, track_id: int, stamp: int, keypoints: NDArray[np.float32]) -> _Memory:
        """Take up a pose, and smooth it with what was before."""
        before, constant = self._memories.get(track_id), self._config.keypoint_smoothing
        if before is not None and constant > 0 and stamp >= before.stamp:
            # The exact step of a first-order low pass, whatever the interval.
            kept = float(np.exp(-(stamp - before.stamp) * 1e-9 / constant))
            smoothed = kept * before.keypoints + (1.0 - kept) * keypoints
            # A keypoint that was not known begins anew, and one that is not known now stays unknown.
            keypoints = np.where(np.isnan(before.keypoints), keypoints, smoothed).astype(np.float32)
        version = 1 if before is None else before.version + 1
        memory = self._memories[track_id] = _Memory(version, stamp, keypoints)
        return memory


def _of_people(frame: Frame, people: Sequence[int]) -> Frame:
    """The frame with the labels of people alone, as the tracker looks at them."""
    if not frame.boxes:
        return replace(frame, labels=np.where(np.isin(frame.labels, people), frame.labels, np.uint16(0)))
    labels = np.zeros_like(frame.labels)
    points = np.full((*labels.shape, 3), np.nan, np.float32)
    # Somebody in a smaller box stands in front, or would not be seen.
    for instance in sorted(people, key=lambda i: -_area(frame.boxes[i])):
        labels[frame.box_pixels(instance)] = instance
        # The corners of a box see past the person: how far away that is must not move the track.
        middle = tuple(_middle(pixels) for pixels in frame.box_pixels(instance))
        points[middle] = frame.point_map.at(middle)
    return replace(frame, labels=labels, point_map=PointMap(points), boxes={})


def _area(box: NDArray[np.float32]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _middle(pixels: slice) -> slice:
    margin = int((1.0 - _MIDDLE) / 2 * (pixels.stop - pixels.start))
    return slice(pixels.start + margin, pixels.stop - margin)
