"""Alignment of a body with a point map: published figures, and a scene whose scale is known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity, optical_from_pytorch3d
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.people.alignment import align_body, aligned, in_scale_of_body, near

TOLERANCE = 1e-4
CAMERA = Camera(320, 240, 260.0, 260.0, 160.0, 120.0)


def published() -> Path:
    """The parity set; only a machine without any golden data may go without."""
    root = Path(os.environ.get("SAM3D_GOLDEN_DIR", Path(__file__).resolve().parents[4] / "shared" / "golden"))
    folder = root / "body" / "mesh_alignment"
    if not (folder / "config.json").is_file():
        message = f"{folder} is missing: set SAM3D_GOLDEN_DIR to the folder that holds body/mesh_alignment"
        if os.environ.get("CI") == "true" or root.is_dir():
            pytest.fail(message)
        pytest.skip(message)
    return folder


def test_the_published_alignment_is_reproduced() -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="requirements/models.txt is not installed")
    folder = published()
    config = json.loads((folder / "config.json").read_text())
    data = safetensors.load_file(folder / "data.safetensors")
    assert data["pointmap_cam"].shape == (config["H"], config["W"], 3)
    measured = data["pointmap_cam"][data["visible_mask"]].astype(np.float64)
    measured = measured[np.isfinite(measured).all(axis=1)]
    kept = measured[near(measured)]
    np.testing.assert_allclose(kept, optical_from_pytorch3d(data["target_points"]), atol=TOLERANCE)
    visible = optical_from_pytorch3d(data["verts_cropped"].astype(np.float64))
    points_from_camera = aligned(visible, kept)
    np.testing.assert_allclose(points_from_camera.scale, data["scale"], atol=TOLERANCE)
    np.testing.assert_allclose(
        points_from_camera.translation, optical_from_pytorch3d(data["translation"]), atol=TOLERANCE
    )
    np.testing.assert_allclose(
        points_from_camera.apply(visible), optical_from_pytorch3d(data["aligned"]), atol=TOLERANCE
    )
    assert points_from_camera.scale[0] == pytest.approx(config["true_depth_scale"], rel=0.01)


def mesh_of(solid: trimesh.Trimesh) -> Mesh:
    count = len(solid.vertices)
    return Mesh(
        np.asarray(solid.vertices, np.float32),
        np.asarray(solid.faces, np.uint32),
        np.full((count, 3), 200, np.uint8),
    )


#: A column as tall as a person at three metres, its length along the image's height.
BODY = mesh_of(
    trimesh.creation.capsule(height=1.3, radius=0.22, count=[48, 48]).apply_translation([0, 0, -0.65])
)
CAMERA_FROM_BODY = Similarity(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array([-0.3, 0.05, 3.0]))
BOX = mesh_of(trimesh.creation.box((0.8, 0.6, 1.0)))
CAMERA_FROM_BOX = Similarity(np.eye(3), np.array([0.6, 0.2, 2.6]), np.array([0.4, 0.5, 0.3]))


def point_map(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) points of body, box and wall in units of which `scale` make a metre, and the mask of the body."""
    rays = CAMERA.rays().astype(np.float64)
    hits = RayScene([(BODY, CAMERA_FROM_BODY), (BOX, CAMERA_FROM_BOX)]).cast(rays)
    depth = np.where(hits.hit, hits.distance, 5.0)
    return scale * rays * depth[..., None], hits.mesh == 0


def verdict() -> Verdict:
    return Verdict(VerdictState.UNCERTAIN, ("x",), 0.9, 0.01, 0.9, 100, ScaleSource.DEPTH)


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.6])
def test_objects_take_the_scale_of_a_body(scale: float) -> None:
    points, mask = point_map(scale)
    found = align_body(BODY, CAMERA_FROM_BODY, CAMERA, points, mask)
    assert found is not None
    assert found.scale == pytest.approx(scale, rel=0.02)
    assert found.residual < 0.03 * scale
    assert found.count > 0.85 * mask.sum()
    to_points = Similarity(scale=np.full(3, scale))
    relative = ObjectEstimate(
        4, "box", BOX, to_points @ CAMERA_FROM_BOX, np.diag([scale**2] * 3 + [1.0] * 3), verdict()
    )
    (metric,) = in_scale_of_body([relative], found)
    true_size = np.ptp(BOX.bounds, axis=0) * CAMERA_FROM_BOX.scale
    np.testing.assert_allclose(metric.size, true_size, rtol=0.02)
    np.testing.assert_allclose(metric.center, CAMERA_FROM_BOX.translation, atol=0.03)
    np.testing.assert_allclose(metric.covariance, np.eye(6), atol=0.05)


def test_a_body_that_is_not_measured_is_not_aligned() -> None:
    points, mask = point_map(1.0)
    assert align_body(BODY, CAMERA_FROM_BODY, CAMERA, np.full_like(points, np.nan), mask) is None
    assert align_body(BODY, CAMERA_FROM_BODY, CAMERA, points, np.zeros_like(mask)) is None
    with pytest.raises(ValueError, match="give one size"):
        align_body(BODY, CAMERA_FROM_BODY, CAMERA, points[1:], mask)
