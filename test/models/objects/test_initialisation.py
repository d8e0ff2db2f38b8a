"""Networks as they are before training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.parts import ObjectsConfig, Part

CONFIG = ObjectsConfig.tiny()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_time_does_not_matter_before_training():
    model = Part.GEOMETRY.build(CONFIG)
    latents = {name: torch.randn(1, *shape) for name, shape in CONFIG.geometry.latent_shapes.items()}
    tokens = torch.randn(1, 7, CONFIG.geometry.context_width)
    early, late, stepped = (
        model(latents, torch.tensor([t]), step, tokens)
        for t, step in ((10.0, None), (900.0, None), (10.0, torch.tensor([250.0])))
    )
    for name, value in early.items():
        assert value.abs().max() > 0
        torch.testing.assert_close(late[name], value)
        torch.testing.assert_close(stepped[name], value)


def test_a_model_without_steps_is_continued_exactly_by_one_with_steps():
    """Whatever the rest was trained to, the embedding of steps adds nothing at first; and it can learn."""
    model = Part.GEOMETRY.build(CONFIG)
    for block in model.blocks:
        nn.init.normal_(block.adaLN_modulation[1].weight, std=0.3)
    assert model.embed_time(torch.tensor([3.0]), torch.tensor([500.0])).equal(
        model.embed_time(torch.tensor([3.0]), None)
    )
    model.embed_time(torch.tensor([3.0]), torch.tensor([500.0])).sum().backward()
    assert model.d_embedder.mlp[2].weight.grad.abs().max() > 0


def test_refinement_begins_with_no_velocity_and_can_learn():
    model = Part.REFINEMENT.build(CONFIG)
    voxels = VoxelSet(torch.nonzero(torch.rand(4, 4, 4) < 0.5))
    latent = torch.randn(1, len(voxels), 8)
    tokens = torch.randn(1, 7, CONFIG.refinement.context_width)
    velocity = model(latent, torch.tensor([100.0]), tokens, voxels)
    assert velocity.abs().max() == 0
    (velocity - 1).square().sum().backward()
    assert model.out_layer.weight.grad.abs().max() > 0
    block = model.input_blocks[0]
    x = torch.randn(1, len(voxels), CONFIG.refinement.fine_width)
    torch.testing.assert_close(block(x, torch.randn(1, CONFIG.refinement.width), voxels), x)


@pytest.mark.parametrize("part", [Part.GEOMETRY, Part.REFINEMENT, Part.MESH, Part.GAUSSIANS])
def test_linear_layers_keep_the_variance_of_both_directions(part):
    """Uniform between +-sqrt(6 / (in + out)), or zero, or the narrow normal of the embeddings of time."""
    for name, layer in part.build(CONFIG).named_modules():
        if isinstance(layer, nn.Linear):
            assert layer.bias is None or layer.bias.abs().max() == 0, name
            bound = (6 / sum(layer.weight.shape)) ** 0.5
            if "embedder" in name:
                assert layer.weight.abs().max() == 0 or 0.015 < layer.weight.std() < 0.025, name
            elif layer.weight.abs().max() > 0:
                assert 0.8 * bound < layer.weight.abs().max() <= bound, name


def test_embeddings_of_the_condition_are_drawn():
    encoder = Part.GEOMETRY_CONDITION.build(CONFIG)
    assert 0.7 < encoder.idx_emb.std() < 1.3
    points = encoder.module_list[2]
    for embedding in (points.pos_embed, points.pos_embed_window, points.invalid_xyz_token, points.cls_token):
        assert 0.01 < embedding.std() < 0.03
