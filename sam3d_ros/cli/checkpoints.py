"""`sam3d-ros checkpoints download|convert|verify|list`: the weights of the networks, from the hub to ready for use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sam3d_ros.cli import body_checkpoints
from sam3d_ros.cli.checkpoint_folders import existing, print_states, report_faults
from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.network_options import require_networks
from sam3d_ros.cli.progress import ProgressLine
from sam3d_ros.reconstruction.body_config import default_body_folder
from sam3d_ros.reconstruction.network_config import default_folder

#: Values of --model.
MODELS = ("objects", "body-dinov3", "body-vith")
#: Sizes that --size can name.
SIZES = ("released", "tiny")


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb and its actions to the command line."""
    parser = verbs.add_parser(
        "checkpoints",
        help="get, convert and check the weights of SAM 3D Objects and SAM 3D Body",
        description="Get, convert and check the weights of SAM 3D Objects and SAM 3D Body. They are given on request "
        "by the hub (facebook/sam-3d-objects, facebook/sam-3d-body-dinov3, facebook/sam-3d-body-vith); a folder with "
        "the files does as well.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))
    download = actions.add_parser("download", help="fetch the official files from the hub")
    download.add_argument(
        "--without-gaussians", action="store_true", help="leave the Gaussian decoders out (340 MB)"
    )
    download.add_argument("--endpoint", metavar="URL", help="a mirror of the hub (default: HF_ENDPOINT)")
    convert = actions.add_parser(
        "convert", help="check the official files and write them ready for use, once"
    )
    convert.add_argument(
        "--dtype",
        choices=("bfloat16", "float16", "float32"),
        help="of the written weights of objects (default: bfloat16); those of bodies stay as they are",
    )
    convert.add_argument(
        "--size", choices=SIZES, default=SIZES[0], help="of the networks; tiny ones are for tests"
    )
    convert.add_argument(
        "--any-version", action="store_true", help="take files whose sha256 is not that of the release"
    )
    convert.add_argument(
        "--rig",
        metavar="FILE",
        type=Path,
        help="of bodies: mhr_model.pt (default: assets/mhr_model.pt in DIR)",
    )
    convert.add_argument(
        "--config", metavar="FILE", type=Path, help="of bodies: JSON with other sizes of the network"
    )
    verify = actions.add_parser("verify", help="read every converted file and compare its digest and tensors")
    listing = actions.add_parser("list", help="which files are there, and which are converted")
    for action, run_action in (
        (download, _download),
        (convert, _convert),
        (verify, _verify),
        (listing, _list),
    ):
        action.add_argument(
            "--model", choices=MODELS, default=MODELS[0], help="whose weights (default: %(default)s)"
        )
        action.add_argument(
            "folder",
            metavar="DIR",
            type=Path,
            nargs="?",
            help=f"of the weights (default: {default_folder()}, {default_body_folder()} for bodies)",
        )
        action.set_defaults(
            run=run, run_action=run_action, left_behind="what is complete stays: run it again to go on"
        )


def run(arguments: argparse.Namespace) -> None:
    """Do the action.

    Raises:
        InputError: the weights, the hub or the folder cannot be used.
    """
    require_networks()
    from sam3d_ros.models.body.checkpoints import BodyCheckpointError
    from sam3d_ros.models.body.rig_files import RigError
    from sam3d_ros.models.objects.checkpoints import CheckpointError

    is_body = arguments.model != MODELS[0]
    default = default_body_folder() if is_body else default_folder()
    arguments.folder = (arguments.folder or default).expanduser()
    try:
        if is_body:
            body_checkpoints.ACTIONS[arguments.action](arguments)
        else:
            arguments.run_action(arguments)
    except (CheckpointError, BodyCheckpointError, RigError) as error:
        raise InputError(str(error)) from error
    except OSError as error:
        where = error.filename or arguments.folder
        raise InputError(
            f"{where} cannot be used ({error.strerror or error}): free it or give another DIR"
        ) from error


def _download(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.objects.hub import download

    folder = arguments.folder
    download(folder, optional=not arguments.without_gaussians, endpoint=arguments.endpoint)
    print(
        f"the official files are in {folder / 'checkpoints'}: now run `sam3d-ros checkpoints convert {folder}`"
    )


def _convert(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.objects.conversion import convert
    from sam3d_ros.models.objects.parts import ObjectsConfig

    config = ObjectsConfig.tiny() if arguments.size == "tiny" else ObjectsConfig.released()
    existing(arguments.folder)
    for option in ("rig", "config"):
        if getattr(arguments, option) is not None:
            raise InputError(f"--{option} is for bodies: give --model {MODELS[1]} or leave it out")
    with ProgressLine(1) as line:
        manifest = convert(
            arguments.folder,
            config=config,
            dtype=arguments.dtype or "bfloat16",
            any_version=arguments.any_version,
            progress=lambda name, share: line.update(0, share, name),
        )
    size = sum(entry.size for entry in manifest.entries.values())
    print(f"{len(manifest.entries)} networks in {manifest.dtype}, {size / 1e9:.2f} GB, in {arguments.folder}")


def _verify(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.objects.checkpoints import verify

    with ProgressLine(1) as line:
        findings = verify(arguments.folder, lambda name, share: line.update(0, share, name))
    report_faults(
        {finding.file: finding.fault for finding in findings},
        f"sam3d-ros checkpoints convert {arguments.folder}",
    )


def _list(arguments: argparse.Namespace) -> None:
    from sam3d_ros.models.objects.conversion import states

    existing(arguments.folder)
    print_states(
        (state.name, "yes" if state.required else "for Gaussians", state.present, state.converted)
        for state in states(arguments.folder)
    )
