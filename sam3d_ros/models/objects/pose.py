"""From the pose tokens of the geometry model to a metric pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3d_ros.geometry.frames import Similarity, camera_from_object_of_sam3d
from sam3d_ros.models.objects.point_maps import SceneScale

#: Statistics of the training set of the released weights, by which the six numbers of a rotation are standardised.
ROTATION_MEAN = (
    -0.06366084883674913,
    0.008438224692279752,
    0.00017084786438302483,
    0.0007126610473540038,
    -0.0030916726538816417,
    0.5166093753457688,
)
#: See `ROTATION_MEAN`.
ROTATION_STD = (
    0.6656971967514863,
    0.6787012271867754,
    0.30345010594844524,
    0.4394504420678794,
    0.39817973931717104,
    0.6176286868761914,
)


@dataclass(frozen=True)
class RotationStatistics:
    """By what the six numbers of a rotation were standardised when a model was trained.

    Attributes:
        mean: six numbers.
        std: six numbers.
    """

    mean: tuple[float, ...] = ROTATION_MEAN
    std: tuple[float, ...] = ROTATION_STD


RELEASED_STATISTICS = RotationStatistics()


@dataclass(frozen=True, eq=False)
class NetworkPose:
    """A pose in the network's own terms: `p_camera = scale * p_object @ R(quaternion) + translation`.

    Points are rows and the camera is PyTorch3D's; `camera_from_object` says it in the terms of this package.

    Attributes:
        quaternion_wxyz: (4,) float64.
        translation: (3,) float64, metres.
        scale: (3,) float64, three equal entries, metres for one canonical unit.
    """

    quaternion_wxyz: NDArray[np.float64]
    translation: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def camera_from_object(self) -> Similarity:
        """The active transform from the canonical frame to the optical frame, metric."""
        return camera_from_object_of_sam3d(self.quaternion_wxyz, self.translation, self.scale)


def rotation_from_six(six: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6,) two axes -> (3, 3) rotation with these as columns, by Gram-Schmidt (Zhou et al. 2019).

    Raises:
        ValueError: the axes are parallel or zero.
    """
    first = six[:3] / np.linalg.norm(six[:3])
    second = six[3:] - (first @ six[3:]) * first
    second = second / np.linalg.norm(second)
    rotation = np.stack([first, second, np.cross(first, second)], axis=1)
    if not np.isfinite(rotation).all():
        raise ValueError(f"the six rotation numbers {six.tolist()} span no plane")
    return rotation


def decode_pose(
    tokens: Mapping[str, Tensor],
    scene: SceneScale,
    downsampling: int = 1,
    statistics: RotationStatistics = RELEASED_STATISTICS,
) -> NetworkPose:
    """Decode the pose tokens of one hypothesis.

    Args:
        tokens: `6drotation_normalized` (6,), `translation` (3,) and `scale` (3,), any leading axes of length 1.
        scene: how the point map was normalised; the unit scene where there is none.
        downsampling: factor by which the occupied voxels were thinned.
        statistics: of the rotations that the model was trained with.
    """
    six, translation, log_scale = (
        tokens[name].double().flatten().cpu().numpy()
        for name in ("6drotation_normalized", "translation", "scale")
    )
    shift = scene.shift.double().cpu().numpy()
    metres = scene.scale.double().cpu().numpy()
    rotation = rotation_from_six(six * np.array(statistics.std) + np.array(statistics.mean))
    x, y, z, w = Similarity(rotation).quaternion()
    scale = np.full(3, np.mean(np.exp(log_scale) * metres) * downsampling)
    return NetworkPose(np.array([w, x, y, z]), translation * metres + shift, scale)


def standardised_rotation(
    rotation: NDArray[np.float64], statistics: RotationStatistics = RELEASED_STATISTICS
) -> Tensor:
    """(3, 3) row-vector rotation -> (6,) token: the inverse of `decode_pose`, for tests and for training."""
    six = np.concatenate([rotation[:, 0], rotation[:, 1]])
    return torch.from_numpy((six - np.array(statistics.mean)) / np.array(statistics.std))
