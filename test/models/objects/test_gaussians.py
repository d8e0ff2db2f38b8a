"""The Gaussian decoder and its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sam3d_ros.geometry.splats import write_splats
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.gaussians import GaussianConfig, GaussianDecoder, perturbation
from sam3d_ros.models.objects.latent_decoder import LatentDecoderConfig
from sam3d_ros.models.weights import loaded


def torso_config(config: dict[str, Any]) -> LatentDecoderConfig:
    assert config["attn_mode"] == "swin"
    return LatentDecoderConfig(
        resolution=config["resolution"],
        channels=config["latent_channels"],
        width=config["model_channels"],
        blocks=config["num_blocks"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
        window=config["window_size"],
    )


def gaussian_config(config: dict[str, Any]) -> GaussianConfig:
    head = config["representation_config"]
    rates = dict(head["lr"])
    rotation_rate = rates.pop("_rotation")
    assert (
        set(rates.values()) == {1.0} and head["scaling_activation"] == "softplus" and head["perturb_offset"]
    )
    return GaussianConfig(
        torso_config(config),
        per_voxel=head["num_gaussians"],
        reach=head["voxel_size"],
        min_sigma=head["3d_filter_kernel_size"],
        start_sigma=head["scaling_bias"],
        start_opacity=head["opacity_bias"],
        rotation_rate=rotation_rate,
    )


@pytest.mark.parametrize("name", ["slat_decoder_gs4", "slat_decoder_gs32"])
def test_decoder_parity(golden, name):
    data = golden(name)
    config = gaussian_config(data.config)
    decoder = loaded(lambda: GaussianDecoder(config), data.weights)
    torch.testing.assert_close(perturbation(config.per_voxel, config.reach), decoder.offset_perturbation)
    voxels = VoxelSet(data.given("coords")[:, 1:])
    raw = decoder.raw(data.given("slat"), voxels)
    data.check("raw", raw)
    splats = decoder(data.given("slat"), voxels).arrays()
    data.check("opacity", torch.from_numpy(splats.opacity))
    data.check("scaling", torch.from_numpy(splats.sigma))
    data.check("rotation", torch.from_numpy(splats.unit_rotation))
    data.check("_xyz", torch.from_numpy(splats.position) + 0.5)
    if "out.xyz" in data.io:
        data.check("xyz", torch.from_numpy(splats.position))
        data.check("features", torch.from_numpy(splats.color)[:, None])
        data.check("_features_dc", torch.from_numpy(splats.color)[:, None])
        data.check("_opacity", torch.from_numpy(splats.opacity_logit) - data.io["out.opacity_bias_raw"])
        data.check("_scaling", raw[:, 6 * config.per_voxel : 9 * config.per_voxel].reshape(-1, 3))
        data.check("_rotation", torch.from_numpy(splats.rotation) - torch.tensor([1.0, 0, 0, 0]))


def test_ply_holds_what_viewers_read(tmp_path):
    torch.manual_seed(0)
    decoder = GaussianDecoder(GaussianConfig.tiny()).requires_grad_(False)
    voxels = VoxelSet(torch.nonzero(torch.rand(4, 4, 4) < 0.3))
    splats = decoder(torch.randn(len(voxels), 8), voxels).arrays()
    path = tmp_path / "splats.ply"
    write_splats(path, splats)
    header, body = path.read_bytes().split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    names = [line.split()[-1] for line in lines if line.startswith("property float")]
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert f"element vertex {4 * len(voxels)}" in lines
    table = np.frombuffer(body, "<f4").reshape(-1, len(names))
    column = {name: table[:, i] for i, name in enumerate(names)}
    np.testing.assert_array_equal(np.stack([column[n] for n in "xyz"], 1), splats.position)
    np.testing.assert_allclose(np.exp(column["scale_1"]), splats.sigma[:, 1], rtol=1e-5)
    np.testing.assert_array_equal(column["rot_0"], splats.rotation[:, 0])
    np.testing.assert_allclose(1 / (1 + np.exp(-column["opacity"])), splats.opacity[:, 0], rtol=1e-5)
    assert not column["nx"].any()


def test_splats_stay_near_their_voxel():
    torch.manual_seed(1)
    decoder = GaussianDecoder(GaussianConfig.tiny()).requires_grad_(False)
    voxels = VoxelSet(torch.nonzero(torch.rand(4, 4, 4) < 0.3))
    splats = decoder(100 * torch.randn(len(voxels), 8), voxels).arrays()
    side = 1 / decoder.config.resolution
    center = (voxels.coords + 0.5) * side - 0.5
    offset = torch.from_numpy(splats.position) - center.repeat_interleave(4, dim=0)
    assert offset.abs().max() <= 0.75 * side + 1e-6
    assert splats.sigma.min() >= 0.0009


def test_gradients_reach_the_latents():
    """By differences: a step along the gradient changes a sum of all fields as the gradient says."""
    torch.manual_seed(2)
    decoder = GaussianDecoder(GaussianConfig.tiny())
    voxels = VoxelSet(torch.nonzero(torch.rand(3, 3, 3) < 0.5))
    latent = torch.randn(len(voxels), 8, requires_grad=True)

    def total(latent: torch.Tensor) -> torch.Tensor:
        fields = decoder(latent, voxels)
        return sum(
            (weight * value).sum()
            for weight, value in zip((3e3, 1.0, 1e3, 1.0, 1.0), vars(fields).values(), strict=True)
        )

    total(latent).backward()
    assert all(parameter.grad is not None for parameter in decoder.parameters())
    direction = latent.grad / latent.grad.norm()
    with torch.no_grad():
        change = total(latent + 1e-2 * direction) - total(latent - 1e-2 * direction)
    torch.testing.assert_close(change / 2e-2, latent.grad.norm(), rtol=0.02, atol=0.0)
