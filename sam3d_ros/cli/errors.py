"""Errors of the command line that are the user's to mend."""

from __future__ import annotations


class InputError(Exception):
    """An argument or a file cannot be used; each line of the message says what is wrong, and what to do."""
