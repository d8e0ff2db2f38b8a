"""Ray casting of posed meshes: what a camera would see of a surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh

#: Index of a ray that meets nothing.
NO_HIT = -1


@dataclass(frozen=True, eq=False)
class RayHits:
    """What rays met; each array has the leading shape of the rays.

    Attributes:
        distance: (...) float32, in lengths of the given directions, Inf where nothing was met. With
            directions of unit z from the optical centre this is the depth in metres.
        mesh: (...) int32 index of the mesh in the scene, `NO_HIT` where nothing was met.
        triangle: (...) int64 index of the triangle within that mesh, `NO_HIT` where nothing was met.
        barycentric: (..., 2) float32 place on that triangle: `(1 - u - v) a + u b + v c`.
        normal: (..., 3) float32 unit normal of that triangle in the frame of the rays, zero where nothing was
            met.
    """

    distance: NDArray[np.float32]
    mesh: NDArray[np.int32]
    triangle: NDArray[np.int64]
    barycentric: NDArray[np.float32]
    normal: NDArray[np.float32]

    @property
    def hit(self) -> NDArray[np.bool_]:
        """(...) whether the ray met a surface."""
        return self.mesh != NO_HIT


class RayScene:
    """Meshes in one frame, ready for ray casting.

    Args:
        meshes: pairs of a mesh and its pose `scene_from_mesh`.
    """

    def __init__(self, meshes: Sequence[tuple[Mesh, Similarity]]) -> None:
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        for mesh, scene_from_mesh in meshes:
            vertices = np.ascontiguousarray(scene_from_mesh.apply(mesh.vertices), dtype=np.float32)
            self._scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(mesh.triangles))

    def cast(self, directions: NDArray[np.floating], origins: NDArray[np.floating] | None = None) -> RayHits:
        """Cast rays.

        Args:
            directions: (..., 3), any length, in the scene's frame.
            origins: (..., 3) or (3,); the origin of the frame if left out.
        """
        answer = self._scene.cast_rays(_rays(directions, origins))
        geometry = answer["geometry_ids"].numpy()
        missed = geometry == o3d.t.geometry.RaycastingScene.INVALID_ID
        mesh, triangle = geometry.astype(np.int32), answer["primitive_ids"].numpy().astype(np.int64)
        normal = answer["primitive_normals"].numpy()
        mesh[missed], triangle[missed], normal[missed] = NO_HIT, NO_HIT, 0.0
        return RayHits(
            distance=answer["t_hit"].numpy(),
            mesh=mesh,
            triangle=triangle,
            barycentric=answer["primitive_uvs"].numpy(),
            normal=normal,
        )

    def blocked(
        self, directions: NDArray[np.floating], origins: NDArray[np.floating] | None = None
    ) -> NDArray[np.bool_]:
        """(...) whether rays meet anything at all: half the work of `cast`. Arguments as there."""
        return np.asarray(self._scene.test_occlusions(_rays(directions, origins)).numpy())


def _rays(directions: NDArray[np.floating], origins: NDArray[np.floating] | None) -> o3d.core.Tensor:
    rays = np.empty((*directions.shape[:-1], 6), dtype=np.float32)
    rays[..., :3] = 0.0 if origins is None else origins
    rays[..., 3:] = directions
    return o3d.core.Tensor(rays)
