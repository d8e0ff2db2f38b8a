"""Settings of a node: a frozen dataclass whose fields are dataclasses, each a group of parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from rclpy.node import Node

from sam3d_ros.ros.parameters import declare, names, values, with_values

S = TypeVar("S")

#: Groups whose parameters carry the name of the group; those of all others stand side by side.
_PREFIXED = ("assembler", "body", "geometric")


def groups_of(settings: Any) -> list[tuple[Any, str]]:
    """The dataclasses with the prefix of their parameters."""
    return [(getattr(settings, f.name), _prefix(f.name)) for f in fields(settings)]


def with_changes(settings: S, changes: Mapping[str, Any]) -> S:
    """A copy with some parameters changed, by their full names; names of no parameter are passed over.

    Raises:
        FaultError: invalid_parameter: a value is refused.
    """
    changed = {
        f.name: with_values(getattr(settings, f.name), changes, _prefix(f.name))
        for f in fields(settings)  # type: ignore[arg-type]
    }
    return replace(settings, **changed)  # type: ignore[type-var]


def declare_groups(node: Node, defaults: S) -> S:
    """Declare every parameter on a node; the values that it was started with.

    Raises:
        FaultError: invalid_parameter: a value is refused.
    """
    declared = {
        f.name: declare(node, getattr(defaults, f.name), _prefix(f.name))
        for f in fields(defaults)  # type: ignore[arg-type]
    }
    return replace(defaults, **declared)  # type: ignore[type-var]


def names_of(settings: Any, groups: Collection[str]) -> list[str]:
    """The full names of all parameters of some groups."""
    return [name for group in groups for name in names(getattr(settings, group), _prefix(group))]


def current_values(settings: Any) -> dict[str, Any]:
    """Full name -> value of every parameter, as ROS has it."""
    found: dict[str, Any] = {}
    for group, prefix in groups_of(settings):
        found |= values(group, prefix)
    return found


def _prefix(group: str) -> str:
    return f"{group}." if group in _PREFIXED else ""
