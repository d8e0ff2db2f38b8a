"""Colours of a carved object: from the image where it is seen, from the symmetric image where that is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.symmetry import Symmetry

Array = NDArray[np.float64]

_GRAY = 128


def vertex_colors(
    vertices: Array,
    camera_from_ground: Similarity,
    symmetry: Symmetry,
    frame: Frame,
    free_space: FreeSpace,
    tolerance: float,
) -> NDArray[np.uint8]:
    """Colour each vertex.

    A vertex that the camera sees takes its pixel; another one takes the pixel of its first symmetric image that
    is seen; what is left takes the colour of the nearest coloured vertex.

    Args:
        vertices: (N, 3) in the ground frame, metres.
        camera_from_ground: pose of the ground frame.
        symmetry: the motions.
        frame: the image.
        free_space: tells what is seen.
        tolerance: metres between a vertex and the measured surface.

    Returns:
        (N, 3) uint8 RGB; gray when nothing is seen at all.
    """
    colors = np.full((len(vertices), 3), _GRAY, np.uint8)
    left = np.arange(len(vertices))
    for places in (vertices, *symmetry.images(vertices)):
        seen = free_space.sees(places[left], tolerance)
        if seen.any():
            colors[left[seen]] = _pixels(frame, camera_from_ground.apply(places[left[seen]]))
            left = left[~seen]
        if len(left) == 0:
            return colors
    known = np.setdiff1d(np.arange(len(vertices)), left, assume_unique=True)
    if len(known):
        _, nearest = cKDTree(vertices[known]).query(vertices[left])
        colors[left] = colors[known[nearest]]
    return colors


def _pixels(frame: Frame, points: Array) -> NDArray[np.uint8]:
    """(N, 3) colours of the image, bilinear, at points that project into it."""
    pixels = frame.camera.project(points)
    u = np.clip(pixels[:, 0], 0, frame.camera.width - 1)
    v = np.clip(pixels[:, 1], 0, frame.camera.height - 1)
    low_u, low_v = (
        np.minimum(u.astype(int), frame.camera.width - 2),
        np.minimum(v.astype(int), frame.camera.height - 2),
    )
    du, dv = (u - low_u)[:, None], (v - low_v)[:, None]
    rgb = frame.rgb
    top = rgb[low_v, low_u] * (1 - du) + rgb[low_v, low_u + 1] * du
    bottom = rgb[low_v + 1, low_u] * (1 - du) + rgb[low_v + 1, low_u + 1] * du
    return np.asarray(np.round(top * (1 - dv) + bottom * dv), np.uint8)
