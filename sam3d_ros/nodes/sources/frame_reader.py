"""How a pipeline reads a frame source: which messages belong together, up to complete frames."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from rclpy.node import Node

from sam3d_ros.nodes.self_report import SelfReport
from sam3d_ros.nodes.sources.frame_source import FrameSource
from sam3d_ros.nodes.sources.input_settings import PeopleInputs
from sam3d_ros.perception.frame import Frame
from sam3d_ros.ros.diagnostics import InputHealth, InputState
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_assembler import AssemblerConfig, FrameAssembler, Input
from sam3d_ros.ros.frame_builder import FrameBuilder

#: So long after it subscribes the node does not yet know that there is no depth: discovery takes usually less than a
#: second. Seconds.
DISCOVERY_TIME = 1.5
#: An input of which nothing came for so long is stale, seconds.
STALE_AFTER = 2.0
#: A part of the name of a topic, by which image_proc and drivers say that images are rectified.
_RECTIFIED = re.compile(r"(?<![a-z])rect(ified)?(?![a-z])")
_NO_NAMES: Mapping[int, str] = MappingProxyType({})


class FrameReader:
    """One pipeline's view of a source.

    `next_frame`, which decodes what nobody has decoded yet, belongs to the tracking thread; all else to the thread that
    spins the node.

    Args:
        node: whose pipeline reads.
        source: what is read.
        assembler: which messages belong together.
        report: where unusable input is reported, and the time spent: `wait` from the arrival of the image, `decode`.
        people: what is read of people; None = nothing but labels.

    Attributes:
        node: as given.
        assembler: matches the messages.
    """

    def __init__(
        self,
        node: Node,
        source: FrameSource,
        assembler: AssemblerConfig,
        report: SelfReport,
        people: PeopleInputs | None = None,
    ) -> None:
        self.node = node
        self._source = source
        self._people = people
        self._faults, self._latencies = report.faults, report.latencies
        located_by = Input.LABELS if people is None else Input(people.settings.people_from)
        self.assembler = FrameAssembler(assembler, report.faults, located_by=located_by)
        self._builder = FrameBuilder(source.lookup, report.faults, source.key.frames, source.decoding)
        if people is not None:
            self._builder.keypoints = people.keypoints
            self._builder.min_keypoint_confidence = people.settings.min_keypoint_confidence
        self._wait = assembler.wait
        self._settled_at = 0.0
        self._reads_points = True
        self._is_open = False
        source.attach(self)

    def needs(self) -> frozenset[Input]:
        """The inputs that it wants messages of."""
        needed = {Input.IMAGE, Input.CAMERA_INFO, Input.DEPTH, Input.DEPTH_INFO, self.assembler.located_by}
        if self._reads_points:
            needed.add(Input.POINTS)
        if self._people is not None:
            needed.add(Input.KEYPOINTS)
        return frozenset(needed)

    def open(self) -> None:
        """Begin to read; raises as `FrameSource.open` does."""
        if self._source.key.settings.auto_range_sensor:
            # Discovery finds the camera and its depth in any order: an object must not be made from the first of them.
            config = self.assembler.config
            self._settled_at = time.monotonic() + DISCOVERY_TIME
            self.assembler.config = replace(config, expect_depth=True, wait=max(config.wait, DISCOVERY_TIME))
        # What was published when it was closed tells nothing of now.
        self._reads_points = True
        self._source.open(self)
        self._is_open = True

    def close(self) -> None:
        """Read nothing more, and forget what came."""
        self._is_open = False
        self._source.close(self)
        self.assembler.clear()

    def destroy(self) -> None:
        """Leave the source."""
        self._source.detach(self)

    def next_frame(self, timeout: float) -> Frame | None:
        """The next complete frame, or None when none comes in time or it cannot be used."""
        inputs = self.assembler.wait(timeout)
        if inputs is None:
            return None
        began = time.monotonic()
        self._latencies.add("wait", 1e3 * (began - inputs.arrival))
        try:
            frame = self._builder.build(inputs, self._source.names.get(self.assembler.located_by, _NO_NAMES))
        except FaultError as error:
            self._faults.report_error(error)
            return None
        else:
            self._check_lens(frame)
            return frame
        finally:
            self._latencies.add("decode", 1e3 * (time.monotonic() - began))

    def _check_lens(self, frame: Frame) -> None:
        """Name it where the topic of the image says that it is rectified, and its lens is taken out once more.

        What image_proc rectifies comes with the camera_info of the raw image.
        """
        if not frame.camera.is_distorted:
            return
        topic = self._source.topic(Input.IMAGE, self.node)
        if _RECTIFIED.search(topic) is not None:
            self._faults.report(
                Fault.RECTIFIED_IMAGE,
                f"{topic} is called rectified, but its camera_info has a lens, {frame.camera.distortion_model}, "
                "which is taken out: the image is read as a raw one",
            )

    def follow_publishers(self) -> None:
        """Look again at who publishes what; called now and then.

        Quality of service follows; keypoints and range sensors that somebody publishes are expected, the rest is not.
        """
        if not self._is_open:
            return
        source = self._source
        for fault, text in source.follow_publishers():
            self._faults.report(fault, text)
        self.assembler.expect_keypoints = self._people is not None and self._is_published(Input.KEYPOINTS)
        if source.key.settings.auto_range_sensor and time.monotonic() >= self._settled_at:
            has_depth, has_points = (self._is_published(kind) for kind in (Input.DEPTH, Input.POINTS))
            self.assembler.config = replace(
                self.assembler.config,
                wait=self._wait,
                expect_depth=has_depth,
                expect_points=has_points and not has_depth,
            )
            # A sweep that is not used costs as much as an image.
            reads_points = not has_depth or source.is_depth_doubtful()
            if reads_points is not self._reads_points:
                self._reads_points = reads_points
                source.update()

    def health(self) -> list[InputHealth]:
        """How each input does; without image, camera_info and what says where things are there is no frame."""
        required = (Input.IMAGE, Input.CAMERA_INFO, self.assembler.located_by)
        return [
            InputHealth(
                self._source.topic(kind, self.node),
                meter.rate(),
                meter.age(),
                kind in required,
                self._state(kind, meter.age()),
                self._source.count_publishers(kind),
            )
            for kind, meter in self._source.meters.items()
            if kind in required or kind in self.needs() or kind is Input.POINTS
        ]

    def _is_published(self, kind: Input) -> bool:
        return self._source.count_publishers(kind) > 0

    def _state(self, kind: Input, age: float) -> InputState:
        if kind not in self.needs():
            return InputState.NOT_READ
        if kind in (Input.CAMERA_INFO, Input.DEPTH_INFO) and self.assembler.has_calibration(kind):
            return InputState.OK  # it holds, however old it is
        if age == float("inf"):
            return InputState.NEVER_SEEN
        if age > STALE_AFTER:
            return InputState.STALE
        return InputState.MISMATCHED if self.assembler.is_mismatched(kind) else InputState.OK

    def drops(self) -> dict[str, int]:
        """How many messages were not used, by input and reason."""
        return {
            f"{kind.value}: {reason.value}": count for (kind, reason), count in self.assembler.drops.items()
        }

    def counts(self) -> dict[str, int]:
        """What the source of the process took in and decoded since its start, whoever read it."""
        taken = {
            f"{kind.value} taken": count for kind, count in sorted(self._source.taken.items(), key=_name)
        }
        return {**taken, **self._source.decoding.counts()}


def _name(entry: tuple[Input, int]) -> str:
    return entry[0].value
