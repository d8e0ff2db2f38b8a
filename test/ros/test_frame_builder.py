"""Messages to frames: flat walls seen by two cameras and a scanner, with a real tf2 buffer."""

from __future__ import annotations

from types import MappingProxyType

import cv2
import numpy as np
import pytest
import tf2_ros
from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ScaleSource
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.range_noise import DEPTH_NOISE, RangeSensor
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import ESTIMATED, FrameBuilder, FrameBuilderConfig
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.people_messages import detections_message, keypoints_message
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup, similarity_from_transform, transform_message

STAMP = 5_000_000_000
CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
DEPTH_CAMERA = Camera(80, 60, 70.0, 70.0, 39.5, 29.5)
TENTH = 100_000_000

translations = st.tuples(*[st.floats(-5.0, 5.0)] * 3)
rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(None, np.random.default_rng(seed)))


class Rig:
    """A builder with a buffer to fill and a complete set of messages to change."""

    def __init__(self, **config: object) -> None:
        self.buffer = tf2_ros.Buffer()
        self.faults = FaultLog()
        self.builder = FrameBuilder(BufferLookup(self.buffer), self.faults, FrameBuilderConfig(**config))

    def place(self, parent: str, child: str, pose: Similarity, stamp: int | None = None) -> None:
        message = transform_message(header_message(stamp or 0, parent), child, pose)
        if stamp is None:
            self.buffer.set_transform_static(message, "test")
        else:
            self.buffer.set_transform(message, "test")

    def build(self, **changes: object):
        return self.builder.build(inputs(**changes), MappingProxyType({7: "mug"}))


def inputs(camera: Camera = CAMERA, **changes: object) -> InputSet:
    header = header_message(STAMP, "camera")
    rgb = np.arange(camera.width * camera.height * 3, dtype=np.uint32).astype(np.uint8)
    usual = {
        "stamp": STAMP,
        "image": image_message(rgb.reshape(camera.height, camera.width, 3), "rgb8", header),
        "labels": image_message(np.full((camera.height, camera.width), 7, np.uint8), "mono8", header),
        "camera_info": info_from_camera(camera, header),
        "depth": None,
        "depth_info": None,
        "points": None,
        "arrival": 0.0,
        "epoch": 0,
    }
    return InputSet(**(usual | changes))


@pytest.mark.parametrize(
    ("pixels", "encoding", "background", "objects"),
    [
        (np.uint8([[255, 1, 2]]), "mono8", (0, 255), [1, 2]),
        (np.uint8([[1, 0, 255]]), "8UC1", (255, 1), []),
        (np.uint16([[65535, 300, 1]]), "16UC1", (65535,), [1, 300]),
        (np.int16([[-1, 3, 7]]), "16SC1", (-1, 3), [7]),
        (np.int32([[-1, 0, 9]]), "32SC1", (-1,), [9]),
        (np.uint8([[4, 5, 6]]), "mono8", (0,), [4, 5, 6]),
    ],
)
@pytest.mark.parametrize("scale", [1, 2])
def test_the_background_may_have_an_id(pixels, encoding: str, background, objects, scale: int):
    camera = Camera(3 * scale, 2 * scale, 60.0, 60.0, 1.0, 0.5)
    message = image_message(np.repeat(pixels, 2, axis=0), encoding, header_message(STAMP, "camera"))
    sent = bytes(message.data)
    built = FrameBuilder(
        BufferLookup(tf2_ros.Buffer()), FaultLog(), FrameBuilderConfig(background_ids=background)
    )
    assert built.build(inputs(camera, labels=message)).instance_ids() == objects
    assert bytes(message.data) == sent, "others read this message, too"


def depth_message(depth: np.ndarray, frame: str = "camera", stamp: int = STAMP):
    return image_message(depth.astype(np.float32), "32FC1", header_message(stamp, frame))


def test_a_frame_without_a_sensor_says_so():
    rig = Rig()
    frame = rig.build()
    assert (frame.stamp, frame.frame_id, frame.camera) == (STAMP, "camera", CAMERA)
    assert frame.points_source is PointsSource.NONE and np.isnan(frame.points).all()
    assert frame.label(7) == "mug" and frame.instance_ids() == [7]
    assert frame.fixed_from_camera is None and rig.faults.records() == ()


def test_registered_depth_becomes_the_point_map():
    depth = np.random.default_rng(0).uniform(1, 3, (48, 64)).astype(np.float32)
    depth[3, 4] = 0.0
    frame = Rig().build(depth=depth_message(depth))
    assert frame.points_source is PointsSource.DEPTH
    v, u = np.mgrid[:48, :64]
    expected = np.stack([(u - 31.5) / 60 * depth, (v - 23.5) / 60 * depth, depth], axis=-1)
    expected[3, 4] = np.nan
    np.testing.assert_allclose(frame.points, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("relative", [False, True])
def test_relative_depth_is_in_nobodys_unit(relative: bool):
    rig = Rig(relative_depth=relative)
    frame = rig.build(depth=depth_message(np.full((48, 64), 2.0)))
    assert frame.points_source is PointsSource.DEPTH and np.isfinite(frame.points).all()
    assert frame.is_metric is not relative
    assert frame.scale_source is (ScaleSource.PRIOR if relative else ScaleSource.DEPTH)
    rig.place("camera", "lidar", Similarity())
    cloud = cloud_from_points(np.array([[0.0, 0.0, 2.0]]), header_message(STAMP, "lidar"))
    swept = rig.build(points=cloud)
    assert swept.is_metric and swept.scale_source is ScaleSource.LIDAR
    alone = frame.without_points()
    assert np.isnan(alone.points).all() and alone.points_source is PointsSource.NONE


@pytest.mark.parametrize("kind", [*(sensor.value for sensor in RangeSensor), ESTIMATED])
def test_a_frame_says_how_much_its_sensor_errs(kind: str):
    camera, sigma = Camera(320, 240, 300.0, 300.0, 159.5, 119.5), 0.02
    depth = 2.0 + sigma * np.random.default_rng(0).standard_normal((240, 320))
    frame = Rig(depth_sensor=kind).build(camera=camera, depth=depth_message(depth))
    expected = sigma if kind == ESTIMATED else DEPTH_NOISE[RangeSensor(kind)].at(2.0)
    assert frame.noise.at(2.0) == pytest.approx(expected, rel=0.1)


def test_registered_depth_of_another_size_is_sampled_to_that_of_the_image():
    frame = Rig().build(depth=depth_message(np.full((24, 32), 2.0)))
    known = np.isfinite(frame.points[..., 2])
    assert known.mean() > 0.9
    np.testing.assert_allclose(frame.points[known][:, 2], 2.0, rtol=1e-6)


def wall_depth(camera: Camera, normal: np.ndarray, offset: float) -> np.ndarray:
    """Depth image of the plane normal . p = offset, given in the camera's own frame."""
    return offset / (camera.rays().astype(np.float64) @ normal)


@given(
    rotations.map(lambda r: Rotation.from_rotvec(0.03 * r.as_rotvec())),
    st.floats(-0.05, 0.05),
    st.floats(-0.05, 0.05),
)
@settings(max_examples=20, deadline=None)
def test_depth_of_another_camera_lies_on_the_true_wall(turn, x, y):
    """The wall is known in the frame of the colour camera; what comes out must lie on it."""
    camera_from_depth = Similarity(turn.as_matrix(), np.array([x, y, 0.02]))
    normal, offset = np.array([0.1, -0.2, 1.0]), 2.0
    # p_camera = R p + t, so that n . p_camera = d reads (R^T n) . p = d - n . t in the depth camera.
    depth = wall_depth(
        DEPTH_CAMERA,
        camera_from_depth.rotation.T @ normal,
        offset - normal @ camera_from_depth.translation,
    )
    rig = Rig()
    rig.place("camera", "depth", camera_from_depth)
    frame = rig.build(
        depth=depth_message(depth, "depth"),
        depth_info=info_from_camera(DEPTH_CAMERA, header_message(STAMP, "depth")),
    )
    known = np.isfinite(frame.points[..., 2])
    assert frame.points_source is PointsSource.DEPTH and known[8:-8, 8:-8].mean() > 0.95
    residual = frame.points[known].astype(np.float64) @ normal - offset
    assert np.abs(residual).max() < 0.01
    # A point of the map lies on the ray of its own pixel.
    v, u = np.nonzero(known)
    np.testing.assert_allclose(CAMERA.project(frame.points[known]), np.stack([u, v], -1), atol=1e-3)


@given(rotations, translations)
@settings(max_examples=20, deadline=None)
def test_lidar_points_land_in_their_pixels(rotation, translation):
    rng = np.random.default_rng(1)
    pixels = np.stack([rng.permutation(64)[:20], rng.integers(0, 48, 20)], axis=-1)
    truth = CAMERA.unproject(pixels, rng.uniform(2, 2.1, 20))
    camera_from_lidar = Similarity(rotation.as_matrix(), np.array(translation))
    rig = Rig()
    rig.place("camera", "lidar", camera_from_lidar)
    cloud = cloud_from_points(camera_from_lidar.inverse().apply(truth), header_message(STAMP, "lidar"))
    frame = rig.build(points=cloud)
    assert frame.points_source is PointsSource.LIDAR
    found = frame.points[pixels[:, 1], pixels[:, 0]]
    np.testing.assert_allclose(found, truth, atol=1e-4)
    assert np.isfinite(frame.points[..., 0]).sum() == 20


def test_lidar_is_placed_at_its_own_stamp_when_the_world_is_known():
    """The vehicle drives 0.5 m between the sweep and the image; the point stands still in the map."""
    rig = Rig(target_frame="map")
    upright = Similarity(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    rig.place("base", "camera", upright)
    rig.place("base", "lidar", Similarity())
    rig.place("map", "base", Similarity(), STAMP - TENTH)
    rig.place("map", "base", Similarity(translation=np.array([0.5, 0.0, 0.0])), STAMP)
    point_in_map = np.array([[4.0, 0.0, 0.0]])
    cloud = cloud_from_points(point_in_map, header_message(STAMP - TENTH, "lidar"))
    frame = rig.build(points=cloud)
    seen = frame.points[np.isfinite(frame.points[..., 2])]
    np.testing.assert_allclose(seen, [[0.0, 0.0, 3.5]], atol=1e-5)
    np.testing.assert_allclose(frame.fixed_from_camera.translation, (0.5, 0.0, 0.0))
    np.testing.assert_allclose(frame.fixed_from_camera.apply(seen), point_in_map, atol=1e-5)


def test_without_a_fixed_frame_the_transform_of_the_sweep_holds():
    rig = Rig()
    rig.place("camera", "lidar", Similarity(translation=np.array([0.0, 0.0, 1.0])), STAMP - TENTH)
    cloud = cloud_from_points(np.array([[0.0, 0.0, 3.0]]), header_message(STAMP - TENTH, "lidar"))
    frame = rig.build(points=cloud)
    assert np.nanmax(frame.points[..., 2]) == pytest.approx(4.0)


def test_depth_comes_before_lidar_and_lidar_steps_in():
    rig = Rig()
    rig.place("camera", "lidar", Similarity())
    cloud = cloud_from_points(np.array([[0.0, 0.0, 3.0]]), header_message(STAMP, "lidar"))
    depth = depth_message(np.full((48, 64), 2.0))
    assert rig.build(depth=depth, points=cloud).points_source is PointsSource.DEPTH
    assert rig.faults.records() == ()
    depth.encoding = "rgb8"
    assert rig.build(depth=depth, points=cloud).points_source is PointsSource.LIDAR
    assert rig.faults.count(Fault.UNKNOWN_ENCODING) == 1
    assert rig.build(depth=depth).points_source is PointsSource.NONE


@pytest.mark.parametrize(
    ("depth", "info", "fault"),
    [
        (depth_message(np.ones((60, 80)), "depth"), True, Fault.MISSING_TRANSFORM),
        (depth_message(np.ones((60, 80)), "depth"), False, Fault.MISSING_CAMERA_INFO),
        (depth_message(np.ones((60, 81)), "depth"), True, Fault.SIZE_MISMATCH),
        (depth_message(np.ones((48, 30))), False, Fault.SIZE_MISMATCH),
        (depth_message(np.ones((60, 80)), "old"), True, Fault.OLD_TRANSFORM),
    ],
)
def test_depth_that_cannot_be_placed_is_left_out_by_name(depth, info, fault):
    rig = Rig()
    rig.place("camera", "old", Similarity(), STAMP - 2 * TENTH)
    rig.place("camera", "old", Similarity(), STAMP - TENTH)
    depth_info = info_from_camera(DEPTH_CAMERA, depth.header) if info else None
    frame = rig.build(depth=depth, depth_info=depth_info)
    assert frame.points_source is PointsSource.NONE
    assert [record.fault for record in rig.faults.records()] == [fault]


def test_labels_of_another_size_are_resized_with_a_warning():
    rig = Rig()
    ids = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((8, 8), np.uint8))
    frame = rig.build(labels=image_message(ids, "mono8", header_message(STAMP, "camera")))
    expected = np.kron(np.arange(12).reshape(3, 4), np.ones((16, 16), int))
    np.testing.assert_array_equal(frame.labels, expected)
    (record,) = rig.faults.records()
    assert record.fault is Fault.LABELS_RESIZED
    assert "labels are 32x24 but the image is 64x48" in record.message
    with pytest.raises(FaultError, match="publish both at one size") as refused:
        Rig(resize_labels=False).build(labels=image_message(ids, "mono8", header_message(STAMP, "camera")))
    assert refused.value.fault is Fault.SIZE_MISMATCH


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((64, 64), False),  # squared, with borders above and below
        ((48, 48), False),
        ((64, 60), False),  # padded to whole tiles
        ((80, 48), False),
        ((48, 64), False),  # turned
        ((32, 24), True),
        ((128, 96), True),
        ((21, 16), True),  # 21.3 x 16
        ((22, 16), True),
        ((100, 75), True),
        ((7, 5), True),  # 7 x 5.25
    ],
)
def test_labels_of_another_aspect_ratio_are_of_another_image(size: tuple[int, int], resized: bool):
    labels = image_message(np.ones(size[::-1], np.uint8), "mono8", header_message(STAMP, "camera"))
    rig = Rig()
    if resized:
        assert (rig.build(labels=labels).labels == 1).all()
        return
    with pytest.raises(FaultError, match="of another aspect ratio") as refused:
        rig.build(labels=labels)
    assert refused.value.fault is Fault.SIZE_MISMATCH


TRANSPORTS = {
    "16UC1": lambda depth: image_message(
        (depth * 1000).astype(np.uint16), "16UC1", header_message(STAMP, "camera")
    ),
    "32FC1": lambda depth: image_message(depth, "32FC1", header_message(STAMP, "camera")),
    "compressedDepth": lambda depth: CompressedImage(
        header=header_message(STAMP, "camera"),
        format="16UC1; compressedDepth png",
        data=bytes(12) + cv2.imencode(".png", (depth * 1000).astype(np.uint16))[1].tobytes(),
    ),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_depth_beyond_max_depth_is_unknown(transport: str):
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:24] = 65.535
    message = TRANSPORTS[transport](depth)
    known = np.isfinite(Rig().build(depth=message).points[..., 2])
    assert not known[:24].any() and known[24:].all()
    assert not np.isfinite(Rig(max_depth=1.5).build(depth=message).points).any()
    with pytest.raises(ValueError, match=r"max_depth is 0\.0: give a number from 0\.01"):
        Rig(max_depth=0.0)


def test_relative_depth_knows_no_farthest():
    depth = np.full((48, 64), 900.0, np.float32)
    depth[:24] = np.finfo(np.float32).max
    known = np.isfinite(Rig(relative_depth=True).build(depth=depth_message(depth)).points[..., 2])
    assert not known[:24].any() and known[24:].all()


def test_detections_in_place_of_labels_are_boxes_with_class_names():
    boxes = detections_message(
        [(3, 4, 20, 30), (-9, 40, 9, 99)], ["7", "dog"], header_message(STAMP, "camera")
    )
    frame = Rig().build(labels=None, detections=boxes)
    assert not frame.labels.any() and frame.prompts == ()
    assert {i: box.tolist() for i, box in frame.boxes.items()} == {1: [3, 4, 20, 30], 2: [-0.5, 40, 9, 47.5]}
    assert dict(frame.label_names) == {1: "mug", 2: "dog"}


def test_keypoints_are_prompts_and_unusable_ones_do_not_stop_the_frame():
    rig = Rig()
    rig.builder.keypoints, rig.builder.min_keypoint_confidence = ("nose", "neck"), 0.5
    known = KeypointPrompt(3, ("neck",), np.array([(9.0, 8.0)], np.float32))
    message = keypoints_message([known], header_message(STAMP, "camera"))
    (prompt,) = rig.build(keypoints=message).prompts
    assert (prompt.instance_id, prompt.names, prompt.pixels.tolist()) == (3, ("neck",), [[9.0, 8.0]])
    message.people[0].confidences = [0.4]
    assert rig.build(keypoints=message).prompts == ()
    assert rig.faults.records() == ()
    message.keypoint_names = ["tail"]
    assert rig.build(keypoints=message).prompts == ()
    assert rig.faults.count(Fault.UNKNOWN_KEYPOINT) == 1


def test_a_calibration_of_another_size_is_refused():
    other = info_from_camera(DEPTH_CAMERA, header_message(STAMP, "camera"))
    with pytest.raises(FaultError, match="image is 64x48 but its camera_info is 80x60") as refused:
        Rig().build(camera_info=other)
    assert refused.value.fault is Fault.SIZE_MISMATCH


def test_a_camera_without_a_frame_is_refused_unless_its_calibration_names_one():
    message = inputs().image
    message.header.frame_id = ""
    assert Rig().build(image=message).frame_id == "camera"
    with pytest.raises(FaultError, match="frame_id") as refused:
        Rig().build(image=message, camera_info=info_from_camera(CAMERA, header_message(STAMP, "")))
    assert refused.value.fault is Fault.MISSING_FRAME_ID


def test_an_unknown_world_stops_the_frame():
    with pytest.raises(FaultError, match="'camera' to 'map'") as refused:
        Rig(target_frame="map").build()
    assert refused.value.fault is Fault.MISSING_TRANSFORM
    rig = Rig(target_frame="map")
    rig.place("map", "camera", Similarity(), STAMP - TENTH)
    with pytest.raises(FaultError, match="at the stamp") as refused:
        rig.build()
    assert refused.value.fault is Fault.OLD_TRANSFORM


def test_compressed_inputs_and_rectified_images():
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[..., 0] = 200
    image = CompressedImage(
        header=header_message(STAMP, "camera"), format="png", data=cv2.imencode(".png", bgr)[1].tobytes()
    )
    millimetres = np.full((48, 64), 1500, np.uint16)
    depth = CompressedImage(
        header=header_message(STAMP, "camera"),
        format="16UC1; compressedDepth png",
        data=bytes(12) + cv2.imencode(".png", millimetres)[1].tobytes(),
    )
    info = info_from_camera(CAMERA, header_message(STAMP, "camera"))
    info.p[0] = info.p[5] = 30.0
    frame = Rig(rectified=True).build(image=image, depth=depth, camera_info=info)
    assert frame.camera.fx == 30.0
    assert (frame.rgb == (0, 0, 200)).all()
    assert frame.points[0, 0, 2] == 1.5


@given(rotations, translations)
def test_transforms_that_are_written_read_back(rotation, translation):
    pose = Similarity(rotation.as_matrix(), np.array(translation))
    message = transform_message(header_message(STAMP, "map"), "camera", pose)
    assert isinstance(message, TransformStamped) and message.child_frame_id == "camera"
    back = similarity_from_transform(message.transform)
    np.testing.assert_allclose(back.matrix(), pose.matrix(), atol=1e-12)
