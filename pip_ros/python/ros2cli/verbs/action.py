"""``ros2 action``: look at actions, and send goals to their servers."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy._rclpy_pybind11 import NodeNameNonExistentError
from rclpy.action import ActionClient
from rclpy.action.graph import (
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node

from ros2cli.command import CommandError, add_subcommands
from ros2cli.graph_node import answer, appears, full_name, graph_node, node_names, settled
from ros2cli.interface_types import interface_type
from ros2cli.message_text import TextOptions, message_from_yaml, message_to_yaml

_STATUS = {
    GoalStatus.STATUS_SUCCEEDED: "SUCCEEDED",
    GoalStatus.STATUS_CANCELED: "CANCELED",
    GoalStatus.STATUS_ABORTED: "ABORTED",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of action names")
    listing.add_argument("-t", "--show-types", action="store_true", help="Additionally show the action type")
    listing.set_defaults(verb=_list)
    info = verbs.add_parser("info", help="Print information about an action")
    info.add_argument("action_name", help="Name of the action")
    info.add_argument("-t", "--show-types", action="store_true", help="Additionally show the action type")
    info.set_defaults(verb=_info)
    send = verbs.add_parser("send_goal", help="Send an action goal")
    send.add_argument("action_name", help="Name of the action")
    send.add_argument("action_type", help="Type of the action, e.g. 'example_interfaces/action/Fibonacci'")
    send.add_argument("goal", help="Goal in YAML")
    send.add_argument("-f", "--feedback", action="store_true", help="Echo feedback messages for the goal")
    send.set_defaults(verb=_send_goal)


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("action_list") as node:
        found = settled(node, lambda: get_action_names_and_types(node), None)
    for name, types in sorted(found):
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    with graph_node("action_info") as node:
        name = full_name(node, arguments.action_name)
        if not appears(node, lambda: dict(get_action_names_and_types(node)).get(name)):
            raise CommandError(f"Unknown action '{name}'")
        clients, servers = settled(
            node,
            lambda: (
                _nodes_with(node, name, get_action_client_names_and_types_by_node),
                _nodes_with(node, name, get_action_server_names_and_types_by_node),
            ),
            None,
        )
    print(f"Action: {name}")
    for title, nodes in (("clients", clients), ("servers", servers)):
        print(f"Action {title}: {len(nodes)}")
        for each, types in nodes:
            print(f"    {each} [{', '.join(types)}]" if arguments.show_types else f"    {each}")
    return 0


def _nodes_with(node: Node, action: str, actions_of: Any) -> list[tuple[str, list[str]]]:
    """Return the nodes that have an end of an action, with the types that they know it by."""
    found = []
    for full in node_names(node, hidden=True):
        namespace, _, name = full.rpartition("/")
        try:
            types = dict(actions_of(node, name, namespace or "/")).get(action)
        except NodeNameNonExistentError:
            continue  # gone since it was listed
        if types:
            found.append((full, types))
    return found


def _indented(message: Any) -> str:
    return textwrap.indent(message_to_yaml(message, TextOptions()), "    ")


def _send_goal(arguments: argparse.Namespace) -> int:
    action_type = interface_type(arguments.action_type, "action")
    goal = message_from_yaml(action_type.Goal, arguments.goal)
    with graph_node("send_goal") as node:
        client = ActionClient(node, action_type, full_name(node, arguments.action_name))
        print("Waiting for an action server to become available...", flush=True)
        client.wait_for_server()
        print(f"Sending goal:\n {_indented(goal)}", flush=True)

        def print_feedback(message: Any) -> None:
            print(f"Feedback:\n{_indented(message.feedback)}", flush=True)

        callback = print_feedback if arguments.feedback else None
        handle = answer(node, lambda: client.send_goal_async(goal, callback))
        if not handle.accepted:
            raise CommandError("Goal was rejected.")
        print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n", flush=True)
        response = answer(node, handle.get_result_async)
        print(f"Result:\n{_indented(response.result)}", flush=True)
        print(f"Goal finished with status: {_STATUS.get(response.status, response.status)}")
        client.destroy()
    return 0
