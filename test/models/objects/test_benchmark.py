"""The benchmark of the predictor."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.objects.benchmark import ball, benchmark, table
from sam3d_ros.models.objects.conditioning import ConditionConfig
from sam3d_ros.models.objects.geometry_model import GeometryConfig, GeometryModel
from sam3d_ros.models.objects.parts import ObjectsConfig
from sam3d_ros.models.objects.sampling import Schedule
from sam3d_ros.models.weights import on_meta

STAGES = ["geometry condition", "geometry", "structure", "refinement condition", "refinement", "decoding"]


def run(**options):
    schedules = {"geometry": Schedule.geometry(4), "refinement": Schedule.refinement(4)}
    return benchmark(ObjectsConfig.tiny(), voxels=60, **(schedules | options))


def test_every_stage_has_figures():
    figures = run(masks=2)
    assert [row.stage for row in figures] == STAGES
    assert all(row.milliseconds > 0 and row.tflop > 0 and row.peak_mib > 0 for row in figures)
    lines = table(figures).splitlines()
    assert len(lines) == len(STAGES) + 2 and lines[-1].startswith("all")


def test_reuse_saves_arithmetic():
    short = {
        "geometry": Schedule.geometry(3),
        "refinement": Schedule.refinement(3),
        "outputs": ("gaussians_4",),
    }
    reused, plain = (
        {row.stage: row.tflop for row in run(reuse=reuse, repeats=0, **short)} for reuse in (True, False)
    )
    for stage in STAGES:
        if stage in ("geometry", "refinement"):
            assert reused[stage] < plain[stage]
        else:
            assert reused[stage] == plain[stage]


@pytest.mark.parametrize("voxels", [100, 2000, 20000])
def test_ball_has_about_the_voxels_asked_for(voxels):
    assert len(ball(64, voxels)) == pytest.approx(voxels, rel=0.4)


def _tflop(call) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e12


def test_released_geometry_model_computes_what_it_should():
    """One pass is 9.1e12 operations; reuse saves a third of an official sample."""
    released = GeometryConfig.released()
    # All blocks are alike: one is counted.
    config = dataclasses.replace(released, blocks=1)
    model = on_meta(lambda: GeometryModel(config))
    latents = {n: torch.empty(1, *shape, device="meta") for n, shape in config.latent_shapes.items()}
    tokens = torch.empty(1, ConditionConfig.released_geometry().tokens, config.context_width, device="meta")
    time = torch.empty(1, device="meta")
    schedule = Schedule.geometry()
    plain = _tflop(lambda: model(latents, time, time, tokens))
    assert plain * released.blocks == pytest.approx(9.1, rel=0.01)
    condition = Context(tokens)
    projected = model.context(condition, absorb=False)
    single = _tflop(lambda: model(latents, time, time, projected))
    twice = {name: torch.cat([x, x]) for name, x in latents.items()}
    double_time = torch.cat([time, time])
    double = _tflop(lambda: model(twice, double_time, double_time, projected))
    guided = schedule.evaluations - schedule.steps
    reused = (
        _tflop(lambda: model.context(condition, absorb=False))
        + guided * double
        + (schedule.steps - guided) * single
    )
    assert schedule.evaluations * plain / reused > 1.35
    absorbed = model.context(condition)
    spared = _tflop(lambda: model.context(condition, absorb=False)) - _tflop(lambda: model.context(condition))
    more = _tflop(lambda: model(latents, time, time, absorbed)) - single
    assert spared * released.blocks == pytest.approx(0.76, rel=0.01)
    # Sixteen evaluations are about where one is as good as the other.
    assert 14 < spared / more < 20
