"""Versions of a track's mesh: when to make it anew, whether to take the new one, and with which axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity, orthonormalized
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.bounds import bounded, check_bounds
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.tracks import Track

_NANOSECONDS = 1e-9
#: Retries become no rarer after this many doublings of the interval.
_LARGEST_DOUBLING = 6


class ReconstructionReason(Enum):
    """Why a track wants to be reconstructed; the values go to logs."""

    NEW = "new"
    REJECTED = "rejected"
    BETTER_VIEW = "better_view"


@dataclass(frozen=True)
class VersionConfig:
    """Parameters of mesh versions.

    Attributes:
        improvement: a view is clearly better when its quality (visible, measured, whole pixels) exceeds that of
            the view behind the mesh by this factor; infinite = never make a mesh anew because of the view.
        min_interval: seconds from one version to the next at least.
        retry_interval: seconds until an object with a REJECTED verdict is tried again; doubled with each failure.
        retry_share: that is done from a view of at least this share of the quality of the one behind the mesh: an
            object that is half hidden now needs no new mesh.
    """

    improvement: float = bounded(1.6, 1.05)
    min_interval: float = bounded(2.0, 0.0)
    retry_interval: float = bounded(1.0, 0.0)
    retry_share: float = bounded(0.6, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_bounds(self)


def reconstruction_reason(track: Track, stamp: int, config: VersionConfig) -> ReconstructionReason | None:
    """Why a track that is seen at a stamp (nanoseconds) should be reconstructed now; None if it should not."""
    if track.estimate is None:
        return ReconstructionReason.NEW
    age = (stamp - track.version_stamp) * _NANOSECONDS
    as_good = track.view.quality >= config.retry_share * track.version_quality
    patience = config.retry_interval * 2.0 ** min(track.failures, _LARGEST_DOUBLING)
    if track.estimate.verdict.state is VerdictState.REJECTED and as_good and age >= patience:
        return ReconstructionReason.REJECTED
    if age >= config.min_interval and track.view.quality > config.improvement * track.version_quality:
        return ReconstructionReason.BETTER_VIEW
    return None


def may_replace(new: Verdict, old: Verdict, old_at_best: VerdictState) -> bool:
    """Whether a new version may replace the old one.

    Args:
        new: of the new version.
        old: the present one of the old version.
        old_at_best: the best that the old version had: a mesh that once was good gives way to no rejected one, whatever
            hides it now.
    """
    if new.state is VerdictState.REJECTED:
        return old_at_best is VerdictState.REJECTED
    return new.state.value <= old.state.value


def axis_rotations() -> NDArray[np.float64]:
    """(24, 3, 3) the rotations that carry the axes of a cube onto each other."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return np.stack(found)


def with_axes_near(estimate: ObjectEstimate, camera_from_previous: Similarity) -> ObjectEstimate:
    """The same object, with its canonical axes named so that they lie nearest to those of a former version.

    A box has no front: a reconstruction may call any of its sides so, and its pose would jump by quarter turns
    from one version to the next. Of the 24 ways to name the axes the one with the smallest turn is taken; mesh,
    rotation and scale change together, the surface in space does not.

    Args:
        estimate: the new version.
        camera_from_previous: pose of the former version at the same moment; only its rotation counts.
    """
    pose = estimate.camera_from_object
    renamings = axis_rotations()
    agreement = np.einsum("ij,nij->n", camera_from_previous.rotation, pose.rotation @ renamings)
    old_from_new = renamings[int(np.argmax(agreement))]
    mesh = estimate.mesh
    return replace(
        estimate,
        mesh=Mesh(mesh.vertices @ old_from_new.astype(np.float32), mesh.triangles, mesh.colors),
        camera_from_object=Similarity(
            orthonormalized(pose.rotation @ old_from_new),
            pose.translation,
            np.abs(old_from_new).T @ pose.scale,
        ),
    )
