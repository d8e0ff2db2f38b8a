"""Headers that name their frames oddly, through the builder, with a real tf2 buffer."""

from __future__ import annotations

import numpy as np
import pytest
import tf2_ros
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import BodyKeypoints2DArray
from sam3d_ros.nodes.frame_threads import TrackingFrame
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.faults import Fault, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder, FrameBuilderConfig
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.people_messages import detections_message, keypoints_message
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup, transform_message

STAMP = 5_000_000_000
CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
LINK, OPTICAL = "camera_link", "camera_optical_frame"


def image(frame_id: str) -> Image:
    return image_message(np.zeros((48, 64, 3), np.uint8), "rgb8", header_message(STAMP, frame_id))


def info(frame_id: str) -> CameraInfo:
    return info_from_camera(CAMERA, header_message(STAMP, frame_id))


def labels(frame_id: str) -> Image:
    return image_message(np.full((48, 64), 7, np.uint8), "mono8", header_message(STAMP, frame_id))


def depth(frame_id: str) -> Image:
    return image_message(np.full((48, 64), 2.0, np.float32), "32FC1", header_message(STAMP, frame_id))


def built(
    buffer: tf2_ros.Buffer | None = None, target_frame: str = "", **changes: object
) -> tuple[Frame, FaultLog]:
    usual = {"depth": None, "depth_info": None, "points": None, "labels": labels(OPTICAL)}
    messages = {"image": image(OPTICAL), "camera_info": info(OPTICAL), **usual, **changes}
    faults = FaultLog()
    lookup = BufferLookup(tf2_ros.Buffer() if buffer is None else buffer)
    builder = FrameBuilder(lookup, faults, FrameBuilderConfig(target_frame=target_frame))
    return builder.build(InputSet(stamp=STAMP, arrival=0.0, epoch=0, **messages)), faults


def static(parent: str, child: str, pose: Similarity) -> tf2_ros.Buffer:
    buffer = tf2_ros.Buffer()
    buffer.set_transform_static(transform_message(header_message(0, parent), child, pose), "test")
    return buffer


def reported(faults: FaultLog) -> dict[Fault, str]:
    return {record.fault: record.message for record in faults.records()}


@pytest.mark.parametrize(
    "changes",
    [
        {"image": image("/" + OPTICAL)},
        {"camera_info": info("/" + OPTICAL)},
        {"image": image("/" + OPTICAL), "camera_info": info("/" + OPTICAL)},
        {"camera_info": info("/" + OPTICAL), "image": image("")},
        {"image": image("//" + OPTICAL)},
        {"labels": labels("/" + OPTICAL)},
        {"depth": depth("/" + OPTICAL)},
        {"depth_info": info("/" + OPTICAL), "depth": depth(OPTICAL)},
        {"target_frame": "/" + OPTICAL},
    ],
)
def test_a_leading_slash_is_left_out_and_named(changes: dict[str, object]) -> None:
    frame, faults = built(**changes)  # type: ignore[arg-type]
    assert frame.frame_id == OPTICAL and frame.fixed_from_camera is None
    assert frame.points_source is (PointsSource.DEPTH if "depth" in changes else PointsSource.NONE)
    (message,) = reported(faults).values()
    assert faults.count(Fault.SLASHED_FRAME_ID) == 1
    assert f"({next(iter(changes))})" in message


def test_slashes_hinder_no_transform() -> None:
    pose = Similarity(translation=np.array([0.1, 0.2, 0.3]))
    frame, faults = built(static("map", OPTICAL, pose), "/map", image=image("/" + OPTICAL))
    assert frame.fixed_from_camera is not None
    np.testing.assert_allclose(frame.fixed_from_camera.translation, pose.translation)
    assert TrackingFrame(FrameBuilderConfig(target_frame="/map").tracking_frame).of(frame) == "map"
    cloud = cloud_from_points(np.array([[0.0, 0.0, 2.0]]), header_message(STAMP, "/lidar"))
    frame, faults = built(static(OPTICAL, "lidar", pose), points=cloud)
    assert frame.points_source is PointsSource.LIDAR
    np.testing.assert_allclose(frame.points[np.isfinite(frame.points[..., 2])], [[0.1, 0.2, 2.3]], atol=1e-6)
    assert "'/lidar' (points)" in reported(faults)[Fault.SLASHED_FRAME_ID]
    frame, _ = built(
        static(OPTICAL, "depth_optical_frame", pose),
        depth=depth("/depth_optical_frame"),
        depth_info=info("/depth_optical_frame"),
    )
    assert frame.points_source is PointsSource.DEPTH
    assert np.nanmedian(frame.points[..., 2]) == pytest.approx(2.3, abs=1e-3)


@pytest.mark.parametrize(
    ("of_image", "of_info", "used"),
    [
        (LINK, OPTICAL, OPTICAL),
        (LINK, "camera_optical", "camera_optical"),
        (OPTICAL, LINK, OPTICAL),
        (OPTICAL, "other_optical_frame", OPTICAL),
        (LINK, "base_link", LINK),
        ("/" + LINK, "/" + OPTICAL, OPTICAL),
    ],
)
def test_of_two_frames_the_optical_one_is_used_and_the_conflict_is_named(
    of_image: str, of_info: str, used: str
) -> None:
    frame, faults = built(image=image(of_image), camera_info=info(of_info), depth=depth(of_image))
    assert frame.frame_id == used
    message = reported(faults)[Fault.FRAME_CONFLICT]
    assert repr(of_image.lstrip("/")) in message and repr(of_info.lstrip("/")) in message
    # The depth is in the frame of its image, whatever that is called.
    assert frame.points_source is PointsSource.DEPTH
    np.testing.assert_allclose(frame.points[..., 2], 2.0)


@pytest.mark.parametrize(("of_image", "of_info"), [(LINK, LINK), (LINK, ""), ("", LINK), (OPTICAL, OPTICAL)])
def test_one_frame_or_one_name_is_no_conflict(of_image: str, of_info: str) -> None:
    frame, faults = built(image=image(of_image), camera_info=info(of_info))
    assert frame.frame_id == (of_image or of_info) and faults.records() == ()


@pytest.mark.parametrize("of_image", [OPTICAL, "depth_link"])
def test_depth_and_its_camera_info_may_be_in_conflict_too(of_image: str) -> None:
    pose = Similarity(translation=np.array([0.0, 0.0, 0.5]))
    frame, faults = built(
        static(OPTICAL, "depth_optical_frame", pose),
        image=image(of_image),
        depth=depth("depth_link"),
        depth_info=info("depth_optical_frame"),
    )
    assert np.nanmedian(frame.points[..., 2]) == pytest.approx(2.5, abs=1e-3)
    assert "'depth_link'" in reported(faults)[Fault.FRAME_CONFLICT]


def boxes(frame_id: str) -> Detection2DArray:
    return detections_message([(9, 9, 30, 30)], ["person"], header_message(STAMP, frame_id))


def keypoints(frame_id: str) -> BodyKeypoints2DArray:
    return keypoints_message([], header_message(STAMP, frame_id))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": labels("right_optical_frame")}, "labels in 'right_optical_frame'"),
        ({"labels": None, "detections": boxes("/right_camera")}, "detections in 'right_camera'"),
        ({"keypoints": keypoints("camera2_optical_frame")}, "keypoints in 'camera2_optical_frame'"),
        ({"labels": labels("map"), "keypoints": keypoints("map")}, "labels in 'map', keypoints in 'map'"),
    ],
)
def test_what_is_made_of_the_image_of_another_camera_is_named(changes: dict[str, object], named: str) -> None:
    frame, faults = built(**changes)  # type: ignore[arg-type]
    assert frame.frame_id == OPTICAL
    assert named in reported(faults)[Fault.FRAME_CONFLICT]


@pytest.mark.parametrize("of_labels", ["", OPTICAL, "/" + OPTICAL, LINK, "camera_frame", "camera"])
@pytest.mark.parametrize("of_image", [OPTICAL, LINK])
def test_any_frame_of_one_camera_is_no_other_camera(of_image: str, of_labels: str) -> None:
    _, faults = built(image=image(of_image), camera_info=info(of_image), labels=labels(of_labels))
    assert Fault.FRAME_CONFLICT not in reported(faults)


def test_points_in_the_frame_of_the_camera_need_no_transform() -> None:
    points = np.array([[0.0, 0.0, 2.0]])
    frame, faults = built(points=cloud_from_points(points, header_message(STAMP + 5, OPTICAL)))
    assert frame.points_source is PointsSource.LIDAR and faults.records() == ()
    np.testing.assert_allclose(frame.points[np.isfinite(frame.points[..., 2])], points)


def test_points_without_a_frame_are_left_out_by_name() -> None:
    frame, faults = built(points=cloud_from_points(np.ones((4, 3)), header_message(STAMP, "")))
    assert frame.points_source is PointsSource.NONE
    assert "points have no frame_id" in reported(faults)[Fault.MISSING_FRAME_ID]


def test_a_stamp_before_0_is_told_as_it_is() -> None:
    cloud = cloud_from_points(np.ones((4, 3)), header_message(-7, "lidar"))
    frame, faults = built(static(OPTICAL, "lidar", Similarity()), points=cloud)
    assert frame.points_source is PointsSource.NONE
    assert "-7 ns" in reported(faults)[Fault.OLD_TRANSFORM]
