"""Surfaces of one view, against rooms whose planes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from furnished_room import Board, seen
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from simulated_views import simulated
from standing_solids import box, placed, solid

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.polygons import polygon_area
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.surfaces.finding import find_surfaces
from sam3d_ros.perception.surfaces.keeping import SurfaceKeeper
from sam3d_ros.perception.surfaces.surface import FoundSurface, SurfaceConfig
from sam3d_ros.simulation.trajectories import random_viewpoint

TABLE = Board((0.8, 0.6), (0.0, 0.0, 0.0))
SHELF = [Board((0.9, 0.35), (0.0, 0.0, height)) for height in (0.2, 0.55, 0.9)]
EYE, TARGET = (0.0, -1.0, 0.7), (0.0, 0.0, 0.05)
#: Of structured light at one metre, metres.
NOISE = 0.0024


def found(frame: Frame) -> tuple[FoundSurface, ...]:
    cut = Cut(frame)
    return find_surfaces(cut.overview, {7: "table", 8: "board", 9: "cup"}.__getitem__, SurfaceConfig())


def heights(surfaces: Sequence[FoundSurface], world_from_camera: Similarity) -> list[float]:
    return sorted(
        float(world_from_camera.apply(surface.camera_from_surface.translation)[2]) for surface in surfaces
    )


def tilt(surface: FoundSurface, world_from_camera: Similarity) -> float:
    """Degrees between the normal of a surface and the vertical."""
    up = world_from_camera.rotate(surface.camera_from_surface.rotation[:, 2])
    return float(np.degrees(np.arccos(np.clip(up[2], -1.0, 1.0))))


def wall(y: float) -> tuple[trimesh.Trimesh, Similarity]:
    return solid(trimesh.creation.box((3.0, 0.02, 3.0))), Similarity(translation=np.array([0.0, y, 0.0]))


@pytest.mark.parametrize("noise", [0.0, NOISE])
@pytest.mark.parametrize("level", [True, False])
def test_a_table_is_found_where_it_is_and_as_large_as_it_is(noise: float, level: bool) -> None:
    frame, pose = seen(
        [TABLE], EYE, TARGET, noise=noise, level=level, things={1: (box(0.1, 0.1, 0.1), placed(0.1, 0))}
    )
    (table,) = found(frame)
    assert heights([table], pose) == pytest.approx([0.0], abs=0.002)
    assert tilt(table, pose) < 0.3
    assert polygon_area(table.polygon) == pytest.approx(0.48, rel=0.05)
    assert table.residual == pytest.approx(noise * 1.0, abs=0.0015)
    middle = pose.apply(table.camera_from_surface.translation)[:2]
    assert np.allclose(middle, 0.0, atol=0.02)


@pytest.mark.parametrize("noise", [0.0, NOISE])
@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_every_board_of_a_shelf_is_found_and_its_back_is_not(noise: float, keep: float) -> None:
    frame, pose = seen(SHELF, (0.0, -1.5, 1.35), (0.0, 0.0, 0.55), noise=noise, keep=keep, walls=[wall(0.2)])
    boards = found(frame)
    assert heights(boards, pose) == pytest.approx([0.2, 0.55, 0.9], abs=0.006)
    assert max(tilt(board, pose) for board in boards) < 3.0


def test_boards_with_labels_are_surfaces_where_something_stands_on_them() -> None:
    boards = [replace(board, instance=10 + index) for index, board in enumerate(SHELF)]
    cup = box(0.08, 0.08, 0.1)
    things = {1: (cup, placed(0.1, 0.0, z=0.2)), 2: (cup, placed(-0.2, 0.0, z=0.55))}
    frame, pose = seen(boards, (0.0, -1.5, 1.35), (0.0, 0.0, 0.55), things=things)
    cut = Cut(frame)
    surfaces = find_surfaces(cut.overview, "instance {}".format, SurfaceConfig())
    assert heights(surfaces, pose) == pytest.approx([0.2, 0.55], abs=0.004)
    assert {surface.label for surface in surfaces} == {"instance 10", "instance 11"}
    assert {instance for surface in surfaces for instance in surface.instance_ids} == {10, 11}


@pytest.mark.parametrize("level", [True, False])
def test_a_labelled_table_is_named_and_what_stands_on_it_is_no_surface(level: bool) -> None:
    frame, pose = seen(
        [replace(TABLE, instance=7)],
        (0.0, -0.7, 1.0),
        TARGET,
        level=level,
        things={9: (box(0.25, 0.25, 0.1), placed(0.1, 0))},
    )
    (table,) = found(frame)
    assert (table.label, table.instance_ids) == ("table", {7})
    assert heights([table], pose) == pytest.approx([0.0], abs=0.002)


@pytest.mark.parametrize("level", [True, False])
def test_walls_are_no_surfaces(level: bool) -> None:
    frame, _ = seen([], EYE, (0.0, 0.0, 0.6), walls=[wall(0.3)], level=level, noise=NOISE)
    assert found(frame) == ()


@pytest.mark.parametrize("roll", [-90.0, 90.0, 180.0])
def test_a_camera_on_its_side_or_head_finds_the_table_where_the_frame_tells_what_is_up(roll: float) -> None:
    frame, pose = seen([TABLE], EYE, TARGET, roll=roll, noise=NOISE)
    (table,) = found(frame)
    assert heights([table], pose) == pytest.approx([0.0], abs=0.003)
    assert tilt(table, pose) < 0.5


def test_nothing_measured_shows_no_surface() -> None:
    frame, _ = seen([TABLE], EYE, TARGET)
    assert found(frame.without_points()) == ()


@settings(max_examples=20)
@given(
    roll=st.floats(-40.0, 40.0),
    azimuth=st.floats(-180.0, 180.0),
    elevation=st.floats(25.0, 65.0),
    distance=st.floats(0.7, 1.4),
    level=st.booleans(),
)
def test_a_table_is_found_however_the_camera_is_held(
    roll: float, azimuth: float, elevation: float, distance: float, level: bool
) -> None:
    a, e = np.deg2rad([azimuth, elevation])
    eye = distance * np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    things = {1: (box(0.1, 0.08, 0.12), placed(0.05, 0.05))}
    frame, pose = seen([TABLE], eye, TARGET, roll=roll, level=level, noise=NOISE, things=things)
    surfaces = found(frame)
    assert len(surfaces) == 1
    assert heights(surfaces, pose) == pytest.approx([0.0], abs=0.004)
    assert tilt(surfaces[0], pose) < 1.0


@pytest.mark.parametrize("seed", [2, 4, 7])
@pytest.mark.parametrize("level", [True, False])
def test_table_and_ground_are_found_under_the_rings_of_a_lidar(seed: int, level: bool) -> None:
    pose = random_viewpoint(np.random.default_rng(seed))
    frame = simulated(seed, lidar=True)
    surfaces = found(replace(frame, fixed_from_camera=pose) if level else frame)
    levels = heights(surfaces, pose)
    assert min(abs(level_) for level_ in levels) < 0.005
    assert min(abs(level_ + 0.74) for level_ in levels) < 0.01
    assert all(min(abs(level_), abs(level_ + 0.74)) < 0.01 for level_ in levels)
    assert max(tilt(surface, pose) for surface in surfaces) < 1.0


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([1, 2, 7, 64, 200]),
    height=st.sampled_from([1, 3, 48]),
    steps=st.sampled_from([0, 1, 3]),
    share=st.floats(0.0, 1.0),
    scale=st.sampled_from([0.01, 1.0, 1000.0]),
    level=st.booleans(),
    lidar=st.booleans(),
)
def test_whatever_is_measured_nothing_fails_and_surfaces_are_sound(
    seed: int, width: int, height: int, steps: int, share: float, scale: float, level: bool, lidar: bool
) -> None:
    random = np.random.default_rng(seed)
    camera = Camera.from_field_of_view(width, height, 1.0)
    depth = scale * random.uniform(0.5, 2.0, (height, width))
    if steps:
        # Depth in few steps: planes across the view, one behind the other.
        depth = scale * (1.0 + np.floor(steps * random.random((height, 1)) + np.zeros((1, width))))
    depth[random.random(depth.shape) > share] = np.nan
    points = np.asarray(camera.rays() * depth[..., None], np.float32)
    frame = Frame(
        stamp=0,
        frame_id="camera",
        rgb=np.zeros((height, width, 3), np.uint8),
        labels=random.integers(0, 4, (height, width)).astype(np.uint16),
        point_map=PointMap(points),
        points_source=PointsSource.LIDAR if lidar else PointsSource.DEPTH,
        camera=camera,
        fixed_from_camera=Similarity(Rotation.random(random_state=seed).as_matrix()) if level else None,
    )
    surfaces = find_surfaces(Cut(frame).overview, str, SurfaceConfig())
    keeper = SurfaceKeeper()
    for stamp in range(2):
        keeper.update(surfaces, frame.fixed_from_camera or Similarity(), stamp)
    for surface in (*surfaces, *keeper.surfaces):
        assert len(surface.polygon) >= 3
        assert np.isfinite(surface.polygon).all()
        assert polygon_area(surface.polygon) > 0.5 * SurfaceConfig().min_area
        assert np.isfinite(surface.residual) and surface.sigma > 0.0
