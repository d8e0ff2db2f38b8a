"""``ros2 param``: look at and change parameters."""

from __future__ import annotations

import argparse
from typing import Any

from rcl_interfaces.msg import Parameter, ParameterType
from rclpy.node import Node
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from ros2cli.command import CommandError, add_subcommands
from ros2cli.graph_node import answer, graph_node, node_names, require_node, settled

_SERVICE_TIMEOUT = 5.0  # seconds
_LABELS = {
    ParameterType.PARAMETER_BOOL: "Boolean value is:",
    ParameterType.PARAMETER_INTEGER: "Integer value is:",
    ParameterType.PARAMETER_DOUBLE: "Double value is:",
    ParameterType.PARAMETER_STRING: "String value is:",
    ParameterType.PARAMETER_BYTE_ARRAY: "Byte values are:",
    ParameterType.PARAMETER_BOOL_ARRAY: "Boolean values are:",
    ParameterType.PARAMETER_INTEGER_ARRAY: "Integer values are:",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "Double values are:",
    ParameterType.PARAMETER_STRING_ARRAY: "String values are:",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available parameters")
    listing.add_argument("node_name", nargs="?", help="Name of the node; default: all nodes")
    listing.set_defaults(verb=_list)
    get = verbs.add_parser("get", help="Get parameter")
    get.add_argument("node_name", help="Name of the node")
    get.add_argument("parameter_name", help="Name of the parameter")
    get.add_argument("--hide-type", action="store_true", help="Hide the type information")
    get.set_defaults(verb=_get)
    change = verbs.add_parser("set", help="Set parameter")
    change.add_argument("node_name", help="Name of the node")
    change.add_argument("parameter_name", help="Name of the parameter")
    change.add_argument("value", help="Value of the parameter")
    change.set_defaults(verb=_set)


def main(arguments: argparse.Namespace) -> int:
    """Run the verb."""
    return int(arguments.verb(arguments))


def _client(node: Node, name: str) -> AsyncParameterClient:
    client = AsyncParameterClient(node, name)
    if not client.wait_for_services(timeout_sec=_SERVICE_TIMEOUT):
        raise CommandError(f"The parameter services of node '{name}' are not available")
    return client


def _names(node: Node, name: str) -> list[str]:
    return sorted(answer(node, _client(node, name).list_parameters, repeat=True).result.names)


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("param_list") as node:
        if arguments.node_name is not None:
            for name in _names(node, require_node(node, arguments.node_name)):
                print(f"  {name}")
            return 0
        for each in settled(node, lambda: node_names(node), None):
            print(f"{each}:")
            for name in _names(node, each):
                print(f"  {name}")
    return 0


def _get(arguments: argparse.Namespace) -> int:
    with graph_node("param_get") as node:
        client = _client(node, require_node(node, arguments.node_name))
        names = [arguments.parameter_name]
        values = answer(node, lambda: client.get_parameters(names), repeat=True).values
    if not values or values[0].type == ParameterType.PARAMETER_NOT_SET:
        raise CommandError("Parameter not set")
    plain: Any = parameter_value_to_python(values[0])
    print(plain if arguments.hide_type else f"{_LABELS[values[0].type]} {plain}")
    return 0


def _set(arguments: argparse.Namespace) -> int:
    value = get_parameter_value(arguments.value)
    with graph_node("param_set") as node:
        client = _client(node, require_node(node, arguments.node_name))
        parameter = Parameter(name=arguments.parameter_name, value=value)
        (result,) = answer(node, lambda: client.set_parameters([parameter]), repeat=True).results
    if not result.successful:
        raise CommandError("Setting parameter failed" + (f": {result.reason}" if result.reason else ""))
    print("Set parameter successful" + (f": {result.reason}" if result.reason else ""))
    return 0
