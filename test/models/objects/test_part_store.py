"""Where networks are while they are not used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam3d_ros.models.objects.packed_weights import PackedWeights
from sam3d_ros.models.objects.part_store import Memory, PartStore, RandomSource
from sam3d_ros.models.objects.parts import ObjectsConfig, Part

CPU = torch.device("cpu")
TINY = ObjectsConfig.tiny()


def store(memory: Memory, device: torch.device = CPU) -> PartStore:
    return PartStore(RandomSource(TINY), device=device, dtype=torch.float32, memory=memory)


@pytest.mark.parametrize("memory", [Memory.BALANCED, Memory.HIGH])
def test_a_network_that_rests_where_it_runs_is_handed_out_as_it_is(memory):
    parts = store(memory)
    with parts.use(Part.STRUCTURE) as first:
        weights = [value.data_ptr() for value in first.parameters()]
    with parts.use(Part.STRUCTURE, then=Part.MESH) as again:
        assert again is first
        assert [value.data_ptr() for value in again.parameters()] == weights


def test_low_keeps_nothing():
    parts = store(Memory.LOW)
    parts.preload(Part.STRUCTURE)
    with parts.use(Part.STRUCTURE) as first, parts.use(Part.STRUCTURE) as second:
        assert first is not second


def test_balanced_moves_networks_to_the_device_and_back():
    """The device without storage stands for a GPU."""
    parts = store(Memory.BALANCED, torch.device("meta"))
    expected = RandomSource(TINY).load(Part.MESH, CPU, torch.float32).state_dict()
    for _ in range(2):
        with parts.use(Part.MESH, then=Part.STRUCTURE) as module:
            assert all(value.is_meta for value in module.state_dict().values())
            assert {k: v.shape for k, v in module.state_dict().items()} == {
                k: v.shape for k, v in expected.items()
            }
    for key, value in module.state_dict().items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_are_the_weights(part, dtype):
    expected = RandomSource(TINY).load(part, CPU, dtype).state_dict()
    module = RandomSource(TINY).load(part, CPU, dtype)
    packed = PackedWeights(module, pinned=False)
    with torch.inference_mode(), packed.placed(packed.copied_to(CPU)) as placed:
        moved = placed.state_dict()
        assert not any(value.is_inference() for value in moved.values())
    resting = module.state_dict()
    assert moved.keys() == resting.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(moved[key], value) and torch.equal(resting[key], value)
        assert moved[key].dtype == value.dtype
        assert moved[key].data_ptr() % 16 == resting[key].data_ptr() % 16 == 0
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_weights_are_at_rest_again_after_an_error():
    packed = PackedWeights(nn.Linear(2, 2), pinned=False)
    before = packed.module.weight.data_ptr()
    try:
        with packed.placed(packed.copied_to(torch.device("meta"))):
            assert packed.module.weight.is_meta
            raise KeyError
    except KeyError:
        pass
    assert packed.module.weight.data_ptr() == before
