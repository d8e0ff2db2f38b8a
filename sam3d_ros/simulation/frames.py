"""Simulated frames, in the type that real frames come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.pointmaps import known_depth, pointmap_from_lidar
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.simulation.rendering import Rendering
from sam3d_ros.simulation.scenes import Scene, SceneObject

FRAME_ID = "camera_color_optical_frame"


def frame_from_depth(
    scene: Scene,
    rendering: Rendering,
    depth: NDArray[np.float32],
    *,
    stamp: int = 0,
    frame_id: str = FRAME_ID,
) -> Frame:
    """A frame with the points of a depth image.

    Args:
        scene: for the names of the labels.
        rendering: colour and labels.
        depth: (H, W) metres, 0 = unknown, as `DepthSensor.measure` gives it.
        stamp: nanoseconds.
        frame_id: optical frame.
    """
    point_map = PointMap.from_depth(known_depth(depth), rendering.camera)
    return _frame(scene, rendering, point_map, PointsSource.DEPTH, stamp, frame_id)


def frame_from_lidar(
    scene: Scene,
    rendering: Rendering,
    sweep: NDArray[np.float32],
    camera_from_lidar: Similarity,
    *,
    stamp: int = 0,
    frame_id: str = FRAME_ID,
) -> Frame:
    """A frame with the points of a LiDAR sweep, (N, 4) as `Lidar.scan` gives it."""
    point_map = PointMap(pointmap_from_lidar(sweep, camera_from_lidar, rendering.camera))
    return _frame(scene, rendering, point_map, PointsSource.LIDAR, stamp, frame_id)


def camera_from_object(rendering: Rendering, thing: SceneObject) -> Similarity:
    """True pose of an object in the optical frame of a picture, canonical to metres."""
    return rendering.world_from_camera.inverse() @ thing.world_from_object


def _frame(
    scene: Scene,
    rendering: Rendering,
    point_map: PointMap,
    source: PointsSource,
    stamp: int,
    frame_id: str,
) -> Frame:
    return Frame(
        stamp=stamp,
        frame_id=frame_id,
        rgb=rendering.rgb,
        labels=rendering.labels,
        point_map=point_map,
        points_source=source,
        camera=rendering.camera,
        label_names=scene.label_names,
        fixed_from_camera=rendering.world_from_camera,
    )
