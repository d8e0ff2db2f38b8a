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
from sam3d_ros.perception.recorded.frame_folder import FrameFolder, TrueObject, read_frame_folder
from sam3d_ros.simulation.frames import camera_from_object
from sam3d_ros.simulation.rendering import Rendering, render
from sam3d_ros.simulation.scenes import Scene, random_scene
from sam3d_ros.simulation.sensors import DepthSensor, Lidar
from sam3d_ros.simulation.trajectories import arc, viewpoint

#: Horizontal field of view of the camera of procedural scenes, radians.
FIELD_OF_VIEW = np.deg2rad(60.0)
#: Where it stands when it does not move: metres from the middle of the table, radians above it.
CAMERA_DISTANCE, CAMERA_ELEVATION = 0.85, np.deg2rad(35.0)
#: Frames of one swing, and frames with different noise of a static camera.
ARC_FRAMES, STATIC_FRAMES = 20, 8
#: Where a camera stands of which nobody told: in the fixed frame, which looks the same way.
FIXED_FROM_CAMERA = Similarity(BODY_FROM_OPTICAL)
#: The LiDAR sits above the camera and looks the same way: x forward, z up.
CAMERA_FROM_LIDAR = Similarity(BODY_FROM_OPTICAL.T, np.array((0.0, -0.08, 0.0)))


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
    fixed_from_camera: Similarity = FIXED_FROM_CAMERA


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


def captures_of_scene(
    seed: int, object_count: int, camera_motion: str, size: tuple[int, int] = (640, 480)
) -> list[Capture]:
    """A procedural tabletop scene as a depth camera and a LiDAR behind it see it.

    Args:
        seed: of the scene and of the sensors' noise.
        object_count: objects on the table.
        camera_motion: `static`, or `arc` for a camera that swings around the table and back.
        size: width and height of the images, pixels; the horizontal field of view is the same for all.

    Raises:
        ValueError: the objects do not fit on the table.
    """
    scene = random_scene(seed, object_count)
    camera = Camera.from_field_of_view(*size, FIELD_OF_VIEW)
    rng = np.random.default_rng(seed)
    if camera_motion == "arc":
        there = [_captured(scene, render(scene, camera, pose), rng) for pose in arc(ARC_FRAMES)]
        return there + there[-2:0:-1]
    picture = render(scene, camera, viewpoint(CAMERA_DISTANCE, 0.0, CAMERA_ELEVATION))
    return [_captured(scene, picture, rng) for _ in range(STATIC_FRAMES)]


def _captured(scene: Scene, picture: Rendering, rng: np.random.Generator) -> Capture:
    """What the sensors make of a picture; the noise differs from call to call."""
    truth = []
    for thing in scene.objects:
        pose = camera_from_object(picture, thing)
        center = pose.apply(thing.mesh.bounds.astype(np.float64).mean(axis=0))
        truth.append(TrueBox(thing.instance_id, thing.label, Similarity(pose.rotation, center), thing.size))
    return Capture(
        camera=picture.camera,
        rgb=picture.rgb,
        labels=picture.labels,
        depth=DepthSensor().measure(picture, rng),
        lidar=Lidar().scan(scene, picture.world_from_camera @ CAMERA_FROM_LIDAR, rng),
        camera_from_lidar=CAMERA_FROM_LIDAR,
        label_names=scene.label_names,
        truth=tuple(truth),
        fixed_from_camera=picture.world_from_camera,
    )


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
        fixed_from_camera=folder.fixed_from_camera or FIXED_FROM_CAMERA,
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
