"""A checkpoint of SAM 3D Body as officially laid out, of the small network and the small rig of the parity sets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

#: The sizes of the small network, as `checkpoints convert --config` takes them.
SIZES = "sizes.json"


def parity_folder() -> Path:
    """`body` in SAM3D_GOLDEN_DIR, by default in ../shared/golden beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "golden"
    folder = Path(os.environ.get("SAM3D_GOLDEN_DIR", default)) / "body"
    if not folder.is_dir():
        message = f"{folder} is missing: set SAM3D_GOLDEN_DIR to the folder that holds body"
        if os.environ.get("CI") == "true" or "SAM3D_GOLDEN_DIR" in os.environ:
            pytest.fail(message)
        pytest.skip(message)
    return folder


def write_release(folder: Path) -> None:
    """Write model.ckpt and assets/mhr_model.pt, and beside them the sizes."""
    torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")
    from safetensors.torch import load_file

    parity = parity_folder()
    rig = load_file(parity / "mhr_rig_lod6" / "rig.safetensors")
    mapping = load_file(parity / "mhr_rig_lod6" / "keypoint_map.safetensors")["keypoint_mapping"]
    state = load_file(parity / "e2e_tiny" / "state.safetensors")
    for head in ("head_pose", "head_pose_hand"):
        state |= {f"{head}.keypoint_mapping": mapping, f"{head}.faces": rig["faces"].long()}
    torch.save({"state_dict": state}, folder / "model.ckpt")
    (folder / "assets").mkdir()
    _scripted(_rig_buffers(rig)).save(folder / "assets" / "mhr_model.pt")
    (folder / SIZES).write_text(
        json.dumps(_sizes(json.loads((parity / "e2e_tiny" / "config.json").read_text())))
    )


def _sizes(config: dict) -> dict:
    encoder, decoder, width = config["backbone"], config["decoder"], config["backbone"]["embed"]
    return {
        "dinov3": {
            "width": width,
            "depth": encoder["depth"],
            "heads": encoder["heads"],
            # SwiGLU has three matrices instead of two, and its width is a multiple of eight.
            "hidden": -(-int(width * encoder["ffn_ratio"] * 2 / 3) // 8) * 8,
            "patch": 16,
            "registers": encoder["n_storage"],
            "rope_base": 100.0,
        },
        "vit": None,
        "decoder": {
            "width": decoder["DIM"],
            "context_width": width,
            "depth": decoder["DEPTH"],
            "heads": decoder["HEADS"],
            "head_width": decoder["DIM_HEAD"],
            "hidden": decoder["MLP_DIM"],
            "repeat_positions": decoder["repeat_pe"],
            "two_way": False,
        },
        "rig": {"vertices": 595, "triangles": 1186, "corrective_width": 0},
        "crop_size": config["IMAGE_SIZE"][0],
    }


def _rig_buffers(rig: dict) -> dict:
    """The buffers of the rig's TorchScript file."""
    import torch
    from scipy.spatial.transform import Rotation

    place, turn, scale = rig["bind_state"].double().split([3, 4, 1], dim=1)
    back = Rotation.from_quat(turn.numpy()).inv()
    inverse = [
        torch.from_numpy(-back.apply(place.numpy())) / scale,
        torch.from_numpy(back.as_quat()),
        1 / scale,
    ]
    vertex, joint = rig["skin_weights"].nonzero().unbind(1)
    skinning, skeleton = "character_torch.linear_blend_skinning", "character_torch.skeleton"
    return {
        "character_torch.blend_shape.base_shape": rig["rest_vertices_cm"],
        "character_torch.blend_shape.shape_vectors": rig["blendshapes_cm"][:45].clone(),
        "face_expressions_model.shape_vectors": rig["blendshapes_cm"][45:].clone(),
        f"{skeleton}.joint_translation_offsets": rig["offsets_cm"],
        f"{skeleton}.joint_prerotations": rig["prerot_quat_xyzw"],
        f"{skeleton}.joint_parents": rig["parents"].int(),
        f"{skinning}.inverse_bind_pose": torch.cat(inverse, dim=1).float(),
        f"{skinning}.skin_indices_flattened": joint.int(),
        f"{skinning}.skin_weights_flattened": rig["skin_weights"][vertex, joint],
        f"{skinning}.vert_indices_flattened": vertex.int(),
        "character_torch.mesh.faces": rig["faces"],
        "character_torch.parameter_transform.parameter_transform": torch.nn.functional.pad(
            rig["param_transform"], (0, 45)
        ),
    }


def _scripted(buffers: dict):
    import torch

    class Branch(torch.nn.Module):
        """Buffers under dotted names."""

        def __init__(self, tensors: dict) -> None:
            super().__init__()
            inner: dict = {}
            for key, value in tensors.items():
                head, _, rest = key.partition(".")
                if rest:
                    inner.setdefault(head, {})[rest] = value
                else:
                    self.register_buffer(head, value)
            for head, rest in inner.items():
                self.add_module(head, Branch(rest))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    return torch.jit.script(Branch(buffers))
