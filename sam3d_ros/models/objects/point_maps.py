"""The scale-and-shift-invariant form of point maps that the geometry model reads, and the way back to metres."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class SceneScale:
    """`points = normalised * scale + shift`.

    Attributes:
        scale: (3,) three equal entries, metres.
        shift: (3,) metres: the median of the object's points.
    """

    scale: Tensor
    shift: Tensor

    @staticmethod
    def unit(device: torch.device | None = None) -> SceneScale:
        """What is used where an object has no measured point."""
        return SceneScale(torch.ones(3, device=device), torch.zeros(3, device=device))

    def normalise(self, points: Tensor) -> Tensor:
        """(3, H, W) metres -> normalised."""
        return (points - self.shift[:, None, None]) / self.scale[:, None, None]

    def denormalise(self, points: Tensor) -> Tensor:
        """(3, H, W) normalised -> metres."""
        return points * self.scale[:, None, None] + self.shift[:, None, None]


def _points_of(points: Tensor, mask: Tensor) -> Tensor:
    size = (points.shape[-2], points.shape[-1])
    selected = F.interpolate(mask[None], size, mode="nearest")[0, 0] > 0.5
    return points[:, selected]


def scene_scale(points: Tensor, mask: Tensor, *, whole_scene: bool = True) -> SceneScale:
    """Centre on the object, and scale by the scene around it or by the object alone.

    Args:
        points: (3, H, W) metres; NaN where unknown.
        mask: (1, H', W') 0 to 1.
        whole_scene: as the released network expects. The scale is then the median, over all pixels, of the
            distance from the centre along the axis where it is largest; otherwise the median Euclidean distance
            of the object's own points.

    Returns:
        The centre is the median of the object's points, axis by axis. Of an even count the lower median is taken.
    """
    own = _points_of(points, mask)
    if not own.isfinite().any():
        return SceneScale.unit(points.device)
    shift = own.nanmedian(dim=1).values
    if whole_scene:
        distance = (points - shift[:, None, None]).abs().amax(dim=0)
    else:
        distance = (own - shift[:, None]).norm(dim=0)
    return SceneScale(distance.nanmedian().expand(3).clone(), shift)
