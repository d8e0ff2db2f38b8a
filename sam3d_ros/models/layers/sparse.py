"""Layers on the features (..., N, C) of a voxel set: convolution, resampling, windowed attention."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.attention import SelfAttention, attend
from sam3d_ros.models.layers.voxels import CHILDREN, KERNEL_OFFSETS, VoxelSet

# Rows gathered at once: bounds the memory of a convolution over millions of voxels.
_ROWS = 1 << 17
# Bytes of neighbours that are laid side by side at once.
_GATHERED = 1 << 28
# Channels up to which that is worth its memory traffic.
_GATHERED_CHANNELS = 256
# The tap at the offset 0.
_CENTRE = len(KERNEL_OFFSETS) // 2


class _Kernel(nn.Module):
    def __init__(self, width_in: int, width_out: int, size: int) -> None:
        super().__init__()
        # As PyTorch's own convolutions start.
        reach = (size**3 * width_in) ** -0.5
        self.weight = nn.Parameter(torch.empty(width_out, size, size, size, width_in))
        self.bias = nn.Parameter(torch.empty(width_out))
        nn.init.uniform_(self.weight, -reach, reach)
        nn.init.uniform_(self.bias, -reach, reach)


class SparseConvolution(nn.Module):
    """A 3x3x3 convolution whose output lives on the voxels of its input; missing neighbours count as zero.

    `out[p] = b + sum_o W[:, o] @ x[p + o]` over the offsets o in {-1, 0, 1}^3.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = _Kernel(width_in, width_out, 3)

    def forward(self, x: Tensor, voxels: VoxelSet) -> Tensor:
        """(..., N, in) -> (..., N, out)."""
        if x.is_cuda and x.shape[-1] <= _GATHERED_CHANNELS and not torch.is_grad_enabled():
            return self.by_table(x, voxels)
        taps = self.conv.weight.flatten(1, 3).permute(1, 2, 0)
        # Every voxel is its own neighbour at the offset 0: nothing is gathered for it.
        out = (x @ taps[_CENTRE]).float().add_(self.conv.bias)
        for number, (voxel, neighbour) in enumerate(voxels.neighbour_pairs):
            if number != _CENTRE:
                _add_products(out, voxel, x, neighbour, taps[number])
        return out.to(x.dtype)

    def by_table(self, x: Tensor, voxels: VoxelSet) -> Tensor:
        """The same as a few large products, over all neighbours, missing ones included.

        A GPU has arithmetic to spare, but not the time to start a hundred kernels.
        """
        taps = self.conv.weight.flatten(1).T
        # A row of zeros stands for the neighbours that are missing.
        padded = F.pad(x, (0, 0, 0, 1))
        bytes_of_row = padded.element_size() * padded[..., 0, :].numel() * len(KERNEL_OFFSETS)
        parts = voxels.neighbours.split(max(1, _GATHERED // bytes_of_row))
        products = [padded[..., part, :].flatten(-2) @ taps for part in parts]
        return torch.cat(products, dim=-2) + self.conv.bias.to(x.dtype)

    def on_children(self, x: Tensor, voxels: VoxelSet) -> Tensor:
        """The convolution of `subdivide(x)` on `voxels.fine`, without subdividing first.

        All children of a voxel carry its features: of the 27 taps of a child, those that fall into one parent
        can be summed beforehand. Eight remain.

        Args:
            x: (N, in) on `voxels`.

        Returns:
            (8 N, out) on `voxels.fine`.
        """
        weight = self.conv.weight.float()
        out = self.conv.bias.float().expand(len(x), len(CHILDREN), -1).clone()
        for number, child in enumerate(product((0, 1), repeat=3)):
            summed = weight
            for axis, bit in enumerate(child, start=1):
                summed = _summed_by_parent(summed, axis, bit)
            taps = summed.flatten(1, 3).permute(1, 2, 0).to(x.dtype)
            for tap, lower in zip(taps, product((0, 1), repeat=3), strict=True):
                i, j, k = (bit + step for bit, step in zip(child, lower, strict=True))
                voxel, neighbour = voxels.neighbour_pairs[(i * 3 + j) * 3 + k]
                _add_products(out[:, number], voxel, x, neighbour, tap)
        return out.flatten(0, 1).to(x.dtype)


def _summed_by_parent(weight: Tensor, axis: int, bit: int) -> Tensor:
    """Along one axis, the three taps of an even (0) or odd (1) child -> those of the two parents that it sees."""
    low, middle, high = weight.unbind(axis)
    return torch.stack([low + middle, high] if bit else [low, middle + high], dim=axis)


def _add_products(out: Tensor, row: Tensor, x: Tensor, source: Tensor, weight: Tensor) -> None:
    """`out[row] += x[source] @ weight`, a part at a time."""
    for start in range(0, len(row), _ROWS):
        part = slice(start, start + _ROWS)
        out.index_add_(-2, row[part], (x.index_select(-2, source[part]) @ weight).float())


class SparsePointwise(nn.Module):
    """A 1x1x1 convolution, with the weights read as the trained network reads them.

    The kernel is stored as (out, 1, 1, 1, in), but the network was trained with a library that takes the flat
    buffer of such a kernel for an (in, out) matrix. It is not the transpose.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = _Kernel(width_in, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.conv.bias, x, self.conv.weight.flatten().view(x.shape[-1], -1))


def downsample(x: Tensor, voxels: VoxelSet) -> Tensor:
    """Average the features of the voxels of each coarse voxel, with a zero counted in as the trained network does.

    Args:
        x: (..., N, C) on `voxels`.

    Returns:
        (..., M, C) on `voxels.coarse`: sums divided by (count + 1).
    """
    # A row of zeros stands for the children that a voxel lacks.
    padded = F.pad(x, (0, 0, 0, 1))
    total = padded[..., voxels.children, :].float().sum(dim=-2)
    return (total / (voxels.child_counts + 1)[:, None]).to(x.dtype)


def upsample(x: Tensor, voxels: VoxelSet) -> Tensor:
    """Copy the features (..., M, C) of `voxels.coarse` to the voxels (..., N, C)."""
    return x[..., voxels.coarse[1], :]


def subdivide(x: Tensor) -> Tensor:
    """Copy the features (..., N, C) of voxels to their children (..., 8 N, C) on `voxels.fine`."""
    return x.repeat_interleave(len(CHILDREN), dim=-2)


class WindowedSelfAttention(SelfAttention):
    """Self attention among the voxels that share a cubic window of the shifted grid."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__(width, heads, qk_norm=False)
        self.window = window
        self.shift = shift

    def forward(self, x: Tensor, voxels: VoxelSet) -> Tensor:  # type: ignore[override]
        q, k, v = self.queries_keys_values(x)
        windows = voxels.windows(self.window, self.shift)
        answers = [
            attend(q[b.voxels], k[b.voxels], v[b.voxels], b.mask).flatten(0, 1) for b in windows.buckets
        ]
        return self.to_out(torch.cat(answers)[windows.place])
