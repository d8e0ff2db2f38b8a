"""Calibrations that no camera has are refused by name; those of every real one pass."""

from __future__ import annotations

import re
from dataclasses import replace

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


def changed(numbers: list[float], **changes: float) -> list[float]:
    """The numbers with those at places like `at_4` replaced."""
    return [changes.get(f"at_{i}", value) for i, value in enumerate(numbers)]


def refusal(
    message: CameraInfo, size: tuple[int, int] | None = None, *, rectified: bool = False
) -> FaultError:
    with pytest.raises(FaultError) as refused:
        camera_from_info(message, size, rectified=rectified)
    return refused.value


IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
UNCALIBRATED = {
    "zeros": ([0.0] * 9, r"K[0] = 0.0"),
    "identity": (IDENTITY, "principal point"),
    "identity with a centre": (changed(IDENTITY, at_2=320.0, at_5=240.0), "focal lengths of 1 and 1"),
    "one focal length": (changed(K, at_4=0.0), "K[4] = 0.0"),
    "the other focal length": (changed(K, at_0=0.0), "K[0] = 0.0"),
    "one focal length of 1": (changed(K, at_4=1.0), "focal lengths of 500 and 1"),
    "focal lengths apart": (changed(K, at_4=3000.0), "shape of a pixel"),
    "negative": (changed(K, at_0=-500.0), "positive"),
    "both negative": (changed(K, at_0=-500.0, at_4=-510.0), "positive"),
    "NaN": (changed(K, at_0=np.nan), "NaN"),
    "NaN centre": (changed(K, at_5=np.nan), "NaN"),
    "NaN skew": (changed(K, at_1=np.nan), "NaN"),
    "Inf": (changed(K, at_4=np.inf), "Inf"),
    "-Inf centre": (changed(K, at_2=-np.inf), "Inf"),
    "millimetres": ([3.6, 0.0, 2.7, 0.0, 3.6, 2.0, 0.0, 0.0, 1.0], "focal lengths of 3.6"),
    "metres": ([0.0036, 0.0, 0.0027, 0.0, 0.0036, 0.002, 0.0, 0.0, 1.0], "focal lengths of 0.0036"),
    "shares of the width": ([0.8, 0.0, 0.5, 0.0, 0.8, 0.5, 0.0, 0.0, 1.0], "focal lengths of 0.8"),
    "huge": (changed(K, at_0=1e9, at_4=1e9), "focal lengths of 1e+09"),
    "no centre": (changed(K, at_2=0.0, at_5=0.0), "principal point"),
    "centre far right": (changed(K, at_2=1e6), "calibrated at another size"),
    "centre left of it": (changed(K, at_2=-400.0), "calibrated at another size"),
    "centre below it": (changed(K, at_5=800.0), "calibrated at another size"),
    "centre far above": (changed(K, at_5=-1e30), "calibrated at another size"),
    "last number 0": (changed(K, at_8=0.0), "K[8] = 0"),
    "last number 2": (changed(K, at_8=2.0), "K[8] = 2"),
    "transposed": (list(np.reshape(K, (3, 3)).T.ravel()), "K[6] = 320"),
    "something below the diagonal": (changed(K, at_3=3.0), "K[3] = 3"),
    "a centre in the last row": (changed(K, at_7=240.0), "K[7] = 240"),
}


@pytest.mark.parametrize(("k", "reason"), UNCALIBRATED.values(), ids=UNCALIBRATED)
def test_what_no_camera_has_is_refused(k: list[float], reason: str) -> None:
    error = refusal(info(k=k), (640, 480))
    assert error.fault is Fault.UNCALIBRATED_CAMERA
    assert reason in str(error)
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    assert refusal(info(p=p), (640, 480), rectified=True).fault is Fault.UNCALIBRATED_CAMERA


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 960), (320, 240), (160, 120)])
def test_a_message_that_hides_that_it_was_made_at_another_resolution_is_refused(
    size: tuple[int, int],
) -> None:
    """Without a size in the message its principal point alone tells."""
    assert camera_from_info(info(width=0, height=0), (640, 480)).cx == 320.0
    error = refusal(info(width=0, height=0), size)
    assert error.fault is Fault.UNCALIBRATED_CAMERA
    assert "the size it was calibrated at" in str(error)


SENSOR = RegionOfInterest(x_offset=1800, y_offset=1000, width=120, height=80)
REAL = {
    "telephoto, 600 mm on full frame": (6000, 4000, 100_000.0, (3000.0, 2000.0), {}),
    "zoom of a thermal camera, 300 mm": (640, 480, 25_000.0, (310.0, 250.0), {}),
    "wide rectilinear, 130 degrees": (1920, 1080, 447.0, (960.0, 540.0), {}),
    "simulated, 165 degrees": (640, 480, 42.1, (320.0, 240.0), {}),
    "time of flight, 8 x 8": (8, 8, 9.6, (3.5, 3.5), {}),
    "thermal, 32 x 24, 110 degrees": (32, 24, 11.2, (15.5, 11.5), {}),
    "a corner of the sensor": (1920, 1080, 1400.0, (960.0, 540.0), {"roi": SENSOR}),
    "the lower part, published as a sensor": (1920, 400, 1400.0, (960.0, -140.0), {}),
    "a corner of a third, published as a sensor": (640, 360, 1400.0, (-320.0, -180.0), {}),
    "a region that was cut out already": (120, 80, 1400.0, (-840.0, -460.0), {"roi": SENSOR}),
}


@pytest.mark.parametrize(("width", "height", "focal", "center", "fields"), REAL.values(), ids=REAL)
def test_real_cameras_pass(
    width: int, height: int, focal: float, center: tuple[float, float], fields: dict[str, object]
) -> None:
    k = [focal, 0.0, center[0], 0.0, focal, center[1], 0.0, 0.0, 1.0]
    size = (120, 80) if fields else (width, height)
    camera = camera_from_info(CameraInfo(width=width, height=height, k=k, **fields), size)
    assert (camera.width, camera.height) == size and (camera.fx, camera.fy) == (focal, focal)


def test_the_lines_of_one_field_pass() -> None:
    k = [800.0, 0.0, 360.0, 0.0, 400.0, 144.0, 0.0, 0.0, 1.0]
    camera = camera_from_info(CameraInfo(width=720, height=288, k=k))
    assert (camera.fx, camera.fy) == (800.0, 400.0)


@pytest.mark.parametrize(
    ("degrees", "circle"), [(140, 1.6), (180, 1.0), (180, 1.8), (220, 1.0), (220, 1.5), (280, 1.0)]
)
def test_fisheyes_pass_whose_circle_leaves_much_of_the_image_black(degrees: float, circle: float) -> None:
    """`circle` is the diameter of the image circle in heights of a 16:9 image."""
    focal = circle * 1080 / np.deg2rad(degrees)
    k = [focal, 0.0, 960.0, 0.0, focal, 540.0, 0.0, 0.0, 1.0]
    message = CameraInfo(width=1920, height=1080, k=k, distortion_model="equidistant", d=[0.0] * 4)
    assert camera_from_info(message).distortion_model == "equidistant"


@pytest.mark.parametrize("at", [3, 7, 11])
def test_a_rectified_second_camera_of_a_stereo_pair_is_refused(at: int) -> None:
    p = changed(P, **{f"at_{at}": -0.12 * (1.0 if at == 11 else 400.0)})
    error = refusal(info(p=p), rectified=True)
    assert error.fault is Fault.UNSUPPORTED_CAMERA
    assert "0.1" in str(error) and "first (left) camera" in str(error)
    # Its raw image has its own centre.
    assert camera_from_info(info(p=p)).fx == 500.0


def test_what_p_says_of_a_millimetre_is_no_stereo_pair() -> None:
    assert camera_from_info(info(p=changed(P, at_3=0.015)), rectified=True).fx == 400.0


@pytest.mark.parametrize(("name", "rectified"), [("k", False), ("p", True)])
def test_skewed_pixels_are_refused(name: str, rectified: bool) -> None:
    numbers = P if rectified else K
    for skew in (0.5, -3.0, 100.0):
        error = refusal(info(**{name: changed(numbers, at_1=skew)}), rectified=rectified)
        assert error.fault is Fault.UNSUPPORTED_CAMERA
        assert re.search(r"skewed pixels, [KP]\[1\]", str(error))
    # A hundredth of a pixel across the image.
    camera_from_info(info(**{name: changed(numbers, at_1=0.01)}), rectified=rectified)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", [-3000.0, 0.0, 0.0, 0.0, 0.0]),
        ("plumb_bob", [-3000.0, 2000.0, 0.0, 0.0, 5000.0]),
        ("plumb_bob", [2000.0, 0.0, 0.0, 0.0, 0.0]),
        ("plumb_bob", [-1e9, 0.0, 0.0, 0.0, 0.0]),
        ("plumb_bob", [0.0, 0.0, 5.0, -5.0, 0.0]),
        ("plumb_bob", [np.nan, 0.0, 0.0, 0.0, 0.0]),
        ("rational_polynomial", [5000.0, -3000.0, 0.1, 0.1, 100.0, 1.0, 2.0, 3.0]),
        ("rational_polynomial", [*[0.0] * 8, 30.0, 0.0, 0.0, 0.0]),
        ("rational_polynomial", [*[0.0] * 12, 1.5, 0.0]),
        ("equidistant", [-2000.0, 0.0, 0.0, 0.0]),
        ("equidistant", [1000.0, 0.0, 0.0, 0.0]),
        ("equidistant", [np.inf, 0.0, 0.0, 0.0]),
    ],
)
def test_a_lens_that_leaves_most_pixels_without_a_ray_is_refused(model: str, d: list[float]) -> None:
    for _ in range(2):  # also when it comes again
        error = refusal(info(distortion_model=model, d=d))
        assert error.fault is Fault.UNCALIBRATED_CAMERA
        assert re.search(r"only \d+% of the pixels|bend the image|NaN or Inf|tilted", str(error))


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.floats(-0.6, 0.3), st.floats(-0.3, 0.3)), st.floats(0.4, 3.0))
def test_a_lens_is_refused_exactly_where_half_of_the_pixels_have_no_ray(
    radial: tuple[float, float], focal: float
) -> None:
    camera = Camera(96, 72, focal * 96, focal * 96, 47.5, 35.5, "plumb_bob", (*radial, 0.0, 0.0, 0.0))
    share = np.isfinite(camera.rays()[..., 0]).mean()
    message = info_from_camera(camera, Header())
    if share < 0.45:
        assert refusal(message).fault is Fault.UNCALIBRATED_CAMERA
    elif share > 0.55:
        assert camera_from_info(message).rays_at([47.5, 35.5])[2] == 1.0


def test_a_strong_lens_of_a_real_camera_passes() -> None:
    """A rational polynomial with large coefficients that nearly cancel, as time-of-flight cameras have them."""
    d = [4.6, 2.9, 0.0001, -0.00005, 0.14, 4.95, 4.55, 0.75]
    camera = camera_from_info(info(distortion_model="rational_polynomial", d=d))
    points = np.array([[0.5, 0.4, 1.0], [-0.5, 0.3, 1.0]])
    none = np.zeros(3)
    expected, _ = cv2.projectPoints(points, none, none, np.reshape(K, (3, 3)), np.array(d))
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)
    assert np.isfinite(replace(camera, width=64, height=48).rays()).all()
