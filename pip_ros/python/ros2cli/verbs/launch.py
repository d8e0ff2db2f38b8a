"""``ros2 launch``: run a launch file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    AnyLaunchDescriptionSource,
    InvalidPythonLaunchFileError,
    get_launch_description_from_python_launch_file,
)

from ros2cli.command import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.set_defaults(main=main)
    parser.add_argument(
        "-n",
        "--noninteractive",
        action="store_true",
        help="Run the launch system non-interactively, with no terminal associated",
    )
    parser.add_argument("-d", "--debug", action="store_true", help="Put the launch system in debug mode")
    parser.add_argument(
        "-p", "--print", "--print-description", action="store_true", help="Print the launch description"
    )
    parser.add_argument(
        "-s", "--show-args", "--show-arguments", action="store_true", help="Show the launch file's arguments"
    )
    parser.add_argument("--launch-prefix", help="Prefix command of all executables, e.g. gdb -ex run --args")
    parser.add_argument("package_name", help="Name of the package that has the launch file, or its path")
    parser.add_argument("launch_file_name", nargs="?", help="Name of the launch file")
    parser.add_argument(
        "launch_arguments", nargs="*", help="Arguments of the launch file; '<name>:=<value>' each"
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the launch file; return the exit code of the launch service."""
    path, pairs = _path_and_arguments(arguments)
    launch_arguments = [_parse_argument(pair) for pair in pairs]
    try:
        if arguments.show_args or arguments.print:
            description = get_launch_description_from_python_launch_file(str(path))
            if arguments.show_args:
                print_arguments(description)
            else:
                print_description(description)
            return 0
        return launch_a_launch_file(path, launch_arguments, arguments)
    except InvalidPythonLaunchFileError as error:
        raise CommandError(str(error)) from error


def launch_a_launch_file(
    path: Path, launch_arguments: list[tuple[str, str]], arguments: argparse.Namespace
) -> int:
    """Run the launch file; return the exit code of the launch service."""
    if arguments.launch_prefix is not None:
        launch_arguments = [*launch_arguments, ("launch-prefix", arguments.launch_prefix)]
    service = LaunchService(
        argv=[f"{name}:={value}" for name, value in launch_arguments],
        noninteractive=arguments.noninteractive,
        debug=arguments.debug,
    )
    service.include_launch_description(
        LaunchDescription(
            [
                IncludeLaunchDescription(
                    AnyLaunchDescriptionSource(str(path)), launch_arguments=launch_arguments
                )
            ]
        )
    )
    return service.run()


def _path_and_arguments(arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the path of the launch file, and the launch arguments as they were typed."""
    given = Path(arguments.package_name)
    if given.is_file():
        pairs = list(arguments.launch_arguments)
        if arguments.launch_file_name is not None:
            pairs.insert(0, arguments.launch_file_name)
        return given.resolve(), pairs
    try:
        share = Path(get_package_share_directory(arguments.package_name))
    except PackageNotFoundError as error:
        raise CommandError(f"Package '{arguments.package_name}' not found: {error.args[0]}") from error
    except ValueError as error:
        raise CommandError(
            f"'{arguments.package_name}' is neither a launch file nor a package name"
        ) from error
    if arguments.launch_file_name is None:
        raise CommandError("ros2 launch: a launch file name is needed as well as the package name")
    # A development installation links folders of the checkout.
    folders = os.walk(share, followlinks=True)
    name = arguments.launch_file_name
    found = sorted(Path(folder) / name for folder, _, files in folders if name in files)
    if not found:
        raise CommandError(
            f"file '{arguments.launch_file_name}' was not found in the share directory of package "
            f"'{arguments.package_name}' which is at '{share}'"
        )
    if len(found) > 1:
        paths = ", ".join(map(str, found))
        raise CommandError(
            f"file '{arguments.launch_file_name}' was found more than once in the share directory of package "
            f"'{arguments.package_name}': [{paths}]"
        )
    return found[0], list(arguments.launch_arguments)


def _parse_argument(pair: str) -> tuple[str, str]:
    name, separator, value = pair.partition(":=")
    if not (separator and name):
        raise CommandError(f"malformed launch argument '{pair}', expected format '<name>:=<value>'")
    return name, value


def print_arguments(description: LaunchDescription) -> None:
    """Print the arguments that the description declares."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    arguments = description.get_launch_arguments()
    for argument in arguments:
        mark = "*" if argument._conditionally_included else ""
        print(f"\n    '{argument.name}':{mark}\n        {argument.description}")
        if argument.default_value is not None:
            default = " + ".join(part.describe() for part in argument.default_value)
            print(f"        (default: {default})")
    if not arguments:
        print("\n  No arguments.")
    elif any(argument._conditionally_included for argument in arguments):
        print("\n* argument(s) which are only used if specific conditions occur")


def print_description(entity: LaunchDescriptionEntity, indent: int = 0) -> None:
    """Print the entities of the description, those that a condition leads to after its words."""
    print(
        " " * indent + ("LaunchDescription" if isinstance(entity, LaunchDescription) else entity.describe())
    )
    for sub_entity in entity.describe_sub_entities():
        print_description(sub_entity, indent + 4)
    for words, sub_entities in entity.describe_conditional_sub_entities():
        print(" " * (indent + 4) + words)
        for sub_entity in sub_entities:
            print_description(sub_entity, indent + 8)
