"""Points on surfaces, and distances between surfaces."""

from __future__ import annotations

import contextlib

import numpy as np
import open3d as o3d
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh

Array = NDArray[np.float64]


def transformed(mesh: Mesh, target_from_mesh: Similarity) -> Mesh:
    """The mesh with its vertices in another frame; colours and triangles are shared."""
    return Mesh(target_from_mesh.apply(mesh.vertices).astype(np.float32), mesh.triangles, mesh.colors)


def triangle_areas(mesh: Mesh) -> Array:
    """(M,) areas, vertex units squared."""
    a, b, c = mesh.vertices.astype(np.float64)[mesh.triangles.astype(np.intp)].transpose(1, 0, 2)
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def sample_surface(mesh: Mesh, count: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    """Points spread evenly over a surface.

    Args:
        mesh: a mesh with at least one triangle of positive area.
        count: how many points.
        rng: source of chance.

    Returns:
        (count, 3) points in the frame of the mesh, and (count,) the triangle of each.

    Raises:
        ValueError: the mesh has no area.
    """
    areas = triangle_areas(mesh)
    total = areas.sum()
    if not total > 0:
        raise ValueError(f"a mesh of {len(mesh.triangles)} triangles has no area to sample points on")
    triangle = rng.choice(len(areas), size=count, p=areas / total)
    # Uniform in a triangle by folding the unit square at its diagonal.
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = mesh.vertices.astype(np.float64)[mesh.triangles[triangle].astype(np.intp)].transpose(1, 0, 2)
    return a + u * (b - a) + v * (c - a), triangle


def distance_to_surface(points: ArrayLike, mesh: Mesh) -> Array:
    """(...) exact distance of (..., 3) points to the nearest point of a mesh, in units of its vertices."""
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(o3d.core.Tensor(mesh.vertices), o3d.core.Tensor(mesh.triangles))
    query = o3d.core.Tensor(np.ascontiguousarray(points, dtype=np.float32))
    return np.asarray(scene.compute_distance(query, nthreads=1).numpy(), dtype=np.float64)


def surface_distance(a: Mesh, b: Mesh, *, samples: int = 4000, seed: int = 0) -> float:
    """Mean distance between two surfaces, in both directions: zero only if they are the same surface.

    Half of the sum of the mean distance of points of `a` to `b` and of points of `b` to `a`.

    Args:
        a, b: meshes in one frame; see `transformed`.
        samples: points on each surface.
        seed: of their choice.

    Raises:
        ValueError: a mesh has no area.
    """
    rng = np.random.default_rng(seed)
    on_a, on_b = sample_surface(a, samples, rng)[0], sample_surface(b, samples, rng)[0]
    return float(distance_to_surface(on_a, b).mean() + distance_to_surface(on_b, a).mean()) / 2


def diameter(mesh: Mesh) -> float:
    """Largest distance between two vertices, vertex units: what relative errors of pose and shape refer to."""
    points = mesh.vertices.astype(np.float64)
    # A flat mesh has no hull: all of its vertices are compared.
    with contextlib.suppress(QhullError):
        points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())
