"""Frozen dataclasses as declared ROS parameters, with descriptions and ranges.

A nested dataclass becomes a group: its field `tolerance` in the field `assembler` is `assembler.tolerance`. The
description of a parameter comes from the field's metadata (`parameter`) or from the `Attributes:` section of the class
docstring.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")

_TYPES: Mapping[Any, Parameter.Type] = MappingProxyType(
    {
        bool: Parameter.Type.BOOL,
        int: Parameter.Type.INTEGER,
        float: Parameter.Type.DOUBLE,
        str: Parameter.Type.STRING,
    }
)
_ARRAY_TYPES: Mapping[Any, Parameter.Type] = MappingProxyType(
    {
        bool: Parameter.Type.BOOL_ARRAY,
        int: Parameter.Type.INTEGER_ARRAY,
        float: Parameter.Type.DOUBLE_ARRAY,
        str: Parameter.Type.STRING_ARRAY,
    }
)


def parameter(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
    read_only: bool = False,
) -> Any:
    """A dataclass field with what a parameter needs to know beyond its type.

    Args:
        default: its default.
        description: one sentence with the unit.
        minimum, maximum: range of a number, both ends allowed.
        choices: the texts that are allowed.
        read_only: cannot be set while the node runs.
    """
    metadata = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """One parameter: its name, type, default and metadata."""

    name: str
    kind: Any
    default: Any
    description: str
    metadata: Mapping[str, Any]


def declare(node: Node, defaults: T, prefix: str = "") -> T:
    """Declare a parameter for every field, and return the values that the node was started with.

    Args:
        node: the parameters' node.
        defaults: an instance of a frozen dataclass.
        prefix: put before every name, for instance `assembler.`.

    Raises:
        ValueError: a value is refused by its dataclass or is none of its choices.
        rclpy.exceptions.InvalidParameterTypeException, InvalidParameterValueException: a given value has another
            type, or is out of range.
    """
    for leaf in _leaves(defaults, prefix):
        node.declare_parameter(leaf.name, _to_ros(leaf.default), _descriptor(leaf))
    return read(node, defaults, prefix)


def read(node: Node, defaults: T, prefix: str = "") -> T:
    """The declared parameters as an instance of the dataclass; raises ValueError as `declare` does."""
    values = {leaf.name: node.get_parameter(leaf.name).value for leaf in _leaves(defaults, prefix)}
    return with_values(defaults, values, prefix)


def with_values(config: T, values: Mapping[str, Any], prefix: str = "") -> T:
    """A copy with some parameters changed.

    Args:
        config: an instance of a frozen dataclass.
        values: full names of parameters and their values; others than its own are passed over.

    Raises:
        ValueError: a value is refused by its dataclass or is none of its choices; the message names the parameter.
    """
    changes: dict[str, Any] = {}
    hints = typing.get_type_hints(type(config))
    for item in dataclasses.fields(_checked(config)):
        name, value = prefix + item.name, getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            changes[item.name] = with_values(value, values, name + ".")
        elif name in values:
            changes[item.name] = _from_ros(name, values[name], hints[item.name], item.metadata)
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f"parameters {prefix or ''}*: {error}") from error


def names(defaults: object, prefix: str = "") -> list[str]:
    """The full names of all parameters of a dataclass."""
    return [leaf.name for leaf in _leaves(defaults, prefix)]


def descriptions(defaults: object, prefix: str = "") -> dict[str, str]:
    """Name -> description with its range or choices, as shown to users."""
    return {
        leaf.name: " ".join(filter(None, [leaf.description, _limits(leaf.metadata)]))
        for leaf in _leaves(defaults, prefix)
    }


def _checked(config: object) -> Any:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"an instance of a dataclass is expected, got {config!r}")
    return config


def _leaves(config: object, prefix: str) -> list[_Leaf]:
    leaves: list[_Leaf] = []
    hints = typing.get_type_hints(type(config))
    documented = _documented(type(config))
    for item in dataclasses.fields(_checked(config)):
        value, name = getattr(config, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            leaves += _leaves(value, name + ".")
            continue
        description = item.metadata.get("description") or documented.get(item.name, "")
        leaves.append(_Leaf(name, hints[item.name], value, description, item.metadata))
    return leaves


def _documented(kind: type) -> dict[str, str]:
    """Field -> text of the `Attributes:` section of a docstring; `a, b: text` documents both."""
    # Python 3.13 takes the indentation out of docstrings itself.
    _, found, section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    if not found:
        return {}
    texts: dict[str, str] = {}
    current: list[str] = []
    for line in section.splitlines():
        entry = re.match(r" {4}([a-z_]\w*(?:, [a-z_]\w*)*): (.*)", line)
        if entry:
            current = entry[1].split(", ")
            texts.update(dict.fromkeys(current, entry[2]))
        elif line.startswith(" " * 5):
            texts.update({name: f"{texts[name]} {line.strip()}" for name in current})
        elif line.strip():
            break
    return texts


def _descriptor(leaf: _Leaf) -> ParameterDescriptor:
    minimum, maximum = leaf.metadata.get("minimum"), leaf.metadata.get("maximum")
    descriptor = ParameterDescriptor(
        name=leaf.name,
        type=_ros_type(leaf.name, leaf.kind).value,
        description=leaf.description,
        additional_constraints=_limits({**leaf.metadata, "minimum": None, "maximum": None}, leaf.kind),
        read_only=leaf.metadata.get("read_only", False),
    )
    if minimum is None and maximum is None:
        return descriptor
    if leaf.kind is int:
        # Both ends are needed; an open one is the end of the type.
        descriptor.integer_range = [
            IntegerRange(
                from_value=-(2**63) if minimum is None else int(minimum),
                to_value=2**63 - 1 if maximum is None else int(maximum),
            )
        ]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float("-inf") if minimum is None else float(minimum),
                to_value=float("inf") if maximum is None else float(maximum),
            )
        ]
    return descriptor


def _limits(metadata: Mapping[str, Any], kind: Any = None) -> str:
    choices = metadata.get("choices") or _enum_values(kind)
    if choices:
        return f"One of: {', '.join(map(str, choices))}."
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if low is not None and high is not None:
        return f"From {low:g} to {high:g}."
    if low is not None:
        return f"At least {low:g}."
    return "" if high is None else f"At most {high:g}."


def _enum_values(kind: Any) -> tuple[Any, ...]:
    return tuple(member.value for member in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def _ros_type(name: str, kind: Any) -> Parameter.Type:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Parameter.Type.STRING
    if kind in _TYPES:
        return _TYPES[kind]
    if typing.get_origin(kind) in (tuple, list, frozenset):
        element = typing.get_args(kind)[0]
        if element in _ARRAY_TYPES:
            return _ARRAY_TYPES[element]
    raise TypeError(
        f"parameter {name} has type {kind}: bool, int, float, str, an Enum of str, or a tuple, list or frozenset "
        "of these is expected"
    )


def _to_ros(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _from_ros(name: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> Any:
    choices = metadata.get("choices") or _enum_values(kind)
    if choices and value not in choices:
        raise ValueError(f"parameter {name} is {value!r}: use one of {', '.join(map(str, choices))}")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    origin = typing.get_origin(kind)
    return origin(value) if origin in (tuple, list, frozenset) else value
