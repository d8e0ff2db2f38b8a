"""Where cameras stand and how they move. World frame: z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.simulation.scenes import Scene

#: Distance to the middle of the table, metres, and elevation above it, degrees: a robot's head or a wrist.
DISTANCES = (0.6, 1.2)
ELEVATIONS = (20.0, 60.0)

_TRIES = 60


def look_at(eye: ArrayLike, target: ArrayLike) -> Similarity:
    """`world_from_camera` of an upright optical frame at `eye` whose z axis points at `target`.

    Raises:
        ValueError: the camera would look straight up or down, where upright has no meaning, or nowhere.
    """
    position = np.asarray(eye, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - position
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-9:
        raise ValueError(
            f"a camera at {position.tolist()} that looks along {forward.tolist()} has no upright pose"
        )
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    return Similarity(np.stack([right, np.cross(forward, right), forward], axis=1), position)


def viewpoint(
    distance: float, azimuth: float, elevation: float, target: ArrayLike = (0.0, 0.0, 0.04)
) -> Similarity:
    """`world_from_camera` that looks at a target from a distance (metres) and direction (radians).

    At azimuth zero the camera stands on the -y side and looks along +y, where scenes have their wall.
    """
    horizontal = distance * np.cos(elevation)
    offset = (horizontal * np.sin(azimuth), -horizontal * np.cos(azimuth), distance * np.sin(elevation))
    return look_at(np.asarray(target, dtype=np.float64) + offset, target)


def random_viewpoint(rng: np.random.Generator) -> Similarity:
    """`world_from_camera` at a random place of the front half around the table, in reach of the ranges above."""
    return viewpoint(
        rng.uniform(*DISTANCES), np.deg2rad(rng.uniform(-60, 60)), np.deg2rad(rng.uniform(*ELEVATIONS))
    )


def view_of_all(
    scene: Scene, camera: Camera, rng: np.random.Generator, *, least_visible: float = 0.5
) -> Similarity:
    """`world_from_camera` of a random viewpoint that sees a good part of every object.

    Args:
        scene: what to look at.
        camera: the intrinsics that decide what is in the picture.
        rng: source of chance.
        least_visible: share of an object's silhouette that neither another object nor the border may hide.

    Raises:
        ValueError: no such viewpoint was found; ask for less, or for a scene with fewer objects.
    """
    for _ in range(_TRIES):
        pose = random_viewpoint(rng)
        if min(visible_shares(scene, camera, pose).values(), default=1.0) >= least_visible:
            return pose
    raise ValueError(
        f"none of {_TRIES} viewpoints sees {least_visible:.0%} of each of {len(scene.objects)} objects"
    )


def visible_shares(scene: Scene, camera: Camera, world_from_camera: Similarity) -> dict[int, float]:
    """Instance id -> share of its silhouette that is seen; the silhouette counts beyond the border, too."""
    # A coarse picture with a margin of its own size around it, without distortion.
    small = Camera.from_field_of_view(160, 120, 2 * np.arctan(camera.width / camera.fx))
    directions = world_from_camera.rotate(small.rays())
    inside = camera.contains(camera.project(small.rays()))
    hits = scene.rays.cast(directions, world_from_camera.translation)
    shares = {}
    for index, thing in enumerate(scene.objects):
        alone = RayScene([(thing.mesh, thing.world_from_object)])
        silhouette = alone.blocked(directions, world_from_camera.translation)
        seen = (hits.mesh == index) & inside
        shares[thing.instance_id] = float(seen.sum() / max(1, silhouette.sum()))
    return shares


def arc(
    count: int,
    *,
    distance: float = 0.85,
    elevation: float = np.deg2rad(35),
    start: float = np.deg2rad(-35),
    end: float = np.deg2rad(35),
    target: ArrayLike = (0.0, 0.0, 0.04),
) -> list[Similarity]:
    """Poses `world_from_camera` of a camera that swings around a target at even steps of the azimuth."""
    azimuths: NDArray[np.float64] = np.linspace(start, end, count)
    return [viewpoint(distance, float(azimuth), elevation, target) for azimuth in azimuths]
