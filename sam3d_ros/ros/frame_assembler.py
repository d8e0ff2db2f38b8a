"""Finds the messages that belong to one moment.

Each input has a short queue by stamp. A set is complete when there is an image, labels of its stamp (or detections,
where these say what is in the image), a camera_info, and every further input that is expected, or that input has been
waited for long enough. Labels may come long after their image: a segmenter takes time. Of several complete sets, which
a burst brings, those are taken that there is time for before the next image is due, one after the other; everything
older is dropped and counted. Where a frame takes longer than a period this is the newest set alone. Stamps are
nanoseconds; the assembler knows nothing of ROS.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.faults import Fault, FaultLog
from sam3d_ros.ros.pace import Pace
from sam3d_ros.ros.stamp_queue import StampQueue
from sam3d_ros.ros.stamp_watch import CLOCKS_APART, StampWatch

_SECOND = 1_000_000_000
#: More than a stamp loses on its way through a floating number of seconds, nanoseconds. No two images are so close.
_ROUNDING = 1000


class Input(Enum):
    """What comes in; the values are the names of the topics."""

    IMAGE = "image"
    LABELS = "labels"
    CAMERA_INFO = "camera_info"
    DEPTH = "depth"
    DEPTH_INFO = "depth/camera_info"
    POINTS = "points"
    DETECTIONS = "detections"
    KEYPOINTS = "keypoints"


#: What belongs to one image.
_MATCHED = (Input.LABELS, Input.DETECTIONS, Input.KEYPOINTS, Input.DEPTH, Input.POINTS)


class Drop(Enum):
    """Why a message was not used."""

    SUPERSEDED = "superseded"  # its set was complete, but newer ones came, and there was no time for all
    NO_LABELS = "no_labels"  # an image for which no labels came
    NO_DETECTIONS = "no_detections"  # an image for which no detections came
    NO_IMAGE = "no_image"  # anything else without an image of its stamp
    NO_CAMERA_INFO = "no_camera_info"  # image and labels without any calibration
    LATE = "late"  # older than the last set that was taken
    TIME_JUMP = "time_jump"  # from before the clock jumped back


@dataclass(frozen=True)
class AssemblerConfig(Settings):
    """Parameters of matching.

    Attributes:
        tolerance: largest difference of stamps between the image and its depth, seconds.
        labels_tolerance: the same for what is made of an image, which has its very stamp, to a microsecond: labels,
            detections and keypoints, seconds. With more than half a period, those of a lost image go with another one.
        points_tolerance: the same for a LiDAR sweep, seconds; its points are placed by their own stamp.
        expect_depth: a set waits for a depth image.
        expect_points: a set waits for a LiDAR sweep.
        wait: how long a set waits for what is expected, from the moment that it is complete otherwise, seconds.
        queue_size: messages kept of each input. At 30 Hz, 30 images cover labels that come 1 s late.
        time_jump: an image whose stamp is this much before the newest one means that time started anew, seconds.
    """

    tolerance: float = parameter(0.02, minimum=0.0, maximum=10.0)
    labels_tolerance: float = parameter(0.0, minimum=0.0, maximum=10.0)
    points_tolerance: float = parameter(0.1, minimum=0.0, maximum=10.0)
    expect_depth: bool = True
    expect_points: bool = False
    wait: float = parameter(0.1, minimum=0.0, maximum=60.0)
    queue_size: int = parameter(30, minimum=1, maximum=10_000)
    time_jump: float = parameter(0.5, minimum=0.001, maximum=3600.0)


@dataclass(frozen=True, eq=False)
class InputSet:
    """Messages that belong to one moment.

    Attributes:
        stamp: of the image, nanoseconds.
        image, camera_info: always there.
        labels: None where detections say what is in the image.
        depth, depth_info, points: None where nothing came in time.
        arrival: when the image came, seconds on the assembler's clock.
        epoch: how often time had started anew.
        detections: None where labels say what is in the image.
        keypoints: None where nothing came in time.
    """

    stamp: int
    image: Any
    labels: Any | None
    camera_info: Any
    depth: Any | None
    depth_info: Any | None
    points: Any | None
    arrival: float
    epoch: int
    detections: Any | None = None
    keypoints: Any | None = None


class FrameAssembler:
    """Matches messages by stamp; any thread may add, any thread may take.

    Args:
        config: parameters.
        faults: where time_jump, repeated_stamp, labels_too_late, missing_camera_info and missing_input are
            reported.
        clock: seconds that only grow.
        located_by: what says where things are in an image, which therefore waits for it: labels or detections.

    Attributes:
        config: parameters.
        located_by: as given.
        expect_keypoints: a set waits for keypoints, too.
    """

    def __init__(
        self,
        config: AssemblerConfig | None = None,
        faults: FaultLog | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        located_by: Input = Input.LABELS,
    ) -> None:
        self.config = config or AssemblerConfig()
        self.located_by = located_by
        self.expect_keypoints = False
        self._faults = faults or FaultLog()
        self._clock = clock
        self._changed = threading.Condition()
        self._queues = {kind: StampQueue(self.config.queue_size) for kind in Input}
        self._newest: dict[Input, int] = {}
        # The last calibration holds for every image that has none of its own.
        self._latest_info: dict[Input, Any] = {}
        self._taken: int | None = None
        self._drops: Counter[tuple[Input, Drop]] = Counter()
        self._pace = Pace(clock)
        self._watch = StampWatch(self._faults, clock)
        # Also of those that were taken: what comes late has an image none the less.
        self._image_stamps: deque[int] = deque(maxlen=self.config.queue_size)
        self._epoch = 0
        # Stamp of the newest image that was reported to have no calibration: one report for each.
        self._without_info = -1

    @property
    def drops(self) -> dict[tuple[Input, Drop], int]:
        """How many messages were not used, by input and reason."""
        with self._changed:
            return dict(self._drops)

    @property
    def epoch(self) -> int:
        """How often time has started anew."""
        return self._epoch

    def is_mismatched(self, kind: Input) -> bool:
        """Whether an input comes, and has matched no image for a while."""
        with self._changed:
            return self._watch.is_mismatched(kind.value)

    def has_calibration(self, kind: Input) -> bool:
        """Whether a camera_info ever came, which holds until there is another."""
        with self._changed:
            return kind in self._latest_info

    def pending(self) -> dict[Input, int]:
        """How many messages of each input are kept."""
        with self._changed:
            return {kind: len(queue) for kind, queue in self._queues.items()}

    def add(self, kind: Input, stamp: int, message: Any) -> bool:
        """Take in a message.

        Args:
            kind: which input.
            stamp: of its header, nanoseconds.
            message: kept as it is until its set is taken.

        Returns:
            True if this image shows that time started anew: everything from before is forgotten, and the caller
            should forget, too (transforms, tracks).
        """
        with self._changed:
            jumped = self._note_jump(kind, stamp)
            self._newest[kind] = max(stamp, self._newest.get(kind, stamp))
            self._note_match(kind, stamp)
            if kind in (Input.CAMERA_INFO, Input.DEPTH_INFO):
                self._latest_info[kind] = message
                self._queues[kind].add(stamp, message, self._clock())
            elif kind in (Input.IMAGE, self.located_by) and self._is_late(stamp):
                self._drops[kind, Drop.LATE] += 1
                if kind is Input.IMAGE and stamp == self._taken:
                    self._faults.report(
                        Fault.REPEATED_STAMP, f"an image came again with the stamp {stamp / _SECOND:.9f}"
                    )
                return jumped
            else:
                if kind is self.located_by:
                    self._note_late_labels(stamp)
                gone = self._queues[kind].add(stamp, message, self._clock())
                if gone is not None:
                    self._drops[kind, self._reason(kind, gone)] += 1
            self._changed.notify_all()
            return jumped

    def take(self) -> InputSet | None:
        """The next complete set, if there is one; it and everything older leave the queues."""
        with self._changed:
            self._pace.asked()
            return self._take()

    def wait(self, timeout: float) -> InputSet | None:
        """As `take`, but wait up to `timeout` seconds of real time for a set."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._pace.asked()
            while True:
                found = self._take()
                left = deadline - time.monotonic()
                if found is not None or left <= 0:
                    return found
                # A set may also become complete by the end of its wait, without a message.
                self._changed.wait(min(left, self.config.wait / 2 or left))

    def clear(self) -> None:
        """Forget all messages but the calibrations."""
        with self._changed:
            for queue in self._queues.values():
                queue.clear()
            self._taken = None
            self._without_info = -1
            self._newest.clear()
            self._image_stamps.clear()
            self._watch.forget()

    def _note_jump(self, kind: Input, stamp: int) -> bool:
        newest = self._newest.get(kind)
        if newest is None or newest - stamp < self.config.time_jump * _SECOND:
            return False
        if kind is not Input.IMAGE:
            # The image decides: the others cross the jump at moments of their own, labels last of all.
            self._drops[kind, Drop.TIME_JUMP] += self._queues[kind].clear()
            self._newest.pop(kind)
            return False
        for other, queue in self._queues.items():
            # An input that crossed the jump before the image has only messages of the new time.
            if self._newest.get(other, stamp) - stamp >= self.config.time_jump * _SECOND:
                self._drops[other, Drop.TIME_JUMP] += queue.clear()
                self._newest.pop(other)
        self._taken = None
        self._without_info = -1
        self._image_stamps.clear()
        self._watch.forget()
        self._watch.jumped((newest - stamp) / _SECOND)
        self._epoch += 1
        self._faults.report(
            Fault.TIME_JUMP,
            f"the stamp of the image went back by {(newest - stamp) / _SECOND:.3f} s to {stamp / _SECOND:.3f}",
        )
        return True

    def _tolerance(self, kind: Input) -> int:
        """How far the stamp of a message may be from that of its image, nanoseconds."""
        if kind is Input.POINTS:
            return round(self.config.points_tolerance * _SECOND)
        if kind in (Input.LABELS, Input.DETECTIONS, Input.KEYPOINTS):
            return max(round(self.config.labels_tolerance * _SECOND), _ROUNDING)
        return round(self.config.tolerance * _SECOND)

    def _note_match(self, kind: Input, stamp: int) -> None:
        """Keep account of what belongs to an image and what does not."""
        if kind is Input.IMAGE:
            self._image_stamps.append(stamp)
            for other in _MATCHED:
                if self._queues[other].nearest(stamp, self._tolerance(other)) is not None:
                    self._watch.matched(other.value)
        elif kind in _MATCHED:
            tolerance = self._tolerance(kind)
            if any(abs(stamp - image) <= tolerance for image in self._image_stamps):
                self._watch.matched(kind.value)
            elif not self._image_stamps or stamp >= self._image_stamps[0] or not self._forgets_images:
                self._watch.unmatched(kind.value, stamp, self._newest.get(Input.IMAGE))

    @property
    def _forgets_images(self) -> bool:
        """Whether images have gone already, so that something old may have had one."""
        return len(self._image_stamps) == self.config.queue_size

    def _is_late(self, stamp: int) -> bool:
        """Whether a stamp is before the last set that was taken, but not by so much that time started anew."""
        if self._taken is None:
            return False
        return self._taken - self.config.time_jump * _SECOND < stamp <= self._taken

    def _note_late_labels(self, stamp: int) -> None:
        """Name it when images are forgotten before their labels come: nothing would ever be complete."""
        images = self._queues[Input.IMAGE].stamps
        is_full = len(images) == self.config.queue_size
        if is_full and 0 < images[0] - self._tolerance(self.located_by) - stamp < CLOCKS_APART * _SECOND:
            self._faults.report(
                Fault.LABELS_TOO_LATE,
                f"{self.located_by.value} are {(images[-1] - stamp) / _SECOND:.2f} s behind the images, of which "
                f"{len(images)} are kept",
            )

    def _take(self) -> InputSet | None:
        images, labels = self._queues[Input.IMAGE], self._queues[self.located_by]
        tolerance = self._tolerance(self.located_by)
        found: InputSet | None = None
        label_of_found, count, affordable = 0, 0, 1
        for label_stamp in reversed(labels.stamps):
            stamp = images.nearest(label_stamp, tolerance)
            if stamp is None or (found is not None and stamp >= found.stamp):
                continue
            if count == 1:
                affordable = self._pace.affordable(sorted(self._image_stamps))
            if count >= affordable:
                break
            if (older := self._completed(stamp, label_stamp)) is not None:
                found, label_of_found, count = older, label_stamp, count + 1
        if found is not None:
            self._forget(found.stamp, label_of_found)
            self._pace.taken()
        return found

    def _completed(self, stamp: int, label_stamp: int) -> InputSet | None:
        """The set of an image and its labels, or None where it has to wait."""
        image, image_arrival = self._queues[Input.IMAGE].get(stamp)
        labels, labels_arrival = self._queues[self.located_by].get(label_stamp)
        waited = self._clock() - max(image_arrival, labels_arrival)
        info = self._info(Input.CAMERA_INFO, stamp)
        if info is None:
            if waited >= self.config.wait and stamp > self._without_info:
                self._without_info = stamp
                self._faults.report(
                    Fault.MISSING_CAMERA_INFO, f"image and {self.located_by.value} come, but no camera_info"
                )
            return None
        config = self.config
        chosen: dict[Input, Any | None] = {self.located_by: labels}
        for kind, expected in (
            (Input.DEPTH, config.expect_depth),
            (Input.POINTS, config.expect_points),
            (Input.KEYPOINTS, self.expect_keypoints),
        ):
            queue, tolerance = self._queues[kind], self._tolerance(kind)
            match = queue.nearest(stamp, tolerance)
            # A later message than the image means that nothing nearer will come.
            settled = match == stamp or self._newest.get(kind, stamp) > stamp
            if expected and not settled and waited < config.wait:
                return None
            if expected and match is None:
                self._faults.report(
                    Fault.MISSING_INPUT,
                    f"no {kind.value} within {tolerance / _SECOND:g} s of the image: used without",
                )
            chosen[kind] = None if match is None else queue.get(match)[0]
        return InputSet(
            stamp=stamp,
            image=image,
            labels=chosen.get(Input.LABELS),
            camera_info=info,
            depth=chosen[Input.DEPTH],
            depth_info=self._info(Input.DEPTH_INFO, stamp),
            points=chosen[Input.POINTS],
            arrival=image_arrival,
            epoch=self._epoch,
            detections=chosen.get(Input.DETECTIONS),
            keypoints=chosen[Input.KEYPOINTS],
        )

    def _info(self, kind: Input, stamp: int) -> Any | None:
        match = self._queues[kind].nearest(stamp, self._tolerance(kind))
        return self._latest_info.get(kind) if match is None else self._queues[kind].get(match)[0]

    def _forget(self, stamp: int, label_stamp: int) -> None:
        """Drop the set that was taken and all that is older."""
        ends = {Input.IMAGE: (stamp, stamp), self.located_by: (label_stamp, max(stamp, label_stamp))}
        for kind, (own, end) in ends.items():
            for old in self._queues[kind].stamps:
                if old <= end and old != own:
                    self._drops[kind, self._reason(kind, old)] += 1
        for kind, (_, end) in ends.items():
            self._queues[kind].drop_until(end)
        # A sweep may serve several images, and a depth image the next one if that has none.
        for kind in (Input.DEPTH, Input.POINTS, Input.CAMERA_INFO, Input.DEPTH_INFO, Input.KEYPOINTS):
            self._queues[kind].drop_until(stamp - self._tolerance(kind))
        self._taken = stamp

    def _reason(self, kind: Input, stamp: int) -> Drop:
        """Why a message that has to go was never part of a set."""
        if kind not in (Input.IMAGE, self.located_by):
            return Drop.NO_IMAGE
        partner, missing = Input.IMAGE, Drop.NO_IMAGE
        if kind is Input.IMAGE:
            partner = self.located_by
            missing = Drop.NO_LABELS if partner is Input.LABELS else Drop.NO_DETECTIONS
        if self._queues[partner].nearest(stamp, self._tolerance(self.located_by)) is None:
            return missing
        return Drop.SUPERSEDED if Input.CAMERA_INFO in self._latest_info else Drop.NO_CAMERA_INFO
