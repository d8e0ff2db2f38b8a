"""What the commands have in common."""

from __future__ import annotations

import argparse
from typing import Any


class CommandError(Exception):
    """A command cannot do what it is asked to; the message is for the user."""


def add_subcommands(parser: argparse.ArgumentParser) -> Any:
    """Return what the verbs of a command are added to; one of them must be given, and its default `verb` is run."""
    parser.set_defaults(main=lambda arguments: arguments.verb(arguments))
    return parser.add_subparsers(title="Commands", metavar="VERB", dest="verb_name", required=True)
