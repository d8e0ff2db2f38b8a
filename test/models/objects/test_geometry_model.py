"""Stage 1: the mixture of transformers and its samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.embeddings import time_sinusoid
from sam3d_ros.models.objects.geometry_model import POSE, POSE_CHANNELS, SHAPE, GeometryConfig, GeometryModel
from sam3d_ros.models.objects.guidance import ConditionedFlow
from sam3d_ros.models.objects.sampling import Schedule, draw_noise, guide, sample
from sam3d_ros.models.weights import loaded, without_prefix


def geometry_config(config: dict[str, Any]) -> GeometryConfig:
    return GeometryConfig(
        width=config["model_channels"],
        context_width=config["cond_channels"],
        blocks=config["num_blocks"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
        resolution=config["resolution"],
        shape_channels=config["in_channels"],
    )


def random_model(seed: int = 0) -> GeometryModel:
    torch.manual_seed(seed)
    return GeometryModel(GeometryConfig.tiny()).eval().requires_grad_(False)


def test_velocity_parity(golden):
    data = golden("mot_flow")
    model = loaded(lambda: GeometryModel(geometry_config(data.config)), data.weights)
    assert {n: c for n, (_, c) in model.config.latent_shapes.items()} == data.config["latent_channels"]
    assert data.config["latent_share_transformer"] == {POSE: list(POSE_CHANNELS)}
    latents = {name: data.given(f"latent.{name}") for name in model.config.latent_shapes}
    t, step, condition = data.given("t"), data.given("d"), data.given("cond")

    data.check("t_freq", time_sinusoid(t))
    data.check("t_emb", model.t_embedder(t))
    data.check("d_emb", model.d_embedder(step))

    states = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: states.append(out)) for block in model.blocks]
    with_step = model(latents, t, step, condition)
    for hook in hooks:
        hook.remove()
    for index, state in enumerate(states):
        for stream, value in state.items():
            data.check(f"cond_d.block{index}.{stream}", value)

    without_step = model(latents, t, None, condition)
    nothing = model(latents, t, step, torch.zeros_like(condition))
    reused, projected = (
        model(latents, t, step, model.context(Context(condition), absorb=absorb)) for absorb in (True, False)
    )
    for name in latents:
        data.check(f"cond_d.{name}", with_step[name])
        data.check(f"cond_d.{name}", reused[name])
        data.check(f"cond_d.{name}", projected[name])
        data.check(f"cond_nod.{name}", without_step[name])
        data.check(f"uncond_d.{name}", nothing[name])


@pytest.mark.parametrize(("reuse", "stacked"), [(True, True), (True, False), (False, False)])
def test_sampler_parity(golden, reuse, stacked):
    data = golden("shortcut_generator")
    model = loaded(
        lambda: GeometryModel(geometry_config(data.config["backbone"])),
        without_prefix(data.weights, "reverse_fn.backbone."),
    )
    noise = {name: data.given(f"noise.{name}") for name in model.config.latent_shapes}
    flow = ConditionedFlow.of_geometry(model, Context(data.given("cond")), reuse=reuse, stacked=stacked)
    low, high = data.config["cfgmod"]["interval"]
    assert low == 0
    for run in data.config["runs"]:
        schedule = Schedule(
            run["steps"],
            rescale=run["rescale_t"],
            guidance=run["strength"],
            guidance_end=high / 1000,
            shortcut=not run["no_shortcut"],
        )
        name = run["name"]
        data.check(f"{name}.t_seq", torch.from_numpy(schedule.times))
        assert schedule.step_size == data.io[f"out.{name}.d"].item()
        final = sample(flow, noise, schedule)
        for latent, value in final.items():
            data.check(f"{name}.final.{latent}", value)
        if schedule.is_guided(0.0):
            velocity = guide(*flow.both(noise, 0.0, schedule.step_size), schedule)
        else:
            velocity = flow.conditional(noise, 0.0, schedule.step_size)
        for latent, value in velocity.items():
            data.check(f"{name}.step0.{latent}", noise[latent] + value * schedule.times[1])


def test_noise_of_a_seed_parity(golden):
    data = golden("shortcut_generator")
    shapes = geometry_config(data.config["backbone"]).latent_shapes
    for name, value in draw_noise(shapes, torch.Generator().manual_seed(42)).items():
        data.check(f"seed42_cpu_noise.{name}", value)


def test_official_schedule():
    schedule = Schedule.geometry()
    np.testing.assert_allclose(schedule.times[[0, 1, 2, 24, 25]], [0, 0.0137, 0.02817, 0.88889, 1], atol=1e-5)
    assert schedule.evaluations == 44
    assert Schedule.refinement().evaluations == 38
    assert Schedule.geometry_shortcut(4).evaluations == 4
    assert Schedule.geometry_shortcut(4).step_size == 0.25
    with pytest.raises(ValueError, match="at least one"):
        Schedule(0)
    with pytest.raises(ValueError, match="distilled"):
        Schedule(4, guidance=1.0, shortcut=True)


def _noise(model: GeometryModel, *, batch: int = 1, seed: int = 3):
    return draw_noise(model.config.latent_shapes, torch.Generator().manual_seed(seed), batch=batch)


@pytest.mark.parametrize("stacked", [True, False])
def test_reuse_changes_nothing(stacked):
    model = random_model()
    tokens = Context(torch.randn(2, 11, model.config.context_width))
    noise = _noise(model, batch=2)
    schedule = Schedule.geometry(steps=6)
    reused = sample(ConditionedFlow.of_geometry(model, tokens, stacked=stacked), noise, schedule)
    plain = sample(ConditionedFlow.of_geometry(model, tokens, reuse=False), noise, schedule)
    for name in noise:
        torch.testing.assert_close(reused[name], plain[name], rtol=1e-5, atol=1e-5)


def test_hypotheses_equal_separate_samples():
    model = random_model()
    tokens = Context(torch.randn(1, 11, model.config.context_width))
    flow = ConditionedFlow.of_geometry(model, tokens)
    draws = [_noise(model, seed=seed) for seed in range(3)]
    together = {SHAPE: draws[0][SHAPE]}
    for name in POSE_CHANNELS:
        together[name] = torch.cat([draw[name] for draw in draws], dim=1)
    schedule = Schedule.geometry(steps=4)
    joint = sample(flow, together, schedule)
    for index, draw in enumerate(draws):
        alone = sample(flow, {**draw, SHAPE: draws[0][SHAPE]}, schedule)
        torch.testing.assert_close(joint[SHAPE], alone[SHAPE], rtol=1e-5, atol=1e-5)
        for name in POSE_CHANNELS:
            torch.testing.assert_close(joint[name][:, index], alone[name][:, 0], rtol=1e-4, atol=1e-5)


def test_shape_does_not_depend_on_the_pose():
    model = random_model()
    tokens = torch.randn(1, 11, model.config.context_width)
    noise = _noise(model)
    moved = {name: x if name == SHAPE else x + 1.0 for name, x in noise.items()}
    time = torch.tensor([300.0])
    still, other = (model(x, time, None, tokens) for x in (noise, moved))
    assert torch.equal(still[SHAPE], other[SHAPE])
    assert not torch.allclose(still[POSE], other[POSE])


def test_guidance_can_be_kept_to_the_shape():
    model = random_model()
    flow = ConditionedFlow.of_geometry(model, Context(torch.randn(1, 11, model.config.context_width)))
    noise = _noise(model)
    all_guided = sample(flow, noise, Schedule(3, guidance=7.0))
    shape_guided = sample(flow, noise, Schedule(3, guidance=7.0, guided=(SHAPE,)))
    torch.testing.assert_close(all_guided[SHAPE], shape_guided[SHAPE])
    assert not torch.allclose(all_guided[POSE], shape_guided[POSE])


def test_a_sample_can_be_cancelled_between_steps():
    class Cancelled(RuntimeError):
        pass

    seen = []

    def on_step(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise Cancelled

    model = random_model()
    flow = ConditionedFlow.of_geometry(model, Context(torch.randn(1, 5, model.config.context_width)))
    with pytest.raises(Cancelled):
        sample(flow, _noise(model), Schedule.geometry_shortcut(4), on_step)
    assert seen == [(1, 4), (2, 4)]


@given(
    masks=st.integers(1, 3),
    hypotheses=st.integers(1, 3),
    own=st.integers(1, 9),
    shared=st.integers(0, 5),
    beyond=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=15, deadline=None)
def test_what_is_spared_changes_nothing(masks, hypotheses, own, shared, beyond, seed):
    """Absorbed or projected, shared or repeated for each mask, and with rows that see nothing: the same velocities."""
    model = random_model()
    generator = torch.Generator().manual_seed(seed)
    width = model.config.context_width
    parts = Context(
        torch.randn(masks, own, width, generator=generator),
        torch.randn(1, shared, width, generator=generator) if shared else None,
    )
    rows = masks + min(beyond, masks)
    latents = {
        name: torch.randn(rows, count if name == SHAPE else hypotheses, channels, generator=generator)
        for name, (count, channels) in model.config.latent_shapes.items()
    }
    tokens = torch.cat([parts.joined(), torch.zeros(rows - masks, own + shared, width)])
    each = torch.full((rows,), 300.0)
    plain = model(latents, each, each, tokens)
    # A latent of one number may happen to have next to no velocity.
    magnitude = max(float(value.abs().max()) for value in plain.values())
    for absorb in (True, False):
        spared = model(latents, each[:1], each[:1], model.context(parts, absorb=absorb))
        for name, value in plain.items():
            torch.testing.assert_close(spared[name], value, rtol=1e-5, atol=1e-5 * magnitude)
