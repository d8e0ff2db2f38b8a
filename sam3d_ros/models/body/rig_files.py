"""Rigs in files: the TorchScript model of the Momentum Human Rig, and the converted safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sam3d_ros.models.body.rig import EXPRESSION, IDENTITY, JOINTS, PARAMETERS, Rig, RigConfig
from sam3d_ros.models.body.rotations import matrix_from_quaternion
from sam3d_ros.models.devices import is_out_of_memory
from sam3d_ros.models.tensor_files import read_tensors
from sam3d_ros.models.weights import OtherWeightsError, loaded

_CHARACTER = "character_torch."
_SKINNING = f"{_CHARACTER}linear_blend_skinning."
_CORRECTIVES = "pose_correctives_model.pose_dirs_predictor."


class RigError(RuntimeError):
    """A rig cannot be used; the message is one line: which file, and what to do."""


def transform_from_state(state: Tensor) -> Tensor:
    """(..., 8) translation, quaternion `[x, y, z, w]` and scale -> (..., 3, 4)."""
    linear = state[..., 7, None, None] * matrix_from_quaternion(state[..., 3:7])
    return torch.cat([linear, state[..., :3, None]], dim=-1)


def rig_from_official(buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a `Rig` from the buffers of `mhr_model.pt`, in float32.

    Raises:
        KeyError: a buffer is missing.
    """
    base = buffers[f"{_CHARACTER}blend_shape.base_shape"].float()
    weights = torch.zeros(len(base), JOINTS)
    vertex = buffers[f"{_SKINNING}vert_indices_flattened"].long()
    joint = buffers[f"{_SKINNING}skin_indices_flattened"].long()
    weights[vertex, joint] = buffers[f"{_SKINNING}skin_weights_flattened"].float()
    skeleton = f"{_CHARACTER}skeleton."
    transform = buffers[f"{_CHARACTER}parameter_transform.parameter_transform"].float()
    state = {
        "skeleton.parents": buffers[f"{skeleton}joint_parents"].long(),
        "skeleton.offsets": buffers[f"{skeleton}joint_translation_offsets"].float(),
        "skeleton.prerotations": buffers[f"{skeleton}joint_prerotations"].float(),
        # The columns beyond are placeholders for the shape, and have no effect.
        "skeleton.parameter_transform": transform[:, :PARAMETERS].contiguous(),
        "skin.base": base,
        "skin.identity": buffers[f"{_CHARACTER}blend_shape.shape_vectors"].float(),
        "skin.expression": buffers["face_expressions_model.shape_vectors"].float(),
        "skin.weights": weights,
        "skin.joint_from_rest": transform_from_state(buffers[f"{_SKINNING}inverse_bind_pose"].float()),
        "triangles": buffers[f"{_CHARACTER}mesh.faces"].long(),
    }
    if f"{_CORRECTIVES}2.weight" in buffers:
        offsets = buffers[f"{_CORRECTIVES}2.weight"].float()
        hidden = torch.zeros(offsets.shape[1], 6 * (JOINTS - 2))
        row, column = buffers[f"{_CORRECTIVES}0.sparse_indices"].long()
        hidden[row, column] = buffers[f"{_CORRECTIVES}0.sparse_weight"].float()
        state |= {"skin.correctives.hidden.weight": hidden, "skin.correctives.offsets.weight": offsets}
    return state


def config_of(state: Mapping[str, Tensor]) -> RigConfig:
    """Sizes of a rig by its tensors."""
    base, hidden = state.get("skin.base"), state.get("skin.correctives.hidden.weight")
    return RigConfig(
        vertices=0 if base is None else len(base),
        triangles=len(state["triangles"]),
        corrective_width=0 if hidden is None else len(hidden),
    )


def build_rig(state: Mapping[str, Tensor]) -> Rig:
    """Make a rig of its state, without a copy.

    Raises:
        RigError: a tensor is missing, superfluous or of another shape.
    """
    try:
        rig = loaded(lambda: Rig(config_of(state)), state)
    except (KeyError, ValueError, OtherWeightsError) as error:
        raise RigError(f"this is no Momentum Human Rig ({error}): convert mhr_model.pt again") from error
    skin = rig.skin
    if skin is not None and (len(skin.identity), len(skin.expression)) != (IDENTITY, EXPRESSION):
        raise RigError(f"a rig has {IDENTITY} shapes and {EXPRESSION} expressions; this one has others")
    return rig


def read_rig(path: str | Path) -> Rig:
    """Read `mhr_model.pt`, as the release of the rig and the checkpoint folders hold it, or a converted file.

    Raises:
        RigError: the file is missing, unreadable, or no such rig.
    """
    path = Path(path)
    if not path.is_file():
        raise RigError(f"{path} is missing: copy assets/mhr_model.pt of the rig's release there")
    try:
        if path.suffix == ".safetensors":
            return build_rig(read_tensors(path))
        return build_rig(rig_from_official(torch.jit.load(path, map_location="cpu").state_dict()))
    except SafetensorError as error:
        raise RigError(f"{path} is damaged ({error}): convert mhr_model.pt again") from error
    except KeyError as error:
        raise RigError(f"{path} lacks {error}: use the mhr_model.pt of the rig's release") from error
    except RuntimeError as error:
        if isinstance(error, RigError) or is_out_of_memory(error):
            raise
        raise RigError(f"{path} cannot be read as TorchScript: copy the file again") from error


def write_rig(path: str | Path, rig: Rig) -> None:
    """Write a rig as safetensors."""
    save_file({key: value.contiguous() for key, value in rig.state_dict().items()}, path)
