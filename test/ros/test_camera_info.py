"""CameraInfo against cameras: the names of lenses by OpenCV's projection, regions and binning by the size."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
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


BROWN = [-0.28, 0.07, 0.0005, -0.0003, 0.01]
RATIONAL = [0.4, 0.05, 0.0002, -0.0001, 0.001, 0.7, 0.1, 0.004]
FULL = [*RATIONAL, 0.004, -0.002, -0.003, 0.001, 0.03, -0.02]
FISHEYE = [0.02, -0.005, 0.001, -0.0002]


def opencv_projection(
    points: np.ndarray, matrix: list[float], d: list[float], *, fisheye: bool
) -> np.ndarray:
    none, flat = np.zeros(3), points.reshape(-1, 1, 3)
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    pixels, _ = project(flat, none, none, np.array(matrix).reshape(3, 3), np.array(d))
    return pixels.reshape(-1, 2)


@pytest.mark.parametrize(
    ("name", "d"),
    [
        ("plumb_bob", BROWN[:4]),
        ("plumb_bob", BROWN),
        ("Plumb Bob", BROWN),
        ("PLUMB_BOB", BROWN),
        ("radtan", BROWN[:4]),
        ("radial-tangential", BROWN[:4]),
        ("Brown Conrady", BROWN),
        ("brown_conrady", BROWN),
        ("plumb_bob", RATIONAL),  # Orbbec's name for every polynomial
        ("plumb_bob", [*BROWN, 0.0, 0.0, 0.0]),
        ("plumb_bob", FULL[:12]),
        ("rational_polynomial", RATIONAL),
        ("rational_polynomial", BROWN[:4]),
        ("rational_polynomial", BROWN),
        ("rational_polynomial", FULL[:12]),  # Isaac Sim sends twelve
        ("rational_polynomial", FULL),
        ("Rational Polynomial", FULL),
        ("brown_conrady_k6", RATIONAL),
        ("opencv", RATIONAL),
    ],
)
def test_every_name_and_length_of_a_polynomial_is_opencvs(name, d):
    camera = camera_from_info(info(distortion_model=name, d=d))
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 1.0), (0.4, 0.3, 2.0), (50, 3))
    np.testing.assert_allclose(
        camera.project(points), opencv_projection(points, K, d, fisheye=False), atol=1e-6
    )


@pytest.mark.parametrize(
    "name", ["equidistant", "EQUIDISTANT", "equi", "fisheye", "opencv_fisheye", "OpenCV Fisheye"]
)
@pytest.mark.parametrize("d", [FISHEYE, FISHEYE[:2], [0.0] * 4, [0.0] * 5, []])
def test_every_name_and_length_of_a_fisheye_is_opencvs(name, d):
    """Also without coefficients: at 45 degrees a pinhole would be 27 % off."""
    camera = camera_from_info(info(distortion_model=name, d=d))
    points = np.random.default_rng(0).uniform((-1.5, -1.5, 1.0), (1.5, 1.5, 2.0), (50, 3))
    full = [*d, *[0.0] * 4][:4]
    np.testing.assert_allclose(
        camera.project(points), opencv_projection(points, K, full, fisheye=True), atol=1e-6
    )


@pytest.mark.parametrize("name", ["kannala_brandt", "kannala_brandt4", "Kannala Brandt4", "kb4"])
def test_kannala_and_brandts_lens_is_the_fisheye(name):
    camera = camera_from_info(info(distortion_model=name, d=FISHEYE))
    assert camera == camera_from_info(info(distortion_model="equidistant", d=FISHEYE))


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("", []),
        ("", [0.0] * 5),
        ("none", [0.0] * 5),
        ("plumb_bob", []),
        ("plumb_bob", [0.0] * 5),
        ("plumb_bob", [0.0] * 8),
        ("rational_polynomial", [0.0] * 14),
        ("Inverse Brown Conrady", [0.0] * 5),
        ("modified_brown_conrady", [0.0] * 5),
    ],
)
def test_a_polynomial_without_coefficients_is_no_distortion(model, d):
    camera = camera_from_info(info(distortion_model=model, d=d))
    assert (camera.distortion_model, camera.distortion) == ("none", ())


@pytest.mark.parametrize(
    ("name", "d"),
    [
        ("odd", [1.0]),
        ("odd", []),  # it may be a fisheye
        ("ftheta", [0.0] * 4),
        ("thin_prism", []),
        ("", [0.1]),  # which of them?
        ("", FISHEYE),
        ("none", [0.1]),
        ("pinhole", BROWN),
        ("inverse_brown_conrady", BROWN),  # the way back is its polynomial
        ("modified_brown_conrady", BROWN),
        ("brown", BROWN),  # k1 k2 k3 p1 p2 in some libraries
        ("plumb_bob", [*FULL, 0.1]),
        ("equidistant", [0.02, -0.005, 0.0, 0.0, 0.001, -0.0002, 0.0, 0.0]),
    ],
)
def test_a_lens_that_is_not_known_for_certain_is_refused(name, d):
    with pytest.raises(FaultError, match=re.escape(repr(name))) as refused:
        camera_from_info(info(distortion_model=name, d=d))
    assert refused.value.fault is Fault.UNKNOWN_DISTORTION


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


def binned(across: int = 2, down: int = 2, **fields: object) -> CameraInfo:
    return info(binning_x=across, binning_y=down, **fields)


CORNER = RegionOfInterest(x_offset=400, y_offset=300, width=200, height=100)
#: A region of the image's own size, at another place of a larger sensor: it was cut out already.
APPLIED = RegionOfInterest(x_offset=700, y_offset=500, width=640, height=480)
#: A region in pixels of a sensor of 1280 x 960, whose size and K were halved already.
BEFORE_BINNING = RegionOfInterest(x_offset=600, y_offset=500, width=400, height=200)


@pytest.mark.parametrize(
    ("message", "size", "wanted"),
    [
        # As defined.
        (binned(), (320, 240), (250.0, 255.0, 159.75, 119.75)),
        (info(roi=CORNER), (200, 100), (500.0, 510.0, -80.0, -60.0)),
        (binned(roi=CORNER), (100, 50), (250.0, 255.0, -40.25, -30.25)),
        # As it is already.
        (binned(), (640, 480), (500.0, 510.0, 320.0, 240.0)),
        (info(roi=CORNER), (640, 480), (500.0, 510.0, 320.0, 240.0)),
        (info(roi=APPLIED), (640, 480), (500.0, 510.0, 320.0, 240.0)),
        (binned(roi=APPLIED), (640, 480), (500.0, 510.0, 320.0, 240.0)),
        # Half of it.
        (binned(roi=CORNER), (200, 100), (500.0, 510.0, -80.0, -60.0)),
        (binned(roi=CORNER), (320, 240), (250.0, 255.0, 159.75, 119.75)),
        (binned(roi=APPLIED), (320, 240), (250.0, 255.0, 159.75, 119.75)),
        (binned(roi=BEFORE_BINNING), (200, 100), (500.0, 510.0, 20.0, -10.0)),
        # No size of its own.
        (info(width=0, height=0), (640, 480), (500.0, 510.0, 320.0, 240.0)),
        (binned(width=0, height=0), (320, 240), (250.0, 255.0, 159.75, 119.75)),
        (info(width=0, height=0, roi=CORNER), (200, 100), (500.0, 510.0, -80.0, -60.0)),
    ],
)
def test_the_size_of_the_image_tells_what_was_applied_already(message, size, wanted):
    camera = camera_from_info(message, size)
    assert (camera.width, camera.height) == size
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == wanted


@pytest.mark.parametrize(
    ("message", "size", "reason"),
    [
        (info(), (641, 480), "image is 641x480 but its camera_info is 640x480"),
        (info(), (480, 640), "image is 480x640"),
        (binned(), (160, 120), "160x120 but its camera_info is 320x240"),
        (binned(roi=CORNER), (50, 25), "50x25 but its camera_info is 100x50"),
        (info(roi=RegionOfInterest(x_offset=600, width=100, height=10)), None, r"100x10 at \(600, 0\)"),
        (info(roi=RegionOfInterest(x_offset=600, width=100, height=10)), (100, 10), r"100x10 at \(600, 0\)"),
        # A quarter of the sensor, or the whole of it binned: the fields of view differ by two.
        (
            binned(roi=RegionOfInterest(x_offset=160, y_offset=120, width=320, height=240)),
            (320, 240),
            "may be its region of interest or its binned whole",
        ),
    ],
)
def test_an_image_of_another_size_is_refused(message, size, reason):
    with pytest.raises(FaultError, match=reason) as refused:
        camera_from_info(message, size)
    assert refused.value.fault is Fault.SIZE_MISMATCH


def test_a_message_without_a_size_needs_that_of_the_image():
    with pytest.raises(FaultError, match="0x0") as refused:
        camera_from_info(info(width=0, height=0))
    assert refused.value.fault is Fault.UNCALIBRATED_CAMERA


def test_equal_messages_become_one_camera():
    assert camera_from_info(info()) is camera_from_info(info())
    assert camera_from_info(info()) is not camera_from_info(info(), rectified=True)


small = st.floats(-0.003, 0.003)
bend = st.floats(-0.02, 0.02)
LENSES = st.one_of(
    st.just(("none", ())),
    st.tuples(bend, bend, small, small).map(lambda d: ("plumb_bob", d)),
    st.tuples(bend, bend, small, small, bend).map(lambda d: ("plumb_bob", d)),
    st.tuples(bend, bend, small, small, *[bend] * 4).map(lambda d: ("rational_polynomial", d)),
    st.tuples(bend, bend, small, small, *[bend] * 4, *[small] * 4).map(lambda d: ("rational_polynomial", d)),
    st.tuples(bend, bend, small, small, *[bend] * 4, *[small] * 4, bend, bend).map(
        lambda d: ("rational_polynomial", d)
    ),
    st.tuples(bend, bend, small, small).map(lambda d: ("equidistant", d)),
)


@settings(deadline=None)
@given(
    LENSES,
    st.integers(2, 4000),
    st.integers(2, 4000),
    st.tuples(st.floats(1.0, 130.0), st.floats(0.7, 1.5), st.floats(0.5, 1.5), st.floats(0.5, 1.5)),
)
def test_cameras_that_are_written_read_back(lens, width, height, shape):
    focal, aspect, right, below = shape
    fx = focal * max(width, height)
    camera = Camera(width, height, fx, fx * aspect, right * width / 2, below * height / 2, *lens)
    message = info_from_camera(camera, Header(frame_id="camera"))
    back = camera_from_info(message, (width, height))
    if any(lens[1]) or lens[0] == "equidistant":
        assert back == camera
    else:
        assert back == camera.undistorted()
    assert camera_from_info(message, rectified=True) == camera.undistorted()
