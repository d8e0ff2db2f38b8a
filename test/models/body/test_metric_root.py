"""Metric size and distance of bodies from measured points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.models.body.keypoints import JOINT_OF_KEYPOINT, NAMES
from sam3d_ros.models.body.metric_root import FEWEST, metric_scale, scale_of_mesh, scale_of_points

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


def few_returns(points: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """15 of the points of a body with 2 % of noise, 30 % of them from behind it."""
    sparse = np.full_like(points, np.nan)
    for index, (row, column) in enumerate(rng.permutation(np.argwhere(mask))[:15]):
        noise = 1 + 0.02 * rng.standard_normal()
        far = rng.uniform(1.1, 1.8) if index < 0.3 * 15 else 1.0
        sparse[row, column] = points[row, column] * noise * far
    return sparse


@pytest.mark.parametrize("seed", range(20))
def test_few_lidar_returns_with_outliers_on_one_side(seed):
    mesh, predicted, points, mask = scene()
    sparse = few_returns(points, mask, np.random.default_rng(seed))
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


@dataclass(frozen=True)
class Posed:
    """A person that the released model posed, as predicted."""

    mesh: Mesh
    keypoints: np.ndarray
    mask: np.ndarray


@pytest.fixture(scope="module")
def crowd(body_set) -> tuple[Camera, np.ndarray, list[Posed]]:
    """Four people that hide parts of each other before a wall, all larger and farther than predicted."""
    data = {key: value.numpy() for key, value in body_set("official_outputs_4subjects").load().items()}
    triangles = body_set("mhr_rig_lod6").load("rig")["faces"].numpy()
    f, cx, cy, width, height = data["camera.f_cx_cy_W_H"] / 4
    camera = Camera(int(width), int(height), float(f), float(f), float(cx) - 0.375, float(cy) - 0.375)
    places = [data[f"s{i}.pred_cam_t"] for i in range(4)]
    vertices = [data[f"s{i}.vertices_on_lod6"] + place for i, place in enumerate(places)]
    meshes = [Mesh(v, triangles.astype(np.uint32), np.full(v.shape, 200, np.uint8)) for v in vertices]
    larger = Similarity(scale=np.full(3, TRUE_SCALE))
    seen = RayScene([(mesh, larger) for mesh in meshes]).cast(camera.rays())
    points = camera.rays() * np.where(seen.hit, seen.distance, 12.0)[..., None]
    keypoints = [data[f"s{i}.pred_keypoints_3d"] + place for i, place in enumerate(places)]
    people = [
        Posed(mesh, at, seen.mesh == i) for i, (mesh, at) in enumerate(zip(meshes, keypoints, strict=True))
    ]
    return camera, points, people


@pytest.mark.parametrize("person", range(4))
def test_people_of_the_released_model(crowd, person):
    camera, points, people = crowd
    posed = people[person]
    dense = scale_of_mesh(posed.mesh, Similarity(), camera, points, posed.mask)
    assert dense is not None and abs(dense.scale / TRUE_SCALE - 1) < 0.001
    for seed in range(10):
        sparse = few_returns(points, posed.mask, np.random.default_rng(seed))
        found = scale_of_mesh(posed.mesh, Similarity(), camera, sparse, posed.mask)
        assert found is not None and abs(found.scale / TRUE_SCALE - 1) < 0.05
    # A rig without a skin has the keypoints that are joints: they lie under the skin, most of them in thin fingers.
    joints = posed.keypoints[[NAMES.index(name) for name in JOINT_OF_KEYPOINT]]
    bare = scale_of_points(joints, camera, points)
    assert bare is not None
    assert np.linalg.norm((bare.scale - TRUE_SCALE) * joints, axis=1).max() < 0.05


def real_people(data_dir: Path) -> Iterator[tuple[Camera, np.ndarray, dict[str, np.ndarray]]]:
    """Camera, mask and metric joints by their names of each person of the real frames."""
    frames = sorted((data_dir / "mpi3dhp_a").glob("*/people.json"))
    assert frames, f"{data_dir / 'mpi3dhp_a'} holds no people"
    for frame in frames:
        given_ = json.loads((frame.parent / "camera.json").read_text())
        camera = Camera(*(given_[name] for name in ("width", "height", "fx", "fy", "cx", "cy")))
        labels = cv2.imread(str(frame.parent / "labels.png"), cv2.IMREAD_UNCHANGED)
        for one in json.loads(frame.read_text())["people"]:
            joints = np.array(one["joints_camera_m"])
            yield camera, labels == one["id"], dict(zip(one["keypoint_names"], joints, strict=True))


def farthest(joints: dict[str, np.ndarray], scale: float) -> float:
    """How far a joint lies from where it is when all are scaled, at the most, metres."""
    return max(float(np.linalg.norm((scale - 1) * place)) for place in joints.values())


#: How much too large people are predicted.
WRONG = 1.23


def test_real_joints_at_a_wrong_scale_are_placed_back(data_dir):
    """Against depth maps that hold the joints and nothing else."""
    for camera, _, joints in real_people(data_dir):
        places = np.stack(list(joints.values()))
        points = np.full((camera.height, camera.width, 3), np.nan)
        column, row = np.rint(camera.project(places)).astype(int).T
        points[row, column] = places
        found = scale_of_points(WRONG * places, camera, points)
        assert found is not None and farthest(joints, found.scale * WRONG) < 0.05


LIMBS = [
    *(("head_top", "neck"), ("neck", "spine"), ("spine", "root")),
    *((f"{side}_{near}", f"{side}_{far}") for side in ("left", "right") for near, far in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))),
    *((middle, f"{side}_{end}") for side in ("left", "right") for middle, end in (
        ("neck", "shoulder"), ("root", "hip"))),
]  # fmt: skip


def limbs(joints: dict[str, np.ndarray], radius: float) -> Mesh:
    """A surface around bones."""
    round_bones = [
        trimesh.creation.cylinder(radius, segment=(joints[near], joints[far]), sections=16)
        for near, far in LIMBS
    ]
    balls = [
        trimesh.creation.icosphere(subdivisions=2, radius=radius).apply_translation(place)
        for place in joints.values()
    ]
    solid = trimesh.util.concatenate(round_bones + balls)
    return Mesh(
        solid.vertices.astype(np.float32),
        solid.faces.astype(np.uint32),
        np.full(solid.vertices.shape, 200, np.uint8),
    )


def test_real_people_at_a_wrong_scale_are_placed_back_by_their_surface(data_dir):
    """Against depth in whole millimetres with 1 % of noise, in real masks, which hold some of the wall as well; the
    limbs are predicted thinner than they are."""
    rng = np.random.default_rng(0)
    for camera, mask, joints in real_people(data_dir):
        pixels = np.argwhere(mask)
        rays = camera.rays_at(pixels[:, ::-1])
        seen = RayScene([(limbs(joints, 0.07), Similarity())]).cast(rays)
        assert 0.6 < seen.hit.mean() < 0.95
        wall = max(place[2] for place in joints.values()) + 1.5
        depth = np.where(seen.hit, seen.distance, wall) * (1 + 0.01 * rng.standard_normal(len(rays)))
        points = np.full((camera.height, camera.width, 3), np.nan)
        points[mask] = rays * np.rint(1e3 * depth)[:, None] / 1e3
        too_large = {name: WRONG * place for name, place in joints.items()}
        found = scale_of_mesh(limbs(too_large, WRONG * 0.055), Similarity(), camera, points, mask)
        assert found is not None and farthest(joints, found.scale * WRONG) < 0.05


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
