"""Sparse voxels of one object: who neighbours whom, what is coarser and finer, and which share a window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

#: The eight children of a voxel, z fastest.
CHILDREN = torch.cartesian_prod(*[torch.arange(2)] * 3)
#: The 27 offsets of a 3x3x3 kernel, z fastest, in the order of the kernel's weights.
KERNEL_OFFSETS = torch.cartesian_prod(*[torch.arange(-1, 2)] * 3)


@dataclass(frozen=True, eq=False)
class WindowBucket:
    """Windows of similar size, padded to the longest of them.

    Attributes:
        voxels: (W, L) int64 voxel indices; where a window is shorter, its first voxel is repeated.
        mask: (W, 1, 1, L) bool, False on the repeats; None where no window is shorter.
    """

    voxels: Tensor
    mask: Tensor | None


@dataclass(frozen=True, eq=False)
class Windows:
    """All voxels, grouped by cubic windows.

    Attributes:
        buckets: windows of similar size together.
        place: (N,) int64 where each voxel lies among the voxels of all buckets, one after the other, repeats included.
    """

    buckets: tuple[WindowBucket, ...]
    place: Tensor


class VoxelSet:
    """Distinct voxels of one object.

    Args:
        coords: (N, 3) integer coordinates, not negative. Their order is the order of all features.

    Raises:
        ValueError: the shape is wrong or there is no voxel.
    """

    def __init__(self, coords: Tensor) -> None:
        if coords.ndim != 2 or coords.shape[1] != 3 or len(coords) == 0:
            raise ValueError(f"coordinates are {tuple(coords.shape)}: give (N, 3) with at least one voxel")
        self.coords = coords.long()
        self._windows: dict[tuple[int, int], Windows] = {}

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def neighbour_pairs(self) -> list[tuple[Tensor, Tensor]]:
        """For each kernel offset the voxels that have such a neighbour, and the neighbours, as int32."""
        size = self.coords.max(dim=0).values + 3
        strides = torch.stack([size[1] * size[2], size[2], torch.ones_like(size[2])])
        table = self.coords.new_full((int(size.prod()),), -1, dtype=torch.int32)
        code = ((self.coords + 1) * strides).sum(dim=1)
        table[code] = torch.arange(len(self), device=code.device, dtype=torch.int32)
        pairs = []
        for offset in KERNEL_OFFSETS[: len(KERNEL_OFFSETS) // 2 + 1].to(code.device):
            neighbour = table[code + (offset * strides).sum()]
            voxel = torch.nonzero(neighbour >= 0).squeeze(1)
            pairs.append((voxel.int(), neighbour[voxel]))
        # The offsets after the centre are those before it, reversed and seen from the other side.
        return pairs + [(neighbour, voxel) for voxel, neighbour in reversed(pairs[:-1])]

    @cached_property
    def neighbours(self) -> Tensor:
        """(N, 27) int64 neighbour of each voxel at each kernel offset; N where there is none."""
        table = self.coords.new_full((len(self), len(KERNEL_OFFSETS)), len(self))
        for number, (voxel, neighbour) in enumerate(self.neighbour_pairs):
            table[voxel.long(), number] = neighbour.long()
        return table

    @cached_property
    def coarse(self) -> tuple[VoxelSet, Tensor]:
        """The voxels of half resolution in lexicographic order, and (N,) the coarse voxel of each voxel."""
        parents, inverse = torch.unique(self.coords // 2, dim=0, return_inverse=True)
        return VoxelSet(parents), inverse

    @cached_property
    def children(self) -> Tensor:
        """(M, 8) int64 voxels of each voxel of `coarse`, in the order of `CHILDREN`; N where there is none."""
        coarse, parent = self.coarse
        table = parent.new_full((len(coarse), len(CHILDREN)), len(self))
        x, y, z = (self.coords % 2).unbind(1)
        table[parent, (x * 2 + y) * 2 + z] = torch.arange(len(self), device=parent.device)
        return table

    @cached_property
    def child_counts(self) -> Tensor:
        """(M,) float32 number of voxels of each voxel of `coarse`."""
        return (self.children < len(self)).sum(dim=1).float()

    @cached_property
    def fine(self) -> VoxelSet:
        """The voxels of double resolution; the eight children of a voxel are contiguous."""
        children = 2 * self.coords[:, None] + CHILDREN.to(self.coords.device)
        return VoxelSet(children.flatten(0, 1))

    def prepare(self) -> None:
        """Work out all neighbours now. What follows on these voxels then runs without a wait for the device."""
        for grid in (self, self.coarse[0]):
            _ = grid.neighbours
        _ = self.child_counts

    def window_of_voxel(self, window: int, shift: int) -> Tensor:
        """(N,) int64 number of the window of each voxel; windows are numbered in the order x, y, z."""
        cell = (self.coords + shift) // window
        size = cell.max(dim=0).values + 1
        code = (cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
        return torch.unique(code, return_inverse=True)[1]

    def windows(self, window: int, shift: int) -> Windows:
        """Voxels grouped by cubic windows, windows grouped by size so that padding stays below a factor of two."""
        if (window, shift) not in self._windows:
            self._windows[window, shift] = _grouped(self.window_of_voxel(window, shift))
        return self._windows[window, shift]


def _grouped(group: Tensor) -> Windows:
    order = torch.argsort(group, stable=True)
    length = torch.bincount(group)
    start = length.cumsum(0) - length
    size_class = torch.ceil(torch.log2(length.double())).long()
    buckets = []
    place = torch.empty_like(group)
    before = 0
    for size in torch.unique(size_class):
        member = torch.nonzero(size_class == size).squeeze(1)
        position = torch.arange(int(length[member].max()), device=group.device)
        present = position < length[member, None]
        voxels = order[start[member, None] + torch.where(present, position, 0)]
        slot = torch.arange(before, before + voxels.numel(), device=group.device).view_as(voxels)
        place[voxels[present]] = slot[present]
        before += voxels.numel()
        buckets.append(WindowBucket(voxels, None if bool(present.all()) else present[:, None, None]))
    return Windows(tuple(buckets), place)
