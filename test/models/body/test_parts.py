"""The parts of the network, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sam3d_ros.models.body.decoder import Decoder, DecoderConfig, DecoderLayer
from sam3d_ros.models.body.dinov3 import DinoV3, DinoV3Config, rotary_angles
from sam3d_ros.models.body.perceptrons import FeedForward, Perceptron
from sam3d_ros.models.body.pose_head import CameraHead
from sam3d_ros.models.body.prompts import PromptEncoder
from sam3d_ros.models.body.rays import RayEmbedding, fourier_features, shrunk_rays
from sam3d_ros.models.body.vit import Vit, VitConfig
from sam3d_ros.models.weights import loaded, without_prefix

TOLERANCE = 1e-5


def dinov3_config(config: dict[str, Any]) -> DinoV3Config:
    return DinoV3Config(
        width=config["embed_dim"],
        depth=config["depth"],
        heads=config["heads"],
        hidden=config["swiglu_hidden"],
        registers=config["n_storage"],
        rope_base=config["rope_base"],
    )


def decoder_config(config: dict[str, Any]) -> DecoderConfig:
    return DecoderConfig(
        width=config.get("dims", config.get("token_dims")),
        context_width=config["context_dims"],
        depth=config.get("depth", 1),
        heads=config["num_heads"],
        head_width=config["head_dims"],
        hidden=config["mlp_dims"],
        repeat_positions=config.get("repeat_pe", True),
        two_way=config.get("enable_twoway", False),
    )


def test_dinov3_parity(body_set, assert_near):
    dinov3 = body_set("dinov3_tiny")
    data, config = dinov3.load(), dinov3_config(dinov3.config)
    encoder = loaded(lambda: DinoV3(config), dinov3.weights())
    assert_near(encoder(data["x"]), data["y"], TOLERANCE)
    assert_near(encoder(data["x_rect"]), data["y_rect"], TOLERANCE)
    angles = rotary_angles(encoder.rope_embed.periods, 4, 6)
    assert_near(angles.cos(), data["rope_cos_4x6"], TOLERANCE)
    assert_near(angles.sin(), data["rope_sin_4x6"], TOLERANCE)
    torch.testing.assert_close(DinoV3(config).rope_embed.periods, encoder.rope_embed.periods)


def test_dinov3_in_bfloat16(body_set, assert_near):
    """No further from the official run in bfloat16 than that is from float32."""
    dinov3 = body_set("dinov3_tiny")
    data = dinov3.load()
    weights = {key: value.bfloat16() for key, value in dinov3.weights().items()}
    encoder = loaded(lambda: DinoV3(dinov3_config(dinov3.config)), weights)
    official = data["y_bf16_official"]
    noise = (official - data["y"]).abs().max().item()
    assert_near(encoder(data["x"].bfloat16()).float(), official, noise)


def test_vit_parity(body_set, assert_near):
    vit = body_set("vit_tiny")
    config, data = vit.config, vit.load()
    height, width = config["img_size"]
    sizes = VitConfig(
        width=config["embed_dim"],
        depth=config["depth"],
        heads=config["heads"],
        mlp_ratio=config["mlp_ratio"],
        patch=config["patch"],
        rows=height // config["patch"],
        columns=width // config["patch"],
    )
    assert_near(loaded(lambda: Vit(sizes), vit.weights())(data["x"]), data["y"], TOLERANCE)


@pytest.mark.parametrize("name", ["prompt_encoder_v1", "prompt_encoder_v2"])
def test_prompt_parity(body_set, assert_near, name):
    prompt = body_set(name)
    data, mask_steps = prompt.load(), {"v1": 4, "v2": 2}[prompt.config["mask_embed_type"]]
    encoder = loaded(lambda: PromptEncoder(prompt.config["embed_dim"], mask_steps), prompt.weights())
    assert_near(encoder.keypoints(data["keypoints"]), data["sparse"], TOLERANCE)
    scores, columns = torch.ones(len(data["masks"])), data["mask_embed"].shape[-1]
    assert_near(encoder.masks(data["masks"], scores, columns), data["mask_embed"], TOLERANCE)
    assert_near(encoder.masks(data["masks"], 0 * scores, columns), data["no_mask_embed"], TOLERANCE)
    scores = torch.tensor([0.5] + [0.0] * (len(scores) - 1))
    mixed = encoder.masks(data["masks"], scores, columns)
    assert_near(mixed[0], 0.5 * data["mask_embed"][0], TOLERANCE)
    assert_near(mixed[1], data["no_mask_embed"][1], TOLERANCE)
    assert_near(encoder.pe_layer.grid(4, 4), data["dense_pe_4x4"], TOLERANCE)
    assert_near(encoder.pe_layer.grid(32, 24), data["dense_pe_32x32_cols4_28"], TOLERANCE)


def test_ray_parity(body_set, assert_near):
    rays = body_set("camera_encoder")
    config, data = rays.config, rays.load()
    # The official highest frequency is that of two pixels.
    bands = (config["num_bands"], config["max_resolution"] / 2)
    embedding = loaded(
        lambda: RayEmbedding(config["embed_dim"], config["patch_size"], *bands), rays.weights()
    )
    assert_near(shrunk_rays(data["rays"], config["patch_size"]), data["rays_downsampled"], TOLERANCE)
    assert_near(fourier_features(data["fourier_in"], *bands), data["fourier_out"], TOLERANCE)
    assert_near(embedding(data["feat"], data["rays"]), data["out"], TOLERANCE)
    assert_near(embedding(data["feat_rect"], data["rays_rect"]), data["out_rect"], TOLERANCE)


def test_decoder_layer_parity(body_set, assert_near):
    layer_set = body_set("decoder_layer")
    config, data = decoder_config(layer_set.config), layer_set.load()
    inputs = [data[name] for name in ("x", "context", "x_pe", "context_pe")]
    for name, first, mask in (
        ("out", False, None),
        ("out_skip_first_pe", True, None),
        ("out_masked", False, data["x_mask"].bool()),
    ):
        layer = loaded(lambda first=first: DecoderLayer(config, first=first), layer_set.weights())
        assert_near(layer(*inputs, mask)[0], data[name], TOLERANCE)


@pytest.mark.parametrize("name", ["decoder_released", "decoder_twoway", "decoder_nope"])
def test_decoder_parity(body_set, assert_near, name):
    decoder_set = body_set(name)
    data = decoder_set.load()
    decoder = loaded(lambda: Decoder(decoder_config(decoder_set.config)), decoder_set.weights())
    context, context_pe = (data[key].flatten(2).transpose(1, 2) for key in ("image", "image_pe"))
    assert_near(decoder(data["tokens"], context, data["token_pe"], context_pe), data["out"], TOLERANCE)


def test_perceptron_parity(body_set, assert_near):
    heads = body_set("heads_small")
    ffn, mlp, data, state = heads.config["ffn"], heads.config["mlp"], heads.load(), heads.load("state")
    embed, boxes, camera = heads.config["prefixes"]
    two = loaded(lambda: FeedForward(ffn["embed"], ffn["hidden"], ffn["out"]), without_prefix(state, embed))
    assert_near(two(data["ffn_in"]), data["ffn_out"], TOLERANCE)
    three = loaded(lambda: Perceptron(mlp["input"], mlp["hidden"], mlp["out"]), without_prefix(state, boxes))
    assert_near(three(data["mlp_in"]), data["mlp_out"], TOLERANCE)
    width = heads.config["cam"]["input"]
    head = loaded(lambda: CameraHead(width), without_prefix(state, camera))
    assert_near(head(data["cam_token"]) + data["cam_init"], data["pred_cam"], TOLERANCE)
