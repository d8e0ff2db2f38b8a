"""The command `sam3d-ros VERB`: what can be done without ROS, from files to files."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from sam3d_ros import __version__
from sam3d_ros.cli import benchmark, checkpoints, evidence, reconstruct
from sam3d_ros.cli.errors import InputError

#: Exit codes: bad input, and the shell's 128 + SIGINT.
BAD_INPUT, INTERRUPTED = 2, 130


class Interrupted(BaseException):
    """Somebody ended the command.

    Not KeyboardInterrupt: where that passes through Python code that a C library runs (Open3D does, while it is
    imported), the interpreter ends itself by SIGINT after all, also when the exception is handled further up.
    """


class _OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _OneLineParser(
        prog="sam3d-ros",
        description="Object meshes with metric poses from images, instance masks and depth or LiDAR.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_OneLineParser)
    for verb in (reconstruct, evidence, checkpoints, benchmark):
        verb.add_verb(verbs)
    parser.set_defaults(left_behind="nothing was written")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the words after the program's name; those of the process if left out.

    Returns:
        0 when done, 2 for bad input (after a line on stderr for each fault that says what is wrong and what to do), 130
        when interrupted.
    """
    arguments = make_parser().parse_args(argv)
    # Both unwind, so that nothing half-written stays behind.
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        arguments.run(arguments)
    except InputError as error:
        for line in str(error).splitlines():
            print(f"sam3d-ros {arguments.verb}: {line}", file=sys.stderr)
        return BAD_INPUT
    except Interrupted:
        print(f"sam3d-ros {arguments.verb}: interrupted, {arguments.left_behind}", file=sys.stderr)
        return INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
