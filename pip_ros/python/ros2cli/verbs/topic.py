"""``ros2 topic``: look at topics, and publish on them."""

from __future__ import annotations

import argparse
from typing import Any

from rclpy.node import Node

from ros2cli.command import CommandError, add_subcommands
from ros2cli.graph_node import appears, full_name, graph_node, settled, topics
from ros2cli.verbs import topic_bw, topic_delay, topic_echo, topic_hz, topic_pub

#: The verbs that are large enough for a file of their own.
_MODULES: dict[str, Any] = {
    "bw": topic_bw,
    "delay": topic_delay,
    "echo": topic_echo,
    "hz": topic_hz,
    "pub": topic_pub,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available topics")
    listing.add_argument("-t", "--show-types", action="store_true", help="Additionally show the topic type")
    listing.add_argument("-c", "--count-topics", action="store_true", help="Only display the number")
    listing.add_argument(
        "--include-hidden-topics", action="store_true", help="Consider hidden topics as well"
    )
    listing.add_argument("--spin-time", type=float, help="Spin time in seconds to wait for discovery")
    listing.set_defaults(verb=_list)
    info = verbs.add_parser("info", help="Print information about a topic")
    info.add_argument("topic_name", help="Name of the topic, e.g. '/chatter'")
    info.add_argument(
        "-v", "--verbose", action="store_true", help="Print nodes and quality of service as well"
    )
    info.set_defaults(verb=_info)
    kind = verbs.add_parser("type", help="Print a topic's type")
    kind.add_argument("topic_name", help="Name of the topic, e.g. '/chatter'")
    kind.set_defaults(verb=_type)
    for name, verb in _MODULES.items():
        added = verbs.add_parser(name, help=verb.HELP)
        verb.add_arguments(added)
        added.set_defaults(verb=verb.main)


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("topic_list") as node:
        found = settled(
            node, lambda: topics(node, hidden=arguments.include_hidden_topics), arguments.spin_time
        )
    if arguments.count_topics:
        print(len(found))
        return 0
    for name, types in found:
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def _types_of(node: Node, name: str) -> list[str]:
    return dict(topics(node, hidden=True)).get(name, [])


def _type(arguments: argparse.Namespace) -> int:
    with graph_node("topic_type") as node:
        name = full_name(node, arguments.topic_name)
        types = appears(node, lambda: _types_of(node, name))
    for each in types:
        print(each)
    return 0 if types else 1


def _info(arguments: argparse.Namespace) -> int:
    with graph_node("topic_info") as node:
        name = full_name(node, arguments.topic_name)
        types = appears(node, lambda: _types_of(node, name))
        if not types:
            raise CommandError(f"Unknown topic '{name}'")
        publishers, subscriptions = settled(
            node,
            lambda: (node.get_publishers_info_by_topic(name), node.get_subscriptions_info_by_topic(name)),
            None,
        )
    gap = "\n" if arguments.verbose else ""
    print(f"Type: {types[0] if len(types) == 1 else types}{gap}")
    for title, endpoints in (("Publisher", publishers), ("Subscription", subscriptions)):
        print(f"{title} count: {len(endpoints)}{gap}")
        if arguments.verbose:
            for endpoint in endpoints:
                print(f"{endpoint}\n")
    return 0
