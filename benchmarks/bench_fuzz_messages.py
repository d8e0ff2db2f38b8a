"""Fuzzed messages through the conversions, the assemblers and the frame builders.

`python benchmarks/bench_fuzz_messages.py [--messages 100000] [--seed 0]`. Each message must end as its planted
defect demands: refused with that name, or accepted. Stamps jump, repeat and run backwards. Messages go the way of
objects, which labels locate, and that of people, whom boxes do; after every tenth message a sound set must still come
through both as a frame. Resident memory and the blocks that Python holds are shown at ten points of the way. Ends with
1 if anything ended otherwise. What quality of service does to messages needs a graph: see bench_fuzz_calls.py.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tf2_ros
from fuzzed_messages import CAMERA, Fuzzed, Fuzzer
from fuzzed_people import CLASS_IDS, KEYPOINTS
from fuzzed_transforms import FRAME, draw_transform
from rclpy.logging import LoggingSeverity, set_logger_level

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.ros.camera_info import camera_from_info, info_from_camera
from sam3d_ros.ros.decoding import Decoding
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import AssemblerConfig, FrameAssembler, Input, InputSet
from sam3d_ros.ros.frame_builder import (
    FrameBuilder,
    FrameBuilderConfig,
    depth_from,
    labels_from,
    rgb_from,
)
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.people_messages import (
    boxes_from_detections,
    detections_message,
    keypoints_message,
    prompts_from_keypoints,
)
from sam3d_ros.ros.pointclouds import cloud_from_points, points_from_cloud
from sam3d_ros.ros.stamps import header_message, nanoseconds
from sam3d_ros.ros.transforms import BufferLookup, transform_message

#: Names that label_info may tell, as `FrameSource` keeps them.
NAMES: Mapping[int, str] = MappingProxyType(dict(enumerate(CLASS_IDS)))
FRAMES = ("camera", "depth", "lidar", "nowhere", "")
START = 1_000_000_000_000
PERIOD = 33_000_000
LATEST = (2**31 - 1) * 1_000_000_000
SOUND_EVERY = 10
CHECKPOINTS = 10
#: Share of the messages that are transforms.
TRANSFORMS = 0.1


def boxes_in(message: Any) -> None:
    """Read boxes: those that cannot be used are reported, and the first of them is raised here."""
    faults = FaultLog()
    boxes_from_detections(message, CAMERA, NAMES, faults)
    for record in faults.records():
        raise FaultError(record.fault, record.message)


DECODERS: Mapping[Input, Callable[[Any], object]] = {
    Input.IMAGE: rgb_from,
    Input.LABELS: labels_from,
    Input.DEPTH: depth_from,
    Input.CAMERA_INFO: camera_from_info,
    Input.POINTS: points_from_cloud,
    Input.DETECTIONS: boxes_in,
    Input.KEYPOINTS: lambda message: prompts_from_keypoints(message, CAMERA, KEYPOINTS),
}


class Way:
    """A way of messages to frames, as one of the nodes has it.

    Args:
        located_by: what says where things are.
        lookup: where frames are.
        decoding: that both ways share.

    Attributes:
        faults: what was reported.
        assembler: matches the messages.
        frames: what became of sets -> how often.
    """

    def __init__(self, located_by: Input, lookup: BufferLookup, decoding: Decoding) -> None:
        self.faults = FaultLog()
        config = AssemblerConfig(expect_depth=False, wait=0.0, queue_size=8)
        self.assembler = FrameAssembler(config, self.faults, located_by=located_by)
        self.frames: Counter[str] = Counter()
        self._builder = FrameBuilder(
            lookup, self.faults, FrameBuilderConfig(), decoding, KEYPOINTS, min_keypoint_confidence=0.1
        )

    def take(self) -> InputSet | None:
        """The next complete set."""
        return self.assembler.take()

    def build(self, found: InputSet) -> Frame | None:
        """The frame of a set, if it can be used."""
        try:
            frame = self._builder.build(found, NAMES)
        except FaultError as error:
            self.faults.report_error(error)
            self.frames["refused"] += 1
            return None
        self.frames[f"built with points from {frame.points_source.value}"] += 1
        return frame


class Run:
    """All ways of messages to frames, and what came of each message."""

    def __init__(self, seed: int) -> None:
        self.fuzzer = Fuzzer(seed)
        self.rng = np.random.default_rng(seed + 1)
        buffer = tf2_ros.Buffer()
        for child in ("depth", "lidar"):
            pose = Similarity(translation=np.array([0.1, 0.0, 0.0]))
            buffer.set_transform_static(transform_message(header_message(0, "camera"), child, pose), "bench")
        lookup, decoding = BufferLookup(buffer), Decoding()
        decoding.readers = 2
        self.ways = {kind: Way(kind, lookup, decoding) for kind in (Input.LABELS, Input.DETECTIONS)}
        self.ends: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.sound = 0
        self.stamp = START

    def message(self) -> None:
        """One fuzzed message: decoded by itself, and added to the stream."""
        if self.rng.random() < TRANSFORMS:
            self._transform()
            return
        fuzzed = self.fuzzer.draw()
        self._note(self._decoded(fuzzed), fuzzed.ends, fuzzed.defect)
        fuzzed.message.header = header_message(self._stamp(), str(self.rng.choice(FRAMES)))
        kind = fuzzed.kind
        if kind is Input.CAMERA_INFO and self.rng.random() < 0.3:
            kind = Input.DEPTH_INFO
        self._add(kind, fuzzed.message)
        if self.rng.random() < 0.5:
            self._mixed_set(kind, fuzzed.message)
        for way in self.ways.values():
            while (found := way.take()) is not None:
                way.build(found)

    def sound_set(self) -> None:
        """A sound set after all that: it must become a frame with its depth, and with what was told of people."""
        # A fuzzed stamp may have run far ahead: then the clock goes back here.
        self.stamp = START if self.stamp > START + 10**15 else self.stamp + PERIOD
        for message_kind, message in sound_messages(self.stamp).items():
            self._add(message_kind, message)
        for kind, way in self.ways.items():
            found = way.take()
            if found is None or found.stamp != self.stamp:
                given = None if found is None else found.stamp
                self.wrong.append(f"{kind.value}: a sound set was not taken, {given} instead of {self.stamp}")
                continue
            frame = way.build(found)
            if frame is None or frame.points_source is not PointsSource.DEPTH:
                self.wrong.append(f"{kind.value}: a sound set became no frame with depth")
            elif not np.allclose(frame.points[..., 2], 2.0) or len(frame.prompts) != 1:
                self.wrong.append(f"{kind.value}: a sound set became a frame of other points or keypoints")
            elif len(frame.boxes) != (kind is Input.DETECTIONS):
                self.wrong.append(f"{kind.value}: a sound set became a frame with {len(frame.boxes)} boxes")
            else:
                self.sound += 1

    def _add(self, kind: Input, message: Any) -> None:
        for way in self.ways.values():
            way.assembler.add(kind, nanoseconds(message.header.stamp), message)

    def _transform(self) -> None:
        """One fuzzed transform, alone in a buffer: it holds, or the look-up names what is wrong."""
        message, ends, defect = draw_transform(self.rng, START)
        buffer = tf2_ros.Buffer()
        buffer.set_transform(message, "bench")
        end = None
        try:
            BufferLookup(buffer)("camera", FRAME, START)
        except FaultError as error:
            end = error.fault
        self._note(end, ends, defect)

    def _note(self, end: Fault | None, ends: frozenset[Fault | None], defect: str) -> None:
        self.ends[defect, "accepted" if end is None else end.label] += 1
        if end not in ends:
            labels = " or ".join(sorted("accepted" if e is None else e.label for e in ends))
            self.wrong.append(f"{defect} ended as {end and end.label}, not as {labels}")

    def _mixed_set(self, kind: Input, message: Any) -> None:
        """A sound set in which one message, and its stamp or not, is the fuzzed one."""
        self.stamp += PERIOD
        messages = sound_messages(self.stamp)
        if self.rng.random() < 0.5:
            del messages[Input.DEPTH]
        for other in messages.keys() - {kind}:
            self._add(other, messages[other])
        message.header.stamp = header_message(self.stamp, "").stamp
        self._add(kind, message)

    def _decoded(self, fuzzed: Fuzzed) -> Fault | None:
        try:
            DECODERS[fuzzed.kind](fuzzed.message)
        except FaultError as error:
            return error.fault
        return None

    def _stamp(self) -> int:
        kind = self.rng.random()
        if kind < 0.5:
            return self.stamp
        if kind < 0.8:
            self.stamp += PERIOD
            return self.stamp
        if kind < 0.9:
            return max(0, self.stamp - int(self.rng.integers(0, 2 * 10**9)))
        return int(self.rng.choice([0, 1, LATEST, -LATEST, self.stamp + 10**12]))


def sound_messages(stamp: int) -> dict[Input, Any]:
    """A message of every input but the calibration of the depth, which is registered."""
    header = header_message(stamp, "camera")
    return {
        Input.CAMERA_INFO: info_from_camera(CAMERA, header),
        Input.DEPTH: image_message(np.full((24, 32), 2.0, np.float32), "32FC1", header),
        Input.POINTS: cloud_from_points(np.ones((5, 3)), header_message(stamp, "lidar")),
        Input.IMAGE: image_message(np.zeros((24, 32, 3), np.uint8), "rgb8", header),
        Input.LABELS: image_message(np.ones((24, 32), np.uint8), "mono8", header),
        Input.DETECTIONS: detections_message([(4.0, 5.0, 20.0, 18.0)], ["person"], header),
        Input.KEYPOINTS: keypoints_message(
            [KeypointPrompt(1, KEYPOINTS[:1], np.array([[9.0, 9.0]], np.float32))], header
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # tf2 logs each transform that it drops.
    set_logger_level("tf2_py", LoggingSeverity.FATAL)
    run = Run(arguments.seed)
    memory: list[float] = []
    began = time.monotonic()
    print(f"{platform.machine()}, Python {platform.python_version()}, seed {arguments.seed}\n")
    print(f"{'messages':>9} {'seconds':>8} {'resident MiB':>13} {'1000 blocks':>12}")
    for i in range(1, arguments.messages + 1):
        run.message()
        if i % SOUND_EVERY == 0:
            run.sound_set()
        if i % max(1, arguments.messages // CHECKPOINTS) == 0:
            gc.collect()
            memory.append(resident_mebibytes())
            spent, blocks = time.monotonic() - began, sys.getallocatedblocks() / 1e3
            print(f"{i:9} {spent:8.0f} {memory[-1]:13.1f} {blocks:12.2f}", flush=True)
    print(f"resident memory since the first checkpoint: {memory[-1] / memory[0] - 1.0:+.1%}\n")
    report(run)
    return 1 if run.wrong else 0


def report(run: Run) -> None:
    """Print what came of the messages."""
    print(f"{'planted defect':34} {'end':22} {'count':>7}")
    for (defect, end), count in sorted(run.ends.items()):
        print(f"{defect:34} {end:22} {count:7}")
    for kind, way in run.ways.items():
        frames = ", ".join(f"{name} {count}" for name, count in sorted(way.frames.items()))
        faults = ", ".join(f"{r.fault.label} {r.count}" for r in way.faults.records())
        drops: dict[Any, int] = way.assembler.drops
        dropped = ", ".join(f"{k.value} {d.value} {n}" for (k, d), n in sorted(drops.items(), key=str))
        print(f"\n{kind.value}\n  frames: {frames}\n  faults of the stream: {faults}\n  dropped: {dropped}")
    print(f"\nsound sets that became frames: {run.sound}")
    print(f"\nended otherwise than planted: {len(run.wrong)}")
    for line in run.wrong[:20]:
        print(f"  {line}")


def resident_mebibytes() -> float:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS: this benchmark needs Linux")


if __name__ == "__main__":
    sys.exit(main())
