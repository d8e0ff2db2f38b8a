"""Stage 2: the flow over voxel latents."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_the_same_whatever_is_spared(seed, count, batch):
    """From one voxel on: shared tokens, one time for all rows, and tables instead of pairs."""
    generator = torch.Generator().manual_seed(seed)
    model = RefinementModel(RefinementConfig.tiny()).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    places = torch.randperm(6**3, generator=generator)[:count]
    voxels = VoxelSet(torch.stack([places // 36, places // 6 % 6, places % 6], dim=1))
    latent = torch.randn(batch, count, 8, generator=generator)
    context = Context(
        torch.randn(batch, 5, model.config.context_width, generator=generator),
        torch.randn(1, 4, model.config.context_width, generator=generator),
    )
    each = torch.full((batch,), 200.0)
    plain = model(latent, each, context.joined(), VoxelSet(voxels.coords))
    voxels.prepare()
    spared = model(latent, each[:1], model.context(context), voxels)
    torch.testing.assert_close(spared, plain, rtol=1e-5, atol=1e-5 * float(plain.abs().max()))
    again = model(latent, each[:1], model.context(context), voxels)
    assert torch.equal(spared, again)


def test_variable_lengths_are_attended_without_plans():
    """The library that plans for each shape is off within, and as it was afterwards."""
    seen = []
    model = RefinementModel(RefinementConfig.tiny()).eval()
    model.blocks[0].register_forward_hook(lambda *_: seen.append(torch.backends.cuda.cudnn_sdp_enabled()))
    before = torch.backends.cuda.cudnn_sdp_enabled()
    voxels = VoxelSet(torch.tensor([[0, 0, 0]]))
    model(torch.zeros(1, 1, 8), torch.zeros(1), torch.zeros(1, 3, model.config.context_width), voxels)
    assert seen == [False]
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
