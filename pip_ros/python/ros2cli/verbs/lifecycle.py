"""``ros2 lifecycle``: look at and change the states of lifecycle nodes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rclpy.node import Node

from ros2cli.command import CommandError, add_subcommands
from ros2cli.graph_node import answer, appears, graph_node, require_node, services, settled

_GET_STATE_TYPE = "lifecycle_msgs/srv/GetState"
_DISCOVERY_TIMEOUT = 5.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    nodes = verbs.add_parser("nodes", help="Output a list of nodes with lifecycle")
    nodes.set_defaults(verb=_nodes)
    get = verbs.add_parser("get", help="Get lifecycle state for one or more nodes")
    get.add_argument("node_name", nargs="?", help="Name of the node; default: all lifecycle nodes")
    get.set_defaults(verb=_get)
    change = verbs.add_parser("set", help="Trigger lifecycle state transition")
    change.add_argument("node_name", help="Name of the node")
    change.add_argument("transition", help="Label or number of the transition")
    change.set_defaults(verb=_set)


def _lifecycle_nodes(node: Node) -> list[str]:
    def seen() -> list[str]:
        return [
            name.removesuffix("/get_state")
            for name, types in services(node)
            if name.endswith("/get_state") and _GET_STATE_TYPE in types
        ]

    # Services are discovered after the nodes that have them: that nodes have settled says nothing about these.
    appears(node, seen, _DISCOVERY_TIMEOUT)
    return list(settled(node, seen, None))


def _call(node: Node, service_type: Any, name: str, request: Any, *, repeat: bool = True) -> Any:
    client = node.create_client(service_type, name)
    if not appears(node, client.service_is_ready):
        raise CommandError("Node not found")
    return answer(node, lambda: client.call_async(request), repeat=repeat)


def _state(node: Node, name: str) -> str:
    state = _call(node, GetState, f"{name}/get_state", GetState.Request()).current_state
    return f"{state.label} [{state.id}]"


def _nodes(arguments: argparse.Namespace) -> int:
    with graph_node("lifecycle_nodes") as node:
        for name in _lifecycle_nodes(node):
            print(name)
    return 0


def _get(arguments: argparse.Namespace) -> int:
    with graph_node("lifecycle_get") as node:
        if arguments.node_name is not None:
            print(_state(node, require_node(node, arguments.node_name)))
            return 0
        failed = False
        for name in _lifecycle_nodes(node):
            try:
                print(f"{name}: {_state(node, name)}")
            except CommandError as error:  # one that is gone or busy must not hide the others
                print(f"{name}: {error}", file=sys.stderr)
                failed = True
    return int(failed)


def _set(arguments: argparse.Namespace) -> int:
    with graph_node("lifecycle_set") as node:
        name = require_node(node, arguments.node_name)
        response = _call(
            node,
            GetAvailableTransitions,
            f"{name}/get_available_transitions",
            GetAvailableTransitions.Request(),
        )
        available = [description.transition for description in response.available_transitions]
        wanted = [each for each in available if arguments.transition in (each.label, str(each.id))]
        if not wanted:
            names = "".join(f"\n- {each.label} [{each.id}]" for each in available)
            raise CommandError(f"Unknown transition requested, available ones are:{names}")
        request = ChangeState.Request(transition=wanted[0])
        if not _call(node, ChangeState, f"{name}/change_state", request, repeat=False).success:
            raise CommandError("Transitioning failed")
    print("Transitioning successful")
    return 0
