"""`sam3d-ros benchmark objects|body`: what each stage of the networks takes on this machine, with random weights."""

from __future__ import annotations

import argparse
import platform
from typing import Any

from sam3d_ros.cli.checkpoints import SIZES
from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.network_options import add_network_options, network_config, require_networks
from sam3d_ros.reconstruction.body_config import BODY_MODES


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "benchmark",
        help="time, arithmetic and memory of the networks on this machine",
        description="Run the networks with random weights: no checkpoint is needed, and the arithmetic is the same.",
    )
    parser.add_argument("networks", metavar="NETWORKS", choices=("objects", "body"), help="objects or body")
    parser.add_argument("--size", choices=SIZES, default=SIZES[0], help="(default: %(default)s)")
    parser.add_argument(
        "--masks", type=int, default=1, metavar="N", help="objects in one image (default: %(default)s)"
    )
    parser.add_argument(
        "--voxels",
        type=int,
        default=27000,
        metavar="N",
        help="of each object at its surface, about (default: %(default)s)",
    )
    parser.add_argument(
        "--max-batch",
        type=int,
        default=4,
        metavar="N",
        help="objects that share stage 1, or people (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="timed calls after the first, which counts the arithmetic; 0 times that one (default: %(default)s)",
    )
    parser.add_argument(
        "--no-reuse", action="store_true", help="compute anew what does not change between steps"
    )
    parser.add_argument("--no-mesh", action="store_true", help="stop after pose and voxels")
    add_network_options(parser)
    group = parser.add_argument_group("body")
    group.add_argument(
        "--people", type=int, default=1, metavar="N", help="in one image (default: %(default)s)"
    )
    group.add_argument(
        "--mode",
        choices=BODY_MODES,
        default=BODY_MODES[0],
        help="full looks at hands from near, body does not (default: %(default)s)",
    )
    group.add_argument(
        "--encoder", choices=("dinov3", "vith"), default="dinov3", help="of images (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print a table.

    Raises:
        InputError: an option cannot be used, or the networks do not fit into memory.
    """
    for name, least in (("masks", 1), ("voxels", 1), ("max_batch", 1), ("repeats", 0), ("people", 1)):
        if getattr(arguments, name) < least:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is {getattr(arguments, name)}: give at least {least}")
    config = network_config(arguments)
    require_networks()
    from sam3d_ros.models.devices import chosen_device, is_out_of_memory
    from sam3d_ros.models.objects.benchmark import benchmark, table
    from sam3d_ros.models.objects.checkpoints import DTYPES
    from sam3d_ros.models.objects.part_store import Memory
    from sam3d_ros.models.objects.parts import ObjectsConfig
    from sam3d_ros.reconstruction.schedules import geometry_schedule, refinement_schedule

    try:
        device = chosen_device(config.device)
    except ValueError as error:
        raise InputError(str(error)) from error
    by_device = "bfloat16" if device.type == "cuda" else "float32"
    dtype = by_device if config.dtype == "auto" else config.dtype
    if arguments.networks == "body":
        _run_body(arguments, str(device), dtype)
        return
    try:
        figures = benchmark(
            ObjectsConfig.tiny() if arguments.size == "tiny" else ObjectsConfig.released(),
            device=device,
            dtype=DTYPES[dtype],
            memory=Memory(config.memory),
            masks=arguments.masks,
            max_batch=arguments.max_batch,
            geometry=geometry_schedule(config),
            refinement=refinement_schedule(config),
            voxels=arguments.voxels,
            hypotheses=config.hypotheses,
            outputs=() if arguments.no_mesh else ("mesh",),
            reuse=not arguments.no_reuse,
            repeats=arguments.repeats,
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            "out of memory: give --memory low, fewer --masks or a smaller --max-batch"
        ) from error
    print(
        f"{platform.node()}, {device} in {dtype}, {arguments.size} size, {arguments.masks} masks, "
        f"{config.steps} + {config.refinement_steps} steps, memory {config.memory}, "
        f"{'without' if arguments.no_reuse else 'with'} reuse"
    )
    print(table(figures))


def _run_body(arguments: argparse.Namespace, device: str, dtype: str) -> None:
    from sam3d_ros.models.body.benchmark import benchmark
    from sam3d_ros.models.body.config import BodyConfig
    from sam3d_ros.models.body.pipeline import Mode
    from sam3d_ros.models.devices import is_out_of_memory
    from sam3d_ros.models.objects.benchmark import table
    from sam3d_ros.models.objects.checkpoints import DTYPES

    sizes = BodyConfig.tiny if arguments.size == "tiny" else BodyConfig.released
    try:
        figures = benchmark(
            sizes(arguments.encoder),
            device=device,
            dtype=DTYPES[dtype],
            people=arguments.people,
            mode=Mode(arguments.mode),
            max_batch=arguments.max_batch,
            repeats=arguments.repeats,
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            "out of memory: give --mode body, fewer --people or a smaller --max-batch"
        ) from error
    print(
        f"{platform.node()}, {device} in {dtype}, {arguments.encoder} encoder, {arguments.size} size, "
        f"{arguments.people} people, mode {arguments.mode}"
    )
    print(table(figures))
