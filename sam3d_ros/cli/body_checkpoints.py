"""The actions of `sam3d-ros checkpoints` with --model body-dinov3 or body-vith."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sam3d_ros.cli.checkpoint_folders import existing, print_states, report_faults
from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.progress import ProgressLine

if TYPE_CHECKING:
    from sam3d_ros.models.body.config import BodyConfig


def _download(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.body.release import download

    download(arguments.folder, _encoder(arguments), endpoint=arguments.endpoint)
    print(f"the official files are in {arguments.folder}: now run `{_convert_command(arguments)}`")


def _convert(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.body.checkpoints import FILES, convert
    from sam3d_ros.models.body.config import BodyConfig
    from sam3d_ros.models.body.release import check_release

    folder, encoder = arguments.folder, _encoder(arguments)
    existing(folder)
    if arguments.dtype is not None:
        raise InputError("--dtype is for objects: weights of bodies stay as they are, leave it out")
    if arguments.config is not None:
        config = _read_config(arguments.config)
    elif arguments.size == "tiny":
        config = BodyConfig.tiny(encoder)
    else:
        config = BodyConfig.released(encoder)
    with ProgressLine(1) as line:
        if not arguments.any_version:
            check_release(folder, encoder, lambda name, share: line.update(0, 0.5 * share, name))
        line.update(0, 0.5, "writing")
        convert(folder, folder, config, rig_file=arguments.rig)
    size = sum((folder / name).stat().st_size for name in FILES)
    print(f"network and rig, {size / 1e9:.2f} GB, in {folder}")


def _verify(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.body.release import verify

    with ProgressLine(1) as line:
        findings = verify(arguments.folder, lambda name, share: line.update(0, share, name))
    report_faults({finding.file: finding.fault for finding in findings}, _convert_command(arguments))


def _list(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.body.checkpoints import MANIFEST
    from sam3d_ros.models.body.release import OFFICIAL_FILES

    folder = arguments.folder
    existing(folder)
    is_converted = (folder / MANIFEST).is_file()
    print_states(
        (official, "yes", (folder / official).is_file(), is_converted and (folder / converted).is_file())
        for official, converted in OFFICIAL_FILES.items()
    )


#: What the verb does, by the name of the action; raises BodyCheckpointError, RigError, InputError and OSError.
ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "download": _download,
    "convert": _convert,
    "verify": _verify,
    "list": _list,
}


def _encoder(arguments: argparse.Namespace) -> str:
    return str(arguments.model).removeprefix("body-")


def _convert_command(arguments: argparse.Namespace) -> str:
    return f"sam3d-ros checkpoints convert --model {arguments.model} {arguments.folder}"


def _read_config(path: Path) -> BodyConfig:
    from sam3d_ros.models.body.config import BodyConfig
    from sam3d_ros.models.records import from_record

    try:
        return from_record(BodyConfig, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} holds no sizes of a body network: {error}") from error
