"""``ros2 COMMAND ...``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from ros2cli.command import CommandError
from ros2cli.verbs import launch, run

_COMMANDS = {
    "launch": launch,
    "run": run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        argv: the arguments; None: those of this process.
    """
    parser = argparse.ArgumentParser(
        prog="ros2", description="ros2 is an extensible command-line tool for ROS 2."
    )
    commands = parser.add_subparsers(title="Commands", metavar="COMMAND", dest="command")
    for name, module in _COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return int(arguments.main(arguments))
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return int(signal.SIGINT)
