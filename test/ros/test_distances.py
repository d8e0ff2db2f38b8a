"""Depth and points in another unit than metres are refused: a scene a thousand times too large looks the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tf2_ros
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.faults import Fault, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder, FrameBuilderConfig
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup, transform_message
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.trajectories import viewpoint

CAMERA = Camera.from_field_of_view(96, 72, np.deg2rad(60.0))
HEADER = header_message(5_000_000_000, "camera")
#: A table at 0.85 m as a perfect sensor sees it, metres.
PICTURE = render(random_scene(3, 3), CAMERA, viewpoint(0.85, 0.0, np.deg2rad(35.0)))


def frame_of(
    *, depth: Image | CompressedImage | None = None, points=None, **config
) -> tuple[Frame, FaultLog]:
    buffer, faults = tf2_ros.Buffer(), FaultLog()
    buffer.set_transform_static(transform_message(header_message(0, "camera"), "lidar", Similarity()), "test")
    inputs = InputSet(
        stamp=5_000_000_000,
        image=image_message(PICTURE.rgb, "rgb8", HEADER),
        labels=image_message(PICTURE.labels, "mono16", HEADER),
        camera_info=info_from_camera(CAMERA, HEADER),
        depth=depth,
        depth_info=None,
        points=points,
        arrival=0.0,
        epoch=0,
    )
    return FrameBuilder(BufferLookup(buffer), faults, FrameBuilderConfig(**config)).build(inputs, {}), faults


def floats(scale: float) -> Image:
    return image_message((PICTURE.depth * scale).astype(np.float32), "32FC1", HEADER)


def integers(scale: float) -> Image:
    return image_message(np.rint(np.nan_to_num(PICTURE.depth) * scale).astype(np.uint16), "16UC1", HEADER)


def compressed(scale: float) -> CompressedImage:
    samples = np.rint(np.nan_to_num(PICTURE.depth) * scale).astype(np.uint16)
    return CompressedImage(
        header=HEADER, format="16UC1; png compressed ", data=cv2.imencode(".png", samples)[1].tobytes()
    )


@pytest.mark.parametrize("message", [floats(1.0), integers(1000.0), compressed(1000.0)])
def test_depth_in_the_unit_of_its_encoding_is_as_far_as_it_is(message: Image | CompressedImage) -> None:
    frame, faults = frame_of(depth=message)
    assert frame.points_source is PointsSource.DEPTH and faults.records() == ()
    np.testing.assert_allclose(np.nan_to_num(frame.points[..., 2]), PICTURE.depth, atol=6e-4)


@pytest.mark.parametrize(
    ("message", "unit"),
    [
        (floats(1000.0), "floats, which are metres"),
        (image_message(np.full((72, 96), 1500.0, np.float32), "32FC1", HEADER), "metres"),
        (
            image_message(PICTURE.depth.astype(np.float64) * 1000.0, "64FC1", HEADER),
            "floats, which are metres",
        ),
        (integers(1.0), "integers, which are millimetres"),
        (compressed(1.0), "integers, which are millimetres"),
    ],
    ids=["millimetres", "one distance", "double", "whole metres", "compressed metres"],
)
def test_depth_in_another_unit_is_left_out_by_name(message: Image | CompressedImage, unit: str) -> None:
    frame, faults = frame_of(depth=message)
    assert frame.points_source is PointsSource.NONE
    (record,) = faults.records()
    assert record.fault is Fault.IMPLAUSIBLE_DEPTH and unit in record.message
    # A LiDAR steps in.
    cloud = cloud_from_points(np.array([[0.0, 0.0, 2.0]]), header_message(5_000_000_000, "lidar"))
    assert frame_of(depth=message, points=cloud)[0].points_source is PointsSource.LIDAR


def test_depth_without_a_scale_may_be_anything() -> None:
    for scale in (1000.0, 0.001):
        frame, faults = frame_of(depth=floats(scale), relative_depth=True)
        assert frame.points_source is PointsSource.DEPTH and faults.records() == ()


@pytest.mark.parametrize("sky", [100.0, 1000.0, 65.536])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_the_far_end_of_a_simulators_range_is_no_other_unit(sky: float, share: float) -> None:
    depth = PICTURE.depth.copy()
    depth[: round(share * 72)] = sky
    frame, faults = frame_of(depth=image_message(depth, "32FC1", HEADER))
    assert frame.points_source is PointsSource.DEPTH and faults.records() == ()


def sweep(radius: float, count: int = 3000) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(count, 3))
    return (
        radius * rng.uniform(0.2, 1.0, (count, 1)) * directions / np.linalg.norm(directions, axis=1)[:, None]
    )


@pytest.mark.parametrize("range_of_the_sensor", [3.0, 100.0, 450.0])
def test_sweeps_of_real_scanners_pass_and_those_in_millimetres_do_not(range_of_the_sensor: float) -> None:
    points = sweep(range_of_the_sensor)
    points[::3] = np.nan
    frame, faults = frame_of(points=cloud_from_points(points, header_message(5_000_000_000, "lidar")))
    assert frame.points_source is PointsSource.LIDAR and faults.records() == ()
    frame, faults = frame_of(points=cloud_from_points(1000 * points, header_message(5_000_000_000, "lidar")))
    assert frame.points_source is PointsSource.NONE
    (record,) = faults.records()
    assert record.fault is Fault.IMPLAUSIBLE_DEPTH and "points are in metres" in record.message
