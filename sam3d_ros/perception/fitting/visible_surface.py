"""A mesh in canonical coordinates, ready to be seen from any pose.

A tracked object keeps its mesh and changes its pose every frame. So the ray-casting structure is built once in
object coordinates, and rays are carried into the object instead of carrying the mesh into the camera.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity, mapped
from sam3d_ros.geometry.meshes import Mesh

Array = NDArray[np.float64]

#: Rays that leave a surface start this far outside, in canonical units.
_STEP_OUT = 1e-3
#: Rays that tell whether a point is inside; each may slip through an edge.
_VOTES = 3


@dataclass(frozen=True, eq=False)
class SurfaceHits:
    """What rays from the optical centre meet.

    Attributes:
        depth: (N,) float64 metres along the optical axis (for directions with z = 1), Inf where nothing is met.
    """

    depth: Array
    _camera_from_object: Similarity
    _directions: NDArray[np.floating]
    _object_normal: NDArray[np.float32]

    @cached_property
    def hit(self) -> NDArray[np.bool_]:
        """(N,) whether the ray meets the object."""
        return np.isfinite(self.depth)

    def part(self, rays: slice) -> SurfaceHits:
        """What some of the rays meet."""
        return SurfaceHits(
            self.depth[rays], self._camera_from_object, self._directions[rays], self._object_normal[rays]
        )

    @cached_property
    def normal(self) -> Array:
        """(N, 3) float64 unit normals in the optical frame, towards the camera; zero where nothing is met."""
        normal = _turned(self._object_normal, self._camera_from_object)
        facing = np.einsum("ij,ij->i", normal, self._directions) > 0
        normal[facing] *= -1.0
        normal[~self.hit] = 0.0
        return normal


class VisibleSurface:
    """Answers what of a mesh is seen, for a mesh that has at least one triangle."""

    _known: ClassVar[WeakKeyDictionary[Mesh, VisibleSurface]] = WeakKeyDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, mesh: Mesh) -> None:
        if len(mesh.triangles) == 0:
            raise ValueError("a mesh without triangles cannot be seen: reject the object before")
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            o3d.core.Tensor.from_numpy(mesh.vertices), o3d.core.Tensor.from_numpy(mesh.triangles)
        )
        # The first question builds the tree; asked here, later questions may come from any thread.
        self._scene.cast_rays(o3d.core.Tensor.from_numpy(np.zeros((1, 6), np.float32)))

    @classmethod
    def of(cls, mesh: Mesh) -> VisibleSurface:
        """The surface of this very mesh object, built at the first call and kept as long as the mesh lives."""
        with cls._lock:
            surface = cls._known.get(mesh)
            if surface is None:
                surface = cls._known[mesh] = cls(mesh)
        return surface

    def cast(self, camera_from_object: Similarity, directions: NDArray[np.floating]) -> SurfaceHits:
        """Look along (N, 3) directions with z = 1 from the optical centre."""
        pose = camera_from_object
        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3] = pose.apply_inverse(np.zeros(3))
        rays[:, 3:] = mapped(directions, pose.rotation.T / pose.scale[:, None])
        answer = self._scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        depth = answer["t_hit"].numpy().astype(np.float64)
        return SurfaceHits(depth, pose, directions, answer["primitive_normals"].numpy())

    def faces_itself(
        self, points: NDArray[np.floating], directions: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """(N,) whether rays from (N, 3) points of the surface meet it again, in canonical coordinates.

        Args:
            points: on the surface.
            directions: (N, 3) unit vectors out of it.
        """
        rays = np.concatenate([points + _STEP_OUT * directions, directions], axis=1).astype(np.float32)
        return np.asarray(self._scene.test_occlusions(o3d.core.Tensor.from_numpy(rays), nthreads=1).numpy())

    def holds(self, camera_from_object: Similarity, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,) whether (N, 3) points in the optical frame are inside: rays from there leave an odd number of times."""
        query = o3d.core.Tensor.from_numpy(
            np.ascontiguousarray(camera_from_object.apply_inverse(points), np.float32)
        )
        answer = self._scene.compute_occupancy(query, nthreads=1, nsamples=_VOTES)
        return np.asarray(answer.numpy() > 0.5)

    def closest(self, camera_from_object: Similarity, points: NDArray[np.floating]) -> Array:
        """(N, 3) the surface points nearest to (N, 3) points, both in the optical frame.

        Nearest in canonical coordinates, which is the same for a uniform scale.
        """
        query = o3d.core.Tensor.from_numpy(
            np.ascontiguousarray(camera_from_object.apply_inverse(points), np.float32)
        )
        answer = self._scene.compute_closest_points(query, nthreads=1)
        return camera_from_object.apply(answer["points"].numpy())


def _turned(normals: NDArray[np.floating], pose: Similarity) -> Array:
    """Normals follow the inverse transpose of a map: unequal scales divide them."""
    turned = (normals / pose.scale) @ pose.rotation.T
    length = np.linalg.norm(turned, axis=1, keepdims=True)
    return np.asarray(turned / np.where(length > 0, length, 1.0))
