"""Parity sets of SAM 3D Body: weights, inputs and outputs that the official parts gave in float32 on a CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from body_release import parity_folder
from safetensors.torch import load_file
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from sam3d_ros.models.body.branch import Reader
from sam3d_ros.models.body.checkpoints import build_network, own_state
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.decoder import DecoderConfig
from sam3d_ros.models.body.dinov3 import DinoV3Config
from sam3d_ros.models.body.keypoints import KEYPOINTS, RIGHT_HAND, KeypointReader
from sam3d_ros.models.body.network import BodyNetwork, official_key
from sam3d_ros.models.body.rig import Rig, RigConfig
from sam3d_ros.models.body.rig_files import build_rig, transform_from_state
from sam3d_ros.models.body.vit import VitConfig
from sam3d_ros.models.weights import on_meta, without_prefix


@dataclass(frozen=True)
class BodySet:
    """One set of parity data.

    Attributes:
        folder: where its files lie.
        config: its config.json.
    """

    folder: Path
    config: dict[str, Any]

    def load(self, name: str = "data") -> dict[str, Tensor]:
        """The tensors of a file."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            pytest.fail(f"the parity file {path} is missing")
        return load_file(path)

    def weights(self, prefix: str | None = None) -> dict[str, Tensor]:
        """The official weights under a prefix, which config.json names unless given."""
        return without_prefix(self.load("state"), self.config.get("prefix", "") if prefix is None else prefix)


@pytest.fixture(scope="session")
def body_folder() -> Path:
    """The folder of the parity sets."""
    return parity_folder()


@pytest.fixture(scope="session")
def body_set(body_folder: Path) -> Callable[[str], BodySet]:
    """Finds a set by its name; a missing one is a failure."""

    def find(name: str) -> BodySet:
        config = body_folder / name / "config.json"
        if not config.is_file():
            pytest.fail(f"the parity set {config.parent} is missing")
        return BodySet(config.parent, json.loads(config.read_text()))

    return find


def _assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape, f"{tuple(actual.shape)}, expected {tuple(expected.shape)}"
    error = (actual.double() - expected.double()).abs().max().item()
    assert error <= tolerance, f"off by {error:.3g}, tolerance {tolerance:.3g}"


@pytest.fixture(scope="session")
def assert_near() -> Callable[[Tensor, Tensor, float], None]:
    """Absolute comparison of tensors of one shape."""
    return _assert_near


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def _rig_state(rig: dict[str, Tensor], identity: int) -> dict[str, Tensor]:
    """The state of our rig from a set that keeps the bind pose and not its inverse."""
    bind = transform_from_state(rig["bind_state"])
    inverse = torch.linalg.inv(bind[..., :3])
    return {
        "skeleton.parents": rig["parents"],
        "skeleton.offsets": rig["offsets_cm"],
        "skeleton.prerotations": rig["prerot_quat_xyzw"],
        "skeleton.parameter_transform": rig["param_transform"],
        "skin.base": rig["rest_vertices_cm"],
        "skin.identity": rig["blendshapes_cm"][:identity],
        "skin.expression": rig["blendshapes_cm"][identity:],
        "skin.weights": rig["skin_weights"],
        "skin.joint_from_rest": torch.cat([inverse, -inverse @ bind[..., 3:]], dim=-1),
        "triangles": rig["faces"].long(),
    }


@pytest.fixture(scope="session")
def rig_of(body_set) -> Callable[[str], Rig]:
    """The rig of a set."""

    def build(name: str) -> Rig:
        data = body_set(name)
        return build_rig(_rig_state(data.load("rig"), data.config["identity"]))

    return build


@pytest.fixture(scope="session")
def mapping(body_set) -> Tensor:
    """(308, V + J) keypoints of the small rig."""
    return body_set("mhr_rig_lod6").load("keypoint_map")["keypoint_mapping"]


_SWIGLU = 2 / 3


def _body_config(config: dict[str, Any], rig: RigConfig) -> BodyConfig:
    encoder, decoder = config["backbone"], config["decoder"]
    size, width = config["IMAGE_SIZE"][0], encoder["embed"]
    dinov3 = vit = None
    if encoder["kind"] == "dinov3":
        hidden = -(-int(width * encoder["ffn_ratio"] * _SWIGLU) // 8) * 8
        dinov3 = DinoV3Config(
            width=width,
            depth=encoder["depth"],
            heads=encoder["heads"],
            hidden=hidden,
            registers=encoder["n_storage"],
        )
    else:
        rows = size // 16
        vit = VitConfig(
            width=width, depth=encoder["depth"], heads=encoder["heads"], rows=rows, columns=rows * 3 // 4
        )
    sizes = DecoderConfig(
        width=decoder["DIM"],
        context_width=width,
        depth=decoder["DEPTH"],
        heads=decoder["HEADS"],
        head_width=decoder["DIM_HEAD"],
        hidden=decoder["MLP_DIM"],
    )
    return BodyConfig(dinov3, vit, sizes, rig, size)


@pytest.fixture(scope="session")
def tiny_body(body_set, rig_of, mapping) -> Callable[..., tuple[BodyNetwork, Reader, Rig]]:
    """The network of an end-to-end set, with a reader of keypoints for one of its branches, and the rig.

    The sets leave out the keypoints and triangles, which the rig has, and one leaves out the branch of hands.
    """

    def build(name: str, *, hand: bool = False) -> tuple[BodyNetwork, Reader, Rig]:
        e2e, rig = body_set(name), rig_of("mhr_rig_lod6")
        config = _body_config(e2e.config, rig.config)
        official = e2e.load("state")
        for head in ("head_pose", "head_pose_hand"):
            official |= {f"{head}.keypoint_mapping": mapping, f"{head}.faces": rig.triangles}
        for key, value in on_meta(lambda: BodyNetwork(config)).state_dict().items():
            if official_key(key) not in official:
                assert key.startswith("hand"), f"{name} lacks {key}"
                official[official_key(key)] = torch.zeros(value.shape, dtype=value.dtype)
        rows = RIGHT_HAND if hand else slice(0, KEYPOINTS)
        network = build_network(config, own_state(official, config), torch.float32)
        return network, Reader(rig.skeleton, KeypointReader(mapping, rig, rows)), rig

    return build


class _Buffers(nn.Module):
    """Buffers under dotted names, which TorchScript keeps as attributes of modules."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        heads: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            head, _, rest = key.partition(".")
            if rest:
                heads.setdefault(head, {})[rest] = value
            else:
                self.register_buffer(head, value)
        for head, rest in heads.items():
            self.add_module(head, _Buffers(rest))

    def forward(self, x: Tensor) -> Tensor:
        return x


def _official_buffers(rig: Rig) -> dict[str, Tensor]:
    """What `mhr_model.pt` would hold for a rig."""
    skin, correctives = rig.skin, rig.skin.correctives
    vertex, joint = skin.weights.nonzero().unbind(1)
    linear, scale = (
        skin.joint_from_rest[:, :, :3],
        torch.linalg.det(skin.joint_from_rest[:, :, :3]) ** (1 / 3),
    )
    turns = Rotation.from_matrix((linear / scale[:, None, None]).numpy()).as_quat()
    parts = [skin.joint_from_rest[:, :, 3], torch.from_numpy(turns).float(), scale[:, None]]
    skinning = "character_torch.linear_blend_skinning"
    buffers = {
        "character_torch.blend_shape.base_shape": skin.base,
        "character_torch.blend_shape.shape_vectors": skin.identity,
        "face_expressions_model.shape_vectors": skin.expression,
        "character_torch.skeleton.joint_translation_offsets": rig.skeleton.offsets,
        "character_torch.skeleton.joint_prerotations": rig.skeleton.prerotations,
        "character_torch.skeleton.joint_parents": rig.skeleton.parents.int(),
        f"{skinning}.inverse_bind_pose": torch.cat(parts, dim=1),
        f"{skinning}.skin_indices_flattened": joint.int(),
        f"{skinning}.skin_weights_flattened": skin.weights[vertex, joint],
        f"{skinning}.vert_indices_flattened": vertex.int(),
        "character_torch.mesh.faces": rig.triangles.int(),
        "character_torch.parameter_transform.parameter_transform": torch.nn.functional.pad(
            rig.skeleton.parameter_transform, (0, 45)
        ),
    }
    if correctives is not None:
        row, column = correctives.hidden.weight.nonzero().unbind(1)
        predictor = "pose_correctives_model.pose_dirs_predictor"
        buffers |= {
            f"{predictor}.0.sparse_indices": torch.stack([row, column]),
            f"{predictor}.0.sparse_weight": correctives.hidden.weight[row, column],
            f"{predictor}.2.weight": correctives.offsets.weight,
        }
    return buffers


@pytest.fixture(scope="session")
def save_official_rig() -> Callable[[Rig, Path], dict[str, Tensor]]:
    """Writes a rig as the TorchScript file of its release would have it; answers with the buffers."""

    def save(rig: Rig, path: Path) -> dict[str, Tensor]:
        with torch.inference_mode(False), torch.no_grad():
            buffers = {key: value.detach().clone() for key, value in _official_buffers(rig).items()}
            torch.jit.script(_Buffers(buffers)).save(path)
        return buffers

    return save
