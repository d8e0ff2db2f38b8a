"""The options that say how the networks run, for every verb that runs them."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from sam3d_ros.cli.errors import InputError
from sam3d_ros.reconstruction.network_config import DTYPES, MEMORY, NetworkConfig

_DEFAULTS = NetworkConfig()


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add --device, --dtype, --memory, --steps, --refinement-steps and --hypotheses."""
    group = parser.add_argument_group("how the networks run")
    group.add_argument(
        "--device",
        default=_DEFAULTS.device,
        help="auto (a GPU if there is one), cpu, cuda, cuda:1 (default: %(default)s)",
    )
    group.add_argument(
        "--dtype", choices=DTYPES, default=_DEFAULTS.dtype, help="of the weights (default: %(default)s)"
    )
    group.add_argument(
        "--memory",
        choices=MEMORY,
        default=_DEFAULTS.memory,
        help="where networks wait: on disk, in the host's memory or on the device (default: %(default)s)",
    )
    group.add_argument(
        "--steps",
        type=int,
        default=_DEFAULTS.steps,
        metavar="K",
        help="for shape and pose; 1 to 4 are distilled and ten times faster (default: %(default)s)",
    )
    group.add_argument(
        "--refinement-steps",
        type=int,
        default=_DEFAULTS.refinement_steps,
        metavar="K",
        help="for details and colours (default: %(default)s)",
    )
    group.add_argument(
        "--hypotheses",
        type=int,
        default=_DEFAULTS.hypotheses,
        metavar="K",
        help="poses drawn for each object (default: %(default)s)",
    )


def network_config(
    arguments: argparse.Namespace, *, checkpoint: Path | None = None, seed: int = 0
) -> NetworkConfig:
    """The options as parameters.

    Raises:
        InputError: a value is out of range.
    """
    try:
        return NetworkConfig(
            checkpoint="" if checkpoint is None else str(checkpoint),
            device=arguments.device,
            dtype=arguments.dtype,
            memory=arguments.memory,
            steps=arguments.steps,
            refinement_steps=arguments.refinement_steps,
            hypotheses=arguments.hypotheses,
            seed=seed,
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def require_networks() -> None:
    """Say in one line what is missing, before an import says it in twenty.

    Raises:
        InputError: PyTorch or safetensors is not installed.
    """
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} not installed: pip install {' '.join(missing)}")
