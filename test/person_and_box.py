"""A recorded person and a box beside, with depth that agrees with what SAM 3D Body makes of the person."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import trimesh
from body_release import parity_folder

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder

CAMERA = Camera(320, 240, 310.0, 310.0, 164.0, 118.0)
#: Their values in the label image.
PERSON, BOX = 5, 12


def write_frame(folder: Path, depth: np.ndarray) -> Path:
    """A person and a box of 30 x 36 pixels beside, with (H, W) metres."""
    from safetensors.numpy import load_file

    given = load_file(parity_folder() / "e2e_tiny" / "inputs.safetensors")
    folder.mkdir()
    labels = np.where(given["mask1"] > 0, PERSON, 0).astype(np.uint8)
    labels[190:220, 280:316] = BOX
    cv2.imwrite(str(folder / "rgb.png"), given["image"][..., ::-1])
    cv2.imwrite(str(folder / "labels.png"), labels)
    cv2.imwrite(str(folder / "depth.png"), np.rint(1e3 * depth).astype(np.uint16))
    camera = {"width": 320, "height": 240, "fx": 310.0, "fy": 310.0, "cx": 164.0, "cy": 118.0}
    (folder / "camera.json").write_text(json.dumps(camera))
    return folder


def true_depth(checkpoint: Path, scratch: Path) -> np.ndarray:
    """(H, W) metres: the person as predicted without depth, the box a metre nearer than the wall at four."""
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor
    from sam3d_ros.reconstruction.body_config import BodyNetworkConfig

    frame = read_frame_folder(write_frame(scratch, np.zeros((240, 320)))).frame()
    config = BodyNetworkConfig(checkpoint=str(checkpoint), device="cpu", mode="body")
    (body,) = BodyNetworkReconstructor(config).reconstruct(frame, [PERSON])
    assert body.mesh is not None
    seen = RayScene([(body.mesh, body.camera_from_body)]).cast(CAMERA.rays())
    depth = np.where(seen.hit, seen.distance, 4.0)
    depth[(frame.labels == PERSON) & ~seen.hit] = 0.0
    depth[frame.labels == BOX] = 3.0
    return depth


def parts_of(path: Path) -> dict[str, np.ndarray]:
    """Name of each mesh of a GLB -> (V, 3) vertices as they are in the file: y up."""
    scene = trimesh.load(path, process=False)
    found = {}
    for node in scene.graph.nodes_geometry:
        matrix, geometry = scene.graph[node]
        found[node] = trimesh.transform_points(scene.geometry[geometry].vertices, matrix)
    return found
