"""``ros2 topic pub``: publish messages."""

from __future__ import annotations

import argparse
import itertools
import time

import rclpy

from ros2cli.command import CommandError
from ros2cli.graph_node import full_name, graph_node
from ros2cli.interface_types import interface_type
from ros2cli.message_text import message_from_yaml
from ros2cli.quality_of_service import add_qos_arguments, chosen_qos

HELP = "Publish a message to a topic"

_DEFAULT_PROFILE = "default"
_SPIN_PERIOD = 0.1  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("topic_name", help="Name of the topic, e.g. '/chatter'")
    parser.add_argument("message_type", help="Type of the topic, e.g. 'std_msgs/msg/String'")
    parser.add_argument("values", nargs="?", default="{}", help="Values of the message in YAML")
    parser.add_argument(
        "-r", "--rate", type=float, default=1.0, help="Publishing rate in Hz (default: 1)", metavar="N"
    )
    parser.add_argument(
        "-p", "--print", type=int, default=1, help="Only print every N-th message", metavar="N"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("-1", "--once", action="store_true", help="Publish one message and exit")
    often.add_argument(
        "-t", "--times", type=int, default=0, help="Publish this number of times and then exit"
    )
    parser.add_argument(
        "-w",
        "--wait-matching-subscriptions",
        type=int,
        help="Wait until so many subscriptions match (default: 1 with --once and --times, else 0)",
        metavar="N",
    )
    parser.add_argument(
        "--keep-alive",
        type=float,
        default=0.1,
        help="Keep publishing node alive for N seconds after the last message (default: 0.1)",
        metavar="N",
    )
    add_qos_arguments(parser, _DEFAULT_PROFILE)


def main(arguments: argparse.Namespace) -> int:
    """Publish until interrupted, or so many times."""
    if arguments.rate <= 0.0 or arguments.print <= 0 or arguments.times < 0:
        raise CommandError("rate and print must be greater than zero, times must not be negative")
    message_type = interface_type(arguments.message_type, "msg")
    message = message_from_yaml(message_type, arguments.values)
    times = 1 if arguments.once else arguments.times
    wanted = arguments.wait_matching_subscriptions
    if wanted is None:
        wanted = 1 if times else 0
    with graph_node("topic_pub") as node:
        qos = chosen_qos(arguments, _DEFAULT_PROFILE) or 10
        publisher = node.create_publisher(message_type, full_name(node, arguments.topic_name), qos)
        if publisher.get_subscription_count() < wanted:
            print(f"Waiting for at least {wanted} matching subscription(s)...", flush=True)
        while publisher.get_subscription_count() < wanted:
            rclpy.spin_once(node, timeout_sec=_SPIN_PERIOD)
        begin = time.monotonic()
        for count in itertools.count(1):
            if (count - 1) % arguments.print == 0:
                print(f"publishing #{count}: {message!r}\n", flush=True)
            publisher.publish(message)
            if count == times:
                break
            _spin_until(node, begin + count / arguments.rate)
        _spin_until(node, time.monotonic() + arguments.keep_alive)
    return 0


def _spin_until(node: rclpy.node.Node, moment: float) -> None:
    """Spin, which notices signals, up to a moment of the monotonic clock."""
    while (left := moment - time.monotonic()) > 0.0:
        rclpy.spin_once(node, timeout_sec=min(left, _SPIN_PERIOD))
