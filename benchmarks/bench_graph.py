"""Rate and latency of the running graph, as a subscriber in another process sees them.

`python benchmarks/bench_graph.py [--seconds 30] [--objects 5] [--rate 15] [--cores 2]`

Known objects: ObjectArrays a second, and the time from the stamp of an image to the arrival of its ObjectArray.
A new object: one instance after the other is hidden from the labels until its track is deleted, then shown again; the
time from the stamp of the first image that shows it to the arrival of the first ObjectArray that has it.
"""

from __future__ import annotations

import argparse
import array
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.time import Time
from running_graph import machine, running, use_domain
from sensor_msgs.msg import Image

from sam3d_ros.msg import ObjectArray
from sam3d_ros.ros.qos import qos_profile

DOMAIN = 88
#: A track that is not seen is deleted after this time; short, so that objects become new again soon. Seconds.
LOST_TIMEOUT = 0.5
#: How long the graph may take to start and find its objects, seconds.
START_PATIENCE = 60.0
#: How long one new object may take, seconds.
OBJECT_PATIENCE = 10.0


class Watcher(Node):
    """Passes labels on without the hidden instance, and times what comes out."""

    def __init__(self) -> None:
        super().__init__("bench_graph")
        self.hidden = 0
        self.instances: list[int] = []
        self.shown_at: int | None = None
        self.arrivals: list[tuple[int, int, int]] = []
        self.stages: dict[str, str] = {}
        sensor_data = qos_profile("sensor_data")
        self._labels = self.create_publisher(Image, "labels", sensor_data)
        self.create_subscription(Image, "all_labels", self._pass_on, sensor_data)
        self.create_subscription(ObjectArray, "sam3d_objects/objects", self._note, qos_profile("reliable"))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._read_stages, 10)

    @property
    def count(self) -> int:
        """Objects in the newest ObjectArray."""
        return self.arrivals[-1][2] if self.arrivals else 0

    def spin_until(self, condition: Callable[[], bool], patience: float) -> bool:
        """Spin until something holds; whether it does."""
        end = time.monotonic() + patience
        while not condition() and time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.05)
        return condition()

    def _pass_on(self, message: Image) -> None:
        labels = np.frombuffer(message.data, dtype=np.uint16)
        if not self.instances:
            self.instances = [int(i) for i in np.unique(labels) if i]
        if self.hidden:
            shown = np.where(labels == self.hidden, 0, labels).astype(np.uint16)
            message.data = array.array("B", shown.tobytes())
        elif self.shown_at is None:
            self.shown_at = Time.from_msg(message.header.stamp).nanoseconds
        self._labels.publish(message)

    def _note(self, message: ObjectArray) -> None:
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        self.arrivals.append((self.get_clock().now().nanoseconds, stamp, len(message.objects)))

    def _read_stages(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(": latency"):
                self.stages = {pair.key: pair.value for pair in status.values}


def known_objects(watcher: Watcher, seconds: float) -> None:
    """Print rate and latency while all objects are known."""
    watcher.arrivals.clear()
    watcher.spin_until(lambda: False, seconds)
    # A frame that is looked at again when its meshes are ready has two answers: the first counts.
    first: dict[int, int] = {}
    for arrival, stamp, _ in watcher.arrivals:
        first.setdefault(stamp, arrival)
    latency = [(arrival - stamp) / 1e6 for stamp, arrival in first.items()]
    times = sorted(first.values())
    rate = (len(times) - 1) / ((times[-1] - times[0]) / 1e9)
    show("tracked frames", f"{rate:8.1f} Hz   (target at least 10)")
    show("stamp to ObjectArray, median", f"{statistics.median(latency):8.0f} ms   (target at most 150)")
    show("stamp to ObjectArray, 95 %", f"{np.percentile(latency, 95):8.0f} ms")


def new_objects(watcher: Watcher, seconds: float) -> None:
    """Hide and show one instance after the other, and print how long each new one takes."""
    full, tries = watcher.count, 0
    delays: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watcher.hidden = watcher.instances[tries % len(watcher.instances)]
        tries += 1
        if watcher.spin_until(lambda: watcher.count < full, OBJECT_PATIENCE):
            watcher.arrivals.clear()
            watcher.hidden, watcher.shown_at = 0, None
            if watcher.spin_until(lambda: watcher.count >= full, OBJECT_PATIENCE) and watcher.shown_at:
                delays.append((watcher.arrivals[-1][0] - watcher.shown_at) / 1e6)
        watcher.spin_until(lambda: False, 0.5)
    if delays:
        median = statistics.median(delays)
        show(f"new object, median of {len(delays)}", f"{median:8.0f} ms   (target at most 400)")
        show("new object, slowest", f"{max(delays):8.0f} ms")
    if len(delays) < tries:
        show("new objects that did not come", f"{tries - len(delays):8d}")


def show(what: str, figure: str) -> None:
    """Print a line of the table."""
    print(f"{what:<34}{figure}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each of the two measurements")
    parser.add_argument("--objects", type=int, default=5, help="objects in the scene")
    parser.add_argument("--seed", type=int, default=7, help="seed of the scene")
    parser.add_argument("--rate", type=float, default=15.0, help="images a second")
    parser.add_argument("--cores", type=int, default=2, help="processor cores that all processes share")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    use_domain(DOMAIN)
    scene = {"object_count": options.objects, "seed": options.seed, "rate": options.rate}
    with (
        running("frame_player", scene, {"labels": "all_labels"}),
        running("perception", {"tracker.lost_timeout": LOST_TIMEOUT}),
    ):
        rclpy.init()
        watcher = Watcher()
        if not watcher.spin_until(lambda: watcher.count > 0, START_PATIENCE):
            print("no object was found", file=sys.stderr)
            return 1
        watcher.spin_until(lambda: watcher.count >= options.objects, 10.0)
        watcher.spin_until(lambda: False, 3.0)
        print(
            f"640x480 at {options.rate:g} Hz, {watcher.count} objects; {machine()}, load {os.getloadavg()[0]:.1f}"
        )
        known_objects(watcher, options.seconds)
        for stage, text in watcher.stages.items():
            show(f"  {stage}", f"  {text}")
        new_objects(watcher, options.seconds)
        watcher.destroy_node()
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
