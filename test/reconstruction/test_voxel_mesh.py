"""The surface of voxels, against solids whose volume and bounds are known."""

from __future__ import annotations

import numpy as np
import pytest

from sam3d_ros.reconstruction.voxel_mesh import voxel_mesh

RED = np.array([200, 10, 20], np.uint8)


def shell_of_block(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    """Voxels of a block's surface, both corners included."""
    grid = np.stack(
        np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij"), -1
    )
    voxels = grid.reshape(-1, 3)
    return voxels[((voxels == low) | (voxels == high)).any(axis=1)]


@pytest.mark.parametrize(
    ("low", "high"), [((2, 4, 6), (13, 11, 9)), ((0, 0, 0), (15, 15, 15)), ((0, 3, 3), (9, 12, 15))]
)
def test_a_block_is_where_its_voxels_are(low: tuple[int, int, int], high: tuple[int, int, int]) -> None:
    mesh = voxel_mesh(shell_of_block(low, high), 16, RED)
    expected = np.array([low, np.add(high, 1)]) / 16 - 0.5
    np.testing.assert_allclose(mesh.bounds, expected, atol=1e-6)
    assert mesh.is_watertight()
    volume = np.prod(expected[1] - expected[0])
    # Filled within and outward; marching cubes cuts the edges off.
    assert 0.85 * volume < mesh.volume() <= volume + 1e-6
    assert (mesh.colors == RED).all()


def test_one_voxel_is_enough() -> None:
    mesh = voxel_mesh(np.array([[3, 4, 5]]), 8, RED)
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), (np.array([3, 4, 5]) + 0.5) / 8 - 0.5, atol=1e-6)
    assert mesh.volume() > 0
