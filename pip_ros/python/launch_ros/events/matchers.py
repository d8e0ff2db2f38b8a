"""Predicates that choose nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch_ros.actions.node import Node


def matches_node_name(node_name: str) -> Callable[[Node], bool]:
    """Return the predicate that accepts the node of this full name; one without ``/`` is in the root."""
    full_name = node_name if node_name.startswith("/") else f"/{node_name}"
    return lambda action: action.node_name == full_name
