"""Resident memory of the graph over a long run.

`python benchmarks/bench_soak.py [--minutes 10] [--objects 5] [--rate 10]`

The camera swings around the table, so that tracks move, are seen from new sides and get new meshes. A single reading
depends on how many images are on their way at that moment, so minutes are compared by their medians: growth is that of
the last minute against the second, the first one after the libraries are loaded and the buffers are full.
"""

from __future__ import annotations

import argparse
import statistics
import time

import rclpy
from process_use import resident
from rclpy.node import Node
from running_graph import machine, running, use_domain

from sam3d_ros.msg import ObjectArray
from sam3d_ros.ros.qos import qos_profile

DOMAIN = 89
#: How often the memory is read, seconds.
PERIOD = 5.0
MINUTE = 60.0


class Watcher(Node):
    """Tells that the graph works meanwhile."""

    def __init__(self) -> None:
        super().__init__("bench_soak")
        self.arrays = 0
        self.objects = 0
        self.create_subscription(ObjectArray, "sam3d_objects/objects", self._count, qos_profile("reliable"))

    def _count(self, message: ObjectArray) -> None:
        self.arrays += 1
        self.objects = len(message.objects)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the run")
    parser.add_argument("--objects", type=int, default=5, help="objects in the scene")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    options = parser.parse_args()
    use_domain(DOMAIN)
    scene = {"object_count": options.objects, "rate": options.rate, "camera_motion": "arc"}
    print(
        f"{options.minutes:g} minutes, {options.objects} objects at {options.rate:g} Hz, moving camera; {machine()}"
    )
    with (
        running("frame_player", scene),
        running("perception", {"target_frame": "map"}) as perception,
    ):
        rclpy.init()
        watcher = Watcher()
        began = time.monotonic()
        samples: list[tuple[float, float]] = []
        while (elapsed := time.monotonic() - began) < 60 * options.minutes:
            if perception.poll() is not None:
                print(f"perception ended after {elapsed:.0f} s with exit code {perception.returncode}")
                return 1
            samples.append((elapsed, resident(perception.pid)))
            if len(samples) % round(MINUTE / PERIOD) == 0:
                now = f"{watcher.arrays} arrays, {watcher.objects} objects now"
                median = statistics.median(memory for _, memory in samples[-round(MINUTE / PERIOD) :])
                print(f"minute {elapsed / MINUTE:5.1f}, median {median:7.1f} MiB   {now}", flush=True)
            end = time.monotonic() + PERIOD
            while time.monotonic() < end:
                rclpy.spin_once(watcher, timeout_sec=0.1)
        watcher.destroy_node()
        rclpy.shutdown()
    second = [memory for elapsed, memory in samples if MINUTE < elapsed <= 2 * MINUTE]
    after = [memory for elapsed, memory in samples if elapsed > 2 * MINUTE]
    if not after:
        print("too short to tell: give more than two minutes")
        return 1
    at_minute = [memory for elapsed, memory in samples if elapsed <= MINUTE][-1]
    first, last = statistics.median(second), statistics.median(after[-len(second) :])
    print(f"median of the second minute    {first:7.1f} MiB")
    print(f"median of the last minute      {last:7.1f} MiB, {last / first - 1:+.2%} (target at most +2 %)")
    print(f"highest at any moment          {max(after):7.1f} MiB, {max(after) / first - 1:+.2%}")
    print(f"single reading after a minute  {at_minute:7.1f} MiB, the last minute {last / at_minute - 1:+.2%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
