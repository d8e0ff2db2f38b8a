"""Occupancy: its decoder, and the voxels taken from it."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.models.objects.occupancy import halved, occupied_voxels, surface_voxels
from sam3d_ros.models.objects.structure_decoder import StructureDecoder, StructureDecoderConfig
from sam3d_ros.models.weights import loaded


def structure_config(config: dict[str, Any], tokens: int) -> StructureDecoderConfig:
    assert not config["reshape_input_to_cube"]
    return StructureDecoderConfig(
        resolution=round(tokens ** (1 / 3)),
        latent_channels=config["latent_channels"],
        channels=tuple(config["channels"]),
        blocks=config["num_res_blocks"],
        middle_blocks=config["num_res_blocks_middle"],
        out_channels=config["out_channels"],
    )


def with_batch(coords: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(coords, (1, 0))


def test_decoder_parity(golden):
    data = golden("ss_decoder")
    latent = data.given("shape_latent")
    decoder = loaded(lambda: StructureDecoder(structure_config(data.config, latent.shape[1])), data.weights)
    states = {}
    decoder.input_layer.register_forward_hook(lambda _m, _i, out: states.update(input_layer=out))
    decoder.middle_block.register_forward_hook(lambda _m, _i, out: states.update(middle=out))
    logits = decoder(latent)
    data.check("input_layer", states["input_layer"])
    data.check("middle", states["middle"])
    data.check("logits", logits)
    data.check("coords", with_batch(occupied_voxels(logits[0, 0])))
    assert logits.shape[-1] == decoder.config.out_resolution


def test_voxels_parity(golden):
    data = golden("ss_coords")
    assert data.config["max_neighbor_axes_dist"] == 1 and data.config["downsample_factor"] == 2
    coords = occupied_voxels(data.given("occ")[0, 0])
    data.check("coords", with_batch(coords))
    surface = surface_voxels(coords)
    data.check("pruned", with_batch(surface))
    generator = torch.Generator().manual_seed(0)
    for name, limit in (
        ("kept", data.config["released_max_coords"]),
        ("downsampled", data.config["max_coords_small"]),
    ):
        kept, factor = halved(surface, generator, limit)
        data.check(name, with_batch(kept))
        data.check(f"{name}_factor", torch.tensor(factor))


def test_an_empty_grid_has_no_voxels():
    coords = occupied_voxels(torch.full((4, 4, 4), -1.0))
    assert coords.shape == (0, 3)
    assert surface_voxels(coords).shape == (0, 3)
    assert halved(coords, torch.Generator())[0].shape == (0, 3)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.98))
@settings(max_examples=25, deadline=None)
def test_surface_is_what_touches_empty_space(seed, share):
    rng = torch.Generator().manual_seed(seed)
    coords = occupied_voxels(torch.rand(5, 6, 4, generator=rng) - 1 + share)
    filled = {tuple(c) for c in coords.tolist()}
    steps = [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    expected = [
        p for p in sorted(filled) if any(tuple(map(sum, zip(p, s, strict=True))) not in filled for s in steps)
    ]
    assert [tuple(c) for c in surface_voxels(coords).tolist()] == expected


def test_too_many_voxels_are_halved_and_then_thinned():
    coords = torch.cartesian_prod(*[torch.arange(12)] * 3)
    small, factor = halved(coords, torch.Generator().manual_seed(0), 600)
    assert factor == 2 and len(small) == 6**3
    thin, factor = halved(coords, torch.Generator().manual_seed(0), 50)
    assert factor == 2 and len(torch.unique(thin, dim=0)) == 50
