"""Simulated frames as frame folders, so that players and benchmarks treat them like recorded ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import write_ply
from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.simulation.frames import camera_from_object
from sam3d_ros.simulation.rendering import Rendering
from sam3d_ros.simulation.scenes import Scene

#: Metres of one unit of `depth.png`: the finest that 16 bits allow for 6 m.
_DEPTH_UNIT = 0.0001


def write_frame_folder(
    path: str | Path,
    scene: Scene,
    rendering: Rendering,
    *,
    depth: NDArray[np.float32] | None = None,
    lidar: NDArray[np.float32] | None = None,
    camera_from_lidar: Similarity | None = None,
) -> None:
    """Write one moment of a scene with its truth.

    The folder holds `rgb.png`, `labels.png`, `camera.json`, `objects.json`, a metric `object_<id>.ply` for each
    object, and `depth.png` and `lidar.npz` where given. The object frame of the truth is the canonical one in
    metres: poses are rigid. `camera.json` also tells `fixed_from_camera`, the place of the camera in the world.

    Args:
        path: the folder; made if it is missing.
        scene, rendering: what was there and what was seen.
        depth: (H, W) metres, 0 = unknown.
        lidar: (N, 4) x y z in the scanner's frame and intensity.
        camera_from_lidar: needed with `lidar`.

    Raises:
        ValueError: a LiDAR sweep comes without its pose.
    """
    if lidar is not None and camera_from_lidar is None:
        raise ValueError("a LiDAR sweep needs camera_from_lidar: give the pose of the scanner in the camera")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    _write_image(folder / "rgb.png", rendering.rgb[..., ::-1])
    _write_image(folder / "labels.png", rendering.labels)
    camera = rendering.camera
    description: dict[str, object] = {
        key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy", "distortion_model")
    }
    description["distortion"] = list(camera.distortion)
    description["fixed_from_camera"] = rendering.world_from_camera.matrix().tolist()
    if depth is not None:
        description["depth_unit_m"] = _DEPTH_UNIT
        counts = np.rint(depth / _DEPTH_UNIT)
        # What 16 bits cannot hold is unknown, not near.
        _write_image(folder / "depth.png", np.where(counts <= 65535, counts, 0).astype(np.uint16))
    if lidar is not None and camera_from_lidar is not None:
        description["camera_from_lidar"] = camera_from_lidar.matrix().tolist()
        np.savez_compressed(folder / "lidar.npz", points=lidar)
    (folder / "camera.json").write_text(json.dumps(description, indent=1))
    entries = []
    for thing in scene.objects:
        name = f"object_{thing.instance_id}.ply"
        pose = camera_from_object(rendering, thing)
        write_ply(folder / name, transformed(thing.mesh, Similarity(scale=pose.scale)))
        entries.append(
            {
                "id": thing.instance_id,
                "class": thing.label,
                "camera_from_object": pose.rigid().matrix().tolist(),
                "mesh": name,
                "mesh_unit_m": 1.0,
                "size_lhw_m": thing.size.tolist(),
                "is_round": thing.is_round,
                "pose_source": "exact, simulated",
            }
        )
    (folder / "objects.json").write_text(json.dumps(entries, indent=1))


def _write_image(path: Path, image: NDArray[np.generic]) -> None:
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path} could not be written: is the disk full?")
