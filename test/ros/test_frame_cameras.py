"""The camera of a frame, from an image and a camera_info that do not say the same of its size."""

from __future__ import annotations

import numpy as np
import pytest
import tf2_ros
from sensor_msgs.msg import CameraInfo

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder, FrameBuilderConfig
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup, transform_message

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
HEADER = header_message(5_000_000_000, "camera")
DEPTH_HEADER = header_message(5_000_000_000, "depth")


def info(camera: Camera = CAMERA, frame: str = "camera", **changes: object) -> CameraInfo:
    message = info_from_camera(camera, header_message(5_000_000_000, frame))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def frame_of(
    camera_info: CameraInfo, depth_info: CameraInfo | None = None, *, rectified: bool = False
) -> tuple[Frame, FaultLog]:
    """A frame with depth of a wall at 2 m where there is a depth_info, by a depth camera at the same place."""
    buffer, faults = tf2_ros.Buffer(), FaultLog()
    buffer.set_transform_static(transform_message(header_message(0, "camera"), "depth", Similarity()), "test")
    wall = image_message(np.full((48, 64), 2.0, np.float32), "32FC1", DEPTH_HEADER)
    inputs = InputSet(
        stamp=5_000_000_000,
        image=image_message(np.zeros((48, 64, 3), np.uint8), "rgb8", HEADER),
        labels=image_message(np.ones((48, 64), np.uint8), "mono8", HEADER),
        camera_info=camera_info,
        depth=wall if depth_info else None,
        depth_info=depth_info,
        points=None,
        arrival=0.0,
        epoch=0,
    )
    builder = FrameBuilder(BufferLookup(buffer), faults, FrameBuilderConfig(rectified=rectified))
    return builder.build(inputs, {}), faults


@pytest.mark.parametrize(
    "message",
    [
        info(width=0, height=0),
        info(binning_x=2, binning_y=2),
        info(CAMERA.resized(128, 96), binning_x=2, binning_y=2),
    ],
    ids=["no size", "binned already", "to be binned"],
)
def test_the_size_of_the_image_decides(message: CameraInfo) -> None:
    frame, faults = frame_of(message)
    assert frame.camera == CAMERA and faults.records() == ()
    depth_message = info(CAMERA, "depth")
    for name in ("width", "height", "binning_x", "binning_y", "k"):
        setattr(depth_message, name, getattr(message, name))
    frame, faults = frame_of(info(), depth_message)
    assert frame.points_source is PointsSource.DEPTH and faults.records() == ()


def test_a_depth_camera_of_another_size_is_left_out_by_name() -> None:
    frame, faults = frame_of(info(), info(CAMERA.resized(32, 24), "depth"))
    assert frame.points_source is PointsSource.NONE
    (record,) = faults.records()
    assert record.fault is Fault.SIZE_MISMATCH
    assert "image is 64x48 but its camera_info is 32x24" in record.message and "'depth'" in record.message


def test_a_rectified_second_stereo_camera_is_refused_and_its_depth_left_out() -> None:
    right = [60.0, 0.0, 31.5, -7.2, 0.0, 60.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    with pytest.raises(FaultError) as refused:
        frame_of(info(p=right), rectified=True)
    assert refused.value.fault is Fault.UNSUPPORTED_CAMERA
    frame, faults = frame_of(info(), info(CAMERA, "depth", p=right), rectified=True)
    assert frame.points_source is PointsSource.NONE
    assert [record.fault for record in faults.records()] == [Fault.UNSUPPORTED_CAMERA]


def depth_in_place(camera: Camera, **changes: object) -> tuple[Frame, FaultLog]:
    """A frame with depth of a sphere's side by a camera in the place of the image, at its size."""
    wall = image_message(depth_of_a_slope(camera), "32FC1", HEADER)
    inputs = InputSet(
        stamp=5_000_000_000,
        image=image_message(np.zeros((48, 64, 3), np.uint8), "rgb8", HEADER),
        labels=image_message(np.ones((48, 64), np.uint8), "mono8", HEADER),
        camera_info=info(),
        depth=wall,
        depth_info=info(camera, **changes),
        points=None,
        arrival=0.0,
        epoch=0,
    )
    faults = FaultLog()
    return FrameBuilder(BufferLookup(tf2_ros.Buffer()), faults).build(inputs, {}), faults


def depth_of_a_slope(camera: Camera) -> np.ndarray:
    """Depth of the plane 0.3 x - 0.2 y + z = 2."""
    return (2.0 / (camera.rays().astype(np.float64) @ (0.3, -0.2, 1.0))).astype(np.float32)


def off_the_slope(frame: Frame) -> np.ndarray:
    known = frame.points[np.isfinite(frame.points[..., 2])].astype(np.float64)
    assert len(known) > 0.2 * 64 * 48
    return np.abs(known @ (0.3, -0.2, 1.0) - 2.0)


@pytest.mark.parametrize(
    "camera",
    [
        Camera(64, 48, 90.0, 90.0, 31.5, 23.5),
        Camera(64, 48, 45.0, 45.0, 31.5, 23.5),
        Camera(64, 48, 60.0, 60.0, 25.0, 23.5),
    ],
    ids=["narrower", "wider", "another centre"],
)
def test_depth_of_another_lens_in_the_same_place_is_what_its_camera_info_says(camera: Camera) -> None:
    frame, faults = depth_in_place(camera)
    assert frame.points_source is PointsSource.DEPTH
    assert off_the_slope(frame).max() < 0.02
    (record,) = faults.records()
    assert record.fault is Fault.CALIBRATION_CONFLICT and "that of the depth is used" in record.message


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"k": [60.0, 0.0, 32.0, 0.0, 60.0, 24.0, 0.0, 0.0, 1.0]},
        {"k": [0.0] * 9},
        {"width": 640, "height": 480},
        {"d": [-0.1, 0.05, 0.0, 0.0, 0.0]},
        {"k": [90.0, 0.0, 31.5, 0.0, 90.0, 23.5, 0.0, 0.0, 1.0], "header": DEPTH_HEADER},
    ],
    ids=[
        "the same",
        "counted from edges",
        "empty",
        "another size",
        "a lens that the image has not",
        "of the sensor before it is registered",
    ],
)
def test_registered_depth_is_read_by_the_camera_of_the_image(changes: dict[str, object]) -> None:
    frame, faults = depth_in_place(CAMERA, **changes)
    assert frame.points_source is PointsSource.DEPTH and faults.records() == ()
    np.testing.assert_allclose(frame.points[..., 2], depth_of_a_slope(CAMERA))
