"""Meshes: files read by another reader, simplification, sampling and distances of known shapes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import ScenePart, read_mesh, write_glb, write_ply
from sam3d_ros.geometry.mesh_simplify import simplified
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.surfaces import (
    diameter,
    distance_to_surface,
    sample_surface,
    surface_distance,
    transformed,
    triangle_areas,
)


def mesh_of(source: trimesh.Trimesh, seed: int = 0) -> Mesh:
    colors = np.random.default_rng(seed).integers(0, 256, (len(source.vertices), 3), dtype=np.uint8)
    return Mesh(source.vertices, source.faces, colors)


def sphere(radius: float = 0.5, subdivisions: int = 4) -> Mesh:
    return mesh_of(trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius))


def test_ply_is_read_by_another_reader(tmp_path: Path) -> None:
    mesh = sphere(subdivisions=2)
    write_ply(tmp_path / "a.ply", mesh)
    other = trimesh.load(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(other.vertices, mesh.vertices)
    np.testing.assert_array_equal(other.faces, mesh.triangles)
    np.testing.assert_array_equal(other.visual.vertex_colors[:, :3], mesh.colors)
    assert other.is_watertight


def test_ply_round_trip_and_unit(tmp_path: Path) -> None:
    mesh = sphere(subdivisions=1)
    write_ply(tmp_path / "a.ply", mesh)
    back = read_mesh(tmp_path / "a.ply", unit=0.001)
    np.testing.assert_allclose(back.vertices, mesh.vertices * 0.001, rtol=1e-6)
    np.testing.assert_array_equal(back.colors, mesh.colors)


def test_glb_is_y_up_posed_and_named(tmp_path: Path) -> None:
    a = mesh_of(trimesh.creation.box((0.2, 0.4, 1.0)))
    pose = Similarity(translation=np.array([1.0, 2.0, 3.0]), scale=np.array([1.0, 1.0, 2.0]))
    write_glb(tmp_path / "s.glb", [ScenePart("tall", a, pose), ScenePart("plain", a, Similarity())])
    scene = trimesh.load(tmp_path / "s.glb", process=False)
    tall = scene.geometry[scene.graph["tall"][1]]
    # z up and 2 m tall around (1, 2, 3) becomes y up around (1, 3, -2).
    np.testing.assert_allclose(tall.bounds, [[0.9, 2.0, -2.2], [1.1, 4.0, -1.8]], atol=1e-6)
    assert tall.is_watertight
    assert tall.volume > 0
    assert set(scene.graph.nodes_geometry) == {"tall", "plain"}


def test_glb_colors_are_linear_light_and_come_back(tmp_path: Path) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    vertices = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)
    mesh = Mesh(vertices, np.arange(255).reshape(-1, 3), grey)
    write_glb(tmp_path / "c.glb", [ScenePart("grey", mesh, Similarity())])
    stored = next(iter(trimesh.load(tmp_path / "c.glb", process=False).geometry.values()))
    linear = stored.visual.vertex_attributes["color"][:, 0] / 65535
    assert linear[188] == pytest.approx(0.5029, abs=1e-3), "sRGB 188 is half of full light"
    back = read_mesh(tmp_path / "c.glb")
    np.testing.assert_array_equal(back.colors, grey)
    np.testing.assert_allclose(back.vertices, vertices, atol=1e-6)


def test_texture_becomes_vertex_colors(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2], image[2:, 2:] = (0, 0, 255), (255, 0, 0)  # BGR: red above left, blue below right
    cv2.imwrite(str(tmp_path / "t.png"), image)
    (tmp_path / "m.mtl").write_text("newmtl m\nmap_Kd t.png\n")
    (tmp_path / "m.obj").write_text(
        "mtllib m.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0.1 0.9\nvt 0.9 0.1\nvt 0.9 0.9\nf 1/1 2/2 3/3\n"
    )
    mesh = read_mesh(tmp_path / "m.obj")
    by_place = {tuple(v.tolist()): c.tolist() for v, c in zip(mesh.vertices, mesh.colors, strict=True)}
    assert by_place == {(0, 0, 0): [255, 0, 0], (1, 0, 0): [0, 0, 255], (0, 1, 0): [0, 0, 0]}


def test_bad_mesh_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no mesh at"):
        read_mesh(tmp_path / "none.ply")
    (tmp_path / "cloud.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n0 0 0\n"
    )
    with pytest.raises(ValueError, match="no triangle"):
        read_mesh(tmp_path / "cloud.ply")
    (tmp_path / "mesh.xyzzy").write_text("?")
    with pytest.raises(ValueError, match=r"give \.ply"):
        read_mesh(tmp_path / "mesh.xyzzy")
    with pytest.raises(ValueError, match="at least one part"):
        write_glb(tmp_path / "empty.glb", [])


SHAPES = {
    "sphere": trimesh.creation.icosphere(subdivisions=4, radius=0.5),
    "torus": trimesh.creation.torus(0.35, 0.12, major_sections=96, minor_sections=48),
    "box": trimesh.creation.box((1.0, 0.6, 0.3)).subdivide().subdivide().subdivide().subdivide(),
    "capsule": trimesh.creation.capsule(height=0.6, radius=0.2, count=[64, 64]),
    "ring": trimesh.creation.annulus(0.3, 0.5, 0.2, sections=200).subdivide().subdivide(),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("budget", [1500, 300])
def test_simplified_stays_closed_within_budget_and_near(name: str, budget: int) -> None:
    mesh = mesh_of(SHAPES[name])
    assert mesh.is_watertight()
    small = simplified(mesh, budget)
    assert 4 <= len(small.triangles) <= budget
    assert small.is_watertight()
    assert small.volume() == pytest.approx(mesh.volume(), rel=0.06)
    assert surface_distance(mesh, small, samples=500) < 0.01 * diameter(mesh)


def test_simplified_keeps_colors_where_they_were() -> None:
    base = sphere(subdivisions=5)
    halves = np.where(base.vertices[:, 2:] > 0, np.uint8([200, 0, 0]), np.uint8([0, 0, 200]))
    small = simplified(Mesh(base.vertices, base.triangles, halves), 800)
    clear = np.abs(small.vertices[:, 2]) > 0.1
    np.testing.assert_array_equal(small.colors[clear, 0] > 0, small.vertices[clear, 2] > 0)


def test_simplified_returns_a_small_mesh_unchanged_and_refuses_nonsense() -> None:
    mesh = sphere(subdivisions=1)
    assert simplified(mesh, 1000) is mesh
    with pytest.raises(ValueError, match="at least 4"):
        simplified(mesh, 3)


def test_an_open_mesh_may_be_simplified_too() -> None:
    grid = (
        np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0), [0.0]), -1).reshape(-1, 3).astype(np.float32)
    )
    index = np.arange(1600).reshape(40, 40)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    small = simplified(Mesh(grid, triangles, np.zeros((1600, 3), np.uint8)), 100)
    assert len(small.triangles) <= 100
    assert triangle_areas(small).sum() == pytest.approx(39**2, rel=0.03), "borders may erode a little"


def test_samples_are_spread_by_area() -> None:
    """Two squares of 1 and 3 square metres: a quarter of the points on the first, each evenly filled."""
    vertices = np.array(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [3, 0, 1], [3, 1, 1], [0, 1, 1]]
    )
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    mesh = Mesh(vertices, triangles, np.zeros((8, 3), np.uint8))
    points, index = sample_surface(mesh, 40_000, np.random.default_rng(1))
    assert points.shape == (40_000, 3)
    low = index < 2
    assert low.mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(points[low].mean(axis=0), [0.5, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(points[low, :2].var(axis=0), 1 / 12, atol=0.003)
    np.testing.assert_allclose(points[~low].mean(axis=0), [1.5, 0.5, 1], atol=0.03)
    again, _ = sample_surface(mesh, 40_000, np.random.default_rng(1))
    np.testing.assert_array_equal(points, again)


def test_a_mesh_without_area_cannot_be_sampled() -> None:
    line = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="no area"):
        sample_surface(line, 10, np.random.default_rng(0))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_distance_of_concentric_spheres(a: float, b: float) -> None:
    assert surface_distance(sphere(a), sphere(b), samples=300) == pytest.approx(abs(a - b), abs=0.004)


def test_distance_is_symmetric_and_sees_what_is_missing() -> None:
    whole, part = sphere(0.5), trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    part.update_faces(part.triangles_center[:, 2] > 0)
    half = mesh_of(part)
    # The half lies on the whole, but the whole is far from the half: both count.
    assert distance_to_surface(sample_surface(half, 500, np.random.default_rng(0))[0], whole).max() < 1e-4
    assert surface_distance(half, whole) > 0.05
    assert surface_distance(half, whole) == pytest.approx(surface_distance(whole, half), rel=0.05)
    assert surface_distance(whole, whole) < 1e-6


def test_distance_to_a_plane_is_exact() -> None:
    square = Mesh(
        np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32),
        np.array([[0, 1, 2], [0, 2, 3]]),
        np.zeros((4, 3), np.uint8),
    )
    np.testing.assert_allclose(
        distance_to_surface([[0, 0, 0.3], [0.5, 0.5, -0.2], [2, 0, 0], [4, 5, 0]], square),
        [0.3, 0.2, 1, 5],
        atol=1e-6,
    )


def test_diameter_is_the_largest_distance() -> None:
    assert diameter(mesh_of(trimesh.creation.box((3.0, 4.0, 12.0)))) == pytest.approx(13.0)
    assert diameter(sphere(0.5)) == pytest.approx(1.0, abs=1e-3)
    moved = transformed(sphere(0.5), Similarity(translation=np.ones(3), scale=2 * np.ones(3)))
    assert diameter(moved) == pytest.approx(2.0, abs=2e-3)
    flat = Mesh(
        np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0]], np.float32),
        np.array([[0, 1, 2]]),
        np.zeros((3, 3), np.uint8),
    )
    assert diameter(flat) == pytest.approx(5.0)


def test_watertight_and_volume_of_known_shapes() -> None:
    assert mesh_of(trimesh.creation.box((1, 2, 3))).volume() == pytest.approx(6.0)
    assert sphere(0.5, 5).volume() == pytest.approx(np.pi / 6, rel=1e-3)
    ball = sphere()
    inside_out = Mesh(ball.vertices, ball.triangles[:, ::-1], ball.colors)
    assert inside_out.is_watertight()
    assert inside_out.volume() < 0
    assert not Mesh(ball.vertices, ball.triangles[1:], ball.colors).is_watertight()
    one_flipped = ball.triangles.copy()
    one_flipped[0] = one_flipped[0, ::-1]
    assert not Mesh(ball.vertices, one_flipped, ball.colors).is_watertight()
