"""What reconstruction answers: an object, its metric pose, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.perception.symmetry_group import NO_SYMMETRY, SymmetryGroup


class VerdictState(Enum):
    """How far an estimate can be trusted; the values are those of sam3d_ros/msg/Verdict."""

    ACCEPTED = 0
    UNCERTAIN = 1
    REJECTED = 2


class ScaleSource(Enum):
    """What makes the size of an object metric; the values are those of sam3d_ros/msg/Verdict."""

    DEPTH = 0
    LIDAR = 1
    PRIOR = 2


@dataclass(frozen=True)
class Verdict:
    """A judgement with its figures; a figure that could not be measured is NaN.

    Attributes:
        state: the judgement.
        reasons: why it is not ACCEPTED, as snake_case names; empty when it is.
        mask_iou: silhouette of the posed mesh against the instance mask, 0 to 1, pixels that other instances
            may hide left out.
        depth_residual: median distance of the measured points to the visible surface, metres.
        inlier_ratio: share of the measured points that the visible surface explains, 0 to 1.
        point_count: measured points in the mask after cleaning.
        scale_source: what the metric scale rests on.
        seen_share: share of the surface that was measured, by area, 0 to 1; the rest is guessed.
        size_sigma: standard deviations of the extents along the object's own axes, metres.
    """

    state: VerdictState
    reasons: tuple[str, ...]
    mask_iou: float
    depth_residual: float
    inlier_ratio: float
    point_count: int
    scale_source: ScaleSource
    seen_share: float = np.nan
    size_sigma: tuple[float, float, float] = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class ObjectEstimate:
    """One reconstructed object.

    Attributes:
        instance_id: value of its pixels in `Frame.labels`.
        label: class name, may be empty.
        mesh: canonical frame: inside [-0.5, 0.5]^3, z up.
        camera_from_object: canonical to optical frame, metric: `p_camera = R @ (s * p) + t`.
        covariance: (6, 6) float64 of the pose in the optical frame, order x y z rotX rotY rotZ (REP-103),
            metres and radians.
        verdict: how far to trust it.
        splats: the object as Gaussian splats in the canonical frame; None where they were not asked for.
        measured: (V,) whether each vertex of the mesh was measured; the others are guessed. None = not known.
        symmetry: the motions that its pose is known but for.
    """

    instance_id: int
    label: str
    mesh: Mesh
    camera_from_object: Similarity
    covariance: NDArray[np.float64]
    verdict: Verdict
    splats: Splats | None = None
    measured: NDArray[np.bool_] | None = None
    symmetry: SymmetryGroup = NO_SYMMETRY

    @property
    def size(self) -> NDArray[np.float64]:
        """(3,) full lengths of the mesh along the object axes, metres."""
        low, high = self.mesh.bounds.astype(np.float64)
        return np.asarray((high - low) * self.camera_from_object.scale)

    @property
    def center(self) -> NDArray[np.float64]:
        """(3,) centre of the object's box in the optical frame, metres."""
        return self.camera_from_object.apply(self.mesh.bounds.astype(np.float64).mean(axis=0))
