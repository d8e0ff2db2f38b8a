"""Metric size and distance of bodies from measured points."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.models.body.metric_root import (
    FEWEST,
    metric_scale,
    scale_of_mesh,
    scale_of_points,
)

TRUE_SCALE = 1.17
CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)


def person() -> Mesh:
    """An upright ellipsoid, 1.8 m tall."""
    u, v = np.meshgrid(np.linspace(0, np.pi, 24), np.linspace(0, 2 * np.pi, 40), indexing="ij")
    ball = np.stack([np.sin(u) * np.cos(v), np.cos(u), np.sin(u) * np.sin(v)], axis=-1).reshape(-1, 3)
    vertices = (ball * (0.25, 0.9, 0.15)).astype(np.float32)
    cell = (np.arange(23)[:, None] * 40 + np.arange(39)).reshape(-1)
    triangles = np.concatenate(
        [np.stack([cell, cell + 40, cell + 1], 1), np.stack([cell + 1, cell + 40, cell + 41], 1)]
    )
    return Mesh(vertices, triangles.astype(np.uint32), np.full(vertices.shape, 200, np.uint8))


def scene() -> tuple[Mesh, Similarity, np.ndarray, np.ndarray]:
    """A body, its predicted pose, and points of the true one before a wall; where it is seen."""
    mesh, predicted = person(), Similarity(np.diag([1.0, -1.0, -1.0]), (0.1, 0.2, 3.0))
    true = Similarity(predicted.rotation, TRUE_SCALE * predicted.translation, np.full(3, TRUE_SCALE))
    hits = RayScene([(mesh, true)]).cast(CAMERA.rays())
    depth = np.where(hits.hit, hits.distance, 6.0)
    return mesh, predicted, CAMERA.rays() * depth[..., None], hits.hit


def test_dense_depth():
    mesh, predicted, points, mask = scene()
    for region in (mask, None):
        found = scale_of_mesh(mesh, predicted, CAMERA, points, region)
        assert found is not None and abs(found.scale / TRUE_SCALE - 1) < 0.005


def test_an_object_in_front_and_the_wall_behind():
    mesh, predicted, points, mask = scene()
    points, mask = points.copy(), mask.copy()
    rows = np.flatnonzero(mask.any(axis=1))
    covered = rows[len(rows) * 2 // 3 :]
    points[covered] = CAMERA.rays()[covered] * 1.5
    mask |= np.roll(mask, 3, axis=1)
    found = scale_of_mesh(mesh, predicted, CAMERA, points, mask)
    assert found is not None and abs(found.scale / TRUE_SCALE - 1) < 0.01
    assert 0.4 < found.share < 0.9


@pytest.mark.parametrize("seed", range(20))
def test_few_lidar_returns_with_outliers_on_one_side(seed):
    rng = np.random.default_rng(seed)
    mesh, predicted, points, mask = scene()
    pixels = rng.permutation(np.argwhere(mask))[:15]
    sparse = np.full_like(points, np.nan)
    for index, (row, column) in enumerate(pixels):
        noise = 1 + 0.02 * rng.standard_normal()
        far = rng.uniform(1.1, 1.8) if index < 0.3 * len(pixels) else 1.0
        sparse[row, column] = points[row, column] * noise * far
    found = scale_of_mesh(mesh, predicted, CAMERA, sparse, mask)
    assert found is not None and abs(found.scale / TRUE_SCALE - 1) < 0.05
    assert found.count >= FEWEST


def test_golden_scene(body_set):
    """The scene of the official alignment with objects, whose depth is 1.17 times that of the person."""
    alignment = body_set("mesh_alignment")
    data, config = alignment.load(), alignment.config
    camera = Camera(config["W"], config["H"], config["focal"], config["focal"], config["cx"], config["cy"])
    points = data["pointmap_cam"].numpy()
    vertices = data["verts_cropped"].numpy() * (-1.0, -1.0, 1.0)
    inside = data["visible_mask"].numpy()
    pixels = np.rint(camera.project(vertices)).astype(int)
    near = camera.contains(pixels)
    nearest = np.full(inside.shape, np.inf)
    np.minimum.at(nearest, (pixels[near, 1], pixels[near, 0]), vertices[near, 2])
    known = inside & np.isfinite(nearest)
    found = metric_scale(nearest[known], points[known][:, 2])
    assert found is not None and abs(found.scale / config["true_depth_scale"] - 1) < 0.01


def test_real_joints_at_a_wrong_scale_are_placed_back(data_dir):
    """Metric joints of real people, predicted 23 % too large, against depth maps made from them."""
    frames = sorted((data_dir / "mpi3dhp_a").glob("*/people.json"))
    assert frames, f"{data_dir / 'mpi3dhp_a'} holds no people"
    worst = 0.0
    for frame in frames:
        given_ = json.loads((frame.parent / "camera.json").read_text())
        camera = Camera(*(given_[name] for name in ("width", "height", "fx", "fy", "cx", "cy")))
        points = np.full((camera.height, camera.width, 3), np.nan, np.float32)
        people = [np.array(one["joints_camera_m"]) for one in json.loads(frame.read_text())["people"]]
        for joints in people:
            pixels = np.rint(camera.project(joints)).astype(int)
            inside = camera.contains(pixels)
            points[pixels[inside, 1], pixels[inside, 0]] = joints[inside]
        for joints in people:
            found = scale_of_points(1.23 * joints, camera, points)
            assert found is not None, frame
            placed = found.scale * 1.23 * joints
            worst = max(worst, float(np.linalg.norm(placed - joints, axis=1).max()))
    assert worst < 0.05


@given(st.floats(0.5, 2.0), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_factor_is_found_whatever_it_is(scale, seed):
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(1.0, 5.0, 60)
    measured = scale * predicted * np.exp(0.02 * rng.standard_normal(60))
    measured[:15] *= rng.uniform(1.2, 2.0)
    measured[20:25] = np.nan
    found = metric_scale(predicted, measured)
    assert found is not None and abs(np.log(found.scale / scale)) < 0.03
    again = metric_scale(predicted * 2, measured * 2)
    assert again is not None and again.scale == pytest.approx(found.scale, rel=1e-9)


def test_too_little_is_no_evidence():
    assert metric_scale(np.ones(FEWEST - 1), np.ones(FEWEST - 1)) is None
    assert metric_scale(np.ones(50), np.full(50, np.nan)) is None
    assert metric_scale(np.ones(50), np.full(50, 10.0)) is None
    mesh, predicted, points, _ = scene()
    assert scale_of_mesh(mesh, predicted, CAMERA, np.full_like(points, np.nan)) is None
    with pytest.raises(ValueError, match="one shape"):
        metric_scale(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="one size"):
        scale_of_mesh(mesh, predicted, CAMERA, points[1:])
    with pytest.raises(ValueError, match="one size"):
        scale_of_points(np.ones((3, 3)), CAMERA, points[1:])
