"""``ros2 node``: look at nodes."""

from __future__ import annotations

import argparse

from rclpy.action.graph import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node

from ros2cli.command import add_subcommands
from ros2cli.graph_node import graph_node, node_names, require_node, settled, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available nodes")
    listing.add_argument("-a", "--all", action="store_true", help="Display all nodes even hidden ones")
    listing.add_argument("-c", "--count-nodes", action="store_true", help="Only display the number of nodes")
    listing.add_argument("--spin-time", type=float, help="Spin time in seconds to wait for discovery")
    listing.set_defaults(verb=_list)
    info = verbs.add_parser("info", help="Output information about a node")
    info.add_argument("node_name", help="Name of the node")
    info.add_argument("--include-hidden", action="store_true", help="Display hidden names as well")
    info.set_defaults(verb=_info)


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("node_list") as node:
        names = settled(node, lambda: node_names(node, hidden=arguments.all), arguments.spin_time)
    if arguments.count_nodes:
        print(len(names))
        return 0
    for name in names:
        print(name)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    with graph_node("node_info") as node:
        name = require_node(node, arguments.node_name)
        found = settled(node, lambda: _endpoints(node, name, hidden=arguments.include_hidden), None)
    print(name)
    for title, endpoints in found.items():
        print(f"  {title}:")
        for topic, types in endpoints:
            print(f"    {topic}: {', '.join(types)}")
    return 0


def _endpoints(node: Node, name: str, *, hidden: bool) -> dict[str, list[tuple[str, list[str]]]]:
    """Return what a node has, by what it is: names with types."""
    namespace, _, base = name.rpartition("/")
    of = (base, namespace or "/")
    found = {
        "Subscribers": node.get_subscriber_names_and_types_by_node(*of),
        "Publishers": node.get_publisher_names_and_types_by_node(*of),
        "Service Servers": node.get_service_names_and_types_by_node(*of),
        "Service Clients": node.get_client_names_and_types_by_node(*of),
        "Action Servers": get_action_server_names_and_types_by_node(node, *of),
        "Action Clients": get_action_client_names_and_types_by_node(node, *of),
    }
    return {title: visible(endpoints, hidden=hidden) for title, endpoints in found.items()}
