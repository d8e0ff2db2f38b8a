"""A recording to play: frame folders of a camera that moves around a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.simulation.export import write_frame_folder
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import arc

SEED = 9
FIELD_OF_VIEW = np.deg2rad(60.0)


def write_recording(
    folder: Path, objects: int, frames: int, size: tuple[int, int], *, people: Sequence[int] = ()
) -> None:
    """Write frame folders with depth and the place of the camera, from one end of a swing to the other.

    Args:
        folder: for the frame folders.
        objects: on the table.
        frames: of the swing.
        size: width and height, pixels.
        people: instances that are called people.
    """
    scene = random_scene(SEED, objects)
    camera = Camera.from_field_of_view(*size, FIELD_OF_VIEW)
    rng = np.random.default_rng(SEED)
    for number, pose in enumerate(arc(frames)):
        picture = render(scene, camera, pose)
        path = folder / f"{number:03}"
        write_frame_folder(path, scene, picture, depth=DepthSensor().measure(picture, rng))
        if people:
            (path / "people.json").write_text(json.dumps({"people": [{"id": i} for i in people]}))
