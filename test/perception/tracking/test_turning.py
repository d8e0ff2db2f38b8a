"""Things that turn before the camera: they look alike in many poses, and theirs does not flip between them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tracking_world import serve

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.simulation.turntable import turning_frames

CAMERA = Camera.from_field_of_view(320, 240, np.deg2rad(40.0))
STEP = np.deg2rad(4.0)


@pytest.mark.parametrize("label", ["box", "cylinder", "bottle"])
def test_what_turns_does_not_flip(label: str) -> None:
    pipeline = ObjectPipeline(GeometricReconstructor())
    rotations = []
    for frame in turning_frames(label, 3, CAMERA, count=40, step=STEP, axis=(0.0, 0.0, 1.0)):
        (tracked,) = serve(pipeline, frame).objects
        assert tracked.track_id == 1
        rotations.append(tracked.fixed_from_object.rotation)
    turns = Rotation.from_matrix(rotations)
    assert (turns[:-1].inv() * turns[1:]).magnitude().max() <= 3.0 * STEP
    if label == "box":
        # It has turned by 156 degrees, and nobody says that it turned by less because it looks alike.
        assert abs((turns[0].inv() * turns[-1]).magnitude() - 39 * STEP) < np.deg2rad(10.0)
