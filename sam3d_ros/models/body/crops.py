"""Square crops around boxes, cut from the image as the network was trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Enlargement of the box of a body and of a hand.
BODY_PADDING, HAND_PADDING = 1.25, 0.9
#: Width by height that a box is extended to before it is made square.
_ASPECT = 0.75


@dataclass(frozen=True, eq=False)
class Crops:
    """Where crops lie.

    Attributes:
        centres: (N, 2) float32 pixels of the image.
        sides: (N,) float32 pixels of the image.
        crop_from_image: (N, 2, 3) float64 pixels to pixels.
        size: side of a crop in its own pixels.
    """

    centres: Tensor
    sides: Tensor
    crop_from_image: Tensor
    size: int

    @property
    def boxes(self) -> Tensor:
        """(N, 4) x1, y1, x2, y2 of the squares, pixels of the image."""
        half = self.sides[:, None] / 2
        return torch.cat([self.centres - half, self.centres + half], dim=1)

    def to_crop(self, pixels: Tensor) -> Tensor:
        """(N, K, 2) pixels of the image -> (N, K, 2) from -0.5 to 0.5 within the crop."""
        matrix = self.crop_from_image.to(pixels)
        return (pixels @ matrix[:, :, :2].mT + matrix[:, None, :, 2]) / self.size - 0.5

    def in_image(self, places: Tensor) -> Tensor:
        """(N, K, 2) places from 0 to 1 within the crop -> (N, K, 2) pixels of the image."""
        matrix = self.crop_from_image.to(places)
        scale = matrix[:, :2, :2].diagonal(dim1=1, dim2=2)
        return (self.size * places - matrix[:, None, :, 2]) / scale[:, None]

    def grid(self, columns: int) -> Tensor:
        """(N, size, columns, 2) pixels of the image under the pixels of the crop; its middle columns."""
        matrix = self.crop_from_image.float()
        margin = (self.size - columns) // 2
        x = torch.arange(margin, margin + columns, device=matrix.device)
        y = torch.arange(self.size, device=matrix.device)
        x = (x - matrix[:, 0, 2, None]) / matrix[:, 0, 0, None]
        y = (y - matrix[:, 1, 2, None]) / matrix[:, 1, 1, None]
        shape = (len(matrix), self.size, columns)
        return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)

    def __getitem__(self, rows: slice | Tensor) -> Crops:
        return Crops(self.centres[rows], self.sides[rows], self.crop_from_image[rows], self.size)


def crops_of_boxes(boxes: Tensor, padding: float, size: int) -> Crops:
    """Squares around boxes.

    Args:
        boxes: (N, 4) float32 x1, y1, x2, y2 in pixels; pixel centres are whole numbers.
        padding: factor that a box is enlarged by.
        size: side of a crop, pixels.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    centres, extent = (low + high) / 2, (high - low) * padding
    sides = torch.where(extent[:, 0] > _ASPECT * extent[:, 1], extent[:, 0] / _ASPECT, extent[:, 1])
    return Crops(centres, sides, _square_map(centres, sides, size), size)


def _square_map(centres: Tensor, sides: Tensor, size: int) -> Tensor:
    """(N, 2, 3) float64 map of a square to another, by points of theirs that are rounded to float32: with exact
    ones, every 300th pixel of a crop would differ by one grey level."""
    source_middle, source_corner = _middle_and_corner(centres, sides)
    middle, corner = _middle_and_corner(
        torch.full_like(centres, size / 2), torch.full_like(sides, float(size))
    )
    scale = (corner - middle) / (source_corner - source_middle)
    return torch.cat([torch.diag_embed(scale), (middle - scale * source_middle)[..., None]], dim=-1)


def _middle_and_corner(centres: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) float64 centres, and upper left corners that are found as the official code finds them: the upper edge
    from the centre, and from there as far to the left as the edge turned out to be above."""
    x, y = centres.unbind(-1)
    top = y - sides / 2
    corner = torch.stack([x - (y - top), top], dim=-1)
    return centres.double(), corner.double()


def cut(images: Tensor, crops: Crops) -> Tensor:
    """Cut crops by bilinear interpolation; black outside of the image.

    Every rounding is that of OpenCV 5's `warpAffine`, which cut the crops of the parity data: with another order
    of operations single pixels differ by a grey level.

    Args:
        images: (H, W, C) uint8, one for all crops, or (N, H, W, C) one for each.
        crops: N of them.

    Returns:
        (N, size, size, C) uint8.
    """
    if images.ndim == 3:
        images = images[None]
    height, width = images.shape[1:3]
    row = torch.arange(len(crops.sides), device=images.device)[:, None, None] if len(images) > 1 else 0
    left, right, fx = _neighbours(crops, 0)
    upper, lower, fy = _neighbours(crops, 1)

    def pixels(y: Tensor, x: Tensor) -> Tensor:
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        values = images[row, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
        return (values * inside[..., None]).float()

    def between(a: Tensor, b: Tensor, fraction: Tensor) -> Tensor:
        return a + fraction * (b - a)

    fx, fy = fx[:, None, :, None], fy[:, :, None, None]
    above = between(pixels(upper, left), pixels(upper, right), fx)
    below = between(pixels(lower, left), pixels(lower, right), fx)
    return between(above, below, fy).round().to(torch.uint8)


def _neighbours(crops: Crops, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of the crop's pixels along an axis: (N, size) the image's pixels before and after, and where between."""
    matrix = crops.crop_from_image
    scale, shift = matrix[:, axis, axis, None], matrix[:, axis, 2, None]
    # Single operations, each rounded as IEEE 754 has it: a compiler that fuses them would move positions.
    step, start = (1 / scale).float(), (-shift / scale).float()
    index = torch.arange(crops.size, device=matrix.device)
    if axis == 0:  # Rounded once along a row, as fused multiply-add instructions do.
        place = (step.double() * index + start.double()).float()
    else:
        place = step * index + start
    before = place.floor()
    return before.long(), before.long() + 1, place - before
