"""Memory of the networks at their released size, counted byte by byte on the device without storage."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.objects.guidance import ConditionedFlow
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.weights import on_meta

META = torch.device("meta")
CONFIG = ObjectsConfig.released()
GIGABYTE = 1e9


class LiveBytes(TorchDispatchMode):
    """The most memory that tensors made within took at once. Attention counts as the kernel that it is on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, list | tuple) else (out,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._alive.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


def bytes_of(part: Part, config: ObjectsConfig) -> int:
    """Of the weights, in bfloat16 where they are not exact."""
    state = on_meta(lambda: part.build(config)).state_dict()
    return sum(v.numel() * part.dtype_of(k, torch.bfloat16).itemsize for k, v in state.items())


def stage_1(blocks: int, masks: int, hypotheses: int) -> int:
    """Bytes of a guided step of so many masks: weights, what is kept of the condition, and what comes and goes."""
    config = dataclasses.replace(CONFIG, geometry=dataclasses.replace(CONFIG.geometry, blocks=blocks))
    model = on_meta(lambda: Part.GEOMETRY.build(config))
    state = {k: v.to(Part.GEOMETRY.dtype_of(k, torch.bfloat16)) for k, v in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    full = config.geometry_condition.dino.tokens
    with torch.inference_mode(), LiveBytes() as memory:
        own, shared = (
            torch.empty(rows, tokens, 1024, dtype=torch.bfloat16, device=META)
            for rows, tokens in ((masks, config.geometry_condition.tokens - full), (1, full))
        )
        noise = {
            name: torch.empty(masks, count if name == "shape" else hypotheses, channels, device=META)
            for name, (count, channels) in config.geometry.latent_shapes.items()
        }
        flow = ConditionedFlow.of_geometry(model, Context(own, shared))
        flow.both(noise, 0.0, 0.0)
    return bytes_of(Part.GEOMETRY, config) + memory.peak


def whole_stage_1(masks: int, hypotheses: int) -> float:
    """All blocks are alike: two tell what one more takes."""
    one, two = (stage_1(blocks, masks, hypotheses) for blocks in (1, 2))
    return (one + (CONFIG.geometry.blocks - 1) * (two - one)) / GIGABYTE


def test_the_count_itself():
    with torch.inference_mode(), LiveBytes() as memory:
        x = torch.empty(1000, dtype=torch.float32, device=META)
        y = x + 1
        del x
        z = y[:500].view(-1)
        del y
        _ = z + 1
    assert memory.peak == 8000


def test_stage_1_of_four_masks():
    assert whole_stage_1(masks=4, hypotheses=4) <= 5.0


@pytest.mark.parametrize("hypotheses", [1, 4])
def test_pose_and_shape_of_one_object_with_memory_low(hypotheses):
    """One network at a time; `whole_stage_1` is the largest of the three stages."""
    assert whole_stage_1(masks=1, hypotheses=hypotheses) <= 4.0
    for part in (Part.GEOMETRY_CONDITION, Part.STRUCTURE):
        assert bytes_of(part, CONFIG) / GIGABYTE <= 1.5


def test_networks_take_what_they_should():
    sizes = {part: round(bytes_of(part, CONFIG) / GIGABYTE, 2) for part in (Part.GEOMETRY, Part.REFINEMENT)}
    assert sizes == {
        Part.GEOMETRY: pytest.approx(1.95, abs=0.05),
        Part.REFINEMENT: pytest.approx(1.2, abs=0.05),
    }
