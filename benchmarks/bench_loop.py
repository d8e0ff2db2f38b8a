"""A recording with its own stamps, played in a loop as `ros2 bag play --loop` does: memory, objects and ids.

`python benchmarks/bench_loop.py [--minutes 3] [--objects 5] [--rate 5]`

A camera swings around a table. With each loop time goes back: everything is forgotten, and the objects are made anew
under new ids, at most as many as the scene has. Until they are made, ObjectArrays are empty: on a busy machine that is
most of a short loop. Memory is that of the last minute against the second, as medians. Recordings whose images are
stamped when they are played are those of bench_interruptions.py.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

import rclpy
from played_recording import Recording, RecordingPlayer
from process_use import resident
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from running_graph import machine, running, use_domain

from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.ros.qos import qos_profile

DOMAIN = 88
#: How often the memory is read, seconds.
PERIOD = 5.0
MINUTE = 60.0
#: Until all objects have been seen and made, nothing is counted, seconds.
SETTLING = 30.0
SEED = 9


@dataclass
class Loop:
    """What a run gave.

    Attributes:
        counts: objects in an ObjectArray -> how many of these there were.
        ids: every id that came, in the order in which they came.
        sessions: every session.
        memory: seconds and MiB.
        loops: how often the recording began.
        exit_code: of perception; None while it runs.
    """

    counts: Counter[int] = field(default_factory=Counter)
    ids: dict[int, float] = field(default_factory=dict)
    sessions: set[int] = field(default_factory=set)
    memory: list[tuple[float, float]] = field(default_factory=list)
    loops: int = 0
    exit_code: int | None = None

    def hear(self, message: ObjectArray, now: float) -> None:
        """Note an ObjectArray."""
        self.sessions.add(message.session)
        for found in message.objects:
            self.ids.setdefault(found.id, now)
        if now >= SETTLING:
            self.counts[len(message.objects)] += 1


def played(minutes: float, objects: int, rate: float) -> Loop:
    """Play for some time."""
    use_domain(DOMAIN)
    loop = Loop()
    recording = Recording.of_scene(SEED, objects, rate)
    with running("perception", {"target_frame": "map", "reconstructor": "geometric"}) as perception:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node, executor = Node("bench_loop", enable_rosout=False), quickest_executor()
        executor.add_node(node)
        began = time.monotonic()
        node.create_subscription(
            ObjectArray,
            "sam3d_objects/objects",
            lambda message: loop.hear(message, time.monotonic() - began),
            qos_profile("reliable"),
        )
        player = RecordingPlayer(node, recording)
        node.create_timer(1.0 / rate, player.step)
        while (now := time.monotonic() - began) < MINUTE * minutes and perception.poll() is None:
            _sample(loop, perception, now)
            executor.spin_once(timeout_sec=0.1)
        loop.exit_code = perception.poll()
        loop.loops = player.loops
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return loop


def _sample(loop: Loop, perception: subprocess.Popen[bytes], now: float) -> None:
    """Note the memory where it is due, and tell every minute."""
    if now < PERIOD * len(loop.memory):
        return
    loop.memory.append((now, resident(perception.pid)))
    if len(loop.memory) % round(MINUTE / PERIOD) == 0:
        median = statistics.median(memory for _, memory in loop.memory[-round(MINUTE / PERIOD) :])
        counts = ", ".join(f"{count} objects {n} times" for count, n in sorted(loop.counts.items()))
        print(
            f"  minute {now / MINUTE:5.1f}: {median:6.1f} MiB, {len(loop.ids)} ids; {counts}",
            flush=True,
        )


def report(loop: Loop, objects: int) -> bool:
    """Print what came of a run; whether it is as it is to be."""
    second = [memory for at, memory in loop.memory if MINUTE < at <= 2 * MINUTE]
    last = [memory for at, memory in loop.memory if at > loop.memory[-1][0] - MINUTE]
    arrays = loop.counts.total()
    allowed = objects * loop.loops
    print(f"\n{loop.loops} loops, {arrays} ObjectArrays, {len(loop.sessions)} session(s)")
    for count, number in sorted(loop.counts.items()):
        print(f"  with {count} objects{'':12} {number:8} {number / arrays:8.1%}")
    print(f"  ids altogether            {len(loop.ids):8}, at most {allowed} are due")
    if len(second) and len(last):
        first, end = statistics.median(second), statistics.median(last)
        print(f"  median of second minute   {first:8.1f} MiB")
        print(f"  median of last minute     {end:8.1f} MiB, {end / first - 1:+.2%}")
    if loop.exit_code is not None:
        print(f"  perception ended with exit code {loop.exit_code}")
    return loop.exit_code is None and arrays > 0 and max(loop.counts) <= objects and len(loop.ids) <= allowed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the run")
    parser.add_argument("--objects", type=int, default=5, help="objects in the scene")
    parser.add_argument("--rate", type=float, default=5.0, help="images a second")
    options = parser.parse_args()
    print(f"{options.minutes:g} minutes, {options.objects} objects at {options.rate:g} Hz; {machine()}")
    loop = played(options.minutes, options.objects, options.rate)
    return 0 if report(loop, options.objects) else 1


if __name__ == "__main__":
    raise SystemExit(main())
