"""The second picture of the demo: objects and measured points, from beside the camera."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate

BACKGROUND = np.array((40, 44, 52), dtype=np.uint8)
#: Turn of the view about the middle of the objects, radians: around it, and upwards.
SIDE_TURN, LIFT_TURN = 0.7, 0.15
#: Brightness of a surface that is seen edge-on.
AMBIENT = 0.35


def view_from_beside(
    rgb: NDArray[np.uint8], points: NDArray[np.float32], camera: Camera, objects: Sequence[ObjectEstimate]
) -> NDArray[np.uint8]:
    """Draw the meshes in their own colours among the measured points.

    Args:
        rgb: (H, W, 3) uint8 colours of the points.
        points: (H, W, 3) float32 point map in the optical frame, metres, NaN = unknown.
        camera: whose intrinsics the picture takes.
        objects: what to draw.

    Returns:
        (H, W, 3) uint8; the background alone when there is no object to look at.
    """
    picture = np.broadcast_to(BACKGROUND, rgb.shape).copy()
    if not objects:
        return picture
    view_from_camera = _moved_around(
        center=np.mean([thing.center for thing in objects], axis=0),
        upwards=np.mean([thing.camera_from_object.rotation[:, 2] for thing in objects], axis=0),
    )
    scene = RayScene([(thing.mesh, view_from_camera @ thing.camera_from_object) for thing in objects])
    hits = scene.cast(np.nan_to_num(camera.rays()))
    for index, thing in enumerate(objects):
        mask = hits.mesh == index
        corners = thing.mesh.triangles[hits.triangle[mask]].astype(np.int64)
        color = thing.mesh.colors[corners].astype(np.float64).mean(axis=1)
        picture[mask] = color * (AMBIENT + (1 - AMBIENT) * np.abs(hits.normal[mask][:, 2:]))
    known = np.isfinite(points).all(axis=-1)
    seen = view_from_camera.apply(points[known])
    pixels = camera.project(seen)
    inside = camera.contains(pixels)
    columns, rows = np.round(pixels[inside]).astype(np.int64).T
    depth, color = seen[inside, 2], rgb[known][inside]
    # The nearest last, so that it is the one that stays.
    order = np.argsort(-depth)
    order = order[depth[order] < hits.distance[rows[order], columns[order]]]
    picture[rows[order], columns[order]] = color[order]
    return picture


def _moved_around(center: NDArray[np.float64], upwards: NDArray[np.float64]) -> Similarity:
    """`view_from_camera` of a camera that was carried around a point and lifted, and still faces it, upright."""
    around, _ = cv2.Rodrigues(-SIDE_TURN * upwards / max(float(np.linalg.norm(upwards)), 1e-6))
    lifted, _ = cv2.Rodrigues(np.array((LIFT_TURN, 0.0, 0.0)))
    rotation = np.asarray(lifted @ around, dtype=np.float64)
    return Similarity(rotation, center - rotation @ center)
