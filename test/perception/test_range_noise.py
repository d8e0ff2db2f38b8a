"""The noise that a depth image tells of itself, against the noise that it was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.range_noise import DEPTH_NOISE, NoiseWatch, RangeNoise, RangeSensor, estimated_noise
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import PERFECT_DEPTH, DepthSensor
from sam3d_ros.simulation.trajectories import random_viewpoint

CAMERA = Camera.from_field_of_view(640, 480, np.deg2rad(60.0))
#: A floor that runs from half a metre to four metres, seen aslant.
FLOOR = (1.0 / np.linspace(0.25, 2.0, 480))[:, None] * np.ones((480, 640))


def with_noise(noise: RangeNoise, seed: int = 0) -> np.ndarray:
    sigma = noise.floor + noise.growth * FLOOR**2
    return FLOOR + sigma * np.random.default_rng(seed).standard_normal(FLOOR.shape)


@pytest.mark.parametrize("sensor", list(RangeSensor))
def test_the_noise_of_each_kind_of_sensor_is_found(sensor: RangeSensor) -> None:
    found = estimated_noise(with_noise(DEPTH_NOISE[sensor]))
    assert found is not None
    for depth in (0.6, 1.0, 2.0, 3.5):
        assert found.at(depth) == pytest.approx(DEPTH_NOISE[sensor].at(depth), rel=0.1)


@pytest.mark.parametrize("noise", [RangeNoise(0.004), RangeNoise(0.0, 0.003)])
def test_noise_of_one_kind_alone_is_found(noise: RangeNoise) -> None:
    found = estimated_noise(with_noise(noise))
    assert found is not None and found.floor >= 0.0 and found.growth >= 0.0
    for depth in (0.6, 1.0, 2.0, 3.5):
        assert found.at(depth) == pytest.approx(noise.at(depth), rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_edges_and_holes_of_a_scene_are_no_noise(seed: int) -> None:
    """The same scene seen without errors and with them: what differs is the noise."""
    rng = np.random.default_rng(seed)
    rendering = render(random_scene(seed, 6), CAMERA, random_viewpoint(rng))
    sensor = replace(DepthSensor(), correlation=0.0)
    exact, depth = PERFECT_DEPTH.measure(rendering, rng), sensor.measure(rendering, rng)
    known = (depth > 0.5) & (depth < 1.5)
    off = np.abs(depth - exact)[known]
    true = 1.4826 * float(np.median(off))
    found = estimated_noise(depth)
    assert found is not None
    assert found.at(float(np.median(depth[known]))) == pytest.approx(true, rel=0.35)


@pytest.mark.parametrize("depth", [np.zeros((480, 640)), np.full((480, 640), np.nan), np.ones((8, 8))])
def test_nothing_is_said_of_too_little(depth: np.ndarray) -> None:
    assert estimated_noise(depth) is None


def test_a_watch_tells_of_a_camera_what_its_images_say() -> None:
    """Nothing until one says something, and no more often than once a second."""
    watch, stereo = NoiseWatch(), DEPTH_NOISE[RangeSensor.STEREO]
    assert watch.noise == DEPTH_NOISE[RangeSensor.STRUCTURED_LIGHT]
    watch.look(np.full(FLOOR.shape, np.nan), 0)
    assert watch.noise == DEPTH_NOISE[RangeSensor.STRUCTURED_LIGHT]
    for second in range(5):
        watch.look(with_noise(stereo, second), (second + 1) * 1_000_000_000)
        # A frame of another camera, say, right behind it is not looked at.
        watch.look(with_noise(RangeNoise(0.05), second), (second + 1) * 1_000_000_000 + 1)
    for depth in (0.6, 1.0, 3.0):
        assert watch.noise.at(depth) == pytest.approx(stereo.at(depth), rel=0.1)
