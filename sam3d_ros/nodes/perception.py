"""The executable `perception`: the nodes of the graph in one process, which share the machine's memory and models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from sam3d_ros.nodes.commons import Commons
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.sam3d_bodies import Sam3dBodies
from sam3d_ros.nodes.sam3d_objects import Sam3dObjects

#: What `nodes` can name. All of a process share the commons.
HOSTED: dict[str, Callable[[Commons], Node]] = {"sam3d_objects": Sam3dObjects, "sam3d_bodies": Sam3dBodies}
#: What it names unless somebody says otherwise.
DEFAULT_NODES = ("sam3d_objects",)


def chosen_nodes(args: list[str]) -> list[Callable[[], Node]]:
    """The factories of the nodes that the parameter `nodes` of the node `perception` names.

    Raises:
        ValueError: a name is unknown.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    host = rclpy.create_node("perception")
    try:
        host.declare_parameter(
            "nodes",
            list(DEFAULT_NODES),
            ParameterDescriptor(
                description=f"Nodes to run in this process, of: {', '.join(HOSTED)}.", read_only=True
            ),
        )
        names = list(host.get_parameter("nodes").value)
    finally:
        host.destroy_node()
        rclpy.shutdown()
    unknown = [name for name in names if name not in HOSTED]
    if unknown or not names:
        raise ValueError(f"nodes is {names}: name one or more of {', '.join(HOSTED)}")
    commons = Commons()
    return [partial(HOSTED[name], commons) for name in names]


def main() -> int:
    """Entry point of the executable `perception`."""
    try:
        factories = chosen_nodes(sys.argv)
    except ValueError as error:
        print(f"perception: {error}", file=sys.stderr)
        return 2
    return run_nodes(factories, sys.argv)
