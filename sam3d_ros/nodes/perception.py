"""The executable `perception`: the nodes of the graph in one process, which share the machine's memory and models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node

from sam3d_ros.nodes.commons import Commons
from sam3d_ros.nodes.lifecycle import begin, cannot_start, run_nodes
from sam3d_ros.nodes.sam3d_bodies import Sam3dBodies
from sam3d_ros.nodes.sam3d_objects import Sam3dObjects
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.parameters import declare

#: What `nodes` can name. All of a process share the commons.
HOSTED: dict[str, Callable[[Commons], Node]] = {"sam3d_objects": Sam3dObjects, "sam3d_bodies": Sam3dBodies}
#: What it names unless somebody says otherwise.
DEFAULT_NODES = ("sam3d_objects",)


@dataclass(frozen=True)
class HostSettings(Settings):
    """Parameters of the process."""

    nodes: tuple[str, ...] = parameter(
        DEFAULT_NODES, "Nodes to run in this process.", choices=tuple(HOSTED), read_only=True
    )


def chosen_nodes(args: list[str]) -> list[Callable[[], Node]]:
    """The factories of the nodes that the parameter `nodes` of the node `perception` names.

    Raises:
        FaultError: invalid_parameter: a name is unknown, or there twice, or the arguments cannot be read.
        ParameterException: a parameter of ROS itself is of another type.
    """
    begin(args)
    host = rclpy.create_node("perception")
    names = declare(host, HostSettings()).nodes
    host.destroy_node()
    rclpy.shutdown()
    if not names:
        raise FaultError(
            Fault.INVALID_PARAMETER, f"parameter nodes is empty: name one or more of {', '.join(HOSTED)}"
        )
    if len(set(names)) < len(names):
        raise FaultError(
            Fault.INVALID_PARAMETER,
            f"parameter nodes is {list(names)}: name each node once, as each has one name",
        )
    commons = Commons()
    return [partial(HOSTED[name], commons) for name in names]


def main() -> int:
    """Entry point of the executable `perception`."""
    try:
        factories = chosen_nodes(sys.argv)
    except (FaultError, ParameterException) as error:
        return cannot_start(error)
    return run_nodes(factories, sys.argv)
