"""CameraInfo against cameras: crops and bins of a rendered picture, and OpenCV's own projection."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.ros.camera_info import camera_from_info, info_from_camera
from sam3d_ros.ros.faults import Fault, FaultError

K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
P = [400.0, 0.0, 300.0, 0.0, 0.0, 410.0, 200.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def info(**fields: object) -> CameraInfo:
    return CameraInfo(**({"width": 640, "height": 480, "k": K, "p": P} | fields))


def test_raw_images_follow_k_and_rectified_ones_p():
    message = info(distortion_model="plumb_bob", d=[0.1, -0.2, 0.001, 0.002, 0.05])
    raw = camera_from_info(message)
    assert (raw.width, raw.height, raw.fx, raw.fy, raw.cx, raw.cy) == (640, 480, 500, 510, 320, 240)
    assert raw.distortion == (0.1, -0.2, 0.001, 0.002, 0.05)
    rectified = camera_from_info(message, rectified=True)
    assert (rectified.fx, rectified.fy, rectified.cx, rectified.cy) == (400, 410, 300, 200)
    assert rectified.distortion_model == "none"


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("plumb_bob", [-0.28, 0.07, 0.0005, -0.0003]),
        ("plumb_bob", [-0.28, 0.07, 0.0005, -0.0003, 0.01]),
        ("rational_polynomial", [0.4, 0.05, 0.0002, -0.0001, 0.001, 0.7, 0.1, 0.004]),
        ("equidistant", [0.02, -0.005, 0.001, -0.0002]),
    ],
)
def test_distorted_projection_is_that_of_opencv(model, coefficients):
    camera = camera_from_info(info(distortion_model=model, d=coefficients))
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 1.0), (0.4, 0.3, 2.0), (50, 3))
    matrix = np.array(K).reshape(3, 3)
    if model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(
            points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(coefficients)
        )
    else:
        expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array(coefficients))
    np.testing.assert_allclose(camera.project(points), expected.reshape(-1, 2), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "d"), [("", []), ("plumb_bob", []), ("plumb_bob", [0.0] * 5), ("odd", [0.0])]
)
def test_no_coefficients_mean_no_distortion(model, d):
    assert camera_from_info(info(distortion_model=model, d=d)).distortion_model == "none"


@given(
    st.integers(0, 300),
    st.integers(0, 200),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_region_of_interest_and_binning(x, y, columns, rows, across, down):
    """A pixel of the small image is the mean of the sensor pixels that were joined to it."""
    roi = RegionOfInterest(x_offset=x, y_offset=y, width=columns * across, height=rows * down)
    full = camera_from_info(info())
    small = camera_from_info(info(roi=roi, binning_x=across, binning_y=down))
    assert (small.width, small.height) == (columns, rows)
    point = np.array([0.1, -0.2, 1.5])
    u, v = full.project(point)
    # Sensor pixels x .. x + across - 1 become pixel 0: their mean position is its centre.
    expected = (u - (x + (across - 1) / 2)) / across, (v - (y + (down - 1) / 2)) / down
    np.testing.assert_allclose(small.project(point), expected, atol=1e-9)


def test_binning_0_and_an_empty_region_mean_the_full_image():
    camera = camera_from_info(info(binning_x=0, binning_y=1, roi=RegionOfInterest()))
    assert (camera.width, camera.height, camera.fx) == (640, 480, 500)


@pytest.mark.parametrize(
    ("changes", "rectified", "fault", "reason"),
    [
        ({"k": [0.0] * 9}, False, Fault.UNCALIBRATED_CAMERA, r"K\[0\] = 0.0"),
        ({"p": [0.0] * 12}, True, Fault.UNCALIBRATED_CAMERA, r"P\[0\] = 0.0"),
        ({"k": [np.nan, *K[1:]]}, False, Fault.UNCALIBRATED_CAMERA, "NaN"),
        ({"k": [-1.0, *K[1:]]}, False, Fault.UNCALIBRATED_CAMERA, "positive"),
        (
            {"distortion_model": "plumb_bob", "d": [-1e9, 0.0, 0.0, 0.0, 0.0]},
            False,
            Fault.UNCALIBRATED_CAMERA,
            "bend",
        ),
        ({"width": 0, "height": 0}, False, Fault.UNCALIBRATED_CAMERA, "0x0"),
        ({"distortion_model": "odd", "d": [1.0]}, False, Fault.UNKNOWN_DISTORTION, "'odd'"),
        ({"distortion_model": "", "d": [1.0]}, False, Fault.UNKNOWN_DISTORTION, "plumb_bob"),
        (
            {"distortion_model": "rational_polynomial", "d": [0.1] * 12},
            False,
            Fault.UNKNOWN_DISTORTION,
            "thin prism",
        ),
        (
            {"roi": RegionOfInterest(x_offset=600, width=100, height=10)},
            False,
            Fault.SIZE_MISMATCH,
            r"100x10 at \(600, 0\)",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(changes, rectified, fault, reason):
    with pytest.raises(FaultError, match=reason) as refused:
        camera_from_info(info(**changes), rectified=rectified)
    assert refused.value.fault is fault


@given(
    st.sampled_from([("none", 0), ("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)]),
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.tuples(*[st.floats(1, 5000)] * 4),
    st.lists(st.floats(-1, 1).filter(lambda value: value != 0), min_size=8, max_size=8),
)
def test_cameras_that_are_written_read_back(model, width, height, intrinsics, coefficients):
    name, count = model
    camera = Camera(width, height, *intrinsics, name, tuple(coefficients[:count]))
    message = info_from_camera(camera, Header(frame_id="camera"))
    back = camera_from_info(message)
    assert (back.width, back.height, back.distortion_model) == (width, height, name)
    assert back.distortion == camera.distortion
    np.testing.assert_allclose(
        (back.fx, back.fy, back.cx, back.cy),
        (camera.fx, camera.fy, camera.cx, camera.cy),
        rtol=1e-12,
        atol=1e-9,
    )
    np.testing.assert_allclose(camera_from_info(message, rectified=True).fx, camera.fx)
