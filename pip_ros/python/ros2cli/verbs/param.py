"""``ros2 param``: look at and change parameters."""

from __future__ import annotations

import argparse
import array
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from rcl_interfaces.msg import Parameter, ParameterType
from rclpy.node import Node
from rclpy.parameter import (
    get_parameter_value,
    parameter_dict_from_yaml_file,
    parameter_value_to_python,
)
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

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

_TYPES = {
    ParameterType.PARAMETER_NOT_SET: "not set",
    ParameterType.PARAMETER_BOOL: "boolean",
    ParameterType.PARAMETER_INTEGER: "integer",
    ParameterType.PARAMETER_DOUBLE: "double",
    ParameterType.PARAMETER_STRING: "string",
    ParameterType.PARAMETER_BYTE_ARRAY: "byte array",
    ParameterType.PARAMETER_BOOL_ARRAY: "boolean array",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer array",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double array",
    ParameterType.PARAMETER_STRING_ARRAY: "string array",
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
    describe = verbs.add_parser("describe", help="Show descriptive information about declared parameters")
    describe.add_argument("node_name", help="Name of the node")
    describe.add_argument("parameter_names", nargs="+", help="Names of the parameters")
    describe.set_defaults(verb=_describe)
    dump = verbs.add_parser("dump", help="Show all of the parameters of a node in a YAML file format")
    dump.add_argument("node_name", help="Name of the node")
    dump.set_defaults(verb=_dump)
    load = verbs.add_parser("load", help="Load parameter file for a node")
    load.add_argument("node_name", help="Name of the node")
    load.add_argument("parameter_file", help="Parameter file")
    load.add_argument("--no-use-wildcard", action="store_true", help="Do not load parameters of '/**'")
    load.set_defaults(verb=_load)
    change = verbs.add_parser("set", help="Set parameter")
    change.add_argument("node_name", help="Name of the node")
    change.add_argument("parameter_name", help="Name of the parameter")
    change.add_argument("value", help="Value of the parameter")
    change.set_defaults(verb=_set)


class _Parameters:
    """Those of another node, as its services tell them; CommandError where they do not answer."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self._node = node
        self._client = AsyncParameterClient(node, name)
        if not self._client.wait_for_services(timeout_sec=_SERVICE_TIMEOUT):
            raise CommandError(f"The parameter services of node '{name}' are not available")

    def ask(self, request: Callable[[AsyncParameterClient], Future]) -> Any:
        """Return the answer to a request."""
        return answer(self._node, lambda: request(self._client), repeat=True)

    def names(self) -> list[str]:
        """Return the names of all, sorted."""
        return sorted(self.ask(lambda client: client.list_parameters()).result.names)


@contextlib.contextmanager
def _parameters_of(arguments: argparse.Namespace) -> Iterator[_Parameters]:
    """Look at the parameters of the node that is named; CommandError where there is none."""
    with graph_node(f"param_{arguments.verb_name}") as node:
        yield _Parameters(node, require_node(node, arguments.node_name))


def _list(arguments: argparse.Namespace) -> int:
    if arguments.node_name is not None:
        with _parameters_of(arguments) as parameters:
            _print_names(parameters)
        return 0
    with graph_node("param_list") as node:
        for each in settled(node, lambda: node_names(node), None):
            print(f"{each}:")
            _print_names(_Parameters(node, each))
    return 0


def _print_names(parameters: _Parameters) -> None:
    for name in parameters.names():
        print(f"  {name}")


def _get(arguments: argparse.Namespace) -> int:
    with _parameters_of(arguments) as parameters:
        values = parameters.ask(lambda client: client.get_parameters([arguments.parameter_name])).values
    if not values or values[0].type == ParameterType.PARAMETER_NOT_SET:
        raise CommandError("Parameter not set")
    plain: Any = parameter_value_to_python(values[0])
    print(plain if arguments.hide_type else f"{_LABELS[values[0].type]} {plain}")
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    names = arguments.parameter_names
    with _parameters_of(arguments) as parameters:
        descriptors = parameters.ask(lambda client: client.describe_parameters(names)).descriptors
    if not descriptors:
        raise CommandError(f"One of the parameters {', '.join(names)} is not declared")
    for descriptor in descriptors:
        print(f"Parameter name: {descriptor.name}")
        print(f"  Type: {_TYPES[descriptor.type]}")
        if descriptor.description:
            print(f"  Description: {descriptor.description}")
        print("  Constraints:")
        if descriptor.read_only:
            print("    Read only: true")
        for bounds in (*descriptor.integer_range, *descriptor.floating_point_range):
            print(f"    Min value: {bounds.from_value}")
            print(f"    Max value: {bounds.to_value}")
            if bounds.step:
                print(f"    Step: {bounds.step}")
        if descriptor.additional_constraints:
            print(f"    Additional constraints: {descriptor.additional_constraints}")
    return 0


def _dump(arguments: argparse.Namespace) -> int:
    with _parameters_of(arguments) as parameters:
        names = parameters.names()
        values = parameters.ask(lambda client: client.get_parameters(names)).values
    tree: dict[str, Any] = {}
    for parameter, value in zip(names, values, strict=True):
        *groups, leaf = parameter.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        plain = parameter_value_to_python(value)
        branch[leaf] = list(plain) if isinstance(plain, array.array) else plain
    print(yaml.safe_dump({parameters.name: {"ros__parameters": tree}}, default_flow_style=False), end="")
    return 0


def _load(arguments: argparse.Namespace) -> int:
    with _parameters_of(arguments) as parameters:
        try:
            given = parameter_dict_from_yaml_file(
                arguments.parameter_file, not arguments.no_use_wildcard, target_nodes=[parameters.name]
            )
        except (OSError, RuntimeError, yaml.YAMLError) as error:
            raise CommandError(f"Cannot load '{arguments.parameter_file}': {error}") from error
        results = parameters.ask(lambda client: client.set_parameters(list(given.values()))).results
    failed = False
    for parameter, result in zip(given, results, strict=True):
        reason = f": {result.reason}" if result.reason else ""
        print(f"Set parameter {parameter} {'successful' if result.successful else 'failed'}{reason}")
        failed = failed or not result.successful
    return int(failed)


def _set(arguments: argparse.Namespace) -> int:
    parameter = Parameter(name=arguments.parameter_name, value=get_parameter_value(arguments.value))
    with _parameters_of(arguments) as parameters:
        (result,) = parameters.ask(lambda client: client.set_parameters([parameter])).results
    if not result.successful:
        raise CommandError("Setting parameter failed" + (f": {result.reason}" if result.reason else ""))
    print("Set parameter successful" + (f": {result.reason}" if result.reason else ""))
    return 0
