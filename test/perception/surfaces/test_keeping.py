"""Surfaces from view to view: one keeps its id, its polygon grows within bounds, and what is gone is forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.polygons import polygon_area
from sam3d_ros.perception.surfaces.keeping import SurfaceKeeper
from sam3d_ros.perception.surfaces.surface import FoundSurface, SurfaceConfig

SECOND = 1_000_000_000
SIGMA = 0.002
#: A camera that looks down on a table from one metre.
WORLD_FROM_CAMERA = Similarity(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 1.0]))


def rectangle(
    x: float, y: float, height: float, *, length: float = 0.6, width: float = 0.4, tilt: float = 0.0
) -> FoundSurface:
    """A level rectangle of the world, as the camera sees it; tilted about x by some degrees."""
    pose = Similarity(Rotation.from_euler("x", tilt, degrees=True).as_matrix(), (x, y, height))
    corners = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]) * (length / 2, width / 2)
    return FoundSurface(WORLD_FROM_CAMERA.inverse() @ pose, corners, SIGMA, SIGMA, frozenset(), "")


def extent(keeper: SurfaceKeeper) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest corner of the only surface in the world."""
    (surface,) = keeper.surfaces
    corners = np.column_stack([surface.polygon, np.zeros(len(surface.polygon))])
    placed = surface.fixed_from_surface.apply(corners)[:, :2]
    return placed.min(axis=0), placed.max(axis=0)


def test_a_resting_surface_is_kept_to_the_last_digit() -> None:
    keeper, random = SurfaceKeeper(), np.random.default_rng(0)
    keeper.update([rectangle(0.0, 0.0, 0.0)], WORLD_FROM_CAMERA, 0)
    (first,) = keeper.surfaces
    for second in range(1, 20):
        shaken = rectangle(
            *(0.002 * random.standard_normal(2)),
            0.0005 * random.standard_normal(),
            tilt=0.1 * random.random(),
        )
        keeper.update([shaken], WORLD_FROM_CAMERA, second * SECOND)
    (last,) = keeper.surfaces
    assert (last.surface_id, last.last_seen) == (first.surface_id, 19 * SECOND)
    assert last.fixed_from_surface is first.fixed_from_surface
    assert polygon_area(last.polygon) == pytest.approx(0.24, rel=0.05)


@given(
    height=st.floats(-0.01, 0.01),
    tilt=st.floats(-3.0, 3.0),
    x=st.floats(-0.4, 0.4),
    y=st.floats(-0.25, 0.25),
    roll=st.floats(-180.0, 180.0),
)
def test_the_same_plane_seen_elsewhere_is_the_same_surface_and_lies_where_it_was_seen_last(
    height: float, tilt: float, x: float, y: float, roll: float
) -> None:
    keeper = SurfaceKeeper()
    keeper.update([rectangle(0.0, 0.0, 0.0)], WORLD_FROM_CAMERA, 0)
    # Another camera sees it in its own frame.
    turn = Similarity(Rotation.from_euler("z", roll, degrees=True).as_matrix(), (0.1, 0.2, -0.1))
    found = rectangle(x, y, height, tilt=tilt)
    moved = replace(found, camera_from_surface=turn.inverse() @ found.camera_from_surface)
    shown = keeper.update([moved], WORLD_FROM_CAMERA @ turn, SECOND)
    # Tilted, it is off where both were seen.
    if abs(height) + abs(np.tan(np.deg2rad(tilt))) * 0.25 < 0.014:
        assert list(shown) == [1]
    for surface in keeper.surfaces:
        if surface.last_seen == SECOND:
            placed = WORLD_FROM_CAMERA.apply(found.camera_from_surface.translation)
            assert abs(surface.fixed_from_surface.apply_inverse(placed)[2]) < 2.0 * SIGMA


def test_boards_above_each_other_are_two_surfaces_and_so_are_tables_beside_each_other() -> None:
    keeper = SurfaceKeeper()
    room = [rectangle(0.0, 0.0, 0.0), rectangle(0.0, 0.0, 0.3), rectangle(1.0, 0.0, 0.0)]
    for second in range(3):
        shown = keeper.update(room[:: 1 if second % 2 else -1], WORLD_FROM_CAMERA, second * SECOND)
        assert sorted(shown) == [1, 2, 3]
    assert len(keeper.surfaces) == 3


def test_a_polygon_grows_with_a_moving_camera_but_no_farther_than_its_bound() -> None:
    keeper = SurfaceKeeper(SurfaceConfig(max_extent=2.0))
    for step in range(40):
        keeper.update([rectangle(0.2 * step, 0.0, 0.0)], WORLD_FROM_CAMERA, step * SECOND)
        low, high = extent(keeper)
        assert (high - low)[0] <= 2.0 + 1e-6
        assert low[0] <= 0.2 * step - 0.29 and high[0] >= 0.2 * step + 0.29
        assert len(keeper.surfaces[0].polygon) <= 32
    assert (high - low)[0] > 1.2
    assert keeper.surfaces[0].surface_id == 1


def test_what_is_unseen_for_long_is_forgotten_unless_something_stands_on_it_and_its_id_is_not_used_again() -> (
    None
):
    keeper = SurfaceKeeper(SurfaceConfig(lost_timeout=5.0))
    keeper.update([rectangle(0.0, 0.0, 0.0), rectangle(0.0, 0.0, 0.3)], WORLD_FROM_CAMERA, 0)
    keeper.put({1: (4,)})
    keeper.update([], WORLD_FROM_CAMERA, 4 * SECOND)
    assert [surface.surface_id for surface in keeper.surfaces] == [1, 2]
    keeper.update([], WORLD_FROM_CAMERA, 6 * SECOND)
    assert [(surface.surface_id, surface.object_ids) for surface in keeper.surfaces] == [(1, (4,))]
    keeper.put({})
    keeper.update([rectangle(0.0, 0.0, 0.6)], WORLD_FROM_CAMERA, 12 * SECOND)
    assert [surface.surface_id for surface in keeper.surfaces] == [3]
    keeper.clear()
    keeper.update([rectangle(0.0, 0.0, 0.6)], WORLD_FROM_CAMERA, 13 * SECOND)
    assert [surface.surface_id for surface in keeper.surfaces] == [4]
