"""The extraction of meshes from signed distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.models.objects.dual_cases import CORNERS, EDGES, dual_cases
from sam3d_ros.models.objects.flexicubes import (
    CubeWeights,
    Grid,
    Surface,
    case_of_cubes,
    dual_surface,
    lattice,
    surface_cubes,
)


def mesh_of(surface: Surface) -> Mesh:
    vertices = surface.vertices.numpy()
    return Mesh(vertices, surface.triangles.numpy().astype(np.uint32), np.zeros(vertices.shape, np.uint8))


def grid_of(distance: torch.Tensor) -> Grid:
    """Corners at (R + 1)^3 integer positions."""
    resolution = distance.shape[0] - 1
    cubes, coords = lattice(resolution)
    positions = torch.cartesian_prod(*[torch.arange(resolution + 1.0)] * 3)
    flat = distance.flatten()
    return Grid(positions, flat, flat.new_zeros(len(flat), 0), cubes, coords)


def test_extraction_parity(golden, assert_same_surface):
    data = golden("flexicubes")
    cubes, coords = lattice(data.config["res"])
    assert torch.equal(cubes, data.given("cube_idx"))
    distance = data.given("sdf")
    surface = surface_cubes(distance, cubes)
    data.check("surf_cubes", surface)
    data.check("case_ids", case_of_cubes(distance, cubes[surface], coords[surface]))

    colors = data.given("colors").sigmoid()
    grid = Grid(data.given("verts"), distance, colors, cubes, coords)
    weights = CubeWeights(data.given("beta"), data.given("alpha"), data.given("gamma"))
    mesh = dual_surface(grid, weights)
    expected = (data.io["out.vertices"], data.io["out.faces"], data.io["out.colors"])
    assert_same_surface(mesh.vertices, mesh.triangles, mesh.attributes, *expected)
    plain = dual_surface(grid, CubeWeights.neutral(cubes))
    expected = (data.io["out.plain_vertices"], data.io["out.plain_faces"], None)
    assert_same_surface(plain.vertices, plain.triangles, None, *expected)


def test_cases_follow_the_rule():
    table = dual_cases()
    inside = torch.arange(256)[:, None] >> torch.arange(8) & 1
    ends = torch.tensor(EDGES)
    crossed = inside[:, ends[:, 0]] != inside[:, ends[:, 1]]
    assert torch.equal(table.loop >= 0, crossed)
    assert torch.equal(table.loop.amax(dim=1) + 1, table.loops)
    # A loop has at least three edges, and as many as a cube can have: seven.
    for case in range(1, 255):
        size = torch.bincount(table.loop[case][crossed[case]])
        assert size.min() >= 3 and size.max() <= 7
    # One vertex for each isolated inside corner.
    assert table.loops[1] == 1 and table.loops[0b1001] == 2
    # 12 cases with two, 24 with three outside corners have a face that one loop passes twice.
    outside = 8 - inside.sum(dim=1)
    assert torch.bincount(outside[table.shared_face >= 0]).tolist() == [0, 0, 12, 24]


def test_cases_turn_with_the_cube():
    table = dual_cases()
    turned = CORNERS[:, [1, 2, 0]]
    where = (turned * torch.tensor([1, 2, 4])).sum(dim=1)
    for case in range(256):
        image = sum(1 << int(where[i]) for i in range(8) if case >> i & 1)
        assert table.loops[case] == table.loops[image]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_noise_gives_closed_manifold_surfaces(seed):
    rng = torch.Generator().manual_seed(seed)
    distance = torch.ones(8, 8, 8)
    distance[1:-1, 1:-1, 1:-1] = torch.randn(6, 6, 6, generator=rng)
    cubes, _ = lattice(7)
    weights = CubeWeights(
        *(torch.randn(s, generator=rng) for s in ((len(cubes), 12), (len(cubes), 8), (len(cubes),)))
    )
    mesh = mesh_of(dual_surface(grid_of(distance), weights))
    assert mesh.is_watertight()
    assert mesh.volume() > 0


def test_a_sphere_has_its_volume():
    distance = torch.cartesian_prod(*[torch.arange(25.0) - 12] * 3).norm(dim=1).view(25, 25, 25) - 9
    surface = dual_surface(grid_of(distance), CubeWeights.neutral(lattice(24)[0]))
    mesh = mesh_of(surface)
    assert mesh.is_watertight()
    assert mesh.volume() == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.02)
    radius = (surface.vertices - 12).norm(dim=1)
    assert (radius - 9).abs().max() < 0.15


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_one_side_alone_gives_no_surface(value):
    surface = dual_surface(grid_of(torch.full((4, 4, 4), value)), CubeWeights.neutral(lattice(3)[0]))
    assert len(surface.vertices) == 0 and len(surface.triangles) == 0
