"""The encoders of images, masks and point maps, and their fusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sam3d_ros.models.objects.conditioning import ConditionConfig, ConditionEncoder, Stream
from sam3d_ros.models.objects.dinov2 import DinoConfig, DinoEncoder
from sam3d_ros.models.objects.point_patches import PointPatchConfig, PointPatchEncoder
from sam3d_ros.models.weights import loaded, on_meta


def dino_config(config: dict[str, Any]) -> DinoConfig:
    vit = config["vit"]
    return DinoConfig(
        width=vit["embed_dim"],
        depth=vit["depth"],
        heads=vit["num_heads"],
        mlp_ratio=vit["mlp_ratio"],
        patch=vit["patch_size"],
        grid=vit["img_size"] // vit["patch_size"],
        registers=vit["num_register_tokens"],
        input_size=config["input_size"],
        keep_registers=config["prenorm_features"],
    )


def point_config(config: dict[str, Any]) -> PointPatchConfig:
    return PointPatchConfig(
        width=config["embed_dim"], input_size=config["input_size"], patch=config["patch_size"]
    )


@pytest.mark.parametrize(("variant", "keep_registers"), [("norm", False), ("prenorm", True)])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_dino_parity(golden, variant, keep_registers, kind):
    data = golden("dino_embedder")
    config = replace(dino_config(data.config), keep_registers=keep_registers)
    encoder = loaded(lambda: DinoEncoder(config), data.weights)
    tokens = encoder(data.given(kind))
    data.check(f"{variant}.{kind}", tokens)
    assert tokens.shape[1] == config.tokens


def test_point_patches_parity(golden):
    data = golden("pointpatch_embed")
    encoder = loaded(lambda: PointPatchEncoder(point_config(data.config)), data.weights)
    data.check("per_pixel_embed", encoder.embed_points(data.given("xyz")))
    data.check("tokens", encoder(data.given("xyz")))
    data.check("tokens_same", encoder(data.given("xyz_same")))


def test_fuser_parity(golden):
    data = golden("embedder_fuser")
    config = ConditionConfig(
        dino_config(data.config["dino"]),
        point_config(data.config["pointpatch"]),
        data.config["fuser"]["projection_net_hidden_dim_multiplier"],
    )
    encoder = loaded(lambda: ConditionEncoder(config), data.weights)
    inputs = {stream.name: data.given(stream.name) for stream in config.streams}
    mapping = [name for group in data.config["mapping"] for name, _ in group]
    assert [stream.name for stream in config.streams] == mapping
    tokens = encoder(inputs)
    data.check("tokens", tokens)
    assert tokens.shape[1] == config.tokens
    images = {name: value for name, value in inputs.items() if "pointmap" not in name}
    data.check("tokens_drop_pointmap", encoder(images))


def test_released_token_counts():
    assert ConditionConfig.released_geometry().tokens == 7528
    assert ConditionConfig.released_refinement().tokens == 5496


def streams(config: ConditionConfig, *inputs: dict[str, torch.Tensor]) -> list[tuple[str, Stream]]:
    """Names and streams of the inputs."""
    return [(s.name, s) for s in config.streams if any(s.name in given for given in inputs)]


def test_shared_full_view_gives_the_same_tokens():
    torch.manual_seed(0)
    config = ConditionConfig.tiny_geometry()
    encoder = ConditionEncoder(config)
    size = config.dino.input_size
    crops = {"image": torch.rand(3, 3, size, size), "mask": torch.rand(3, 1, size, size)}
    full = {"rgb_image": torch.rand(1, 3, size, size), "rgb_image_mask": torch.rand(1, 1, size, size)}
    with torch.no_grad():
        shared = encoder({**crops, **full})
        repeated = encoder({**crops, **{name: value.expand(3, -1, -1, -1) for name, value in full.items()}})
        context = encoder.context(
            {n: encoder.encode(s, {**crops, **full}[n]) for n, s in streams(config, full, crops)}
        )
    torch.testing.assert_close(shared, repeated)
    # The context has the same tokens; which of them are shared does not depend on the object.
    order = torch.cat([context.joined()[:, : config.dino.tokens], context.shared.expand(3, -1, -1)], dim=1)
    torch.testing.assert_close(order, shared[:, : 2 * config.dino.tokens])
    torch.testing.assert_close(context.own[:, config.dino.tokens :], shared[:, 2 * config.dino.tokens :])


def test_unknown_and_missing_inputs_are_refused():
    encoder = on_meta(lambda: ConditionEncoder(ConditionConfig.tiny_refinement()))
    with pytest.raises(ValueError, match="unknown inputs"):
        encoder({"depth": torch.zeros(1, 1, 8, 8, device="meta")})
    with pytest.raises(ValueError, match="rgb_image_mask"):
        encoder.context({"image": torch.zeros(1, 1, 8)})
