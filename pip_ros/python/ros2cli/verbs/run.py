"""``ros2 run``: run an executable of a package."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from ros2cli.command import CommandError
from ros2cli.verbs.pkg import executables_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.set_defaults(main=main)
    parser.add_argument("--prefix", help="Prefix command, e.g. gdb -ex run --args")
    parser.add_argument("package_name", help="Name of the package")
    parser.add_argument("executable_name", help="Name of the executable")
    parser.add_argument("argv", nargs=argparse.REMAINDER, help="Arguments of the executable")


def main(arguments: argparse.Namespace) -> int:
    """Become the executable: its signals and its exit code are then those of this process."""
    path = find_executable(arguments.package_name, arguments.executable_name)
    cmd = [*shlex.split(arguments.prefix or ""), str(path), *arguments.argv]
    os.execvp(cmd[0], cmd)


def find_executable(package_name: str, executable_name: str) -> Path:
    """Return the path of the executable in ``<prefix>/lib/<package>``; CommandError where there is none."""
    found = executables_of(package_name, executable_name)
    if not found:
        raise CommandError("No executable found")
    if len(found) > 1:
        raise CommandError("Multiple executables found:" + "".join(f"\n- {path}" for path in found))
    return found[0]
