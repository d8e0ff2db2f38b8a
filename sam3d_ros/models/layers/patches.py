"""Convolutions whose windows do not overlap."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class PatchConvolution(nn.Conv2d):
    """A convolution by a stride of its own size, as one matrix product over patches.

    PyTorch rounds the operands of float32 convolutions to TF32 on a GPU unless told otherwise, and those of matrix
    products not: these are as exact as they promise, and no plan is made for each size of image.

    Args:
        inputs: channels.
        outputs: channels.
        patch: side of a window.
        padding: zeros around the image.
    """

    def __init__(self, inputs: int, outputs: int, patch: int, padding: int = 0, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, patch, stride=patch, padding=padding, bias=bias)
        self.patch, self.margin = patch, padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / patch, W / patch); what is left of the last window is not seen."""
        side, margin = self.patch, self.margin
        if margin:
            x = F.pad(x, (margin, margin, margin, margin))
        rows, columns = x.shape[-2] // side, x.shape[-1] // side
        windows = (
            x[..., : rows * side, : columns * side].unflatten(-1, (columns, side)).unflatten(-3, (rows, side))
        )
        patches = windows.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return F.linear(patches, self.weight.flatten(1), self.bias).movedim(-1, 1)
