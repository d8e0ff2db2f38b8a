"""The same axes for the same object, whichever version of its mesh.

A box has no front and a bottle no side: two reconstructions of one object may name its axes differently, and its pose
would jump although nothing moved. A new version therefore takes over the axes of the former one as far as its
symmetry allows; mesh, rotation and scale change together, the surface in space stays where it is.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity, orthonormalized
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate

Array = NDArray[np.float64]

#: Scales that differ by this share at most are those of something round.
_ROUNDNESS = 0.06
#: Cosine of the angle between an axis of symmetry and a canonical one that are the same.
_ALONG = np.cos(np.deg2rad(8.0))
_HALF_CUBE = 0.5
#: Surfaces that are off by this share of the diameter, root mean square, are one.
_SAME_SURFACE = 0.004
#: Traces of relative rotations that differ by this at most are equally near: eight degrees.
_AS_NEAR = 0.02


def axis_rotations() -> Array:
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
    """The same object with canonical axes that lie as near as possible to those of a former version.

    Of the 24 ways to name the axes and the poses that look alike those with the smallest turn are taken; of several the
    name that leaves least to the symmetry, which holds but to its tolerance. A round object is turned with its mesh,
    which costs nothing of its shape.

    Args:
        estimate: the new version.
        camera_from_previous: pose of the former version at the same moment; only its rotation counts.
    """
    pose, previous = estimate.camera_from_object, camera_from_previous.rotation
    renamings = axis_rotations()
    agreement = np.einsum("ij,nij->n", previous, pose.rotation @ renamings)
    # Named anew after a motion of its group or before: the same.
    alike = [estimate.symmetry.nearest(pose, Similarity(previous @ n.T)).rotation for n in renamings]
    modulo_symmetry = np.einsum("ij,nij->n", previous, alike @ renamings)
    agreement[modulo_symmetry < modulo_symmetry.max() - _AS_NEAR] = -np.inf
    named = _with_axes(estimate, renamings[int(np.argmax(agreement))])
    pose = named.camera_from_object
    nearest = named.symmetry.nearest(pose, camera_from_previous)
    if nearest is not pose and _is_round_within_its_box(named):
        return _spun(named, pose.rotation.T @ nearest.rotation)
    # A motion of the group holds but to its tolerance; the surface stays where it was found.
    return replace(named, camera_from_object=nearest) if _keeps_surface(named, nearest) else named


def _keeps_surface(estimate: ObjectEstimate, turned: Similarity) -> bool:
    """Whether the vertices of an object come to lie on one another when it is turned to another pose."""
    before, after = (pose.apply(estimate.mesh.vertices) for pose in (estimate.camera_from_object, turned))
    if len(before) == 0:
        return True
    off, _ = cKDTree(before).query(after)
    return bool(np.sqrt(np.mean(off**2)) <= _SAME_SURFACE * np.linalg.norm(estimate.size))


def _with_axes(estimate: ObjectEstimate, old_from_new: Array) -> ObjectEstimate:
    """Name the axes anew by one of `axis_rotations`."""
    pose, mesh = estimate.camera_from_object, estimate.mesh
    return replace(
        estimate,
        mesh=Mesh(mesh.vertices @ old_from_new.astype(np.float32), mesh.triangles, mesh.colors),
        splats=None if estimate.splats is None else estimate.splats.turned(old_from_new),
        symmetry=estimate.symmetry.turned(old_from_new),
        camera_from_object=Similarity(
            orthonormalized(pose.rotation @ old_from_new),
            pose.translation,
            np.abs(old_from_new).T @ pose.scale,
        ),
    )


def _is_round_within_its_box(estimate: ObjectEstimate) -> bool:
    """Whether the object is round about one canonical axis, so that its box stays when it turns."""
    scale = estimate.camera_from_object.scale
    if len(estimate.symmetry.continuous) != 1:
        return False
    direction = np.abs(estimate.symmetry.continuous[0].axis)
    axis = int(np.argmax(direction))
    across = np.delete(scale, axis)
    return bool(direction[axis] >= _ALONG and abs(across[0] - across[1]) <= _ROUNDNESS * across.max())


def _spun(estimate: ObjectEstimate, old_from_new: Array) -> ObjectEstimate:
    """Turn the canonical frame of a round object around its axis, and keep the mesh inside the cube."""
    pose, mesh = estimate.camera_from_object, estimate.mesh
    # The turn acts on metric coordinates; the two scales across the axis differ by little and become one.
    vertices = (mesh.vertices * pose.scale) @ old_from_new
    scale = np.maximum(pose.scale, np.abs(vertices).max(axis=0) / _HALF_CUBE)
    splats = estimate.splats
    if splats is not None:
        splats = splats.turned(old_from_new, float(pose.scale.mean() / scale.mean()))
    return replace(
        estimate,
        mesh=Mesh(
            (vertices / scale).astype(np.float32).clip(-_HALF_CUBE, _HALF_CUBE), mesh.triangles, mesh.colors
        ),
        splats=splats,
        symmetry=estimate.symmetry.turned(old_from_new),
        camera_from_object=Similarity(orthonormalized(pose.rotation @ old_from_new), pose.translation, scale),
    )
