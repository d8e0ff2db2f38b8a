"""``ros2 topic echo``: print the messages of a topic."""

from __future__ import annotations

import argparse
import time
from typing import Any

import rclpy
from rclpy.node import Node

from ros2cli.command import CommandError
from ros2cli.graph_node import appears, full_name, graph_node, topics
from ros2cli.interface_types import interface_type
from ros2cli.message_text import TextOptions, field_of, message_to_csv, message_to_yaml
from ros2cli.quality_of_service import adapted_qos, add_qos_arguments, chosen_qos

HELP = "Output messages from a topic"

_TRUNCATE_LENGTH = 128
_SPIN_PERIOD = 0.1  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("topic_name", help="Name of the topic to get messages from, e.g. '/chatter'")
    parser.add_argument("message_type", nargs="?", help="Type of the topic, e.g. 'std_msgs/msg/String'")
    add_qos_arguments(parser)
    parser.add_argument("--csv", action="store_true", help="Output all fields separated by commas")
    parser.add_argument("--field", help="Echo only this field, e.g. 'pose.position'")
    parser.add_argument("-f", "--full-length", action="store_true", help="Output everything, cut nothing")
    parser.add_argument(
        "-l",
        "--truncate-length",
        type=int,
        default=_TRUNCATE_LENGTH,
        help=f"Length to cut arrays and strings to (default: {_TRUNCATE_LENGTH})",
    )
    parser.add_argument("--no-arr", action="store_true", help="Don't print array fields of messages")
    parser.add_argument("--no-str", action="store_true", help="Don't print string fields of messages")
    parser.add_argument("--flow-style", action="store_true", help="Print collections in one line")
    parser.add_argument("--once", action="store_true", help="Print the first message received and then exit")
    parser.add_argument("--timeout", type=float, help="Stop after this time in seconds")
    parser.add_argument("--spin-time", type=float, help="Time in seconds to wait for the topic")


def main(arguments: argparse.Namespace) -> int:
    """Print messages until interrupted."""
    options = TextOptions(
        truncate_length=None if arguments.full_length else arguments.truncate_length,
        no_arr=arguments.no_arr,
        no_str=arguments.no_str,
        flow_style=arguments.flow_style,
    )
    received = 0
    failure: CommandError | None = None

    def print_message(message: Any) -> None:
        nonlocal received, failure
        if arguments.once and received:
            return
        received += 1
        try:
            value = message if arguments.field is None else field_of(message, arguments.field)
        except CommandError as error:
            failure = error
            return
        if arguments.csv:
            print(message_to_csv(value, options), flush=True)
        else:
            print(f"{message_to_yaml(value, options)}---", flush=True)

    with graph_node("topic_echo") as node:
        topic = full_name(node, arguments.topic_name)
        message_type = _message_type(node, topic, arguments)
        qos = chosen_qos(arguments)
        if qos is None:
            qos = adapted_qos(node, topic)
        node.create_subscription(message_type, topic, print_message, qos)
        begin = time.monotonic()
        while failure is None and not (arguments.once and received):
            if arguments.timeout is not None and time.monotonic() - begin >= arguments.timeout:
                break
            rclpy.spin_once(node, timeout_sec=_SPIN_PERIOD)
    if failure is not None:
        raise failure
    return 0


def _message_type(node: Node, topic: str, arguments: argparse.Namespace) -> Any:
    """Return the class of the messages; without a given type, wait for a publisher that tells it."""
    if arguments.message_type is not None:
        appears(
            node, lambda: node.get_publishers_info_by_topic(topic), timeout=1.0
        )  # its offers decide the QoS
        return interface_type(arguments.message_type, "msg")
    types = appears(node, lambda: dict(topics(node, hidden=True)).get(topic), arguments.spin_time)
    if not types:
        print(f"WARNING: topic [{topic}] does not appear to be published yet")
        raise CommandError("Could not determine the type for the passed topic")
    if len(types) > 1:
        raise CommandError(
            f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(types)}]"
        )
    appears(node, lambda: node.get_publishers_info_by_topic(topic), timeout=1.0)
    return interface_type(types[0], "msg")
