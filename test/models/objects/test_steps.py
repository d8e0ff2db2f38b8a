"""A step of a sample keeps the device busy: nothing waits for the host, and nothing is sent to it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.benchmark import ball
from sam3d_ros.models.objects.conditioning import ConditionConfig
from sam3d_ros.models.objects.dinov2 import DinoConfig, DinoEncoder
from sam3d_ros.models.objects.geometry_model import GeometryModel
from sam3d_ros.models.objects.guidance import VOXELS, ConditionedFlow
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.objects.point_patches import PointPatchConfig, PointPatchEncoder
from sam3d_ros.models.objects.refinement_model import RefinementModel
from sam3d_ros.models.objects.sampling import Schedule, sample
from sam3d_ros.models.weights import on_meta

META = torch.device("meta")
# What a GPU answers to the host, or what has a size that depends on values.
WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "bincount",
    "equal",
    "is_nonzero",
}
# A constant of Python's, made on the host.
SENDS = {"lift_fresh"}


class Kernels(TorchDispatchMode):
    """Counts kernels, and notes whatever a GPU would wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        out = func(*args, **(kwargs or {}))
        inputs = [x for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)]
        outputs = [x for x in (out if isinstance(out, list | tuple) else (out,)) if isinstance(x, Tensor)]
        places = {x.untyped_storage()._cdata for x in inputs}
        is_view = all(x.untyped_storage()._cdata in places for x in outputs) and not name.endswith("_")
        if outputs and not is_view:
            self.counts[name] += 1
        sent = any(x.device != y.device and x.ndim > 0 for x in inputs for y in outputs)
        if name in WAITS | SENDS or sent:
            self.waits.append(name)
        return out


def moved(value: Any, device: torch.device) -> Any:
    """Tensors in whatever holds them, on another device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(moved(item, device) for item in value)
    if isinstance(value, VoxelSet):
        for name, item in vars(value).items():
            vars(value)[name] = moved(item, device)
    return value


def in_bfloat16(part: Part, config: ObjectsConfig) -> nn.Module:
    module = on_meta(lambda: part.build(config))
    state = {key: value.to(part.dtype_of(key, torch.bfloat16)) for key, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)
    return module


def condition(config: ConditionConfig, masks: int = 1) -> Context:
    shared = config.dino.tokens
    own, full = (
        torch.empty(rows, tokens, config.width, device=META, dtype=torch.bfloat16)
        for rows, tokens in ((masks, config.tokens - shared), (1, shared))
    )
    return Context(own, full)


def geometry_flow(config: ObjectsConfig, masks: int = 1) -> ConditionedFlow:
    model = in_bfloat16(Part.GEOMETRY, config)
    assert isinstance(model, GeometryModel)
    return ConditionedFlow.of_geometry(model, condition(config.geometry_condition, masks))


def refinement_flow(config: ObjectsConfig, coords: Tensor) -> tuple[ConditionedFlow, int]:
    model = in_bfloat16(Part.REFINEMENT, config)
    assert isinstance(model, RefinementModel)
    voxels = VoxelSet(coords)
    voxels.prepare()
    moved(voxels, META)
    return ConditionedFlow.of_refinement(model, condition(config.refinement_condition), voxels), len(coords)


def geometry_noise(config: ObjectsConfig, masks: int = 1, hypotheses: int = 1) -> dict[str, Tensor]:
    return {
        name: torch.empty(masks, tokens if name == "shape" else hypotheses, channels, device=META)
        for name, (tokens, channels) in config.geometry.latent_shapes.items()
    }


@pytest.mark.parametrize("hypotheses", [1, 4])
@pytest.mark.parametrize(
    "schedule", [Schedule.geometry(3), Schedule.geometry_shortcut(2)], ids=["guided", "shortcut"]
)
def test_no_step_of_stage_1_waits(schedule, hypotheses):
    config = ObjectsConfig.tiny()
    flow = geometry_flow(config)
    with torch.no_grad(), Kernels() as counter:
        sample(flow, geometry_noise(config, hypotheses=hypotheses), schedule)
    assert counter.waits == []


@pytest.mark.parametrize("voxels", [1, 60])
def test_no_step_of_stage_2_waits(voxels):
    config = ObjectsConfig.tiny()
    flow, count = refinement_flow(config, ball(8, 60)[:voxels])
    with torch.no_grad(), Kernels() as counter:
        sample(
            flow,
            {VOXELS: torch.empty(1, count, config.refinement.channels, device=META)},
            Schedule.refinement(3),
        )
    assert counter.waits == []


def test_encoders_send_nothing_to_the_device():
    for make, channels in (
        (lambda: DinoEncoder(DinoConfig.tiny(keep_registers=True)), 3),
        (lambda: PointPatchEncoder(PointPatchConfig.tiny()), 3),
    ):
        encoder = on_meta(make)
        with torch.no_grad(), Kernels() as counter:
            encoder(
                torch.empty(2, channels, encoder.config.input_size, encoder.config.input_size, device=META)
            )
        assert counter.waits == []


def test_the_watch_itself_works():
    with torch.no_grad(), Kernels() as counter:
        x = torch.ones(3)
        float(x.sum())
        torch.tensor([1.0])
        torch.nonzero(x)
        x.new_tensor([1.0])
    assert {"_local_scalar_dense", "nonzero", "lift_fresh"} <= set(counter.waits)


def test_kernels_of_an_evaluation_at_the_released_size():
    """Started one by one, 5 microseconds each, a thousand kernels are a quarter of an evaluation.

    In inference mode PyTorch's own compound operations count as one: that is what they are on a GPU.
    """
    config = ObjectsConfig.released()
    counts = []
    for blocks in (1, 2):
        few = dataclasses.replace(config, geometry=dataclasses.replace(config.geometry, blocks=blocks))
        flow, noise = geometry_flow(few), geometry_noise(few)
        with torch.inference_mode(), Kernels() as counter:
            flow.conditional(noise, 0.0, 0.0)
        counts.append(sum(counter.counts.values()))
    one, two = counts
    assert one + (config.geometry.blocks - 1) * (two - one) < 1400


def breaks(module: Callable[..., Any], *inputs: Any) -> int:
    torch._dynamo.reset()
    with torch.no_grad():
        return int(torch._dynamo.explain(module)(*inputs).graph_break_count)


ONE_BLOCK = dataclasses.replace(
    ObjectsConfig.tiny(),
    geometry=dataclasses.replace(ObjectsConfig.tiny().geometry, blocks=1),
    refinement=dataclasses.replace(ObjectsConfig.tiny().refinement, blocks=1, fine_blocks=1),
)


def test_dynamo_makes_one_graph_of_the_geometry_model():
    geometry = Part.GEOMETRY.build(ONE_BLOCK).eval()
    latents = {n: torch.zeros(1, *shape) for n, shape in ONE_BLOCK.geometry.latent_shapes.items()}
    context = geometry.context(Context(torch.zeros(1, 11, ONE_BLOCK.geometry.context_width)))
    time = torch.zeros(1)
    assert breaks(geometry, latents, time, time, context) == 0


def test_dynamo_makes_one_graph_of_the_refinement_model():
    refinement = Part.REFINEMENT.build(ONE_BLOCK).eval()
    voxels = VoxelSet(ball(8, 60))
    voxels.prepare()
    context = refinement.context(Context(torch.zeros(1, 11, ONE_BLOCK.refinement.context_width)))
    assert breaks(refinement, torch.zeros(1, len(voxels), 8), torch.zeros(1), context, voxels) == 0


@pytest.mark.parametrize(
    "encoder",
    [
        lambda: DinoEncoder(dataclasses.replace(DinoConfig.tiny(keep_registers=False), depth=1)),
        lambda: PointPatchEncoder(PointPatchConfig.tiny()),
    ],
    ids=["dino", "points"],
)
def test_dynamo_makes_one_graph_of_an_encoder(encoder):
    module = encoder().eval()
    assert breaks(module, torch.zeros(1, 3, module.config.input_size, module.config.input_size)) == 0
