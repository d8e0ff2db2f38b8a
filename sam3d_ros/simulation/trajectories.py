"""Where cameras stand and how they move. World frame: z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3d_ros.geometry.frames import Similarity

#: Distance to the middle of the table, metres, and elevation above it, degrees: a robot's head or a wrist.
DISTANCES = (0.6, 1.2)
ELEVATIONS = (20.0, 60.0)


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
