"""Rooms whose surfaces are known: boards, tables and floors as a perfect or a noisy sensor sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from standing_solids import CAMERA, look, solid

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.simulation.trajectories import look_at

#: Ids of things without a label are above this.
UNLABELLED = 1000
THICKNESS = 0.02


@dataclass(frozen=True)
class Board:
    """A level board.

    Attributes:
        size: x and y, metres.
        top: (3,) the middle of its upper side.
        instance: its label; 0 = none.
    """

    size: tuple[float, float]
    top: tuple[float, float, float]
    instance: int = 0


def seen(
    boards: Sequence[Board],
    eye: Sequence[float],
    target: Sequence[float],
    *,
    roll: float = 0.0,
    things: Mapping[int, tuple[Mesh, Similarity]] | None = None,
    walls: Sequence[tuple[Mesh, Similarity]] = (),
    noise: float = 0.0,
    keep: float = 1.0,
    camera: Camera = CAMERA,
    level: bool = True,
) -> tuple[Frame, Similarity]:
    """A room from a place.

    Args:
        boards: what things stand on.
        eye, target: where the camera is and what it looks at, metres.
        roll: of the camera about its axis, degrees.
        things: id -> mesh, pose; standing anywhere.
        walls: without a label.
        noise: standard deviation of the depth at 1 m, growing with its square.
        keep: share of the points that are measured.
        camera: of the images.
        level: whether the frame says where the camera is; otherwise what is up is not known.

    Returns:
        The frame, and `world_from_camera`.
    """
    placed: dict[int, tuple[Mesh, Similarity]] = dict(things or {})
    for index, board in enumerate(boards):
        shape = trimesh.creation.box((*board.size, THICKNESS))
        pose = Similarity(translation=np.array(board.top) - (0.0, 0.0, THICKNESS / 2))
        placed[board.instance or UNLABELLED + index] = (solid(shape), pose)
    for index, wall in enumerate(walls):
        placed[2 * UNLABELLED + index] = wall
    angle = np.deg2rad(roll)
    turn = Similarity(
        np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    )
    world_from_camera = look_at(eye, target) @ turn
    frame = look(placed, world_from_camera.inverse(), camera=camera, floor=False)
    labels = np.where(frame.labels >= UNLABELLED, 0, frame.labels).astype(np.uint16)
    depth = frame.points[..., 2].astype(np.float64)
    random = np.random.default_rng(0)
    depth = depth * (1.0 + noise * depth * random.standard_normal(depth.shape))
    depth[random.random(depth.shape) >= keep] = np.nan
    points = np.asarray(camera.rays() * depth[..., None], np.float32)
    frame = replace(
        frame,
        labels=labels,
        point_map=PointMap(points),
        points_source=PointsSource.DEPTH,
        fixed_from_camera=world_from_camera if level else None,
    )
    return frame, world_from_camera
