"""Scenes in which the table, the wall or all that is no object has a label, against the same scenes without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulated_views import STRAIGHT
from tracking_world import serve

from sam3d_ros.geometry.boxes import OrientedBox, box_iou
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.evidence import Overview
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.surroundings import surroundings, without_surroundings
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import random_viewpoint

TABLE, REST = 40, 41
#: Of the table's surface, metres.
SURFACE = 0.005


@cache
def scene(seed: int) -> tuple[Frame, np.ndarray]:
    """A table with five objects, and the pixels of the table."""
    random = np.random.default_rng(seed)
    simulated = random_scene(seed, 5)
    rendering = render(simulated, STRAIGHT, random_viewpoint(random))
    frame = frame_from_depth(simulated, rendering, DepthSensor().measure(rendering, random))
    height = rendering.world_from_camera.apply(STRAIGHT.rays() * rendering.depth[..., None])[..., 2]
    return frame, (rendering.labels == 0) & (rendering.depth > 0) & (np.abs(height) < SURFACE)


def labelled(frame: Frame, pixels: Mapping[int, np.ndarray]) -> Frame:
    """The frame with labels of more things."""
    labels = frame.labels.copy()
    for instance_id, mask in pixels.items():
        labels[mask] = instance_id
    return replace(frame, labels=labels)


@cache
def answered(seed: int, how: str) -> dict[int, ObjectEstimate]:
    """What is found of a scene, by instance."""
    frame, table = scene(seed)
    unlabelled = frame.labels == 0
    ways = {
        "nothing": {},
        "table": {TABLE: table},
        "wall and floor": {REST: unlabelled & ~table},
        "table, wall and floor": {TABLE: table, REST: unlabelled & ~table},
        "all in one": {255: unlabelled},
        "all in 65535": {65535: unlabelled},
    }
    seen = serve(ObjectPipeline(GeometricReconstructor()), labelled(frame, ways[how]))
    return {tracked.estimate.instance_id: tracked.estimate for tracked in seen.objects}


def box_of(estimate: ObjectEstimate) -> OrientedBox:
    return OrientedBox.of_mesh(estimate.mesh, estimate.camera_from_object)


@pytest.mark.parametrize(
    "how", ["table", "wall and floor", "table, wall and floor", "all in one", "all in 65535"]
)
@pytest.mark.parametrize("seed", [1, 9])
def test_labels_of_the_surroundings_change_no_object(seed: int, how: str) -> None:
    expected, found = answered(seed, "nothing"), answered(seed, how)
    assert len(expected) == 5
    assert VerdictState.ACCEPTED in {estimate.verdict.state for estimate in expected.values()}
    for instance_id, estimate in expected.items():
        other = found[instance_id]
        assert (other.verdict.state, other.verdict.reasons) == (
            estimate.verdict.state,
            estimate.verdict.reasons,
        )
        assert box_iou(box_of(other), box_of(estimate)) > 0.9
        np.testing.assert_allclose(other.size, estimate.size, rtol=0.05, atol=0.003)


@pytest.mark.parametrize("source", [PointsSource.DEPTH, PointsSource.LIDAR])
def test_a_flat_table_is_the_surroundings_of_what_stands_on_it_and_a_box_is_not(source: PointsSource) -> None:
    rows, columns = np.mgrid[:60, :80]
    ground = 60.0 / (rows + 5.0)
    depth, labels = ground.copy(), np.full((60, 80), 9, np.uint16)
    # A large flat box, and beside it another one that it touches.
    for instance_id, (left, right) in enumerate(((10, 40), (40, 50)), start=1):
        place = (slice(20, 50), slice(left, right))
        labels[place], depth[place] = instance_id, 1.0
    points = (
        np.dstack([(columns - 40) / 60, (rows - 30) / 60, np.ones_like(ground)]) * depth[..., None]
    ).astype(np.float32)
    assert surroundings(labels, points, source) == (9,)
    seam = labels.copy()
    for side in (9, 50):
        seam[19:51, side] = 0
    assert surroundings(seam, points, source) == (9,), "masks may leave a seam"
    unlabelled = np.where(labels == 9, np.uint16(0), labels)
    assert surroundings(unlabelled, points, source) == ()
    assert surroundings(np.zeros_like(labels), points, source) == ()
    assert surroundings(labels, np.full_like(points, np.nan), source) == (9,), "it is all around"


def test_of_the_labels_those_of_other_surroundings_are_left_out() -> None:
    labels = np.array([[1, 9], [9, 8]], np.uint16)
    assert without_surroundings(labels, (), 1) is labels
    np.testing.assert_array_equal(without_surroundings(labels, (8, 9), 1), [[1, 0], [0, 0]])
    np.testing.assert_array_equal(without_surroundings(labels, (8, 9), 9), [[1, 9], [9, 0]])
    assert without_surroundings(labels, (9,), 1).dtype == np.uint16


def test_the_background_is_the_same_whatever_has_a_label() -> None:
    frame, table = scene(1)
    plain, other = Overview.of(frame), Overview.of(labelled(frame, {TABLE: table}))
    np.testing.assert_array_equal(plain.background, other.background)
    assert plain.surroundings == () and other.surroundings == (TABLE,)
    assert other.kept().surroundings == (TABLE,)
