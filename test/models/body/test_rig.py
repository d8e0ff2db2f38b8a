"""The rig: kinematics, skin, files, and the keypoints on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.models.body.joints import JOINT_NAMES
from sam3d_ros.models.body.keypoints import JOINT_OF_KEYPOINT, LINKS, NAMES, KeypointReader, _near_joints
from sam3d_ros.models.body.pose_code import hand_angles
from sam3d_ros.models.body.rig import JOINTS, PARAMETERS, PoseCorrectives, Rig, RigConfig
from sam3d_ros.models.body.rig_files import (
    RigError,
    build_rig,
    read_rig,
    rig_from_official,
    transform_from_state,
    write_rig,
)
from sam3d_ros.models.body.rotations import matrix_from_quaternion
from sam3d_ros.models.weights import loaded

CENTIMETRES = 1e-4
METRES = 1e-6


def random_rig(seed: int = 0, scale: float = 0.05) -> Rig:
    """A rig of a random tree."""
    generator = torch.Generator().manual_seed(seed)
    rig = Rig(RigConfig.tiny())
    for value in rig.state_dict().values():
        if value.is_floating_point():
            value.copy_(scale * torch.randn(value.shape, generator=generator))
    rig.skeleton.parents.copy_(
        torch.tensor([-1, *(int(torch.randint(i, (), generator=generator)) for i in range(1, JOINTS))])
    )
    rig.skeleton.prerotations[:, 3] += 1.0
    assert rig.skin is not None
    rig.skin.weights.copy_(torch.softmax(100 * rig.skin.weights, dim=1))
    rig.skeleton.refresh()
    rig.skin.refresh()
    return rig


def test_forward_parity(body_set, rig_of, assert_near):
    forward = body_set("mhr_forward_lod6")
    data, rig = forward.load(), rig_of(forward.config["rig"])
    assert_near(rig.skeleton.joint_parameters(data["model_params"]), data["joint_params"], CENTIMETRES)
    states = rig.skeleton(data["model_params"])
    assert_near(states.rig_from_joint, transform_from_state(data["skel_state"]), CENTIMETRES)
    vertices = rig.skin(states, data["identity"], data["expression"])
    assert_near(vertices, data["vertices_cm"], CENTIMETRES)
    assert_near(PoseCorrectives.features(states.turns), data["corrective_features"], 1e-6)


def test_released_outputs(body_set, rig_of, assert_near):
    """Joints that the released model gave for four people, by its parameters."""
    data, rig = body_set("official_outputs_4subjects").load(), rig_of("mhr_rig_lod6")
    names = body_set("mhr_rig_lod6").config["joint_names"]
    flip = torch.tensor([1.0, -1.0, -1.0])
    for person in sorted({key.split(".")[0] for key in data if key.startswith("s")}):
        given_ = {key.split(".", 1)[1]: value for key, value in data.items() if key.startswith(person)}
        states = rig.skeleton(given_["mhr_model_params"][None])
        positions = flip * states.positions[0] / 100
        assert_near(positions, given_["pred_joint_coords"], METRES)
        # The release does not refresh the rotations of hands that it refined.
        fresh = [i for i, name in enumerate(names) if name[:2] not in ("l_", "r_")]
        assert_near(states.rotations[0, fresh], given_["pred_global_rots"][fresh], METRES)
        for keypoint, joint in JOINT_OF_KEYPOINT.items():
            expected = given_["pred_keypoints_3d"][NAMES.index(keypoint)]
            assert_near(positions[names.index(joint)], expected, 2e-5)


def test_hand_decode_parity(body_set, assert_near):
    hand = body_set("hand_decode")
    data, params = hand.load(), body_set("mhr_rig_lod6").config["param_names"]
    for side, code in zip(("left", "right"), data["hand_pose_params"].chunk(2, dim=1), strict=True):
        decoded = hand_angles(data["hand_pose_mean_recovered"] + code)
        assert_near(decoded, data[f"{side}_params"], 2e-7)
        names = [params[i] for i in hand.config[f"hand_joint_idxs_{side}"]]
        expected = [f"{side[0]}{name[1:]}" for name in hand.config["param_names_left"]]
        assert names == expected


def test_a_keypoint_costs_its_own_vertices_alone(body_set, rig_of, mapping, assert_near):
    data, rig = body_set("mhr_forward_lod6").load(), rig_of("mhr_rig_lod6")
    states = rig.skeleton(data["model_params"])
    both = torch.cat([rig.skin(states, data["identity"]), states.positions], dim=1)
    reader = KeypointReader(mapping, rig)
    assert_near(reader(states, data["identity"]), mapping[:70] @ both, CENTIMETRES)
    assert reader.skin is not None and len(reader.skin.base) < rig.config.vertices
    hand = KeypointReader(mapping, rig, slice(21, 42))(states, data["identity"])
    assert_near(hand[:, 21:42], (mapping[:70] @ both)[:, 21:42], CENTIMETRES)
    assert not hand[:, :21].any() and not hand[:, 42:].any()
    bare = KeypointReader(mapping, rig.joints_only())
    assert {NAMES[i] for i in bare.exact.nonzero()[:, 0]} == set(JOINT_OF_KEYPOINT) and reader.exact.all()
    on_joints = bare(states, data["identity"])
    assert_near(on_joints[:, bare.exact], (mapping[:70] @ both)[:, bare.exact], CENTIMETRES)
    assert on_joints.isfinite().all()


def test_released_keypoints_lie_near_their_joints(body_set):
    """The joints that stand for keypoints of the skin, measured on four bodies that the released model gave."""
    data = body_set("official_outputs_4subjects").load()
    weights = _near_joints()
    people = [key.removesuffix(".pred_joint_coords") for key in data if key.endswith("pred_joint_coords")]
    assert people
    for person in people:
        joints, keypoints = data[f"{person}.pred_joint_coords"], data[f"{person}.pred_keypoints_3d"]
        apart = (weights @ joints - keypoints).norm(dim=-1)
        assert apart.max() < 0.2
        for name in ("left_elbow", "right_ankle", "neck", "left_eye"):
            assert apart[NAMES.index(name)] < 0.04


def test_joint_names(body_set):
    assert list(JOINT_NAMES) == body_set("mhr_rig_lod6").config["joint_names"]


def test_keypoint_tables():
    assert len(set(NAMES)) == 70 and len(JOINT_OF_KEYPOINT) == 48 and len(set(LINKS)) == 65
    assert NAMES[41] == "right_wrist" and NAMES[62] == "left_wrist" and NAMES[69] == "neck"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_turned_root_turns_everything(seed):
    generator = torch.Generator().manual_seed(seed)
    rig, parameters = random_rig(seed), torch.randn(2, PARAMETERS, generator=generator)
    states = rig.skeleton(parameters)
    turn = torch.nn.functional.normalize(torch.randn(4, generator=generator), dim=0)
    before = matrix_from_quaternion(rig.skeleton.prerotations[0])
    rotation = matrix_from_quaternion(turn)
    rig.skeleton.prerotations[0] = turn
    rig.skeleton.refresh()
    turned = rig.skeleton(parameters)
    rotation = rotation @ before.T
    origin = states.positions[:, :1]
    expected = origin + (states.positions - origin) @ rotation.T
    torch.testing.assert_close(turned.positions, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(turned.rotations, rotation @ states.rotations, atol=1e-4, rtol=0)
    identity = torch.randn(2, 45, generator=generator)
    skin = rig.skin(states, identity)
    torch.testing.assert_close(
        rig.skin(turned, identity), origin + (skin - origin) @ rotation.T, atol=1e-3, rtol=1e-4
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_joints_follow_their_parents(seed):
    """Whatever the tree: each joint as its parent carries it, one after the other, in float64."""
    rig, generator = random_rig(seed, scale=0.3), torch.Generator().manual_seed(seed)
    skeleton, parameters = rig.skeleton, torch.randn(2, PARAMETERS, generator=generator)
    states = skeleton(parameters)
    own = skeleton.joint_parameters(parameters).double()
    placed: list[torch.Tensor] = []
    for joint, parent in enumerate(skeleton.parents.tolist()):
        turn = Rotation.from_quat(skeleton.prerotations[joint].numpy()) * Rotation.from_euler(
            "xyz", own[:, joint, 3:6].numpy()
        )
        local = torch.zeros(2, 4, 4, dtype=torch.float64)
        local[:, :3, :3] = torch.from_numpy(turn.as_matrix()) * 2.0 ** own[:, joint, 6, None, None]
        local[:, :3, 3], local[:, 3, 3] = own[:, joint, :3] + skeleton.offsets[joint], 1.0
        placed.append(local if parent < 0 else placed[parent] @ local)
    expected = torch.stack(placed, dim=1)[:, :, :3]
    largest = expected.abs().max().item()
    torch.testing.assert_close(states.rig_from_joint.double(), expected, atol=1e-5 * largest, rtol=1e-5)


def test_a_joint_before_its_parent_is_no_rig(rig_of):
    state = dict(rig_of("mhr_rig_lod6").state_dict())
    state["skeleton.parents"] = state["skeleton.parents"].flip(0)
    with pytest.raises(RigError, match="comes before its parent"):
        build_rig(state)


def test_a_rig_survives_its_file(tmp_path):
    rig = random_rig()
    write_rig(tmp_path / "rig.safetensors", rig)
    again = read_rig(tmp_path / "rig.safetensors")
    assert again.config == rig.config
    for key, value in rig.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_the_official_file_is_read(tmp_path, save_official_rig, assert_near):
    rig, generator = random_rig(), torch.Generator().manual_seed(1)
    turns = matrix_from_quaternion(torch.randn(JOINTS, 4, generator=generator))
    rig.skin.joint_from_rest[:, :, :3] = turns * (0.5 + torch.rand(JOINTS, 1, 1, generator=generator))
    rig.skin.refresh()
    path = tmp_path / "mhr_model.pt"
    buffers = save_official_rig(rig, path)
    again = read_rig(path)
    parameters, identity = 0.3 * torch.ones(1, PARAMETERS), torch.ones(1, 45)
    states = rig.skeleton(parameters)
    assert_near(
        again.skin(again.skeleton(parameters), identity), rig.skin(states, identity, None), CENTIMETRES
    )
    assert torch.equal(again.triangles, rig.triangles)
    del buffers["character_torch.mesh.faces"]
    with pytest.raises(KeyError, match="faces"):
        rig_from_official(buffers)


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(RigError, match="is missing"):
        read_rig(tmp_path / "mhr_model.pt")
    for name in ("mhr_model.pt", "rig.safetensors"):
        (tmp_path / name).write_bytes(b"no rig at all")
        with pytest.raises(RigError, match=name):
            read_rig(tmp_path / name)
    state: dict[str, Any] = dict(random_rig().state_dict())
    del state["skin.weights"]
    with pytest.raises(RigError, match=r"skin\.weights"):
        build_rig(state)


def test_released_sizes():
    with torch.device("meta"):
        rig = Rig(RigConfig.released())
    assert rig.skin.correctives.offsets.weight.shape == (55317, 3000)
    assert rig.triangles.shape == (36874, 3)
    bare = loaded(lambda: Rig(RigConfig.tiny()), random_rig().state_dict()).joints_only()
    assert bare.skin is None and bare.config.vertices == 0
