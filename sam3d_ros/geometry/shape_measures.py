"""How near a posed mesh is to the true one, in the measures that reconstruction of objects is compared by.

All are shares of the true object's diameter, its largest vertex distance. Definitions follow the evaluation of RecGen
(arXiv 2604.27106): ADD-SB compares surfaces where they are, CD_norm after they were brought together, DRE diameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.boxes import OrientedBox
from sam3d_ros.geometry.frames import Similarity, orthonormalized
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.pose_measures import CUBE_ROTATIONS
from sam3d_ros.geometry.surfaces import diameter, sample_surface, surface_distance, transformed

Array = NDArray[np.float64]

_ICP_POINTS, _ICP_STEPS = 1000, 40
#: A step that moves no point by more than this share of the diameter ends the registration.
_ICP_TOLERANCE = 1e-5
_RESAMPLES = 2000


def add_sb(posed: Mesh, truth: Mesh) -> float:
    """Mean distance of two surfaces in both directions, as they are posed, by the true diameter.

    Args:
        posed, truth: in one frame.
    """
    return surface_distance(posed, truth) / diameter(truth)


def cd_norm(posed: Mesh, truth: Mesh) -> float:
    """The same after rigid registration from where they are: what is wrong with the shape, whatever the pose."""
    return add_sb(transformed(posed, registration(posed, truth)), truth)


def diameter_error(posed: Mesh, truth: Mesh) -> float:
    """DRE: difference of the diameters by the true one, not negative."""
    true = diameter(truth)
    return abs(diameter(posed) - true) / true


def registration(source: Mesh, target: Mesh) -> Similarity:
    """`target_from_source` of scale one by iterated closest points in both directions (Besl and McKay 1992).

    Args:
        source, target: in one frame, near each other.
    """
    rng = np.random.default_rng(0)
    start, there = sample_surface(source, _ICP_POINTS, rng)[0], sample_surface(target, _ICP_POINTS, rng)[0]
    tree, extent = cKDTree(there), float(np.ptp(there, axis=0).max())
    motion, here = Similarity(), start
    for _ in range(_ICP_STEPS):
        forth, back = tree.query(here)[1], cKDTree(here).query(there)[1]
        step = _rigid_fit(np.concatenate([here, here[back]]), np.concatenate([there[forth], there]))
        moved = step.apply(here)
        is_still = np.abs(moved - here).max() < _ICP_TOLERANCE * extent
        motion, here = step @ motion, moved
        if is_still:
            break
    return motion


def extent_errors(mesh: Mesh, pose: Similarity, true_mesh: Mesh, true_pose: Similarity) -> Array:
    """(3,) relative errors of the extents along the true object's own axes, signed.

    Both ways to look at a mesh whose axes lie a little askew are fair: along the axes that it names, each against the
    nearest true one, and along the true axes. The one with the smaller largest error is answered.

    Args:
        mesh, true_mesh: canonical.
        pose, true_pose: target from canonical.
    """
    true = OrientedBox.of_mesh(true_mesh, true_pose)
    own = OrientedBox.of_mesh(mesh, pose)
    turns = np.einsum("ij,nkj,ki->n", own.rotation, CUBE_ROTATIONS, true.rotation.T)
    # Columns of `rotation @ Q.T` are the named axes in the order and direction of the true ones.
    named = np.abs(CUBE_ROTATIONS[int(np.argmax(turns))]) @ own.size
    along = np.ptp(pose.apply(mesh.vertices) @ true.rotation, axis=0)
    errors = np.stack([named, along]) / true.size - 1.0
    return np.asarray(errors[int(np.argmin(np.abs(errors).max(axis=1)))])


def bootstrap_interval(
    values: Sequence[float], statistic: Callable[[Array], Array], *, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a statistic over objects, from resamples of always the same chance (Efron 1979).

    Args:
        values: one for each object.
        statistic: of (R, N) values along the last axis.
        level: how often the interval should hold the truth.
    """
    known = np.asarray(values, dtype=np.float64)
    if len(known) == 0:
        return np.nan, np.nan
    chosen = np.random.default_rng(0).integers(len(known), size=(_RESAMPLES, len(known)))
    low, high = np.quantile(statistic(known[chosen]), [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _rigid_fit(source: Array, target: Array) -> Similarity:
    """The motion that brings (N, 3) points nearest to their partners (Kabsch 1976)."""
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - goal).T @ (source - middle))
    mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = orthonormalized(u @ mirror @ vt)
    return Similarity(rotation, goal - rotation @ middle)
