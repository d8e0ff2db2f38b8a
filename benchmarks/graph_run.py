"""One run of the graph: player, perception and watcher start, are measured, and end."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from compared_runs import Figure
from graph_watcher import Watcher
from process_use import ProcessUse, resident
from rclpy.signals import SignalHandlerOptions
from running_graph import Installation, running, started, use_domain

VIEWER = Path(__file__).with_name("graph_viewer.py")
#: A track that is not seen is deleted after this time; short, so that objects become new again soon. Seconds.
LOST_TIMEOUT = 0.5
#: How long the graph may take to start and find its first object, and then the others, seconds.
START_PATIENCE, OTHERS_PATIENCE = 60.0, 10.0
#: How long it is left alone before it is measured, seconds.
SETTLING = 3.0
#: How long one new object may take, seconds.
OBJECT_PATIENCE = 10.0
#: Time between two new objects, seconds.
OBJECT_PAUSE = 0.5


@dataclass(frozen=True)
class Load:
    """What the graph is given.

    Attributes:
        width, height: of the images, pixels.
        objects: in the scene.
        seed: of the scene.
        rate: images a second.
        sensor: range sensors, as the player calls them: `all` or `depth`.
        viewers: somebody looks at markers, meshes and detections.
    """

    width: int = 640
    height: int = 480
    objects: int = 5
    seed: int = 7
    rate: float = 15.0
    sensor: str = "all"
    viewers: bool = False

    def __str__(self) -> str:
        watched = ", with viewers" if self.viewers else ""
        sensors = {"all": "depth and points", "depth": "depth"}[self.sensor]
        return f"{self.width}x{self.height}, {self.objects} objects, {sensors}{watched}"

    def parameters(self) -> dict[str, object]:
        """Those of the player."""
        return {
            "width": self.width,
            "height": self.height,
            "object_count": self.objects,
            "seed": self.seed,
            "rate": self.rate,
            "sensor": self.sensor,
        }


@dataclass(frozen=True)
class Run:
    """What a run gave: its figures by name, and what perception says of its stages."""

    figures: dict[str, Figure]
    stages: dict[str, str]


class NothingTrackedError(RuntimeError):
    """The graph found no object, stopped tracking them, or ended."""


def measured(
    load: Load, installation: Installation, domain: int, seconds: float, *, new_objects: bool
) -> Run:
    """Run the graph.

    Args:
        load: what it is given.
        installation: whose perception it is; player and watcher are those of this version.
        domain: of ROS, another one for each run, so that nothing that is left of one is seen by the next.
        seconds: length of each of the measurements.
        new_objects: hide and show objects after the measurement of known ones.

    Raises:
        NothingTrackedError: no ObjectArray with objects came, or a process ended.
    """
    use_domain(domain)
    with ExitStack() as stack:
        player = stack.enter_context(running("frame_player", load.parameters(), {"labels": "all_labels"}))
        perception = stack.enter_context(
            running("perception", {"tracker.lost_timeout": LOST_TIMEOUT}, installation=installation)
        )
        if load.viewers:
            stack.enter_context(started([sys.executable, str(VIEWER)]))
        # Signals end the benchmark, and that ends the processes: rclpy would only end its context.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        watcher = Watcher()
        stack.callback(watcher.close)
        processes = {"the player": player, "perception": perception}
        watcher.spin_until(lambda: watcher.count > 0 or any_ended(processes), START_PATIENCE)
        check_alive(processes)
        if not watcher.count:
            raise NothingTrackedError(f"no object was found within {START_PATIENCE:g} s")
        watcher.spin_until(lambda: watcher.count >= load.objects, OTHERS_PATIENCE)
        watcher.spin_for(SETTLING)
        figures = known_objects(watcher, seconds, perception.pid, player.pid)
        stages = dict(watcher.stages)
        if new_objects:
            figures.update(new_ones(watcher, seconds))
        check_alive(processes)
        return Run(figures, stages)


def known_objects(watcher: Watcher, seconds: float, perception: int, player: int) -> dict[str, Figure]:
    """Rate, latency and cost while all objects are known."""
    pids = (perception, player, os.getpid())
    watcher.arrivals.clear()
    watcher.offered.clear()
    began, before = time.monotonic(), [ProcessUse.read(pid) for pid in pids]
    watcher.spin_for(seconds)
    elapsed, after = time.monotonic() - began, [ProcessUse.read(pid) for pid in pids]
    used, played, watched = (late.since(early) for early, late in zip(before, after, strict=True))
    # A frame that is looked at again when its meshes are ready has two answers: the first counts.
    first: dict[int, int] = {}
    for arrival in watcher.arrivals:
        first.setdefault(arrival.stamp, arrival.time)
    if not first:
        raise NothingTrackedError(f"no ObjectArray came for {seconds:g} s")
    latency = [(at - stamp) / 1e6 for stamp, at in first.items()]
    frames, images = len(first), max(len(set(watcher.offered)), 1)
    return {
        "images offered": Figure(images / elapsed, "Hz"),
        "tracked frames": Figure(frames / elapsed, "Hz"),
        "objects": Figure(statistics.median(arrival.count for arrival in watcher.arrivals)),
        "stamp to ObjectArray, median": Figure(statistics.median(latency), "ms"),
        "stamp to ObjectArray, 95 %": Figure(float(np.percentile(latency, 95)), "ms"),
        "perception, minor faults a frame": Figure(used.minor_faults / frames),
        "perception, user time a frame": Figure(used.user / frames, "ms"),
        "perception, system time a frame": Figure(used.system / frames, "ms"),
        "perception, resident memory": Figure(resident(perception), "MiB"),
        "player, processor time an image": Figure((played.user + played.system) / images, "ms"),
        "watcher, processor time an image": Figure((watched.user + watched.system) / images, "ms"),
    }


def any_ended(processes: Mapping[str, subprocess.Popen[bytes]]) -> bool:
    """Whether one of the processes is gone."""
    return any(process.poll() is not None for process in processes.values())


def check_alive(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Raise NothingTrackedError if one of the processes is gone."""
    for name, process in processes.items():
        if process.poll() is not None:
            raise NothingTrackedError(f"{name} ended with exit code {process.returncode}")


def new_ones(watcher: Watcher, seconds: float) -> dict[str, Figure]:
    """Hide and show one instance after the other: how long each new one takes."""
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
                delays.append((watcher.arrivals[-1].time - watcher.shown_at) / 1e6)
        watcher.spin_for(OBJECT_PAUSE)
    figures = {
        "new objects tried": Figure(tries),
        "new objects that did not come": Figure(tries - len(delays)),
    }
    if delays:
        figures["new object, median"] = Figure(statistics.median(delays), "ms")
        figures["new object, slowest"] = Figure(max(delays), "ms")
    return figures
