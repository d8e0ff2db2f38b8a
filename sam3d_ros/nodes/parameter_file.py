"""Write config/perception.yaml from the declared parameters: `python -m sam3d_ros.nodes.parameter_file FILE`.

Descriptions, ranges and defaults live in the dataclasses alone; the file follows them.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from sam3d_ros.nodes.body_settings import BodySettings
from sam3d_ros.nodes.object_settings import Settings
from sam3d_ros.nodes.parameter_yaml import yaml_value
from sam3d_ros.nodes.perception import DEFAULT_NODES, HOSTED
from sam3d_ros.nodes.setting_groups import declare_groups, groups_of
from sam3d_ros.ros.parameters import descriptions

_WIDTH = 110
_INDENT = "  "
_HEAD = """\
# Parameters of the processes that perception.launch.py starts, each with its default.
# Change a copy and give it as sam3d_params_file:=FILE; what is left out keeps its default.

/**/perception:
  ros__parameters:
    # Nodes to run in this process, of: {hosted}.
    nodes: [{nodes}]
"""
_NODE_HEAD = """
/**/{name}:
  ros__parameters:
    # Configure and activate the node by itself at start; false leaves both to a manager. Read-only.
    autostart: true
"""
#: The parameters of each node that can be hosted.
_SETTINGS: dict[str, Any] = {"sam3d_objects": Settings(), "sam3d_bodies": BodySettings()}


def parameter_file(context: Context) -> str:
    """The text of the file; the values are those that nodes of the context declare."""
    text = _HEAD.format(hosted=", ".join(HOSTED), nodes=", ".join(DEFAULT_NODES))
    for name in HOSTED:
        # A name that no file of parameters is written for.
        node = rclpy.create_node(f"parameter_file_{name}", context=context)
        text += _NODE_HEAD.format(name=name) + _section(node, declare_groups(node, _SETTINGS[name]))
        node.destroy_node()
    return text


def _section(node: Node, settings: Any) -> str:
    lines: list[str] = []
    group: list[str] = []
    for name, description in _described(settings).items():
        *parents, leaf = name.split(".")
        if parents != group:
            lines += _opened(group, parents)
            group = parents
        indent = _INDENT * (2 + len(parents))
        sentence = description[:1].upper() + description[1:]
        lines += textwrap.wrap(
            f"{sentence}", _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        lines.append(f"{indent}{leaf}: {yaml_value(node.get_parameter(name).value)}")
    return "\n".join(lines) + "\n"


def _described(settings: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, prefix in groups_of(settings):
        found |= descriptions(group, prefix)
    return found


def _opened(left: list[str], entered: list[str]) -> list[str]:
    """The lines that begin groups, an empty one before each outermost."""
    shared = 0
    while shared < min(len(left), len(entered)) and left[shared] == entered[shared]:
        shared += 1
    lines = [""] if shared == 0 else []
    return lines + [f"{_INDENT * (2 + depth)}{entered[depth]}:" for depth in range(shared, len(entered))]


def main() -> int:
    """Write the file named by the first argument."""
    rclpy.init()
    Path(sys.argv[1]).write_text(parameter_file(rclpy.get_default_context()), encoding="utf-8")
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
