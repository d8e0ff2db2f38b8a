"""Whole images: official results in all modes, and what must hold whatever the weights are."""

from __future__ import annotations

import pytest
import torch

from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.pipeline import Mode, People, Pipeline, Scene
from sam3d_ros.models.body.projection import default_intrinsics
from sam3d_ros.models.body.quirks import Quirks
from sam3d_ros.models.body.rig import Rig

TOLERANCE = 1e-4
PIXELS = 5e-4
FLIP = torch.tensor([0.01, -0.01, -0.01])


def compare(people: People, pipeline: Pipeline, expected: dict[str, torch.Tensor], check) -> None:
    estimate = people.estimate
    count = len({key.split(".")[0] for key in expected})
    assert len(estimate.keypoints) == count
    actual = {
        "body_pose_params": estimate.parameters.body,
        "global_rot": estimate.parameters.root,
        "hand_pose_params": estimate.parameters.hands,
        "scale_params": estimate.parameters.sizes,
        "shape_params": estimate.parameters.shape,
        "mhr_model_params": estimate.rig_parameters,
        "pred_cam_t": estimate.place,
        "pred_global_rots": people.rotations,
        "pred_joint_coords": FLIP * estimate.states.positions,
        "pred_keypoints_3d": estimate.keypoints,
        "pred_vertices": pipeline.skin(estimate),
    }
    for person in range(count):
        for name, values in actual.items():
            check(values[person], expected[f"p{person}.{name}"], TOLERANCE)
        check(estimate.pixels[person], expected[f"p{person}.pred_keypoints_2d"], PIXELS)
        for side, name in enumerate(("lhand_bbox", "rhand_bbox")):
            if f"p{person}.{name}" in expected:
                check(people.hand_boxes[person, side], expected[f"p{person}.{name}"], PIXELS)


def scene_of(inputs: dict[str, torch.Tensor], people: int, *, masks: bool = False, own_camera: bool = True):
    image = inputs["image"]
    height, width = image.shape[:2]
    K = inputs["K"][0] if own_camera else default_intrinsics(width, height)
    given = torch.stack([inputs["mask1"], inputs["mask2"]])[:people] if masks else None
    return Scene(image, inputs[f"boxes{people}"], K, given)


@pytest.fixture(scope="module")
def networks(tiny_body):
    return {name: tiny_body(name)[::2] for name in ("e2e_tiny", "e2e_vit_tiny")}


@pytest.fixture
def tiny(networks) -> tuple[BodyNetwork, Rig]:
    return networks["e2e_tiny"]


@pytest.fixture(scope="module")
def inputs(body_set):
    return body_set("e2e_tiny").load("inputs")


def test_full_parity(body_set, inputs, tiny, assert_near):
    e2e = body_set("e2e_tiny")
    assert e2e.config["thresholds"]
    for name, wrist_turn in e2e.config["thresholds"].items():
        people, masks = int(name.removeprefix("full")[0]), "mask" in name
        pipeline = Pipeline(*tiny, quirks=Quirks.official(), wrist_turn=wrist_turn)
        result = pipeline(scene_of(inputs, people, masks=masks))
        compare(result, pipeline, e2e.load(name), assert_near)
        if "left_rejected" in name:
            assert result.hands_used.tolist() == [[False, True]] * people


@pytest.mark.parametrize(
    ("set_name", "name", "own_camera"),
    [("e2e_tiny", "body2_mask_defaultK", False), ("e2e_vit_tiny", "body2_mask", True)],
)
def test_body_parity(body_set, inputs, networks, assert_near, set_name, name, own_camera):
    pipeline = Pipeline(*networks[set_name])
    result = pipeline(scene_of(inputs, 2, masks=True, own_camera=own_camera), Mode.BODY)
    compare(result, pipeline, body_set(set_name).load(name), assert_near)
    assert not result.hands_used.any() and result.hand_boxes is None


@pytest.mark.parametrize("mode", list(Mode))
def test_a_person_does_not_depend_on_the_others(inputs, tiny, mode):
    pipeline = Pipeline(*tiny, wrist_turn=4.0)
    both = scene_of(inputs, 2, masks=True)
    together = pipeline(both, mode)
    for person in range(2):
        alone = pipeline(
            Scene(both.image, both.boxes[person : person + 1], both.K, both.masks[person : person + 1]), mode
        )
        assert torch.equal(alone.hands_used[0], together.hands_used[person])
        torch.testing.assert_close(
            alone.estimate.keypoints[0], together.estimate.keypoints[person], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(alone.rotations[0], together.rotations[person], atol=1e-4, rtol=0)


def test_corrected_results_agree_with_the_reported_pose(inputs, tiny):
    """Fresh rotations and true projections are those of the pose that is reported."""
    pipeline = Pipeline(*tiny, wrist_turn=4.0)
    result = pipeline(scene_of(inputs, 2))
    torch.testing.assert_close(result.rotations, result.estimate.states.rotations)
    K = inputs["K"][0]
    camera_points = result.estimate.keypoints + result.estimate.place[:, None]
    pixels = (camera_points / camera_points[..., 2:]) @ K.T
    torch.testing.assert_close(result.estimate.pixels, pixels[..., :2], atol=1e-3, rtol=0)


def test_an_ignored_prompt_is_no_prompt(inputs, tiny):
    pipeline = Pipeline(*tiny)
    scene = scene_of(inputs, 2)
    beyond = torch.tensor([[-900.0, -900.0, 5.0]]).expand(2, 1, 3)
    given = Scene(scene.image, scene.boxes, scene.K, keypoints=beyond)
    inside = Scene(
        scene.image,
        scene.boxes,
        scene.K,
        keypoints=torch.tensor([[[150.0, 120.0, 5.0]], [[90.0, 130.0, 5.0]]]),
    )
    plain = pipeline(scene, Mode.BODY).estimate.keypoints
    torch.testing.assert_close(pipeline(given, Mode.BODY).estimate.keypoints, plain)
    assert (pipeline(inside, Mode.BODY).estimate.keypoints - plain).abs().max() > 1e-4


def test_joints_alone_give_the_joints(inputs, tiny):
    """A hand needs nothing of the skin, so that the mode of hands gives the same without."""
    network, rig = tiny
    scene = scene_of(inputs, 1)
    whole, bare = Pipeline(network, rig), Pipeline(network, rig.joints_only())
    expected, actual = (pipeline(scene, Mode.HAND).estimate for pipeline in (whole, bare))
    torch.testing.assert_close(actual.keypoints, expected.keypoints)
    assert bare.skin(actual) is None


def test_small_hands_are_not_looked_at(inputs, tiny):
    """Their crops are too small to be believed, so that nothing is lost: the body is what it is without hands."""
    network, rig = tiny
    scene = scene_of(inputs, 1)
    small = Scene(scene.image, torch.tensor([[100.0, 100.0, 130.0, 150.0]]), scene.K)
    pipeline = Pipeline(network, rig, quirks=Quirks(prompts_of_one_dropped=True), wrist_turn=4.0)
    encoded: list[int] = []
    hook = network.backbone.register_forward_hook(lambda _module, given, _out: encoded.append(len(given[0])))
    try:
        full = pipeline(small)
        pipeline(scene)
    finally:
        hook.remove()
    assert encoded == [1, 1, 2]
    assert not full.hands_used.any() and full.hand_boxes.isfinite().all()
    expected = pipeline(small, Mode.BODY).estimate
    torch.testing.assert_close(full.estimate.keypoints, expected.keypoints)


def test_a_body_behind_the_camera_stays_finite(inputs, tiny):
    """However bad an estimate between layers is, the next ones are told nothing infinite."""
    network, rig = tiny
    branch, scene = network.body, scene_of(inputs, 1)
    start = branch.init_camera.weight.clone()
    try:
        for camera in ([[0.5, 0.0, 0.0]], [[0.0, 0.0, 0.0]], [[-1e9, 0.0, 0.0]]):
            branch.init_camera.weight.copy_(torch.tensor(camera))
            estimate = Pipeline(network, rig)(scene, Mode.BODY).estimate
            assert estimate.parameters.body.isfinite().all()
    finally:
        branch.init_camera.weight.copy_(start)
