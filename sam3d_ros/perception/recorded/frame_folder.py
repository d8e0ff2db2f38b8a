"""Frames kept in a folder: one moment of the sensors, and what is truly there as far as known.

A folder holds `rgb.png` or `rgb.jpg`, `camera.json`, `labels.png`, and, where there is such a thing,
`depth.png`, `lidar.npz`, `objects.json` and `people.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.pointmaps import known_depth, pointmap_from_lidar
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.recorded.frame_files import (
    FrameFolderError,
    TrueObject,
    read_camera,
    read_depth,
    read_labels,
    read_lidar,
    read_objects,
    read_people,
    read_rgb,
)

__all__ = ["PERSON", "FrameFolder", "FrameFolderError", "TrueObject", "read_frame_folder"]

#: Class name of the instances that `people.json` lists.
PERSON = "person"


@dataclass(frozen=True, eq=False)
class FrameFolder:
    """The content of a frame folder, as the sensors gave it.

    Attributes:
        path: the folder.
        camera: intrinsics of the colour image.
        rgb: (H, W, 3) uint8.
        labels: (H, W) uint16 instance of each pixel, 0 = none.
        depth: (H, W) float32 metres along the optical axis, registered to `rgb`, 0 = unknown; None = no such
            sensor.
        lidar: (N, 4) float32 x y z in metres in the sensor frame, and intensity; None = no such sensor.
        camera_from_lidar: pose of that sensor in the optical frame; None = no such sensor.
        fixed_from_camera: pose of the camera in the fixed frame; None = nobody told.
        objects: what is truly there; empty when nobody told.
        people: the entries of `people.json`, unchanged.
    """

    path: Path
    camera: Camera
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    depth: NDArray[np.float32] | None
    lidar: NDArray[np.float32] | None
    camera_from_lidar: Similarity | None
    fixed_from_camera: Similarity | None
    objects: tuple[TrueObject, ...]
    people: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        """`SET/FRAME`: the last two parts of the path."""
        return "/".join(self.path.resolve().parts[-2:])

    @property
    def label_names(self) -> Mapping[int, str]:
        """Instance id -> class name; people are called `PERSON`."""
        names = {thing.instance_id: thing.label for thing in self.objects}
        names.update({int(person["id"]): PERSON for person in self.people})
        return MappingProxyType(names)

    def frame(
        self,
        *,
        stamp: int = 0,
        frame_id: str = "camera_optical_frame",
        fixed_from_camera: Similarity | None = None,
    ) -> Frame:
        """The frame with its point map: from depth where there is any, else from LiDAR, else empty.

        Args:
            stamp: time of the image, nanoseconds.
            frame_id: name of the optical frame.
            fixed_from_camera: pose of the camera in the fixed frame; None = the camera is that frame.
        """
        if self.depth is not None:
            point_map, source = PointMap.from_depth(known_depth(self.depth), self.camera), PointsSource.DEPTH
        elif self.lidar is not None and self.camera_from_lidar is not None:
            point_map = PointMap(pointmap_from_lidar(self.lidar, self.camera_from_lidar, self.camera))
            source = PointsSource.LIDAR
        else:
            point_map, source = PointMap.unknown(*self.labels.shape), PointsSource.NONE
        return Frame(
            stamp=stamp,
            frame_id=frame_id,
            rgb=self.rgb,
            labels=self.labels,
            point_map=point_map,
            points_source=source,
            camera=self.camera,
            label_names=self.label_names,
            fixed_from_camera=fixed_from_camera,
        )


def read_frame_folder(path: str | Path, *, labels_required: bool = True) -> FrameFolder:
    """Read and check a frame folder.

    Args:
        path: the folder.
        labels_required: whether `labels.png` must be there; if not, a missing one means that nothing is
            labelled.

    Raises:
        FrameFolderError: the folder or a file is missing, cannot be read, is truncated, or disagrees with
            another.
    """
    folder = Path(path)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise FrameFolderError(f"{folder} {found}: give a folder with rgb.png, camera.json and labels.png")
    rgb = read_rgb(folder)
    size = rgb.shape[:2]
    told = read_camera(folder / "camera.json", size)
    labels = read_labels(folder / "labels.png", size, required=labels_required)
    lidar = read_lidar(folder / "lidar.npz")
    if lidar is not None and told.camera_from_lidar is None:
        raise FrameFolderError(
            f"{folder / 'camera.json'} has no camera_from_lidar but there is a lidar.npz: "
            "add the 4x4 pose of the LiDAR in the camera, or remove lidar.npz"
        )
    return FrameFolder(
        path=folder,
        camera=told.camera,
        rgb=rgb,
        labels=labels,
        depth=read_depth(folder / "depth.png", size, told.depth_unit),
        lidar=lidar,
        camera_from_lidar=told.camera_from_lidar if lidar is not None else None,
        fixed_from_camera=told.fixed_from_camera,
        objects=read_objects(folder / "objects.json"),
        people=read_people(folder / "people.json"),
    )
