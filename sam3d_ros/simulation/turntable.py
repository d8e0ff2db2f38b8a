"""Things that turn before a camera that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import LABELS, SceneObject, moved, random_object, random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import viewpoint

_DISTANCE, _ELEVATION = 0.7, np.deg2rad(30.0)
_PERIOD = 1e9 / 15.0


def turning_frames(
    label: str, seed: int, camera: Camera, *, count: int, step: float, axis: tuple[float, float, float]
) -> Iterator[Frame]:
    """Frames at 15 Hz of one thing on a table that turns about its own middle.

    Args:
        label: class of the thing, of `LABELS`.
        seed: of the thing, its surroundings and the noise of the depth.
        camera: of all frames.
        count: frames.
        step: radians from one frame to the next.
        axis: unit direction in the world frame (z up) that it turns about; about another than the vertical it floats.

    Raises:
        ValueError: there is no such class.
    """
    if label not in LABELS:
        raise ValueError(f"{label!r} is no class of the simulation: name one of {', '.join(LABELS)}")
    rng = np.random.default_rng(seed)
    thing = random_object(rng, label, 1)
    if axis != (0.0, 0.0, 1.0):
        thing = moved(thing, Similarity(translation=np.array([0.0, 0.0, np.linalg.norm(thing.size) / 2])))
    stage = random_scene(seed, 1)
    for number in range(count):
        turned = _turned(thing, number * step * np.asarray(axis))
        scene = replace(stage, objects=(turned,))
        target = thing.world_from_object.translation
        rendering = render(scene, camera, viewpoint(_DISTANCE, 0.0, _ELEVATION, target))
        depth = DepthSensor().measure(rendering, rng)
        yield frame_from_depth(scene, rendering, depth, stamp=round(number * _PERIOD))


def _turned(thing: SceneObject, turn: NDArray[np.float64]) -> SceneObject:
    """A thing after a turn (rotation vector) about its own origin."""
    rotation = Rotation.from_rotvec(turn).as_matrix()
    origin = thing.world_from_object.translation
    return moved(thing, Similarity(rotation, origin - rotation @ origin))
