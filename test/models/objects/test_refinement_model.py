"""Stage 2: the flow over voxel latents."""

from __future__ import annotations

from typing import Any

import torch

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.guidance import VOXELS, ConditionedFlow
from sam3d_ros.models.objects.refinement_model import RefinementConfig, RefinementModel
from sam3d_ros.models.objects.sampling import Schedule, guide, sample
from sam3d_ros.models.weights import loaded, without_prefix


def refinement_config(config: dict[str, Any], **statistics: tuple[float, ...]) -> RefinementConfig:
    (fine_width,) = config["io_block_channels"]
    assert config["patch_size"] == 2
    return RefinementConfig(
        channels=config["in_channels"],
        fine_width=fine_width,
        width=config["model_channels"],
        context_width=config["cond_channels"],
        blocks=config["num_blocks"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
        fine_blocks=config["num_io_res_blocks"],
        **statistics,
    )


def test_velocity_parity(golden):
    data = golden("slat_flow")
    model = loaded(lambda: RefinementModel(refinement_config(data.config)), data.weights)
    t, condition = data.given("t"), data.given("cond")
    voxels = VoxelSet(data.given("coords")[:, 1:])
    data.check("v", model(data.given("x"), t, condition, voxels))
    data.check("v", model(data.given("x"), t, model.context(Context(condition)), voxels))
    data.check("v_uncond", model(data.given("x"), t, torch.zeros_like(condition), voxels))

    states = {}
    for part in ("input_block", "block", "out_block"):
        for index, block in enumerate(getattr(model, f"{part}s")):
            name = f"{part}{index}"
            block.register_forward_hook(lambda _m, _i, out, name=name: states.update({name: out[0]}))
    dense = VoxelSet(data.given("coords_dense")[:, 1:])
    data.check("v_dense", model(data.given("x_dense"), t, condition, dense))
    for name, state in states.items():
        data.check(name, state)


def test_sampler_parity(golden):
    data = golden("slat_generator_loop")
    run = data.config["override"]
    mean, std = (tuple(data.config[name]) for name in ("slat_mean", "slat_std"))
    model = loaded(
        lambda: RefinementModel(refinement_config(data.config["backbone"], mean=mean, std=std)),
        without_prefix(data.weights, "reverse_fn.backbone."),
    )
    schedule = Schedule(
        run["steps"],
        rescale=run["rescale_t"],
        guidance=run["strength"],
        guidance_end=run["interval"][1] / 1000,
    )
    data.check("t_seq", torch.from_numpy(schedule.times))
    voxels = VoxelSet(data.given("coords")[:, 1:])
    noise = {VOXELS: data.given("noise")}
    for reuse, stacked in ((True, True), (True, False), (False, False)):
        flow = ConditionedFlow.of_refinement(
            model, Context(data.given("cond")), voxels, reuse=reuse, stacked=stacked
        )
        x = noise[VOXELS]
        for index, (t, until) in enumerate(zip(schedule.times[:-1], schedule.times[1:], strict=True)):
            guided = schedule.is_guided(t)
            v = (
                guide(*flow.both({VOXELS: x}, t, 0.0), schedule)
                if guided
                else flow.conditional({VOXELS: x}, t, 0.0)
            )
            x = x + v[VOXELS] * (until - t)
            data.check(f"x_step{index}", x)
        final = sample(flow, noise, schedule)[VOXELS]
        data.check("slat_denorm", model.config.destandardise(final[0]))


def test_reuse_changes_nothing():
    torch.manual_seed(0)
    model = RefinementModel(RefinementConfig.tiny()).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    voxels = VoxelSet(torch.nonzero(torch.rand(6, 6, 6) < 0.4))
    noise = {VOXELS: torch.randn(1, len(voxels), 8)}
    tokens = Context(torch.randn(1, 9, model.config.context_width))
    schedule = Schedule.refinement(steps=5)
    reused, plain = (
        sample(ConditionedFlow.of_refinement(model, tokens, voxels, reuse=reuse), noise, schedule)[VOXELS]
        for reuse in (True, False)
    )
    torch.testing.assert_close(reused, plain, rtol=1e-5, atol=1e-5)
