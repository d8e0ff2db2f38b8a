"""A coarse surface of occupied voxels, where the mesh decoder was not asked or found nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from sam3d_ros.geometry.meshes import Mesh


def voxel_mesh(voxels: NDArray[np.integer], resolution: int, color: NDArray[np.uint8]) -> Mesh:
    """The closed surface around voxels, and around what they enclose.

    Args:
        voxels: (N, 3) indices, at least one.
        resolution: voxels along a side of the canonical cube.
        color: (3,) RGB of all vertices.

    Returns:
        The mesh in canonical coordinates.
    """
    grid = np.zeros(
        (resolution + 2,) * 3, bool
    )  # a margin of one voxel closes the surface at the cube's sides
    grid[tuple(np.asarray(voxels).T + 1)] = True
    solid = ndimage.binary_fill_holes(grid).astype(np.float32)
    vertices, triangles, _, _ = marching_cubes(solid, level=0.5)
    canonical = (vertices - 0.5) / resolution - 0.5  # index 1 is the centre of the first voxel
    return Mesh(
        canonical.clip(-0.5, 0.5).astype(np.float32),
        triangles[:, ::-1].astype(np.uint32),  # marching_cubes turns its triangles towards the larger values
        np.tile(color.astype(np.uint8), (len(vertices), 1)),
    )
