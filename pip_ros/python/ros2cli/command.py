"""What the commands have in common."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot do what it is asked to; the message is for the user."""
