"""Weights of SAM 3D Body in folders: as officially released, and as converted to safetensors."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.network import BodyNetwork, official_key
from sam3d_ros.models.body.rig import Rig
from sam3d_ros.models.body.rig_files import config_of, read_rig, write_rig
from sam3d_ros.models.devices import is_out_of_memory
from sam3d_ros.models.objects.checkpoints import sha256_of
from sam3d_ros.models.records import from_record, to_record
from sam3d_ros.models.tensor_files import read_tensors
from sam3d_ros.models.weights import OtherWeightsError, difference, loaded, on_meta, shapes_of

#: Files of a converted folder.
MANIFEST = "sam3d_body.json"
WEIGHTS = "sam3d_body.safetensors"
RIG = "rig.safetensors"
FILES = (WEIGHTS, RIG)
#: Files of an official folder.
OFFICIAL_WEIGHTS = "model.ckpt"
OFFICIAL_RIG = "assets/mhr_model.pt"

_FORMAT = 1
_AGAIN = "convert the official checkpoint again"
_VITH_KEY = "backbone.pos_embed"
# Not used, and not in the official files though the official network has them.
_UNUSED = ("mask_token", "hand_pose_comps_ori")
# Not used, and in some official files: the rig that the heads carry along. It is read from its own file.
_RIG_OF_HEADS = ("head_pose.mhr.", "head_pose_hand.mhr.")


class BodyCheckpointError(RuntimeError):
    """Weights are missing or cannot be used; the message is one line: which file, and what to do."""


def read_checkpoint(
    folder: Path, device: torch.device, dtype: torch.dtype, config: BodyConfig | None = None
) -> tuple[BodyNetwork, Rig]:
    """Read a network and its rig from a converted folder, or an official one.

    Args:
        folder: where the files are.
        device: to put them on.
        dtype: of the encoder.
        config: sizes of an official network; those released by default.

    Raises:
        BodyCheckpointError: weights are missing, damaged or of other sizes.
        RigError: the rig is missing or damaged.
    """
    if (folder / MANIFEST).is_file():
        config, state = _read_converted(folder)
        rig = read_rig(folder / RIG)
    elif (folder / OFFICIAL_WEIGHTS).is_file():
        config, state = read_official(folder / OFFICIAL_WEIGHTS, config)
        rig = read_rig(folder / OFFICIAL_RIG)
    else:
        raise BodyCheckpointError(
            f"{folder} holds neither {MANIFEST} nor {OFFICIAL_WEIGHTS}: "
            "copy the files of facebook/sam-3d-body-dinov3 or facebook/sam-3d-body-vith there"
        )
    network = build_network(config, {key: value.to(device) for key, value in state.items()}, dtype)
    return network, rig.to(device)


def build_network(config: BodyConfig, state: Mapping[str, Tensor], dtype: torch.dtype) -> BodyNetwork:
    """Make a network of its tensors, the encoder in `dtype` and the rest in float32.

    Raises:
        BodyCheckpointError: a tensor is missing, unknown or of another shape.
    """
    cast = {
        key: value.to(_dtype_of(key, dtype)) if value.is_floating_point() else value
        for key, value in state.items()
    }
    try:
        return loaded(lambda: BodyNetwork(config), cast)
    except OtherWeightsError as error:
        message = " ".join(str(error).split())
        raise BodyCheckpointError(f"the weights do not fit the network: {message}") from error


def _dtype_of(key: str, dtype: torch.dtype) -> torch.dtype:
    # The smaller encoder computes its norms in float32, and its checkpoint keeps them so.
    if not key.startswith("backbone.") or (not key.startswith("backbone.encoder.") and "norm" in key):
        return torch.float32
    return dtype


def read_official(path: Path, config: BodyConfig | None = None) -> tuple[BodyConfig, dict[str, Tensor]]:
    """Configuration and tensors of an official checkpoint, under the names of `BodyNetwork`.

    Args:
        path: `model.ckpt`.
        config: sizes; those released by default.

    Raises:
        BodyCheckpointError: it cannot be read, or is of another network or other sizes.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise BodyCheckpointError(
            f"{path} is no checkpoint, or damaged ({reason}): download it again"
        ) from error
    official = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(official, dict) or not all(isinstance(value, Tensor) for value in official.values()):
        raise BodyCheckpointError(f"{path} holds no table of tensors: use the model.ckpt of a release")
    if config is None:
        config = BodyConfig.released("vith" if _VITH_KEY in official else "dinov3")
    try:
        return config, own_state(official, config)
    except ValueError as error:
        raise BodyCheckpointError(
            f"the weights of {path} do not fit the network: {error}; use those of a release, or give their sizes"
        ) from error


def own_state(official: Mapping[str, Tensor], config: BodyConfig) -> dict[str, Tensor]:
    """The tensors of an official checkpoint, under the names of `BodyNetwork`.

    Official files lack two tensors that nothing uses, which come out as zeros, and may hold the rig as well, which is
    left out.

    Raises:
        ValueError: other keys are missing or unknown, or a shape differs.
    """
    network = on_meta(lambda: BodyNetwork(config)).state_dict()
    given = {key: value for key, value in official.items() if not key.startswith(_RIG_OF_HEADS)}
    for key, value in network.items():
        if key.endswith(_UNUSED):
            given.setdefault(official_key(key), torch.zeros(value.shape))
    expected = {official_key(key): value for key, value in network.items()}
    if fault := difference(shapes_of(given), shapes_of(expected)):
        raise ValueError(fault)
    return {key: given[official_key(key)] for key in network}


def convert(
    source: Path, target: Path, config: BodyConfig | None = None, *, rig_file: Path | None = None
) -> None:
    """Convert an official folder to safetensors; every tensor keeps its dtype.

    The manifest is written last: a folder that has one is whole.

    Args:
        source: holds `model.ckpt` and `assets/mhr_model.pt`.
        target: is made where it is missing.
        config: sizes; those released by default.
        rig_file: the rig, where it is not in `source`: `mhr_model.pt` or a converted one.

    Raises:
        BodyCheckpointError: weights are missing, damaged or of other sizes.
        RigError: the rig is missing or damaged.
    """
    path = source / OFFICIAL_WEIGHTS
    if not path.is_file():
        raise BodyCheckpointError(f"{path} is missing: download the checkpoint")
    rig_file = rig_file or source / OFFICIAL_RIG
    rig = read_rig(rig_file)
    config, state = read_official(path, config)
    if config.rig.vertices != config_of(rig.state_dict()).vertices:
        raise BodyCheckpointError(f"{rig_file} is not the rig of {path}: use the one beside it")
    target.mkdir(parents=True, exist_ok=True)
    # Both branches may share tensors, which the format does not.
    save_file({key: value.clone().contiguous() for key, value in state.items()}, target / WEIGHTS)
    write_rig(target / RIG, rig)
    files = {
        name: {"size": (target / name).stat().st_size, "sha256": sha256_of(target / name)} for name in FILES
    }
    record = {"format": _FORMAT, "config": to_record(config), "files": files}
    draft = target / f"{MANIFEST}.part"
    draft.write_text(json.dumps(record, indent=2) + "\n")
    draft.replace(target / MANIFEST)


def _read_converted(folder: Path) -> tuple[BodyConfig, dict[str, Tensor]]:
    try:
        record = json.loads((folder / MANIFEST).read_text())
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']} is unknown")
        return from_record(BodyConfig, record["config"]), read_tensors(folder / WEIGHTS)
    except (ValueError, KeyError, TypeError) as error:
        raise BodyCheckpointError(f"{folder / MANIFEST} is damaged ({error}): {_AGAIN}") from error
    except (SafetensorError, FileNotFoundError) as error:
        raise BodyCheckpointError(f"{folder / WEIGHTS} is missing or damaged: {_AGAIN}") from error
