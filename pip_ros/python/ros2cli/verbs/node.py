"""``ros2 node``: look at nodes."""

from __future__ import annotations

import argparse

from ros2cli.command import add_subcommands
from ros2cli.graph_node import graph_node, node_names, settled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available nodes")
    listing.add_argument("-a", "--all", action="store_true", help="Display all nodes even hidden ones")
    listing.add_argument("-c", "--count-nodes", action="store_true", help="Only display the number of nodes")
    listing.add_argument("--spin-time", type=float, help="Spin time in seconds to wait for discovery")
    listing.set_defaults(verb=_list)


def main(arguments: argparse.Namespace) -> int:
    """Run the verb."""
    return int(arguments.verb(arguments))


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("node_list") as node:
        names = settled(node, lambda: node_names(node, hidden=arguments.all), arguments.spin_time)
    if arguments.count_nodes:
        print(len(names))
        return 0
    for name in names:
        print(name)
    return 0
