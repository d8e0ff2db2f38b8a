"""``ros2 pkg``: look at packages."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_packages_with_prefixes,
)

from ros2cli.command import CommandError, add_subcommands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available packages")
    listing.set_defaults(verb=_list)
    prefix = verbs.add_parser("prefix", help="Output the prefix path of a package")
    prefix.add_argument("package_name", help="Name of the package")
    prefix.add_argument("--share", action="store_true", help="Show share directory for the package")
    prefix.set_defaults(verb=_prefix)
    executables = verbs.add_parser("executables", help="Output a list of package specific executables")
    executables.add_argument("package_name", nargs="?", help="Name of the package; default: all packages")
    executables.add_argument("--full-path", action="store_true", help="Show the full path of each executable")
    executables.set_defaults(verb=_executables)


def executables_of(package_name: str, name: str = "*") -> list[Path]:
    """Return the paths of what ``ros2 run`` can run of a package; CommandError where there is no such package."""
    folder = Path(_found(get_package_prefix, package_name), "lib", package_name)
    return sorted(path for path in folder.rglob(name) if path.is_file() and os.access(path, os.X_OK))


def _found(path_of: Callable[[str], str], package_name: str) -> str:
    try:
        return path_of(package_name)
    except (PackageNotFoundError, ValueError) as error:
        raise CommandError(f"Package '{package_name}' not found") from error


def _list(_arguments: argparse.Namespace) -> int:
    for name in sorted(get_packages_with_prefixes()):
        print(name)
    return 0


def _prefix(arguments: argparse.Namespace) -> int:
    print(
        _found(get_package_share_directory if arguments.share else get_package_prefix, arguments.package_name)
    )
    return 0


def _executables(arguments: argparse.Namespace) -> int:
    names = [arguments.package_name] if arguments.package_name else sorted(get_packages_with_prefixes())
    for name in names:
        for path in executables_of(name):
            print(path if arguments.full_path else f"{name} {path.name}")
    return 0
