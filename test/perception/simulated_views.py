"""Frames of simulated tables, straight or through a lens, and what has to be the same in two answers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.simulation.frames import frame_from_depth, frame_from_lidar
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor, Lidar
from sam3d_ros.simulation.trajectories import random_viewpoint

STRAIGHT = Camera.from_field_of_view(320, 240, np.deg2rad(60.0))
BARREL = replace(STRAIGHT, distortion_model="plumb_bob", distortion=(-0.25, 0.08, 0.001, -0.001, 0.0))
FISHEYE = replace(STRAIGHT, distortion_model="equidistant", distortion=(0.01, -0.02, 0.001, 0.0))
#: Of a scanner whose x is the optical axis and whose z is up in the image.
CAMERA_FROM_LIDAR = Similarity(np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]))


@cache
def simulated(seed: int, camera: Camera = STRAIGHT, *, lidar: bool = False) -> Frame:
    """A table with five objects, as a noisy sensor sees it from some place."""
    random = np.random.default_rng(seed)
    scene = random_scene(seed, 5)
    rendering = render(scene, camera, random_viewpoint(random))
    if not lidar:
        return frame_from_depth(scene, rendering, DepthSensor().measure(rendering, random))
    low, high, ahead = np.deg2rad([-30.0, 30.0, 80.0]).tolist()
    sensor = Lidar(beams=64, lowest=low, highest=high, field=ahead)
    sweep = sensor.scan(scene, rendering.world_from_camera @ CAMERA_FROM_LIDAR, random)
    return frame_from_lidar(scene, rendering, sweep, CAMERA_FROM_LIDAR)


def figures(verdict: Verdict) -> tuple[float, float, float]:
    """The numbers of a verdict."""
    return verdict.mask_iou, verdict.depth_residual, verdict.inlier_ratio


def assert_same_verdict(found: Verdict, expected: Verdict) -> None:
    """The same to the last bit."""
    assert (found.state, found.reasons) == (expected.state, expected.reasons)
    assert (found.point_count, found.scale_source) == (expected.point_count, expected.scale_source)
    np.testing.assert_array_equal(figures(found), figures(expected))


def assert_same_estimate(found: ObjectEstimate, expected: ObjectEstimate) -> None:
    """The same to the last bit."""
    assert (found.instance_id, found.label) == (expected.instance_id, expected.label)
    np.testing.assert_array_equal(found.mesh.vertices, expected.mesh.vertices)
    np.testing.assert_array_equal(found.mesh.triangles, expected.mesh.triangles)
    np.testing.assert_array_equal(found.mesh.colors, expected.mesh.colors)
    np.testing.assert_array_equal(found.camera_from_object.matrix(), expected.camera_from_object.matrix())
    np.testing.assert_array_equal(found.covariance, expected.covariance)
    assert_same_verdict(found.verdict, expected.verdict)


def assert_measured_alike(piece: Evidence, whole: Evidence) -> None:
    for count in (50, 500):
        part, all_of_it = piece.measured(count), whole.measured(count)
        assert (part.count, part.window) == (all_of_it.count, all_of_it.window)
        np.testing.assert_array_equal(part.noise, all_of_it.noise)
        np.testing.assert_array_equal(part.points, all_of_it.points)
        for name in ("seam", "rim", "rim_inward"):
            np.testing.assert_array_equal(getattr(part.outline, name), getattr(all_of_it.outline, name))
