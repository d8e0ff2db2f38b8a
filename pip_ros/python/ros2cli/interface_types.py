"""Types of messages, services and actions by name."""

from __future__ import annotations

import importlib
from typing import Any

from ros2cli.command import CommandError


def interface_type(name: str, kind: str) -> Any:
    """Return the class of an interface; CommandError where there is none.

    Args:
        name: e.g. ``std_msgs/msg/String``; the part in the middle may be missing.
        kind: ``msg``, ``srv`` or ``action``.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) != 3 or parts[1] != kind or not all(parts):
        raise CommandError(f"The passed {kind} type is invalid: '{name}', expected 'package/{kind}/Name'")
    package, _, interface = parts
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), interface)
    except (ModuleNotFoundError, AttributeError) as error:
        raise CommandError(f"The {kind} type '{name}' was not found: is its package installed?") from error
