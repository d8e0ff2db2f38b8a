"""The mesh decoder, up to the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.models.layers.sparse import SparseConvolution, subdivide
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.cube_features import CHANNELS, average_corners, surface_of_cubes
from sam3d_ros.models.objects.latent_decoder import LatentDecoderConfig
from sam3d_ros.models.objects.mesh_decoder import MeshConfig, MeshDecoder
from sam3d_ros.models.weights import loaded


def mesh_config(config: dict[str, Any]) -> MeshConfig:
    model = config["model"]
    assert model["attn_mode"] == "swin" and model["representation_config"]["use_color"]
    torso = LatentDecoderConfig(
        resolution=model["resolution"],
        channels=model["latent_channels"],
        width=model["model_channels"],
        blocks=model["num_blocks"],
        heads=model["num_heads"],
        mlp_ratio=model["mlp_ratio"],
        window=model["window_size"],
    )
    return MeshConfig(torso, groups=config["group_norm_groups"])


def test_decoder_parity(golden, assert_same_surface):
    data = golden("slat_decoder_mesh")
    decoder = loaded(lambda: MeshDecoder(mesh_config(data.config)), data.weights)
    voxels = VoxelSet(data.given("coords")[:, 1:])
    states = {}
    for name, blocks in (("block", decoder.blocks), ("up", decoder.upsample)):
        for index, block in enumerate(blocks):
            block.register_forward_hook(lambda _m, _i, out, key=f"{name}{index}": states.update({key: out}))
    features, cubes = decoder.cubes(data.given("slat"), voxels)
    for name, state in states.items():
        if f"out.{name}" in data.io:
            data.check(name, state)
    data.check("up0.coords", F.pad(voxels.fine.coords, (1, 0)))
    data.check("up1.coords", F.pad(cubes.coords, (1, 0)))
    data.check("cube_feats", features)
    surface = decoder(data.given("slat"), voxels)
    expected = (data.io["out.vertices"], data.io["out.faces"], data.io["out.vertex_attrs"])
    assert_same_surface(surface.vertices, surface.triangles, surface.attributes, *expected)


def test_extraction_parity(golden, assert_same_surface):
    data = golden("mesh_extract")
    features, coords, resolution = data.given("feats"), data.given("coords")[:, 1:].long(), data.config["res"]
    corners = average_corners(features, coords, resolution)
    data.check("grid_verts", corners.place)
    data.check("grid_attrs", corners.values)
    surface = surface_of_cubes(features, coords, resolution)
    expected = (data.io["out.vertices"], data.io["out.faces"], data.io["out.vertex_attrs"])
    assert_same_surface(surface.vertices, surface.triangles, surface.attributes, *expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
@settings(max_examples=10, deadline=None)
def test_convolution_on_children_equals_subdividing_first(seed, share):
    rng = torch.Generator().manual_seed(seed)
    coords = torch.nonzero(torch.rand(4, 3, 5, generator=rng) < share)
    voxels = VoxelSet(coords if len(coords) else torch.zeros(1, 3))
    conv = SparseConvolution(4, 3).requires_grad_(False)
    torch.nn.init.normal_(conv.conv.weight)
    torch.nn.init.normal_(conv.conv.bias)
    x = torch.randn(len(voxels), 4)
    torch.testing.assert_close(
        conv.on_children(x, voxels), conv(subdivide(x), voxels.fine), rtol=1e-4, atol=1e-4
    )


def test_cubes_of_a_solid_ball_give_a_closed_mesh():
    """Cubes that cover a ball, with the distance at their corners: the surface is closed, at the right radius."""
    resolution = 32
    coords = torch.cartesian_prod(*[torch.arange(resolution)] * 3)
    corner = torch.tensor([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
    distance = ((coords[:, None] + corner) / resolution - 0.5).norm(dim=-1) - 0.3
    near = (distance < 0).any(dim=1)
    features = torch.zeros(int(near.sum()), CHANNELS)
    features[:, :8] = distance[near] + 1 / resolution
    surface = surface_of_cubes(features, coords[near], resolution)
    vertices = surface.vertices.numpy()
    mesh = Mesh(vertices, surface.triangles.numpy().astype(np.uint32), np.zeros(vertices.shape, np.uint8))
    assert mesh.is_watertight() and mesh.volume() > 0
    assert abs(np.linalg.norm(vertices, axis=1) - 0.3).max() < 0.01
    np.testing.assert_allclose(surface.attributes.numpy(), 0.5, atol=1e-6)


def test_nothing_inside_gives_an_empty_mesh():
    surface = surface_of_cubes(torch.ones(5, CHANNELS), torch.arange(5)[:, None].expand(-1, 3), 8)
    assert surface.vertices.shape == (0, 3) and surface.triangles.shape == (0, 3)
