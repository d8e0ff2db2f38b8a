"""What the frame player plays: recorded frame folders or procedural scenes, as the same sequence of captures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import trimesh
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import BODY_FROM_OPTICAL, Similarity
from sam3d_ros.perception.frame_folder import FrameFolder, TrueObject, read_frame_folder


@dataclass(frozen=True, eq=False)
class TrueBox:
    """The true box of an object.

    Attributes:
        instance_id: the object, whatever number the segmenter gives it.
        label: class name.
        camera_from_box: pose of the box's centre and axes in the optical frame, metres, scale one.
        size: (3,) full lengths along the box axes, metres.
    """

    instance_id: int
    label: str
    camera_from_box: Similarity
    size: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Capture:
    """What the sensors give at one moment.

    Attributes:
        camera: intrinsics of the colour image.
        rgb: (H, W, 3) uint8.
        labels: (H, W) uint16 instance ids, 0 = none.
        depth: (H, W) float32 metres, 0 = unknown; None = no such sensor.
        lidar: (N, 4) float32 x y z (metres, sensor frame) and intensity; None = no such sensor.
        camera_from_lidar: pose of that sensor in the optical frame; None = no such sensor.
        label_names: instance id -> class name.
        truth: what is really there, as far as known.
        fixed_from_camera: pose of the optical frame in the fixed frame.
    """

    camera: Camera
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    depth: NDArray[np.float32] | None = None
    lidar: NDArray[np.float32] | None = None
    camera_from_lidar: Similarity | None = None
    label_names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    truth: tuple[TrueBox, ...] = ()
    fixed_from_camera: Similarity = field(default_factory=lambda: Similarity(BODY_FROM_OPTICAL))


def captures_of_folder(path: str | Path) -> list[Capture]:
    """The capture of one frame folder, or those of every frame folder inside a folder, by name.

    Raises:
        FrameFolderError: there is no such folder, or a frame in it cannot be used.
    """
    root = Path(path)
    frames = sorted(child.parent for child in root.glob("*/camera.json"))
    if (root / "camera.json").exists() or not frames:
        frames = [root]
    return [_capture(read_frame_folder(frame)) for frame in frames]


def _capture(folder: FrameFolder) -> Capture:
    boxes = (true_box(thing) for thing in folder.objects)
    return Capture(
        camera=folder.camera,
        rgb=folder.rgb,
        labels=folder.labels,
        depth=folder.depth,
        lidar=folder.lidar,
        camera_from_lidar=folder.camera_from_lidar,
        label_names=folder.label_names,
        truth=tuple(box for box in boxes if box is not None),
    )


def true_box(thing: TrueObject) -> TrueBox | None:
    """The box of an annotated object along the axes of its mesh; None where pose or extent is not known."""
    if thing.camera_from_object is None:
        return None
    center, size = np.zeros(3), thing.size
    if thing.mesh_path is not None:
        mesh = trimesh.load(thing.mesh_path, force="mesh", process=False, skip_materials=True)
        low, high = np.asarray(mesh.bounds, dtype=np.float64) * thing.mesh_unit
        center, size = (low + high) / 2, high - low
    if size is None:
        return None
    pose = thing.camera_from_object
    return TrueBox(
        thing.instance_id,
        thing.label,
        Similarity(pose.rotation, pose.apply(center)),
        np.asarray(size * pose.scale),
    )
