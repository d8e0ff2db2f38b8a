"""The choice among poses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.models.objects.hypotheses import Hypothesis, Projection, best, judged, spread

RESOLUTION = 32
FX, FY, CX, CY = 200.0, 190.0, 63.0, 48.5


def box_surface() -> np.ndarray:
    """Voxels at the surface of a flat box, canonical."""
    grid = np.argwhere(np.ones((RESOLUTION,) * 3, bool))
    low, high = np.array([4, 8, 12]), np.array([27, 23, 19])
    within = ((grid >= low) & (grid <= high)).all(axis=1)
    rim = within & ((grid == low) | (grid == high)).any(axis=1)
    return (grid[rim] + 0.5) / RESOLUTION - 0.5


def view(pose: Similarity, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Point map and mask of the posed surface in front of a wall, by a z-buffer."""
    v, u = np.mgrid[:96, :128].astype(float)
    rays = np.stack([(u - CX) / FX, (v - CY) / FY, np.ones_like(u)], axis=-1)
    depth = np.full(u.shape, 3.0)
    posed = pose.apply(surface)
    for x, y, z in posed:
        column, row = FX * x / z + CX, FY * y / z + CY
        near = np.s_[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3]
        depth[near] = np.minimum(depth[near], z)
    return rays * depth[..., None], depth < 3.0


def test_projection_is_recovered_from_a_point_map():
    points, _ = view(Similarity(translation=np.array([0, 0, 1.0]), scale=np.full(3, 0.3)), box_surface())
    points[::5] = np.nan
    projection = Projection.of_points(points)
    assert_allclose([projection.fx, projection.fy, projection.cx, projection.cy], [FX, FY, CX, CY], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_true_pose_wins(seed):
    rng = np.random.default_rng(seed)
    surface = box_surface()
    true = Similarity(
        Rotation.from_quat(rng.normal(size=4)).as_matrix(), np.array([0.02, -0.03, 1.0]), np.full(3, 0.3)
    )
    points, mask = view(true, surface)
    turned = Similarity(
        true.rotation @ Rotation.from_rotvec([1.2, 0, 0]).as_matrix(), true.translation, true.scale
    )
    moved = Similarity(true.rotation, true.translation + np.array([0.0, 0.0, 0.2]), true.scale)
    aside = Similarity(true.rotation, true.translation + np.array([0.1, 0.0, 0.0]), true.scale)
    small = Similarity(true.rotation, true.translation, true.scale * 0.6)
    found = judged([turned, moved, true, aside, small], surface, 1 / RESOLUTION, points, mask)
    assert best(found) == 2
    assert found[2].depth_residual < 0.01
    assert found[2].silhouette > 0.7


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-0.5, 0.5),
    st.floats(0.2, 3.0),
    st.floats(0.02, 1.0),
)
@settings(max_examples=20, deadline=None)
def test_scores_equal_their_definition(seed, aside, away, size):
    """Distances to every surface point, and sets of cells, counted one by one."""
    rng = np.random.default_rng(seed)
    surface = box_surface()
    points, mask = view(Similarity(translation=np.array([0, 0, 1.0]), scale=np.full(3, 0.3)), surface)
    points[rng.random(mask.shape) < 0.1] = np.nan
    mask &= rng.random(mask.shape) < 0.9
    turn = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    pose = Similarity(turn, np.array([aside, -0.1 * aside, away]), np.full(3, size))
    (found,) = judged([pose], surface, 1 / RESOLUTION, points, mask)

    own = points[mask & np.isfinite(points).all(axis=-1)]
    step = -(-len(own) // 500)
    posed = pose.apply(surface)
    nearest = [np.linalg.norm(posed - point, axis=1).min() for point in own[::step]]
    assert_allclose(found.depth_residual, np.median(nearest), rtol=1e-6)

    x, y, z = posed[posed[:, 2] > 0].T
    cell = max(1.0, 1.5 * FX * size / RESOLUTION / np.median(z))
    u, v = (np.clip(w, -1e6, 1e6) for w in (FX * x / z + CX, FY * y / z + CY))
    drawn = {(int(a // cell), int(b // cell)) for a, b in zip(u, v, strict=True)}
    wanted = {(int(column // cell), int(row // cell)) for row, column in np.argwhere(mask)}
    # The camera is recovered from the points to within rounding, which may move a point over the rim of a cell.
    assert_allclose(found.silhouette, len(drawn & wanted) / len(drawn | wanted), atol=3 / len(drawn | wanted))


def test_nothing_measured_nothing_judged():
    pose = Similarity(translation=np.array([0, 0, 1.0]))
    points = np.full((8, 8, 3), np.nan)
    found = judged([pose, pose], box_surface(), 1 / RESOLUTION, points, np.ones((8, 8), bool))
    assert all(np.isnan(h.depth_residual) and h.score == -np.inf for h in found)
    assert best(found) == 0


def test_an_object_behind_the_camera_has_no_silhouette():
    points, mask = view(Similarity(translation=np.array([0, 0, 1.0]), scale=np.full(3, 0.3)), box_surface())
    behind = Similarity(translation=np.array([0, 0, -1.0]), scale=np.full(3, 0.3))
    (found,) = judged([behind], box_surface(), 1 / RESOLUTION, points, mask)
    assert found.silhouette == 0.0
    assert isinstance(found, Hypothesis)


def test_spread_is_the_mean_square_of_known_deviations():
    rng = np.random.default_rng(3)
    center = Similarity(
        Rotation.from_quat(rng.normal(size=4)).as_matrix(), np.array([0.1, 0.2, 1.0]), np.full(3, 0.3)
    )
    shifts = rng.normal(scale=0.02, size=(4, 3))
    turns = rng.normal(scale=0.4, size=(4, 3))
    others = [
        Similarity(
            Rotation.from_rotvec(turn).as_matrix() @ center.rotation, center.translation + shift, center.scale
        )
        for shift, turn in zip(shifts, turns, strict=True)
    ]
    found = [Hypothesis(pose) for pose in [others[0], center, *others[1:]]]
    deviations = np.concatenate([shifts, turns], axis=1)
    assert_allclose(spread(found, 1), deviations.T @ deviations / 4, atol=1e-9)
    assert_allclose(spread([Hypothesis(center)] * 3, 0), np.zeros((6, 6)), atol=1e-12)
    assert_allclose(spread([Hypothesis(center)], 0), np.zeros((6, 6)))
