"""``ros2 action``: send goals to action servers."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from ros2cli.command import CommandError, add_subcommands
from ros2cli.graph_node import answer, full_name, graph_node
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
    send = verbs.add_parser("send_goal", help="Send an action goal")
    send.add_argument("action_name", help="Name of the action")
    send.add_argument("action_type", help="Type of the action, e.g. 'example_interfaces/action/Fibonacci'")
    send.add_argument("goal", help="Goal in YAML")
    send.add_argument("-f", "--feedback", action="store_true", help="Echo feedback messages for the goal")
    send.set_defaults(verb=_send_goal)


def main(arguments: argparse.Namespace) -> int:
    """Run the verb."""
    return int(arguments.verb(arguments))


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
