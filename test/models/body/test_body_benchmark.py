"""Random networks behave, and the benchmark counts what they compute."""

from __future__ import annotations

import numpy as np
import pytest

from sam3d_ros.models.body.benchmark import benchmark
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.pipeline import Mode
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.synthetic import random_network, random_rig
from sam3d_ros.models.objects.benchmark import table


@pytest.mark.parametrize("encoder", ["dinov3", "vith"])
def test_random_networks_pose_a_person(encoder):
    config = BodyConfig.tiny(encoder)
    predictor = SAM3DBody(random_network(config), random_rig(config))
    image = np.full((60, 80, 3), 127, np.uint8)
    for mode in Mode:
        person = predictor(image, [[10.0, 5.0, 50.0, 55.0]], mode=mode)[0]
        for array in (person.keypoints, person.joints, person.vertices, person.rig.model):
            assert np.isfinite(array).all()
        assert person.camera_from_body.translation[2] > 0


def test_arithmetic_grows_with_people():
    config = BodyConfig.tiny()
    one, three = (benchmark(config, people=count, repeats=0) for count in (1, 3))
    assert [row.stage for row in one] == [row.stage for row in three]
    for a, b in zip(one, three, strict=True):
        assert b.tflop == pytest.approx(3 * a.tflop, rel=0.05)
        assert a.milliseconds > 0 and a.peak_mib > 0
    hands, bodies = (next(r for r in one if r.stage == stage) for stage in ("hand encoder", "encoder"))
    assert hands.tflop == pytest.approx(2 * bodies.tflop, rel=1e-6)
    assert "hand encoder" in table(one)
