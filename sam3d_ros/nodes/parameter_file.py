"""Write config/perception.yaml from the declared parameters: `python -m sam3d_ros.nodes.parameter_file FILE`.

Descriptions, ranges and defaults live in the dataclasses alone; the file follows them.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node

from sam3d_ros.nodes.object_settings import Settings, declare_settings
from sam3d_ros.nodes.perception import HOSTED
from sam3d_ros.ros.parameters import descriptions

_WIDTH = 110
_INDENT = "  "
_HEAD = """\
# Parameters of the processes that perception.launch.py starts, each with its default.
# Change a copy and give it as params_file:=FILE; what is left out keeps its default.

/**/perception:
  ros__parameters:
    # Nodes to run in this process.
    nodes: [{nodes}]

/**/sam3d_objects:
  ros__parameters:
    # Configure and activate the node by itself at start; false leaves both to a manager. Read-only.
    autostart: true
"""


def parameter_file(node: Node) -> str:
    """The text of the file. Declares the parameters of `sam3d_objects` on a node that does not have them yet."""
    settings = declare_settings(node)
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
        lines.append(f"{indent}{leaf}: {_yaml(node.get_parameter(name).value)}")
    return _HEAD.format(nodes=", ".join(HOSTED)) + "\n".join(lines) + "\n"


def _described(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, prefix in settings.groups():
        found |= descriptions(group, prefix)
    return found


def _opened(left: list[str], entered: list[str]) -> list[str]:
    """The lines that begin groups, an empty one before each outermost."""
    shared = 0
    while shared < min(len(left), len(entered)) and left[shared] == entered[shared]:
        shared += 1
    lines = [""] if shared == 0 else []
    return lines + [f"{_INDENT * (2 + depth)}{entered[depth]}:" for depth in range(shared, len(entered))]


def _yaml(value: Any) -> str:
    """A parameter value as YAML that rcl reads: a float keeps its point."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    return "[" + ", ".join(_yaml(item) for item in value) + "]"


def main() -> int:
    """Write the file named by the first argument."""
    rclpy.init()
    node = rclpy.create_node("parameter_file")
    Path(sys.argv[1]).write_text(parameter_file(node), encoding="utf-8")
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
