"""Colours of a carved object: from the image where it is seen, from the symmetric image where that is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Evidence, PosedView
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.symmetry import Symmetry, moved

Array = NDArray[np.float64]

_GRAY = 128


def vertex_colors(
    vertices: Array,
    camera_from_ground: Similarity,
    symmetry: Symmetry,
    views: Sequence[PosedView],
    free_space: FreeSpace,
    tolerance: float,
) -> NDArray[np.uint8]:
    """Colour each vertex.

    A vertex that a camera sees takes its pixel, of the first view that sees it; another one takes the pixel of its
    first symmetric image that is seen; what is left takes the colour of the nearest coloured vertex.

    Args:
        vertices: (N, 3) in the ground frame, metres.
        camera_from_ground: pose of the ground frame.
        symmetry: the motions.
        views: the images.
        free_space: tells what is seen in these views.
        tolerance: metres between a vertex and the measured surface.

    Returns:
        (N, 3) uint8 RGB; gray when nothing is seen at all.
    """
    colors = np.full((len(vertices), 3), _GRAY, np.uint8)
    left = np.arange(len(vertices))
    for motion in (None, *symmetry.motions()):
        for view, space in zip(views, free_space.views, strict=True):
            images = vertices[left] if motion is None else moved(vertices[left], motion)
            seen = space.sees(images, tolerance)
            in_view = view.pose_of(camera_from_ground).apply(images[seen])
            colors[left[seen]] = _pixels(view.evidence, in_view)
            left = left[~seen]
    known = np.delete(np.arange(len(vertices)), left)
    if len(known) and len(left):
        # Built for a single question: a better tree would cost more than it saves.
        tree = cKDTree(vertices[known], compact_nodes=False, balanced_tree=False)
        colors[left] = colors[known[tree.query(vertices[left])[1]]]
    return colors


def _pixels(evidence: Evidence, points: Array) -> NDArray[np.uint8]:
    """(N, 3) colours of the image, bilinear, at points that project into the window."""
    window = evidence.window
    u, v = evidence.camera.project(points.astype(np.float32)).T
    inside_u = np.clip(u, window.left, window.right - 1) - window.left
    inside_v = np.clip(v, window.top, window.bottom - 1) - window.top
    return np.ascontiguousarray(sampled(evidence.rgb, inside_u, inside_v).T)
