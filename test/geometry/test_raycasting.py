"""Ray casting against spheres, planes and boxes in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import NO_HIT, RayScene

CAMERA = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(source.vertices, source.faces, np.zeros((len(source.vertices), 3), np.uint8))


BALL = mesh_of(trimesh.creation.icosphere(subdivisions=5, radius=0.5))
BOX = mesh_of(trimesh.creation.box((1.0, 1.0, 1.0)))


def test_depth_and_normal_of_a_sphere() -> None:
    center, radius = np.array([0.1, -0.05, 1.2]), 0.2
    hits = RayScene([(BALL, Similarity(translation=center, scale=np.full(3, 2 * radius)))]).cast(
        CAMERA.rays()
    )
    rays = CAMERA.rays().astype(float)
    a, b, c = (rays**2).sum(-1), rays @ center, center @ center - radius**2
    inside = b * b - a * c > 0
    depth = (b - np.sqrt(np.maximum(b * b - a * c, 0))) / a
    assert (hits.hit == inside).mean() > 0.999
    steep = (b * b - a * c > 0.01) & hits.hit
    np.testing.assert_allclose(hits.distance[steep], depth[steep], atol=4e-4)
    outward = (rays * depth[..., None] - center) / radius
    np.testing.assert_allclose(hits.normal[steep], outward[steep], atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(hits.normal[hits.hit], axis=-1), 1.0, atol=1e-5)


def test_rays_that_miss() -> None:
    hits = RayScene([(BOX, Similarity(translation=np.array([0, 0, 5.0])))]).cast(
        np.float32([[0, 0, -1], [0, 0, 1]])
    )
    assert hits.hit.tolist() == [False, True]
    assert np.isinf(hits.distance[0])
    assert (hits.mesh[0], hits.triangle[0]) == (NO_HIT, NO_HIT)
    np.testing.assert_array_equal(hits.normal[0], 0.0)
    assert hits.distance[1] == pytest.approx(4.5)


def test_the_nearer_mesh_is_met_and_named() -> None:
    scene = RayScene(
        [
            (BOX, Similarity(translation=np.array([0, 0, 5.0]))),
            (BOX, Similarity(translation=np.array([0, 0, 3.0]))),
        ]
    )
    hits = scene.cast(np.float32([[0, 0, 1.0], [0, 0, -1.0]]), np.float32([[0, 0, 0], [0, 0, 9.0]]))
    assert hits.mesh.tolist() == [1, 0]
    np.testing.assert_allclose(hits.distance, [2.5, 3.5], atol=1e-6)


def test_distance_is_in_lengths_of_the_direction() -> None:
    scene = RayScene([(BOX, Similarity(translation=np.array([0, 0, 5.0])))])
    hits = scene.cast(np.float32([[0, 0, 1], [0, 0, 2], [0, 0, 0.5]]))
    np.testing.assert_allclose(hits.distance, [4.5, 2.25, 9.0], rtol=1e-6)


def test_barycentric_coordinates_and_triangle_give_the_point() -> None:
    pose = Similarity(
        Rotation.from_euler("xyz", (0.3, 0.5, 0.7)).as_matrix(),
        np.array([0.1, 0, 2.0]),
        np.array([0.5, 0.8, 0.3]),
    )
    hits = RayScene([(BOX, pose)]).cast(CAMERA.rays())
    assert hits.hit.sum() > 500
    corners = pose.apply(BOX.vertices[BOX.triangles.astype(int)])[hits.triangle[hits.hit]]
    u, v = hits.barycentric[hits.hit].T[..., None]
    points = (1 - u - v) * corners[:, 0] + u * corners[:, 1] + v * corners[:, 2]
    np.testing.assert_allclose(points, CAMERA.rays()[hits.hit] * hits.distance[hits.hit][:, None], atol=1e-5)


def test_blocked_is_hit() -> None:
    scene = RayScene([(BALL, Similarity(translation=np.array([0.2, 0.1, 1.5])))])
    np.testing.assert_array_equal(scene.blocked(CAMERA.rays()), scene.cast(CAMERA.rays()).hit)


def test_a_mesh_is_posed_with_unequal_scales() -> None:
    pose = Similarity(translation=np.array([0, 0, 4.0]), scale=np.array([0.2, 1.0, 2.0]))
    hits = RayScene([(BOX, pose)]).cast(np.float32([[0, 0, 1], [0.05, 0, 1], [0, 0.15, 1]]))
    assert hits.hit.tolist() == [True, False, True]
    np.testing.assert_allclose(hits.distance[[0, 2]], 3.0, rtol=1e-6)
