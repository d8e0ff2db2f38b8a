"""Parameters of nodes as files that rcl reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any


def yaml_value(value: Any) -> str:
    """A parameter value as YAML that rcl reads: a float keeps its point."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # YAML knows no surrogates
    if isinstance(value, int):
        return str(value)
    return "[" + ", ".join(yaml_value(item) for item in value) + "]"


def overriding_parameters(nodes: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """A file of parameters that wins over all others which the nodes are given, whatever they are named in those.

    rcl keeps parameters of files and of `-p` by the pattern of node names that they are said for, in the order in which
    the patterns first came up, and where two patterns fit a node the later pattern wins, not what was said later. So
    `/**`, which a SetParameter around brings in first of all, loses against the name of a node in any file. These are
    said for patterns that fit the nodes in every namespace and that nobody else writes.
    """
    lines = []
    for node in nodes:
        lines += [f"/**/**/{node}:", "  ros__parameters:"]
        lines += [f"    {name}: {yaml_value(value)}" for name, value in parameters.items()]
    return "\n".join(lines) + "\n"
