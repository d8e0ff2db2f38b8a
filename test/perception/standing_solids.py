"""Frames whose every number is known: solids of trimesh on a plane, ray-cast without noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame, PointsSource

CAMERA = Camera.from_field_of_view(320, 240, np.deg2rad(50))
IDENTITY = Similarity()


def solid(shape: trimesh.Trimesh) -> Mesh:
    """A trimesh solid as it is, metres."""
    return Mesh(shape.vertices, shape.faces, np.full((len(shape.vertices), 3), 200))


def box(length: float, width: float, height: float) -> Mesh:
    """Standing on z = 0."""
    shape = trimesh.creation.box((length, width, height))
    shape.apply_translation((0, 0, height / 2))
    return solid(shape.subdivide().subdivide())


def cylinder(radius: float, height: float) -> Mesh:
    """Standing on z = 0."""
    shape = trimesh.creation.cylinder(radius, height, sections=96)
    shape.apply_translation((0, 0, height / 2))
    return solid(shape)


def sphere(radius: float) -> Mesh:
    """Lying on z = 0."""
    shape = trimesh.creation.icosphere(4, radius)
    shape.apply_translation((0, 0, radius))
    return solid(shape)


def camera_above(distance: float = 0.8, elevation: float = 35.0) -> Similarity:
    """`camera_from_world` of an upright camera that looks at a point just above the origin of the plane."""
    e = np.deg2rad(elevation)
    eye = np.array([0.0, -distance * np.cos(e), 0.05 + distance * np.sin(e)])
    forward = (0.0, 0.0, 0.05) - eye
    forward /= np.linalg.norm(forward)
    right = np.array([1.0, 0.0, 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return Similarity(rotation, eye).inverse()


def placed(x: float, y: float, yaw: float = 0.0, z: float = 0.0) -> Similarity:
    """`world_from_solid`: moved on the plane and turned about the vertical, degrees."""
    return Similarity(Rotation.from_euler("z", yaw, degrees=True).as_matrix(), (x, y, z))


def look(
    things: Mapping[int, tuple[Mesh, Similarity]],
    camera_from_world: Similarity,
    *,
    camera: Camera = CAMERA,
    floor: bool = True,
    source: PointsSource = PointsSource.DEPTH,
) -> Frame:
    """What a perfect sensor sees of metric solids (id -> mesh, world_from_mesh) on a floor at z = 0."""
    scene = [(mesh, camera_from_world @ world_from_mesh) for mesh, world_from_mesh in things.values()]
    if floor:
        ground = trimesh.creation.box((3, 3, 0.01))
        ground.apply_translation((0, 0, -0.005))
        scene.append((solid(ground), camera_from_world))
    rays = camera.rays()
    hits = RayScene(scene).cast(rays)
    ids = np.array([*things, 0, 0], np.uint16)
    labels = np.where(hits.hit, ids[np.where(hits.hit, hits.mesh, 0)], 0).astype(np.uint16)
    points = np.where(hits.hit[..., None], rays * np.where(hits.hit, hits.distance, 0)[..., None], np.nan)
    shade = (255 * np.clip(np.abs(hits.normal[..., 2]), 0, 1)).astype(np.uint8)
    rgb = np.repeat(shade[..., None], 3, axis=2)
    return Frame(0, "camera", rgb, labels, PointMap(points.astype(np.float32)), source, camera)


def exact_estimate(instance_id: int, mesh: Mesh, camera_from_mesh: Similarity) -> ObjectEstimate:
    """The truth as an estimate: a metric mesh brought into the canonical cube, and its pose."""
    low, high = mesh.bounds.astype(np.float64)
    center, extent = (low + high) / 2, float((high - low).max())
    canonical = Mesh((mesh.vertices - center) / extent, mesh.triangles, mesh.colors)
    pose = camera_from_mesh @ Similarity(np.eye(3), center, np.full(3, extent))
    verdict = Verdict(VerdictState.UNCERTAIN, (), np.nan, np.nan, np.nan, 0, ScaleSource.DEPTH)
    return ObjectEstimate(instance_id, "", canonical, pose, np.eye(6), verdict)
