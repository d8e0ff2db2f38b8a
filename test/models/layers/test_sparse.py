"""Layers on sparse voxels against dense ones and against the parity data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sam3d_ros.models.layers.attention import attend
from sam3d_ros.models.layers.sparse import (
    SparseConvolution,
    SparsePointwise,
    WindowedSelfAttention,
    downsample,
    subdivide,
    upsample,
)
from sam3d_ros.models.layers.voxels import VoxelSet


def random_voxels(seed: int, share: float = 0.3, size: int = 6) -> VoxelSet:
    rng = torch.Generator().manual_seed(seed)
    coords = torch.nonzero(torch.rand(size, size - 1, size + 1, generator=rng) < share)
    coords = coords if len(coords) else torch.zeros(1, 3, dtype=torch.long)
    return VoxelSet(coords[torch.randperm(len(coords), generator=rng)])


def test_operators_parity(golden):
    data = golden("sparse_conv_ops")
    coords = data.given("coords")
    voxels, x = VoxelSet(coords[:, 1:]), data.given("feats")

    conv = SparseConvolution(data.config["in_ch"], data.config["out_ch"])
    conv.load_state_dict({"conv.weight": data.given("w3"), "conv.bias": data.given("b3")})
    data.check("conv3.feats", conv(x, voxels).detach())
    pointwise = SparsePointwise(data.config["in_ch"], data.config["out_ch"])
    pointwise.load_state_dict({"conv.weight": data.given("w1"), "conv.bias": data.given("b1")})
    data.check("conv1.feats", pointwise(x).detach())

    coarse, parent = voxels.coarse
    data.check("down.coords", F.pad(coarse.coords, (1, 0)))
    data.check("down.inverse_idx", parent)
    means = downsample(x, voxels)
    data.check("down.feats", means)
    data.check("up.feats", upsample(means, voxels))
    data.check("up.coords", F.pad(voxels.coords, (1, 0)))
    data.check("sub.coords", F.pad(voxels.fine.coords, (1, 0)))
    data.check("sub.feats", subdivide(x))


def test_windows_parity(golden):
    data = golden("window_partition")
    voxels = VoxelSet(data.given("coords")[:, 1:])
    for shift in data.config["shifts"]:
        window = voxels.window_of_voxel(data.config["window_size"], shift)
        data.check(f"shift{shift}.window_of_voxel", window)
        data.check(f"shift{shift}.seq_lens", torch.bincount(window))


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 1.0))
@settings(max_examples=15, deadline=None)
def test_convolution_equals_the_dense_one_on_its_support(seed, share):
    voxels = random_voxels(seed, share)
    x = torch.randn(2, len(voxels), 3)
    conv = SparseConvolution(3, 4)
    torch.nn.init.normal_(conv.conv.weight)
    grid = torch.zeros(2, 3, 8, 8, 8)
    i, j, k = voxels.coords.unbind(1)
    grid[:, :, i, j, k] = x.movedim(-1, 1)
    dense = F.conv3d(grid, conv.conv.weight.movedim(-1, 1), conv.conv.bias, padding=1)
    expected = dense[:, :, i, j, k].movedim(1, -1)
    torch.testing.assert_close(conv(x, voxels), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(conv.by_table(x, voxels), expected, rtol=1e-4, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 0), (4, 2), (3, 1)]))
@settings(max_examples=10, deadline=None)
def test_windowed_attention_equals_masked_attention(seed, layout):
    window, shift = layout
    voxels = random_voxels(seed, share=0.4, size=9)
    layer = WindowedSelfAttention(8, 2, window, shift)
    x = torch.randn(len(voxels), 8)
    q, k, v = layer.queries_keys_values(x)
    cell = (voxels.coords + shift) // window
    same = (cell[:, None] == cell).all(dim=-1)
    expected = layer.to_out(attend(q[None], k[None], v[None], same)[0])
    torch.testing.assert_close(layer(x, voxels), expected, rtol=1e-4, atol=1e-5)


def test_downsample_and_upsample_keep_the_order_of_voxels():
    voxels = random_voxels(5)
    marks = (voxels.coords // 2).float()
    count = torch.bincount(voxels.coarse[1]).float()
    expected = voxels.coarse[0].coords * (count / (count + 1))[:, None]
    torch.testing.assert_close(downsample(marks, voxels), expected)
    assert torch.equal(upsample(voxels.coarse[0].coords.float(), voxels), marks)


def one_voxel() -> VoxelSet:
    return VoxelSet(torch.tensor([[2, 0, 1]]))


@pytest.mark.parametrize("batch", [(), (1,), (2,)])
def test_a_convolution_leaves_its_parameters_alone(batch):
    """With a single voxel, the output has the shape of the bias; it must not be the bias."""
    conv = SparseConvolution(3, 4).requires_grad_(False)
    torch.nn.init.normal_(conv.conv.weight)
    torch.nn.init.normal_(conv.conv.bias)
    bias = conv.conv.bias.clone()
    x = torch.randn(*batch, 1, 3)
    first = conv(x, one_voxel()).clone()
    assert torch.equal(conv.conv.bias, bias)
    assert torch.equal(conv(x, one_voxel()), first)
    expected = x @ conv.conv.weight[:, 1, 1, 1].T + bias
    torch.testing.assert_close(first, expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
@settings(max_examples=15, deadline=None)
def test_downsampling_sums_the_children_over_one_more_than_their_count(seed, share):
    voxels = random_voxels(seed, share)
    x = torch.randn(2, len(voxels), 3)
    cells = {}
    for index, place in enumerate(voxels.coords.tolist()):
        cells.setdefault(tuple(c // 2 for c in place), []).append(index)
    assert sorted(cells) == [tuple(c) for c in voxels.coarse[0].coords.tolist()]
    expected = torch.stack([x[:, cells[c]].sum(dim=1) / (len(cells[c]) + 1) for c in sorted(cells)], dim=1)
    torch.testing.assert_close(downsample(x, voxels), expected, rtol=1e-5, atol=1e-6)


def test_layers_on_voxels_are_differentiable():
    voxels = random_voxels(3, size=4)
    conv, attention = SparseConvolution(2, 2).double(), WindowedSelfAttention(2, 1, 2, 1).double()
    torch.nn.init.normal_(conv.conv.weight)

    def layers(x: torch.Tensor) -> torch.Tensor:
        return downsample(attention(x, voxels), voxels).sum()

    x = torch.randn(len(voxels), 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: attention(x, voxels), (x,), atol=1e-4)
    layers(x).backward()
    assert x.grad is not None and x.grad.isfinite().all()
    single = torch.randn(len(voxels), 2, requires_grad=True)
    conv.float()(single, voxels).sum().backward()
    # Each voxel enters once for each of its neighbours: the adjoint of the convolution.
    grid = torch.zeros(1, 2, 6, 6, 6)
    grid[(0, slice(None), *voxels.coords.unbind(1))] = torch.ones(2, len(voxels))
    adjoint = F.conv_transpose3d(grid, conv.conv.weight.movedim(-1, 1), padding=1)
    expected = adjoint[(0, slice(None), *voxels.coords.unbind(1))].T
    torch.testing.assert_close(single.grad, expected, rtol=1e-4, atol=1e-4)
