"""Time and steadiness of tracking, without ROS: what one frame costs, and how much resting objects seem to move.

`python benchmarks/bench_tracking.py [--frames 45] [--objects 5] [--seed 7]`

A camera swings around a simulated tabletop; the objects rest. Instances are renumbered in every frame.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import STAGES, ObjectPipeline, Observation
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.reconstruction.reconstructors import make_reconstructor
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import Scene, random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import arc

PERIOD = 1.0 / 15.0
SECOND = 1_000_000_000


def sequence(scene: Scene, seed: int, count: int) -> list[Frame]:
    """Frames of a swinging camera, each with a numbering of its own."""
    random = np.random.default_rng(seed)
    camera = Camera.from_field_of_view(640, 480, np.deg2rad(58))
    frames = []
    for index, world_from_camera in enumerate(arc(count)):
        rendering = render(scene, camera, world_from_camera)
        depth = DepthSensor().measure(rendering, random)
        frame = frame_from_depth(scene, rendering, depth, stamp=round(index * PERIOD * SECOND))
        renaming = np.arange(int(frame.labels.max()) + 1, dtype=np.uint16)
        renaming[1:] = random.permutation(renaming[1:])
        names = {int(renaming[number]): name for number, name in frame.label_names.items()}
        frames.append(replace(frame, labels=renaming[frame.labels], label_names=names))
    return frames


def follow(pipeline: ObjectPipeline, frames: list[Frame]) -> tuple[list[Observation], dict[str, list[float]]]:
    """Observe all frames; what is asked for is reconstructed before the next one."""
    observations = []
    seconds: dict[str, list[float]] = {}
    for frame in frames:
        observation = pipeline.observe(frame)
        observations.append(observation)
        for request in observation.requests:
            start = time.perf_counter()
            pipeline.integrate([request.evidence], pipeline.reconstruct([request.evidence]))
            seconds.setdefault(request.reason.value, []).append(time.perf_counter() - start)
    return observations, seconds


def machine() -> str:
    """One line: processor, cores that this process may use, Python."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.machine()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{name}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=45, help="length of the sequence (default: 45)")
    parser.add_argument("--objects", type=int, default=5, help="objects on the table (default: 5)")
    parser.add_argument("--seed", type=int, default=7, help="of the scene (default: 7)")
    arguments = parser.parse_args()

    scene = random_scene(arguments.seed, arguments.objects)
    frames = sequence(scene, arguments.seed, arguments.frames)
    pipeline = ObjectPipeline(make_reconstructor("geometric"))
    observations, seconds = follow(pipeline, frames)
    tracked = [item for item in observations[1:] if item.objects]

    print(machine())
    print(
        f"{arguments.objects} objects, 640x480, {len(frames)} frames of a camera that swings by 70 degrees\n"
    )
    print(f"{'stage':<12}{'median ms':>10}{'95 % ms':>10}")
    for stage in STAGES:
        times = [item.milliseconds[stage] for item in tracked]
        print(f"{stage:<12}{statistics.median(times):>10.1f}{np.percentile(times, 95):>10.1f}")
    total = statistics.median(item.milliseconds["total"] for item in tracked)
    print(f"\none thread could follow at {1e3 / total:.0f} Hz")
    for reason, times in seconds.items():
        print(f"reconstruction, {reason}: {len(times)} times, median {1e3 * statistics.median(times):.0f} ms")

    print(
        "\nover all frames with the last mesh: how far the centre strays from its median, how far it turns, and"
    )
    print("how far its median is from the true centre of the box")
    print(
        f"{'track':<7}{'label':<12}{'meshes':>7}{'seen':>6}{'stray mm':>10}{'turn deg':>10}{'off mm':>8}  verdict"
    )
    for track_id in sorted({thing.track_id for item in tracked for thing in item.objects}):
        print(row([thing for item in tracked for thing in item.objects if thing.track_id == track_id], scene))


def row(things: list[TrackedObject], scene: Scene) -> str:
    """One track: how steady, and how far from the truth."""
    last = things[-1]
    version = [thing for thing in things if thing.mesh_version == last.mesh_version]
    middle = last.estimate.mesh.bounds.mean(axis=0)
    centers = np.array([thing.fixed_from_object.apply(middle) for thing in version])
    center = np.median(centers, axis=0)
    stray = 1e3 * np.linalg.norm(centers - center, axis=1).max()
    turns = [
        np.trace(last.fixed_from_object.rotation.T @ thing.fixed_from_object.rotation) for thing in version
    ]
    turn = np.degrees(np.arccos(np.clip((np.array(turns) - 1.0) / 2.0, -1.0, 1.0))).max()
    truths = [thing.world_from_object.apply(thing.mesh.bounds.mean(axis=0)) for thing in scene.objects]
    off = 1e3 * np.linalg.norm(np.array(truths) - center, axis=1).min()
    seen = sum(thing.is_seen for thing in things)
    verdict = last.estimate.verdict
    return (
        f"{last.track_id:<7}{last.estimate.label[:11]:<12}{last.mesh_version:>7}{seen:>6}{stray:>10.1f}{turn:>10.1f}"
        f"{off:>8.1f}  {verdict.state.name} {' '.join(verdict.reasons)}"
    )


if __name__ == "__main__":
    main()
