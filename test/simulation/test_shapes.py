"""Shapes: closed, outward, of the size asked for, and of the volume that geometry says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.simulation import shapes


def mesh_of(surface: shapes.Surface) -> Mesh:
    vertices, triangles = surface
    return Mesh(vertices, triangles, np.zeros((len(vertices), 3), np.uint8))


BUILDERS: dict[str, tuple[Callable[[], shapes.Surface], tuple[float, float, float]]] = {
    "box": (lambda: shapes.box((0.1, 0.2, 0.06)), (0.1, 0.2, 0.06)),
    "l_shape": (lambda: shapes.l_shape((0.16, 0.06, 0.12), 0.04), (0.16, 0.06, 0.12)),
    "tray": (lambda: shapes.tray((0.2, 0.15, 0.06), 0.006), (0.2, 0.15, 0.06)),
    "cylinder": (lambda: shapes.cylinder(0.04, 0.12), (0.08, 0.08, 0.12)),
    "bottle": (lambda: shapes.bottle(0.035, 0.24, 0.012), (0.07, 0.07, 0.24)),
    "bowl": (lambda: shapes.bowl(0.08, 0.06, 0.006), (0.16, 0.16, 0.06)),
    "cup": (lambda: shapes.cup(0.04, 0.1, 0.004), (0.08, 0.08, 0.1)),
    "mug": (lambda: shapes.mug(0.042, 0.095, 0.006), (0.115, 0.084, 0.095)),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_shapes_are_closed_outward_and_stand_on_zero(name: str) -> None:
    build, size = BUILDERS[name]
    mesh = mesh_of(build())
    assert mesh.is_watertight()
    assert mesh.volume() > 0
    low, high = mesh.bounds
    assert low[2] == pytest.approx(0.0, abs=1e-7)
    np.testing.assert_allclose(high - low, size, atol=0.002)


size = st.floats(0.03, 0.3)


@settings(max_examples=15, deadline=None)
@given(size, size, size)
def test_box_volume(x: float, y: float, z: float) -> None:
    mesh = mesh_of(shapes.box((x, y, z)))
    assert mesh.is_watertight()
    assert mesh.volume() == pytest.approx(x * y * z, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.02, 0.1), st.floats(0.03, 0.3))
def test_cylinder_volume(radius: float, height: float) -> None:
    # A prism of 72 sides, less the broken edges of at most 2 mm.
    prism = 36 * np.sin(np.pi / 36) * radius**2 * height
    volume = mesh_of(shapes.cylinder(radius, height)).volume()
    assert prism * 0.97 - 2 * np.pi * radius * 0.002**2 < volume <= prism * (1 + 1e-5)


def test_l_shape_and_tray_volumes() -> None:
    bracket = mesh_of(shapes.l_shape((0.16, 0.06, 0.12), 0.04)).volume()
    assert bracket == pytest.approx(0.06 * (0.16 * 0.04 + 0.04 * 0.08), rel=1e-5)
    tray = mesh_of(shapes.tray((0.2, 0.15, 0.06), 0.006)).volume()
    assert tray == pytest.approx(0.2 * 0.15 * 0.06 - 0.188 * 0.138 * 0.054, rel=1e-4)


def test_a_mug_holds_something_and_has_a_hole_in_its_handle() -> None:
    mesh = mesh_of(shapes.mug(0.042, 0.095, 0.006))
    # Euler's characteristic of a closed surface with one handle is zero: the grip is the only tunnel.
    edges = len(mesh.triangles) * 3 // 2
    assert len(mesh.vertices) - edges + len(mesh.triangles) == 0
    assert mesh.volume() < 0.6 * np.pi * 0.042**2 * 0.095


def test_a_revolved_triangle_is_a_double_cone() -> None:
    mesh = mesh_of(shapes.revolution([(0, 0), (0.1, 0.1), (0, 0.2)]))
    prism_share = 36 * np.sin(np.pi / 36) / np.pi
    assert mesh.volume() == pytest.approx(np.pi * 0.1**2 * 0.2 / 3 * prism_share, rel=1e-4)


def test_an_implicit_sphere_has_the_volume_of_one() -> None:
    mesh = mesh_of(shapes.implicit(lambda p: np.linalg.norm(p, axis=-1) - 0.05, [-0.06] * 3, [0.06] * 3))
    assert mesh.is_watertight()
    assert mesh.volume() == pytest.approx(4 / 3 * np.pi * 0.05**3, rel=0.01)
