"""What the predictor answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.models.objects.flexicubes import Surface
from sam3d_ros.models.objects.hypotheses import Hypothesis


@dataclass(frozen=True, eq=False)
class ObjectPrediction:
    """One object.

    Attributes:
        hypotheses: poses that were sampled.
        chosen: index of the best of them.
        metric: whether the pose is in metres: points were measured on the object.
        voxels: (N, 3) int32 occupied voxels at the surface; N is 0 where the network saw no object.
        resolution: voxels along a side of the canonical cube.
        mesh: canonical frame; None where it was not asked for or there is none.
        splats: `gaussians` or `gaussians_4` -> splats, as asked for.
        seconds: stage -> what this object took of it; work for several objects is split evenly.
    """

    hypotheses: tuple[Hypothesis, ...]
    chosen: int
    metric: bool
    voxels: NDArray[np.int32]
    resolution: int
    mesh: Mesh | None
    splats: dict[str, Splats]
    seconds: dict[str, float]

    @property
    def camera_from_object(self) -> Similarity:
        """Canonical to optical frame, of the chosen hypothesis."""
        return self.hypotheses[self.chosen].camera_from_object


def mesh_of(surface: Surface) -> Mesh | None:
    """The decoded surface with its colours, as arrays; None where it is empty."""
    if len(surface.triangles) == 0:
        return None
    colors = (surface.attributes[:, :3] * 255.0).round().clamp(0, 255)
    return Mesh(
        surface.vertices.cpu().numpy(),
        surface.triangles.cpu().numpy().astype(np.uint32),
        colors.cpu().numpy().astype(np.uint8),
    )
