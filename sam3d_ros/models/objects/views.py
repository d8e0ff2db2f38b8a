"""Square views of one object: the crop around its mask and the full image, as the encoders read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sam3d_ros.models.objects.point_maps import SceneScale, scene_scale

#: Side of a crop over the extent of its mask, as in training.
BOX_FACTOR = 1.2
_MIN_EXTENT = 2


@dataclass(frozen=True)
class Box:
    """Pixels `left <= x < right`, `top <= y < bottom`; may reach out of the image."""

    left: int
    top: int
    right: int
    bottom: int


def box_around(mask: Tensor, factor: float = BOX_FACTOR) -> Box:
    """The box of a crop: the mask's square extent, enlarged.

    Args:
        mask: (1, H, W), the object where it is not 0.
        factor: of the enlargement.

    Raises:
        ValueError: the mask is empty, or spans fewer than three rows or columns.
    """
    rows, columns = torch.nonzero(mask[0], as_tuple=True)
    if len(rows) == 0:
        raise ValueError("the mask is empty: drop it")
    top, bottom = int(rows.min()), int(rows.max())
    left, right = int(columns.min()), int(columns.max())
    if min(bottom - top, right - left) < _MIN_EXTENT:
        raise ValueError(
            f"the mask spans {right - left + 1} x {bottom - top + 1} pixels: at least "
            f"{_MIN_EXTENT + 1} x {_MIN_EXTENT + 1} are needed"
        )
    half = int(max(right - left, bottom - top) * factor) // 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return Box(int(x - half), int(y - half), int(x + half), int(y + half))


def cropped(image: Tensor, box: Box) -> Tensor:
    """(C, H, W) -> the pixels of a box, 0 where it reaches out of the image."""
    height, width = image.shape[-2:]
    margins = (-box.left, box.right - width, -box.top, box.bottom - height)
    # A negative pad removes pixels: one call crops and extends.
    return F.pad(image, margins)


def squared(image: Tensor, fill: float = 0.0) -> Tensor:
    """(C, H, W) -> square, padded evenly on the shorter axis."""
    height, width = image.shape[-2:]
    across, down = max(0, height - width), max(0, width - height)
    return F.pad(image, (across // 2, across - across // 2, down // 2, down - down // 2), value=fill)


def smooth_square(image: Tensor, size: int) -> Tensor:
    """(C, H, W) colours -> (C, size, size), by area-aware bilinear resampling."""
    return F.interpolate(squared(image)[None], (size, size), mode="bilinear", antialias=True)[0]


def nearest_square(image: Tensor, size: int) -> Tensor:
    """(C, H, W) mask or points -> (C, size, size), by the nearest pixel; the letterbox is 0."""
    return F.interpolate(squared(image)[None], (size, size), mode="nearest")[0]


def image_views(rgb: Tensor, mask: Tensor, size: int, box: Box) -> dict[str, Tensor]:
    """The inputs that depend on one mask.

    Args:
        rgb: (3, H, W) 0 to 1.
        mask: (1, H, W) 0 to 1, soft edges allowed.
        size: side of the views, pixels.
        box: what the crop shows, see `box_around`.

    Returns:
        `image`, `mask` (crop) and `rgb_image_mask` (full view), each (C, size, size).
    """
    return {
        "image": smooth_square(squared(cropped(rgb, box)), size),
        "mask": nearest_square(squared(cropped(mask, box)), size),
        "rgb_image_mask": nearest_square(mask, size),
    }


def full_view(rgb: Tensor, size: int) -> dict[str, Tensor]:
    """The input that all masks of an image share: `rgb_image`, (3, size, size)."""
    return {"rgb_image": smooth_square(rgb, size)}


def resampled(points: Tensor, size: torch.Size) -> Tensor:
    """(3, h, w) normalised points -> (3, H, W).

    Linear between points, with unknown points counted as 0; what the nearest point does not know stays NaN.
    """
    if points.shape[-2:] == size:
        return points
    unknown = points.isnan().any(dim=0)
    filled = F.interpolate(torch.where(unknown, 0.0, points)[None], list(size), mode="bilinear")[0]
    still_unknown = F.interpolate(unknown[None, None].float(), list(size), mode="nearest")[0] > 0.5
    return torch.where(still_unknown, math.nan, filled)


def point_views(points: Tensor, mask: Tensor, size: int, box: Box) -> tuple[dict[str, Tensor], SceneScale]:
    """The point map as the geometry model reads it.

    Args:
        points: (3, h, w) metres, PyTorch3D camera axes (x left, y up, z forward), NaN where unknown; resampled
            to the size of the mask where it differs.
        mask: (1, H, W) 0 to 1.
        size: side of the views, pixels.
        box: what the crop shows, see `box_around`.

    Returns:
        `pointmap` (crop) and `rgb_pointmap` (full view), each (3, size, size), normalised; and their scale.
        As in training, what lies out of the image is the point 0, and unknown points stay NaN.
    """
    scale = scene_scale(points, mask)
    normal = scale.normalise(points)
    crop = squared(cropped(resampled(normal, mask.shape[-2:]), box), fill=math.nan)
    return {"pointmap": nearest_square(crop, size), "rgb_pointmap": nearest_square(normal, size)}, scale
