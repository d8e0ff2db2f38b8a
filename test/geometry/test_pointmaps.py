"""Point maps against analytic planes, boxes and spheres, and against a real LiDAR frame."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.pointmaps import (
    depth_edges,
    flying_pixels,
    normals_from_pointmap,
    pointmap_from_lidar,
    points_from_depth,
    reproject_depth,
)

DEPTH_CAMERA = Camera(320, 240, 250.0, 252.0, 158.0, 121.0, "plumb_bob", (0.05, -0.03, 0.0005, -0.0004, 0.0))
RGB_CAMERA = Camera(640, 480, 540.0, 541.0, 322.0, 236.0, "plumb_bob", (-0.1, 0.05, 0.0002, 0.0003, 0.0))
#: A depth camera beside the colour camera, as on a consumer RGB-D sensor, with a generous baseline.
RGB_FROM_DEPTH = Similarity(
    Rotation.from_euler("xyz", (0.02, -0.05, 0.01)).as_matrix(), np.array([0.05, 0.01, 0.0])
)


def plane_depth(
    rays: np.ndarray, normal: np.ndarray, offset: float, origin: np.ndarray | float = 0.0
) -> np.ndarray:
    """Depth along rays of unit z to the plane normal . p = offset."""
    return (offset - np.sum(normal * origin)) / (rays @ normal)


def sphere_depth(rays: np.ndarray, center: np.ndarray, radius: float) -> np.ndarray:
    """Depth to a sphere, Inf beside it."""
    a, b, c = (rays * rays).sum(-1), rays @ center, center @ center - radius**2
    root = b * b - a * c
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


def test_points_lie_on_the_measured_plane() -> None:
    normal, offset = np.array([0.2, -0.3, 0.93]), 1.1
    depth = plane_depth(DEPTH_CAMERA.rays().astype(float), normal, offset)
    points = points_from_depth(depth, DEPTH_CAMERA)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points @ normal, offset, atol=1e-5)


def test_unknown_depth_is_nan() -> None:
    camera = Camera(4, 1, 10.0, 10.0, 1.5, 0.0)
    points = points_from_depth(np.array([[0.0, np.nan, np.inf, -1.0]], np.float32), camera)
    assert np.isnan(points).all()
    with pytest.raises(ValueError, match=r"depth is .* but its camera is 4x1"):
        points_from_depth(np.ones((4, 1), np.float32), camera)


def test_reprojected_plane_has_no_stairs_and_no_holes() -> None:
    normal, offset = np.array([0.3, -0.2, 0.93]), 0.9
    depth = plane_depth(DEPTH_CAMERA.rays().astype(float), normal, offset)
    answer = reproject_depth(depth, DEPTH_CAMERA, RGB_CAMERA, RGB_FROM_DEPTH)
    normal_rgb = RGB_FROM_DEPTH.rotate(normal)
    truth = plane_depth(
        RGB_CAMERA.rays().astype(float), normal_rgb, offset + normal_rgb @ RGB_FROM_DEPTH.translation
    )
    known = np.isfinite(answer)
    visible = DEPTH_CAMERA.contains(
        DEPTH_CAMERA.project(RGB_FROM_DEPTH.apply_inverse(RGB_CAMERA.rays() * truth[..., None]))
    )
    assert known[visible].mean() > 0.999
    # A coarse pixel spans 5 mm of depth on this plane; one that is closed takes its neighbours' mean.
    error = np.abs(answer - truth)[known]
    assert np.median(error) < 1e-4
    assert np.percentile(error, 99) < 1e-3
    assert error.max() < 4e-3


def test_reprojection_does_not_shift_noise_towards_the_camera() -> None:
    depth = 1.0 + np.random.default_rng(0).normal(0.0, 0.003, (240, 320))
    answer = reproject_depth(depth, DEPTH_CAMERA, RGB_CAMERA, Similarity())
    assert abs(np.nanmean(answer) - 1.0) < 3e-4


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_background_does_not_show_through_a_finer_foreground(factor: int) -> None:
    coarse = Camera(160, 120, 130.0, 130.0, 79.5, 59.5)
    fine = coarse.resized(160 * factor, 120 * factor)
    center, radius = np.array([0.0, 0.0, 0.7]), 0.15
    near = sphere_depth(coarse.rays().astype(float), center, radius)
    depth = np.where(np.isfinite(near), near, 1.5)
    rgb_from_depth = Similarity(translation=np.array([-0.06, 0.02, 0.0]))
    answer = reproject_depth(depth, coarse, fine, rgb_from_depth)
    truth = sphere_depth(fine.rays().astype(float), rgb_from_depth.apply(center), radius)
    # What both cameras see of the sphere, a coarse pixel inside of both silhouettes.
    hit = rgb_from_depth.apply_inverse(fine.rays() * np.where(np.isfinite(truth), truth, np.nan)[..., None])
    toward = -hit / np.linalg.norm(hit, axis=-1, keepdims=True)
    seen = ((hit - center) / radius * toward).sum(-1) > 0.4
    seen &= cv2.erode(np.isfinite(truth).astype(np.uint8), np.ones((4 * factor + 1,) * 2, np.uint8)) > 0
    assert seen.sum() > 500
    assert np.isfinite(answer[seen]).all()
    assert np.abs(answer - truth)[seen].max() < 0.01
    # The silhouette must not grow by more than a coarse pixel and a half.
    apart = cv2.dilate(np.isfinite(truth).astype(np.uint8), np.ones((3 * factor + 1,) * 2, np.uint8)) == 0
    assert not (answer[apart] < 1.4).any()


def test_hidden_background_stays_unknown() -> None:
    """To the right of a foreground card, the other camera looks where the depth camera could not."""
    camera = Camera(160, 120, 130.0, 130.0, 79.5, 59.5)
    depth = np.full((120, 160), 2.0)
    depth[:, 60:100] = 0.5
    answer = reproject_depth(depth, camera, camera, Similarity(translation=np.array([-0.05, 0.0, 0.0])))
    # Parallax 0.05 * 130 * (1 / z): the card moves by 13 pixels to the left, the background by 3.25.
    assert np.isnan(answer[60, 89:95]).all()
    np.testing.assert_allclose(answer[60, 49:85], 0.5, atol=1e-6)
    np.testing.assert_allclose(answer[60, 99:150], 2.0, atol=1e-6)


def test_a_scaled_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="rigid"):
        reproject_depth(
            np.ones((120, 160)),
            *[Camera(160, 120, 9.0, 9.0, 80.0, 60.0)] * 2,
            Similarity(scale=2 * np.ones(3)),
        )


def test_normals_of_a_sphere_point_out() -> None:
    camera = Camera(320, 240, 300.0, 300.0, 159.5, 119.5)
    center, radius = np.array([0.05, -0.02, 1.0]), 0.3
    points = points_from_depth(sphere_depth(camera.rays().astype(float), center, radius), camera)
    normals = normals_from_pointmap(points)
    facing = np.isfinite(normals[..., 0]) & (((points - center) / radius)[..., 2] < -0.6)
    assert facing.sum() > 5000
    np.testing.assert_allclose(normals[facing], ((points - center) / radius)[facing], atol=0.02)


def test_edges_and_flying_pixels() -> None:
    depth = np.full((40, 60), 1.0, np.float32)
    depth[:, 30:] = 2.0
    depth[20, 30] = 1.5
    depth[5, 5] = 0.0
    edges = depth_edges(depth)
    assert edges[10].nonzero()[0].tolist() == [29, 30]
    assert not edges[4:7, 4:7].any()
    assert np.argwhere(flying_pixels(depth)).tolist() == [[20, 30]]


def scan(hit_depth, camera_from_lidar: Similarity, *, beams: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Rays of a spinning scanner (x right, y down, z forward here) and what `hit_depth` says of them."""
    azimuth, elevation = np.meshgrid(np.arange(-0.6, 0.6, 0.0035), np.linspace(-0.35, 0.35, beams))
    rays = np.stack(
        [np.tan(azimuth), np.tan(elevation) / np.cos(azimuth), np.ones_like(azimuth)], -1
    ).reshape(-1, 3)
    depth, kind = hit_depth(camera_from_lidar.rotate(rays), camera_from_lidar.translation)
    return rays * depth[:, None], kind


def test_lidar_background_is_not_seen_through_a_person() -> None:
    """A scanner half a metre above the camera looks over a card that hides the wall from the camera."""
    camera = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
    camera_from_lidar = Similarity(translation=np.array([0.0, -0.5, 0.0]))
    card_z, wall_z = 5.0, 12.0

    def hit(rays: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at_card = rays * card_z + origin
        on_card = (np.abs(at_card[:, 0]) < 0.4) & (at_card[:, 1] > -0.8) & (at_card[:, 1] < 1.0)
        return np.where(on_card, card_z, wall_z), on_card

    points, on_card = scan(hit, camera_from_lidar)
    pointmap = pointmap_from_lidar(points, camera_from_lidar, camera)
    v, u = np.nonzero(np.isfinite(pointmap[..., 2]))
    ray = camera.rays()[v, u]
    hidden = (np.abs(ray[:, 0] * card_z) < 0.4) & (ray[:, 1] * card_z > -0.8) & (ray[:, 1] * card_z < 1.0)
    leaked = hidden & (pointmap[v, u, 2] > 6.0)
    without = camera.contains(camera.project(camera_from_lidar.apply(points))) & ~on_card
    behind = camera_from_lidar.apply(points)[without]
    behind = behind / behind[:, 2:] * card_z
    would_leak = (np.abs(behind[:, 0]) < 0.4) & (behind[:, 1] > -0.8) & (behind[:, 1] < 1.0)
    assert would_leak.sum() > 150, "the case has to be a hard one"
    assert leaked.sum() < 0.15 * would_leak.sum()
    assert (pointmap[v, u, 2] < 6.0).sum() > 0.98 * on_card.sum(), "the card's own returns stay"
    beside = (np.abs(ray[:, 0] * card_z) > 0.5) & (pointmap[v, u, 2] > 6.0)
    assert beside.sum() > 0.97 * (~on_card & (np.abs(points[:, 0] / points[:, 2] * card_z) > 0.5)).sum() * 0.8


def test_lidar_of_slanted_ground_survives_whole() -> None:
    camera = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
    camera_from_lidar = Similarity(translation=np.array([0.1, -0.3, 0.0]))
    normal = np.array([0.25, 0.96, 0.05])

    def ground(rays: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        depth = (1.6 - normal @ origin) / (rays @ normal)
        return np.where((depth > 0) & (depth < 60), depth, np.nan), np.isfinite(depth)

    points, _ = scan(ground, camera_from_lidar)
    pixels = camera.project(camera_from_lidar.apply(points))
    inside = np.rint(pixels[camera.contains(pixels)])
    pointmap = pointmap_from_lidar(points, camera_from_lidar, camera)
    assert np.isfinite(pointmap[..., 2]).sum() == len(np.unique(inside, axis=0))
    measured = pointmap[np.isfinite(pointmap[..., 2])]
    np.testing.assert_allclose(measured @ normal, 1.6, atol=1e-4)


def test_the_nearest_lidar_return_of_a_pixel_wins() -> None:
    camera = Camera(11, 11, 10.0, 10.0, 5.0, 5.0)
    pointmap = pointmap_from_lidar(
        np.array([[0, 0, 3.0, 1], [0, 0, 2.0, 1], [0, 0, 4.0, 1], [0, 0, -1, 1]]), Similarity(), camera
    )
    assert np.isfinite(pointmap[..., 2]).sum() == 1
    np.testing.assert_array_equal(pointmap[5, 5], [0, 0, 2])
    assert np.isnan(pointmap_from_lidar(np.zeros((0, 3)), Similarity(), camera)).all()
    with pytest.raises(ValueError, match="give \\(N, 3\\)"):
        pointmap_from_lidar(np.zeros((3,)), Similarity(), camera)


@pytest.mark.filterwarnings("error")
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([np.float32, np.float64]))
def test_any_depth_image_and_pose_give_known_positive_depth_or_nan(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    camera = Camera(int(width), int(height), *rng.uniform(5, 80, 2), width / 2, height / 2)
    target = Camera(int(rng.integers(1, 60)), int(rng.integers(1, 60)), *rng.uniform(5, 200, 2), 12.0, 9.0)
    depth = rng.uniform(0.1, 4.0, (height, width)).astype(dtype)
    for value in (0.0, -1.0, np.nan, np.inf, -np.inf, 1e-30, 1e30):
        depth[rng.random(depth.shape) < 0.05] = value
    pose = Similarity(Rotation.from_quat(rng.normal(size=4)).as_matrix(), rng.normal(size=3))
    answer = reproject_depth(depth, camera, target, pose)
    assert answer.shape == (target.height, target.width)
    assert answer.dtype == np.float32
    assert (np.isnan(answer) | (answer > 0)).all()
    points = points_from_depth(depth, camera)
    assert (np.isnan(points[..., 2]) | (points[..., 2] > 0)).all()
    assert flying_pixels(depth).shape == depth_edges(depth).shape == depth.shape
    sweep = pointmap_from_lidar(points.reshape(-1, 3), pose, target)
    assert (np.isnan(sweep[..., 2]) | (sweep[..., 2] > 0)).all()


def test_pedestrian_of_a_real_lidar_frame(data_dir: Path) -> None:
    folder = data_dir / "kitti_a" / "000000"
    meta = json.loads((folder / "camera.json").read_text())
    camera = Camera(meta["width"], meta["height"], meta["fx"], meta["fy"], meta["cx"], meta["cy"])
    points = np.load(folder / "lidar.npz")["points"]
    pointmap = pointmap_from_lidar(points, Similarity.from_matrix(meta["camera_from_lidar"]), camera)
    mask = cv2.imread(str(folder / "labels.png"), cv2.IMREAD_UNCHANGED) == 1
    z = pointmap[mask][:, 2]
    z = z[np.isfinite(z)]
    person = json.loads((folder / "objects.json").read_text())[0]
    assert 350 < len(z) <= 485, "the data set counts 485 returns in the mask before occlusion"
    assert abs(np.median(z) - person["check"]["lidar_in_mask_z_med"]) < 0.03
    on_person = np.abs(z - person["camera_from_object"][2][3]) < 0.6
    # 371 of the 471 returns in the mask are the person's. All stay, half of the see-through goes; the
    # rest is where the mask itself is too wide.
    assert on_person.sum() == 371
    assert (~on_person).sum() < 0.6 * 100
