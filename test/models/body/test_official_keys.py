"""Which keys an official checkpoint must hold, which it may, and what is said of all others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.models.body.checkpoints import BodyCheckpointError, own_state, read_official
from sam3d_ros.models.body.network import official_key

#: Tensors that nothing uses: the official files lack them.
UNUSED = ("mask_token", "hand_pose_comps_ori")


@pytest.fixture(scope="module")
def network(tiny_body):
    return tiny_body("e2e_tiny")[0]


@pytest.fixture(scope="module")
def official(network):
    """The tensors of a release, in all but size."""
    state = {official_key(key): value for key, value in network.state_dict().items()}
    return {key: value for key, value in state.items() if not key.endswith(UNUSED)}


def test_what_a_release_holds_is_the_network(official, network):
    found = own_state(official, network.config)
    assert found.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(found[key], torch.zeros_like(value) if key.endswith(UNUSED) else value), key


def test_the_rig_that_heads_carry_along_is_left_out(official, network):
    rig = {f"{head}.mhr.base_shape": torch.zeros(2, 3) for head in ("head_pose", "head_pose_hand")}
    unused = {official_key(key): value for key, value in network.state_dict().items() if key.endswith(UNUSED)}
    assert len(unused) == 3
    found = own_state(official | rig | unused, network.config)
    assert found.keys() == network.state_dict().keys()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_key_that_is_missing_is_named(official, network, data):
    key = data.draw(st.sampled_from(sorted(official)))
    with pytest.raises(ValueError, match=rf"^1 keys are missing \(first {key}\)$"):
        own_state({name: value for name, value in official.items() if name != key}, network.config)


@pytest.mark.parametrize(
    "stray",
    [
        "decoder.layers.3.ln1.weight",  # of a decoder that is deeper by a layer
        "decoder_hand.layers.0.layer_scale",
        "head_pose.mhrs",
        "head_camera.mhr.base_shape",
        "body.decoder.norm_final.weight",  # our own name, not the official one
        "epoch",
    ],
)
def test_a_key_of_no_use_is_named(official, network, stray):
    with pytest.raises(ValueError, match=rf"^1 keys are unknown \(first {stray}\)$"):
        own_state(official | {stray: torch.zeros(3)}, network.config)


def test_all_that_differs_is_told_at_once_with_the_file(official, network, tmp_path):
    renamed = {
        key.replace("decoder.layers.2.", "decoder.layers.9."): value for key, value in official.items()
    }
    renamed["init_camera.weight"] = torch.zeros(1, 4)
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": renamed, "epoch": 7}, path)
    count = sum(key.startswith("decoder.layers.2.") for key in official)
    with pytest.raises(BodyCheckpointError) as caught:
        read_official(path, network.config)
    message = str(caught.value)
    assert str(path) in message and "release" in message and len(message.splitlines()) == 1
    assert f"{count} keys are missing (first decoder.layers.2." in message
    assert f"{count} keys are unknown (first decoder.layers.9." in message
    assert "1 shapes differ (first init_camera.weight: (1, 4) instead of (1, 3))" in message


def test_a_table_of_something_else_is_refused(official, network, tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save(official | {"epoch": 7}, path)
    with pytest.raises(BodyCheckpointError, match="no table of tensors"):
        read_official(path, network.config)
