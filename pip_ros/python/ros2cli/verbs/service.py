"""``ros2 service``: look at and call services."""

from __future__ import annotations

import argparse

from ros2cli.command import add_subcommands
from ros2cli.graph_node import answer, appears, full_name, graph_node, services, settled
from ros2cli.interface_types import interface_type
from ros2cli.message_text import message_from_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    listing = verbs.add_parser("list", help="Output a list of available services")
    listing.add_argument("-t", "--show-types", action="store_true", help="Additionally show the type")
    listing.set_defaults(verb=_list)
    kind = verbs.add_parser("type", help="Output a service's type")
    kind.add_argument("service_name", help="Name of the service")
    kind.set_defaults(verb=_type)
    call = verbs.add_parser("call", help="Call a service")
    call.add_argument("service_name", help="Name of the service")
    call.add_argument("service_type", help="Type of the service, e.g. 'std_srvs/srv/Empty'")
    call.add_argument("values", nargs="?", default="{}", help="Values of the request in YAML")
    call.set_defaults(verb=_call)


def _list(arguments: argparse.Namespace) -> int:
    with graph_node("service_list") as node:
        found = settled(node, lambda: services(node), None)
    for name, types in found:
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def _type(arguments: argparse.Namespace) -> int:
    with graph_node("service_type") as node:
        name = full_name(node, arguments.service_name)
        types = appears(node, lambda: dict(services(node, hidden=True)).get(name))
    for each in types or ():
        print(each)
    return 0 if types else 1


def _call(arguments: argparse.Namespace) -> int:
    service_type = interface_type(arguments.service_type, "srv")
    request = message_from_yaml(service_type.Request, arguments.values)
    with graph_node("service_call") as node:
        client = node.create_client(service_type, full_name(node, arguments.service_name))
        if not client.service_is_ready():
            print("waiting for service to become available...", flush=True)
            client.wait_for_service()
        print(f"requester: making request: {request!r}\n", flush=True)
        response = answer(node, lambda: client.call_async(request))
    print(f"response:\n{response!r}\n")
    return 0
