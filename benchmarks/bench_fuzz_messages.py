"""Fuzzed messages through the conversions, the assembler and the frame builder.

`python benchmarks/bench_fuzz_messages.py [--messages 100000] [--seed 0]`. Each message must end as its planted
defect demands: refused with that name, or accepted. Stamps jump, repeat and run backwards. After every tenth message
a sound set must still come through as a frame. Resident memory and the blocks that Python holds are shown at ten points
of the way. Ends with 1 if anything ended otherwise.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tf2_ros
from fuzzed_messages import Fuzzed, Fuzzer

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.ros.camera_info import camera_from_info, info_from_camera
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import AssemblerConfig, FrameAssembler, Input, InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder, FrameBuilderConfig, depth_from, rgb_from
from sam3d_ros.ros.images import image_message, labels_from_image
from sam3d_ros.ros.pointclouds import cloud_from_points, points_from_cloud
from sam3d_ros.ros.stamps import header_message, nanoseconds
from sam3d_ros.ros.transforms import BufferLookup, transform_message

DECODERS = {
    Input.IMAGE: rgb_from,
    Input.LABELS: labels_from_image,
    Input.DEPTH: depth_from,
    Input.CAMERA_INFO: camera_from_info,
    Input.POINTS: points_from_cloud,
}
CAMERA = Camera(32, 24, 40.0, 40.0, 15.5, 11.5)
FRAMES = ("camera", "depth", "lidar", "nowhere", "")
START = 1_000_000_000_000
PERIOD = 33_000_000
LATEST = (2**31 - 1) * 1_000_000_000
SOUND_EVERY = 10
CHECKPOINTS = 10


class Run:
    """The whole way of messages to frames, and what came of each."""

    def __init__(self, seed: int) -> None:
        self.fuzzer = Fuzzer(seed)
        self.rng = np.random.default_rng(seed + 1)
        self.faults = FaultLog()
        config = AssemblerConfig(expect_depth=False, wait=0.0, queue_size=8)
        self.assembler = FrameAssembler(config, self.faults)
        buffer = tf2_ros.Buffer()
        for child in ("depth", "lidar"):
            pose = Similarity(translation=np.array([0.1, 0.0, 0.0]))
            buffer.set_transform_static(transform_message(header_message(0, "camera"), child, pose), "bench")
        self.builder = FrameBuilder(BufferLookup(buffer), self.faults, FrameBuilderConfig())
        self.ends: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.frames: Counter[str] = Counter()
        self.stamp = START

    def message(self) -> None:
        """One fuzzed message: decoded by itself, and added to the stream."""
        fuzzed = self.fuzzer.draw()
        end = self._decoded(fuzzed)
        self.ends[fuzzed.defect, "accepted" if end is None else end.label] += 1
        if end not in fuzzed.ends:
            self.wrong.append(f"{fuzzed.defect} ended as {end}, one of {fuzzed.ends} was expected")
        fuzzed.message.header = header_message(self._stamp(), str(self.rng.choice(FRAMES)))
        kind = fuzzed.kind
        if kind is Input.CAMERA_INFO and self.rng.random() < 0.3:
            kind = Input.DEPTH_INFO
        self.assembler.add(kind, nanoseconds(fuzzed.message.header.stamp), fuzzed.message)
        if self.rng.random() < 0.5:
            self._mixed_set(kind, fuzzed.message)
        found = self.assembler.take()
        if found is not None:
            self._build(found)

    def sound_set(self) -> None:
        """A sound set after all that: it must become a frame with its depth."""
        # A fuzzed stamp may have run far ahead: then the clock goes back here.
        self.stamp = START if self.stamp > START + 10**15 else self.stamp + PERIOD
        for kind, message in sound_messages(self.stamp).items():
            self.assembler.add(kind, self.stamp, message)
        found = self.assembler.take()
        if found is None or found.stamp != self.stamp:
            self.wrong.append(f"a sound set was not taken: {found and found.stamp} instead of {self.stamp}")
            return
        frame = self.builder.build(found)
        if frame.points_source is not PointsSource.DEPTH or not np.allclose(frame.points[..., 2], 2.0):
            self.wrong.append(f"a sound set became a frame with points from {frame.points_source}")
        self.frames["sound"] += 1

    def _mixed_set(self, kind: Input, message: Any) -> None:
        """A sound set in which one message, and its stamp or not, is the fuzzed one."""
        self.stamp += PERIOD
        messages = sound_messages(self.stamp)
        if self.rng.random() < 0.5:
            del messages[Input.DEPTH]
        for other in messages.keys() - {kind}:
            self.assembler.add(other, self.stamp, messages[other])
        if kind in (Input.IMAGE, Input.LABELS):
            message.header.stamp = messages[Input.CAMERA_INFO].header.stamp
        self.assembler.add(kind, self.stamp, message)

    def _decoded(self, fuzzed: Fuzzed) -> Fault | None:
        try:
            DECODERS[fuzzed.kind](fuzzed.message)
        except FaultError as error:
            return error.fault
        return None

    def _build(self, found: InputSet) -> None:
        try:
            frame = self.builder.build(found)
        except FaultError as error:
            self.faults.report_error(error)
            self.frames["refused"] += 1
        else:
            self.frames[f"built with points from {frame.points_source.value}"] += 1

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
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = Run(arguments.seed)
    memory: list[tuple[int, float, float]] = []
    began = time.monotonic()
    for i in range(1, arguments.messages + 1):
        run.message()
        if i % SOUND_EVERY == 0:
            run.sound_set()
        if i % max(1, arguments.messages // CHECKPOINTS) == 0:
            gc.collect()
            memory.append((i, resident_mebibytes(), sys.getallocatedblocks() / 1e3))
    print(f"{platform.machine()}, Python {platform.python_version()}, seed {arguments.seed}")
    print(f"{arguments.messages} messages in {time.monotonic() - began:.0f} s\n")
    report(run, memory)
    return 1 if run.wrong else 0


def report(run: Run, memory: list[tuple[int, float, float]]) -> None:
    """Print what came of the messages, and the memory over time."""
    print(f"{'planted defect':34} {'end':22} {'count':>7}")
    for (defect, end), count in sorted(run.ends.items()):
        print(f"{defect:34} {end:22} {count:7}")
    print("\nframes: " + ", ".join(f"{name} {count}" for name, count in sorted(run.frames.items())))
    print("\nfaults of the stream: " + ", ".join(f"{r.fault.label} {r.count}" for r in run.faults.records()))
    drops: dict[Any, int] = run.assembler.drops
    print(
        "\ndropped: " + ", ".join(f"{k.value} {d.value} {n}" for (k, d), n in sorted(drops.items(), key=str))
    )
    print(f"\n{'messages':>9} {'resident MiB':>13} {'1000 blocks':>12}")
    for count, resident, blocks in memory:
        print(f"{count:9} {resident:13.1f} {blocks:12.2f}")
    growth = memory[-1][1] / memory[0][1] - 1.0
    print(f"resident memory since the first checkpoint: {growth:+.1%}")
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
