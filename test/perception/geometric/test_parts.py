"""The parts of the geometric reconstructor against closed forms and axioms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standing_solids import IDENTITY, box, camera_above, look, placed, sphere

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.polygons import convex_hull, depth_inside_hull
from sam3d_ros.perception.evidence import Cut, Overview
from sam3d_ros.perception.geometric.closing import closed, is_closed
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.footprint import natural_rectangle, smallest_rectangle
from sam3d_ros.perception.geometric.free_space import FreeSpace, ViewSpace
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.segment import segment_instance
from sam3d_ros.perception.geometric.support import find_support
from sam3d_ros.perception.geometric.symmetry import Symmetry, SymmetryKind, motions, moved

SEEN_FROM = camera_above()
#: `camera_from_world` of a camera at the origin that looks along -z of the world.
LOOKING_DOWN = Similarity(np.diag([1.0, -1.0, -1.0]))
angles = st.floats(-np.pi, np.pi)
places = st.tuples(st.floats(-2, 2), st.floats(-2, 2)).map(np.array)


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def between_axes(a: float, b: float) -> float:
    """Radians between two directions of a rectangle, whose sides repeat every quarter turn."""
    return abs((a - b + np.pi / 4) % (np.pi / 2) - np.pi / 4)


@given(angle=angles, place=places, long=st.floats(0.5, 3.0), short=st.floats(0.05, 0.4))
def test_the_rectangle_of_a_rectangle_is_itself(
    angle: float, place: np.ndarray, long: float, short: float
) -> None:
    corners = turned(np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * (long / 2, short / 2), angle) + place
    for rectangle in (smallest_rectangle(corners), natural_rectangle(corners)):
        assert between_axes(rectangle.angle, angle) < 0.02
        assert rectangle.sides == pytest.approx((long, short), rel=0.05, abs=0.02)
        assert rectangle.center == pytest.approx(place, abs=1e-3)
        assert rectangle.sides[0] >= rectangle.sides[1]


@given(angle=angles, place=places)
def test_a_mug_is_boxed_along_its_handle(angle: float, place: np.ndarray) -> None:
    around = np.linspace(0, 2 * np.pi, 60)
    rim = np.stack([np.cos(around), np.sin(around)], axis=1)
    mug = turned(np.concatenate([rim, [[1.7, 0.1], [1.7, -0.1]]]), angle) + place
    assert between_axes(natural_rectangle(mug).angle, angle) < np.deg2rad(2.0)
    assert natural_rectangle(mug).sides == pytest.approx((2.7, 2.0), abs=0.03)


@given(points=st.lists(places, min_size=1, max_size=8))
@example(points=[np.array([0.0, -0.0]), np.array([-0.0, 0.0]), np.array([0.0, 0.0])])
def test_any_points_have_rectangles_that_hold_them(points: list[np.ndarray]) -> None:
    for rectangle in (smallest_rectangle(np.array(points)), natural_rectangle(np.array(points))):
        local = turned(np.array(points) - rectangle.center, -rectangle.angle)
        assert (np.abs(local) <= rectangle.sides / 2 + 1e-4).all()


def test_depth_inside_a_square() -> None:
    square = convex_hull(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [1.0, 1.0]]))
    points = np.array([[1.0, 1.0], [0.25, 1.0], [1.0, 2.0], [-0.5, 1.0]])
    assert depth_inside_hull(points, square) == pytest.approx([1.0, 0.25, 0.0, -0.5])


@given(kind=st.sampled_from(SymmetryKind), angle=angles, place=places)
def test_motions_are_a_group_without_its_identity(
    kind: SymmetryKind, angle: float, place: np.ndarray
) -> None:
    """Isometries that keep heights, and each product of two is one of them or the identity."""
    symmetry = Symmetry(kind, angle, place, 0.0, True)
    points = np.random.default_rng(0).normal(size=(6, 3))
    images = symmetry.images(points)
    for image in images:
        assert np.allclose(image[:, 2], points[:, 2])
        assert np.allclose(
            np.linalg.norm(image[1:] - image[0], axis=1), np.linalg.norm(points[1:] - points[0], axis=1)
        )
        for product in symmetry.images(image):
            assert any(np.allclose(product, known, atol=1e-9) for known in (points, *images))


def test_mirrors_keep_their_own_points() -> None:
    symmetry = Symmetry(SymmetryKind.MIRROR, 0.3, np.array([0.2, -0.1]), 0.0, True)
    along = np.array([-np.sin(0.3), np.cos(0.3)])
    on_mirror = np.array([[*(symmetry.center + t * along), h] for t, h in ((0, 0), (1, 2), (-3, 1))])
    (image,) = symmetry.images(on_mirror)
    assert np.allclose(image, on_mirror)


def test_open_surfaces_are_closed() -> None:
    mesh = sphere(1.0)
    triangles = mesh.triangles.astype(np.int64)
    assert is_closed(triangles)
    torn = np.delete(triangles, [5, 100, 101, 700], axis=0)
    assert not is_closed(torn)
    vertices, mended = closed(mesh.vertices, torn)
    assert is_closed(mended) and len(vertices) > len(mesh.vertices)
    same = closed(mesh.vertices, triangles)
    assert same[1] is triangles


def test_depth_inside_of_a_plate() -> None:
    """In front of a measured plane points are free by their gap; behind it they are inside by theirs."""
    frame = look({1: (box(0.4, 0.4, 0.02), placed(0, 0, z=-1.02))}, LOOKING_DOWN, floor=False)
    segment = segment_instance(Cut(frame).evidence(1))
    assert segment is not None
    free_space = FreeSpace([ViewSpace(segment, IDENTITY)])
    depth = np.array([0.9, 0.97, 1.0, 1.03, 1.1])
    on_axis = np.column_stack([np.zeros((5, 2)), depth])
    assert free_space.depth_inside(on_axis) == pytest.approx(depth - 1.0, abs=1e-3)
    # 5 cm beside the plate, at its depth, the view sees past.
    beside = np.array([[0.25, 0.0, 1.0]])
    assert free_space.depth_inside(beside)[0] == pytest.approx(-0.05, abs=0.008)
    assert free_space.sees(on_axis, 0.01).tolist() == [False, False, True, False, False]


def test_motions_are_seen_as_what_they_move() -> None:
    """Moving points and normals by hand gives what the moved camera gives, for many motions at once."""
    frame = look({1: (box(0.16, 0.1, 0.12), placed(0.02, 0.03, 30))}, SEEN_FROM)
    segment = segment_instance(Cut(frame).evidence(1))
    assert segment is not None
    free_space = FreeSpace([ViewSpace(segment, SEEN_FROM)])
    points = SEEN_FROM.apply_inverse(segment.surface(50))
    normals = segment.sampled_normals(50) @ SEEN_FROM.rotation
    rng = np.random.default_rng(5)
    for kind in (kind for kind in SymmetryKind if kind is not SymmetryKind.NONE):
        many = motions(kind, rng.uniform(-np.pi, np.pi, 4), rng.uniform(-0.05, 0.1, (4, 2)))
        at_once = free_space.contradiction(points, normals, many, 0.001, 0.02)
        assert at_once.shape == (*many[1].shape[:2], len(points)) and at_once.max() > 0
        for linear, offset, found in zip(
            *(part.reshape(-1, *part.shape[2:]) for part in (*many, at_once)), strict=True
        ):
            image, image_normals = moved(points, (linear, offset)), moved(normals, (linear, np.zeros(2)))
            alone = free_space.contradiction(image, image_normals, (np.eye(2), np.zeros(2)), 0.001, 0.02)
            inside = free_space.depth_inside(points, moved=(linear, offset))
            # Places are rounded to 32nds of a pixel: a few may fall to the other side.
            assert np.mean(np.isclose(found, alone, atol=1e-5)) > 0.9
            assert np.mean(np.isclose(inside, free_space.depth_inside(image), atol=1e-5)) > 0.9


@pytest.mark.parametrize("count", [0, 1, 1000, 2**15 - 2, 2**15 - 1, 2**15, 70_000])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_samples_of_a_slope_lie_on_it(count: int, dtype: type) -> None:
    """Bilinear samples of a plane are the plane itself, to the 32nd of a pixel that places are rounded to."""
    v, u = np.mgrid[:40, :60]
    planes: np.ndarray = np.dstack([2.0 * u + 3.0 * v, 200.0 - u, np.full(u.shape, 7.0)]).astype(dtype)
    rng = np.random.default_rng(count)
    at_u, at_v = (rng.uniform(0, side - 1, count).astype(np.float32) for side in (60, 40))
    expected = np.stack([2.0 * at_u + 3.0 * at_v, 200.0 - at_u, np.full(count, 7.0)])
    found = sampled(planes, at_u, at_v)
    assert found.dtype == dtype and found.shape == (3, count)
    rounding = 0.5 if dtype is np.uint8 else 0.0
    assert np.abs(found - expected).max(initial=0.0) <= rounding + 5.0 / 64.0 + 1e-3


def test_the_support_is_the_table_not_the_wall() -> None:
    """A wall behind the table has more pixels; the objects stand on the table."""
    wall, standing = box(2.0, 0.02, 1.5), box(0.12, 0.1, 0.1)
    view = camera_above(0.8, 20.0)
    frame = look({9: (wall, placed(0, 0.5)), 1: (standing, placed(0, 0, 20))}, view)
    labels = np.where(frame.labels == 9, 0, frame.labels).astype(np.uint16)
    frame = replace(frame, labels=labels)
    segment = segment_instance(Cut(frame).evidence(1))
    assert segment is not None
    plane = find_support(Overview.of(frame), [segment], GeometricConfig())
    assert plane.found
    assert plane.normal @ view.rotate([0.0, 0.0, 1.0]) > np.cos(np.deg2rad(1.0))
    assert plane.heights(view.apply([0.1, 0.0, 0.3])) == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize(
    "wrong", [{"resolution": 8}, {"max_triangles": 10}, {"search_points": 10}, {"min_points": 0}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"give|needs"):
        GeometricConfig(**wrong)
