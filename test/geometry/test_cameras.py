"""Cameras: projection against OpenCV's, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.cameras import Camera

RATIONAL = (0.55, -2.6, 0.0006, -0.0003, 1.5, 0.43, -2.4, 1.4)
PRISM = (0.004, -0.002, -0.003, 0.001)
LENSES = {
    "none": ("none", ()),
    "plumb_bob": ("plumb_bob", (-0.28, 0.07, 0.0002, -0.0003, 0.01)),
    "rational_polynomial": ("rational_polynomial", RATIONAL),
    "thin prism": ("rational_polynomial", (*RATIONAL, *PRISM)),
    "tilted sensor": ("rational_polynomial", (*RATIONAL, *PRISM, 0.05, -0.08)),
    "equidistant": ("equidistant", (0.02, -0.01, 0.005, -0.001)),
    "equidistant of the angle itself": ("equidistant", (0.0, 0.0, 0.0, 0.0)),
}


def camera_of(lens: str) -> Camera:
    return Camera(640, 480, 420.0, 425.0, 315.3, 243.7, *LENSES[lens])


def opencv_projection(camera: Camera, points: np.ndarray) -> np.ndarray:
    none = np.zeros(3)
    flat = points.reshape(-1, 1, 3)
    if camera.distortion_model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(flat, none, none, camera.matrix(), np.array(camera.distortion))
    else:
        distortion = np.array(camera.distortion or (0.0,) * 5)
        pixels, _ = cv2.projectPoints(flat, none, none, camera.matrix(), distortion)
    return pixels.reshape(*points.shape[:-1], 2)


@pytest.mark.parametrize("lens", LENSES)
def test_projection_agrees_with_opencv(lens: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((-0.6, -0.5, 0.9), (0.6, 0.5, 1.5), (50, 4, 3))
    camera = camera_of(lens)
    np.testing.assert_allclose(camera.project(points), opencv_projection(camera, points), atol=1e-6)


@pytest.mark.parametrize("lens", LENSES)
def test_every_pixel_comes_back_through_its_ray(lens: str) -> None:
    camera = camera_of(lens)
    rays = camera.rays()
    assert rays.shape == (480, 640, 3) and rays.dtype == np.float32 and not rays.flags.writeable
    known = np.isfinite(rays).all(axis=-1)
    assert known.mean() > 0.98
    assert (rays[known][:, 2] == 1).all()
    pixels = np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1)
    np.testing.assert_allclose(camera.project(rays)[known], pixels[known], atol=2e-3)


@pytest.mark.parametrize("lens", LENSES)
def test_rays_agree_with_opencv(lens: str) -> None:
    camera = camera_of(lens)
    pixels = np.stack(np.meshgrid(np.linspace(60, 580, 9), np.linspace(50, 430, 7)), axis=-1).reshape(
        -1, 1, 2
    )
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    if camera.distortion_model == "equidistant":
        plane = cv2.fisheye.undistortPoints(
            pixels, camera.matrix(), np.array(camera.distortion), criteria=until
        )
    else:
        distortion = np.array(camera.distortion or (0.0,) * 5)
        plane = cv2.undistortPointsIter(pixels, camera.matrix(), distortion, np.eye(3), np.eye(3), until)
    np.testing.assert_allclose(camera.rays_at(pixels)[..., :2], plane, atol=2e-6)


@pytest.mark.parametrize("degrees", [10.0, 45.0, 80.0])
def test_a_fisheye_without_coefficients_images_the_angle_itself(degrees: float) -> None:
    camera = camera_of("equidistant of the angle itself")
    angle = np.deg2rad(degrees)
    pixel = camera.project([np.sin(angle), 0.0, np.cos(angle)])
    np.testing.assert_allclose(pixel, [315.3 + 420.0 * angle, 243.7])
    np.testing.assert_allclose(camera.rays_at(pixel), [np.tan(angle), 0.0, 1.0], rtol=1e-5)


def test_rays_are_computed_once_for_equal_cameras() -> None:
    assert camera_of("plumb_bob").rays() is camera_of("plumb_bob").rays()
    assert camera_of("plumb_bob").rays() is not camera_of("equidistant").rays()


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("bends", [True, False])
def test_a_camera_is_distorted_when_its_rays_are_not_those_of_the_pinhole(lens: str, bends: bool) -> None:
    """A fisheye is one without any coefficient: its image grows with the angle, not with the tangent."""
    model, coefficients = LENSES[lens]
    coefficients = coefficients if bends else (0.0,) * len(coefficients)
    camera = Camera(64, 48, 42.0, 42.5, 31.3, 24.7, model, coefficients)
    pinhole = camera.undistorted()
    np.testing.assert_array_equal(pinhole.matrix(), camera.matrix())
    assert (pinhole.width, pinhole.height, pinhole.is_distorted) == (64, 48, False)
    same = np.allclose(camera.rays(), pinhole.rays(), rtol=0.0, atol=1e-5, equal_nan=True)
    assert camera.is_distorted == (not same)


def test_planes_of_rays_are_the_rays() -> None:
    camera = camera_of("plumb_bob")
    planes = camera.ray_planes()
    assert planes.flags.c_contiguous and not planes.flags.writeable
    np.testing.assert_array_equal(planes, np.moveaxis(camera.rays(), -1, 0))
    assert camera_of("plumb_bob").ray_planes() is planes


coefficient = st.floats(-0.4, 0.4)
small = st.floats(-0.002, 0.002)
distortions = st.one_of(
    st.tuples(coefficient, coefficient, small, small).map(lambda d: ("plumb_bob", d)),
    st.tuples(coefficient, coefficient, small, small, coefficient).map(lambda d: ("plumb_bob", d)),
    st.tuples(coefficient, coefficient, small, small, *[coefficient] * 4).map(
        lambda d: ("rational_polynomial", d)
    ),
    st.tuples(coefficient, coefficient, small, small, *[coefficient] * 4, *[small] * 4).map(
        lambda d: ("rational_polynomial", d)
    ),
    st.tuples(coefficient, coefficient, *[small] * 10, *[st.floats(-0.3, 0.3)] * 2).map(
        lambda d: ("rational_polynomial", d)
    ),
    st.tuples(*[st.floats(-0.1, 0.1)] * 4).map(lambda d: ("equidistant", d)),
)


@settings(max_examples=60, deadline=None)
@given(distortions, st.floats(-0.9, 0.9), st.floats(-0.7, 0.7), st.floats(0.1, 50.0))
def test_a_projected_point_is_unprojected_to_itself(
    distortion: tuple[str, tuple[float, ...]], x: float, y: float, depth: float
) -> None:
    camera = Camera(640, 480, 420.0, 425.0, 315.3, 243.7, *distortion)
    point = np.array([x * depth, y * depth, depth])
    pixel = camera.project(point)
    back = camera.unproject(pixel, depth)
    if np.isfinite(pixel).all() and np.isfinite(back).all():
        np.testing.assert_allclose(back, point, atol=1e-4 * depth)
    else:
        # Only where the lens folds the plane may a point be refused, and then well off the axis.
        assert np.hypot(x, y) > 0.3


def test_points_folded_back_by_the_polynomial_are_refused() -> None:
    camera = Camera(640, 480, 400.0, 400.0, 319.5, 239.5, "plumb_bob", (-0.3, 0.0, 0.0, 0.0, 0.0))
    # r (1 - 0.3 r^2) grows until r = sqrt(1 / 0.9) = 1.054 and is zero again at r = 1.826.
    folded = opencv_projection(camera, np.array([[1.826, 0.0, 1.0]]))
    assert abs(folded[0, 0] - 319.5) < 1.0, "the polynomial itself puts this point at the image's centre"
    assert np.isnan(camera.project([1.826, 0.0, 1.0])).all()
    assert np.isfinite(camera.project([1.0, 0.0, 1.0])).all()
    largest = 1.0541 * (1 - 0.3 * 1.0541**2)
    assert np.isnan(camera.rays_at([319.5 + 400 * (largest + 0.01), 239.5])).all()
    assert np.isfinite(camera.rays_at([319.5 + 400 * (largest - 0.01), 239.5])).all()


@settings(max_examples=60, deadline=None)
@given(distortions, st.floats(0.05, 1.5), st.floats(0.0, 2 * np.pi))
def test_an_image_grows_in_every_direction_as_far_as_it_is_used(
    distortion: tuple[str, tuple[float, ...]], angle: float, direction: float
) -> None:
    """Where a point is imaged, its neighbours are on the same sides of it: nothing is mirrored."""
    camera = Camera(640, 480, 420.0, 425.0, 315.3, 243.7, *distortion)
    point = np.tan(angle) * np.array([np.cos(direction), np.sin(direction)])
    step = 1e-5 * max(1.0, np.tan(angle))
    corners = point + step * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    origin, right, below = camera.project(np.column_stack([corners, np.ones(3)]))
    if np.isfinite([origin, right, below]).all():
        (a, b), (c, d) = right - origin, below - origin
        assert a * d - b * c > -1e-9 * step


@pytest.mark.parametrize(
    ("coefficients", "direction"),
    [((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.2, 0.0, 0.0), [1.0, 0.0]),
     ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.2), [0.0, 1.0])],
)  # fmt: skip
def test_points_folded_back_by_the_prism_are_refused(
    coefficients: tuple[float, ...], direction: list[float]
) -> None:
    """r - 0.2 r^4 grows until 0.8 r^3 = 1, which is at r = 1.077."""
    camera = Camera(640, 480, 400.0, 400.0, 319.5, 239.5, "rational_polynomial", coefficients)
    for radius, is_imaged in ((1.06, True), (1.09, False), (1.6, False)):
        pixel = camera.project([*(radius * np.array(direction)), 1.0])
        assert np.isfinite(pixel).all() == is_imaged


def test_points_behind_are_not_projected() -> None:
    pixels = camera_of("none").project([[0, 0, -1.0], [0, 0, 0.0], [np.nan, 0, 1.0], [0, 0, 1.0]])
    assert np.isnan(pixels).any(axis=-1).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("plumb_bob", ()),
        ("plumb_bob", (0.1, 0.2, 0.3)),
        ("plumb_bob", (0.1,) * 8),
        ("rational_polynomial", (0.1,) * 5),
        ("rational_polynomial", (0.1,) * 13),
        ("rational_polynomial", (0.01,) * 15),
        ("equidistant", (0.1,) * 5),
        ("none", (0.1,)),
        ("fisheye", ()),
    ],
)
def test_coefficients_that_do_not_fit_are_refused(model: str, coefficients: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=model):
        Camera(64, 48, 50.0, 50.0, 32.0, 24.0, model, coefficients)


def test_a_sensor_seen_edge_on_is_refused() -> None:
    camera = Camera(64, 48, 50.0, 50.0, 32.0, 24.0, "rational_polynomial", (*(0.0,) * 12, 1.6, 0.0))
    with pytest.raises(ValueError, match="tilted by tauX"):
        camera.rays()


def test_zeros_behind_the_coefficients_are_harmless() -> None:
    padded = Camera(64, 48, 50.0, 50.0, 32.0, 24.0, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    exact = Camera(64, 48, 50.0, 50.0, 32.0, 24.0, "plumb_bob", (0.1, 0.0, 0.0, 0.0))
    np.testing.assert_array_equal(padded.rays(), exact.rays())
    assert Camera(64, 48, 50.0, 50.0, 32.0, 24.0, "none", (0.0,) * 5).rays()[24, 32, 0] == 0.0


def test_a_smaller_image_of_the_same_view_sees_the_same_corners() -> None:
    camera = camera_of("plumb_bob")
    half = camera.resized(320, 240)
    point = np.array([0.2, -0.1, 1.0])
    np.testing.assert_allclose((camera.project(point) + 0.5) / 2, half.project(point) + 0.5, atol=1e-9)


def test_a_crop_moves_the_origin() -> None:
    camera = camera_of("plumb_bob")
    part = camera.cropped(100, 50, 200, 160)
    np.testing.assert_allclose(part.project([0.1, 0.1, 1.0]), camera.project([0.1, 0.1, 1.0]) - (100, 50))
    with pytest.raises(ValueError, match="leaves the image"):
        camera.cropped(500, 0, 200, 100)


def test_field_of_view() -> None:
    camera = Camera.from_field_of_view(640, 480, np.deg2rad(90))
    np.testing.assert_allclose(camera.rays_at([[-0.5, 239.5], [639.5, 239.5]])[:, 0], [-1.0, 1.0])
    assert camera.contains([[-0.5, 0], [639.4, 479.4], [640, 0], [np.nan, 0]]).tolist() == [
        True,
        True,
        False,
        False,
    ]
