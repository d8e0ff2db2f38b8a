"""Simulated views of tabletop scenes with their truth, answered as the graph does it, and many of them at once."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.pose_measures import PoseError, pose_error
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.simulation.frames import camera_from_object, frame_from_depth
from sam3d_ros.simulation.rendering import Rendering, render
from sam3d_ros.simulation.scenes import Scene, SceneObject, random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import random_viewpoint

CAMERA = Camera.from_field_of_view(640, 480, np.deg2rad(60.0))
OBJECTS_IN_A_SCENE = 5
#: Round things of the simulation are so about their own z axis.
_ROUND_AXIS = np.array([0.0, 0.0, 1.0])
#: Variables that hold libraries to one thread: the processes share the cores already.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class View:
    """One simulated frame and what is truly there."""

    scene: Scene
    rendering: Rendering
    frame: Frame

    @cached_property
    def things(self) -> dict[int, SceneObject]:
        """Instance id -> object."""
        return {thing.instance_id: thing for thing in self.scene.objects}

    def pose(self, instance_id: int) -> Similarity:
        """True `camera_from_object`."""
        return camera_from_object(self.rendering, self.things[instance_id])

    def free_axis(self, instance_id: int) -> NDArray[np.float64] | None:
        """The axis that the object is round about, in its own frame."""
        return _ROUND_AXIS if self.things[instance_id].is_round else None

    def pose_error(self, estimate: ObjectEstimate) -> PoseError:
        """What the pose of an estimate has wrong; both origins are the middle of a box."""
        return pose_error(
            estimate.camera_from_object, self.pose(estimate.instance_id), self.free_axis(estimate.instance_id)
        )


def look(scene: Scene, world_from_camera: Similarity, rng: np.random.Generator) -> View:
    """A scene from a place, with the noise of a depth camera."""
    rendering = render(scene, CAMERA, world_from_camera)
    return View(scene, rendering, frame_from_depth(scene, rendering, DepthSensor().measure(rendering, rng)))


def random_view(seed: int) -> View:
    """A random scene of `OBJECTS_IN_A_SCENE` from a random place."""
    scene, rng = random_scene(seed, OBJECTS_IN_A_SCENE), np.random.default_rng(seed)
    return look(scene, random_viewpoint(rng), rng)


def answers(frame: Frame) -> list[tuple[Evidence, ObjectEstimate]]:
    """Every instance of a frame, reconstructed, refined and judged by the pipeline of the graph."""
    evidence = cut(frame)
    return list(zip(evidence, ObjectPipeline(GeometricReconstructor()).reconstruct(evidence), strict=True))


def add_seeds(parser: argparse.ArgumentParser, *, scenes: int) -> None:
    """The options that say which scenes, and in how many processes."""
    parser.add_argument("--scenes", type=int, default=scenes, help=f"simulated scenes (default {scenes})")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first scene (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")


def over_seeds(function: Callable[[int], list[Result]], arguments: argparse.Namespace) -> list[Result]:
    """What a function finds in each scene, one list after another; says how long a scene took.

    Args:
        function: of a seed; to be found in a module, for other processes import it.
        arguments: as `add_seeds` declares them.
    """
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
    start = time.perf_counter()
    results: Sequence[list[Result]]
    if arguments.jobs == 1:
        results = [function(seed) for seed in seeds]
    else:
        for name in _ONE_THREAD:
            os.environ[name] = "1"
        # Not forked: libraries that have threads already do not survive it.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            results = list(pool.map(function, seeds))
    seconds = (time.perf_counter() - start) / max(1, len(seeds))
    print(
        f"{len(seeds)} scenes from seed {arguments.first_seed}, {seconds:.2f} s each in {arguments.jobs} processes"
    )
    return [item for result in results for item in result]
