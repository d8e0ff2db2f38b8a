"""Frozen dataclasses as declared ROS parameters, with descriptions and ranges.

A nested dataclass becomes a group: its field `tolerance` in the field `assembler` is `assembler.tolerance`. The
description of a parameter comes from the field's metadata (`perception.settings.parameter`) or from the `Attributes:`
section of the class docstring, its limits from the field.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam3d_ros.perception.settings import (
    allowed,
    check_declaration,
    check_value,
    choices_of,
    element_of,
    number_text,
)
from sam3d_ros.ros.faults import Fault, FaultError

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
_READ_ONLY = "Read-only."


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
        FaultError: invalid_parameter: the node was started with a value that is not allowed.
        TypeError: a number is declared without limits.
    """
    leaves = _leaves(defaults, prefix)
    descriptors = [_descriptor(leaf) for leaf in leaves]
    for leaf in leaves:
        # Of any type at first, so that a refusal says what is allowed; rclpy's does not.
        node.declare_parameter(leaf.name, _to_ros(leaf.default), ParameterDescriptor(dynamic_typing=True))
    for descriptor in descriptors:
        kind = Parameter.Type(descriptor.type)
        if kind in _ARRAY_TYPES.values() and node.get_parameter(descriptor.name).value in ([], None):
            # A list of nothing is of no type, says rclpy, and makes it one of bytes, or nothing at all.
            node.set_parameters([Parameter(descriptor.name, kind, [])])
    config = read(node, defaults, prefix)
    for descriptor in descriptors:
        node.set_descriptor(descriptor.name, descriptor)
    return config


def read(node: Node, defaults: T, prefix: str = "") -> T:
    """The declared parameters as an instance of the dataclass; raises FaultError as `declare` does."""
    given = {leaf.name: node.get_parameter(leaf.name).value for leaf in _leaves(defaults, prefix)}
    return with_values(defaults, given, prefix)


def with_values(config: T, given: Mapping[str, Any], prefix: str = "") -> T:
    """A copy with some parameters changed.

    Args:
        config: an instance of a frozen dataclass.
        given: full names of parameters and their values; others than its own are passed over.

    Raises:
        FaultError: invalid_parameter: a value is not allowed; the message names the parameter, the value, and what is.
    """
    changes: dict[str, Any] = {}
    hints = typing.get_type_hints(type(config))
    for item in dataclasses.fields(_checked(config)):
        name, value = prefix + item.name, getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            changes[item.name] = with_values(value, given, name + ".")
        elif name in given:
            changes[item.name] = _from_ros(name, given[name], hints[item.name], item.metadata)
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except FaultError:
        raise
    except ValueError as error:
        raise FaultError(Fault.INVALID_PARAMETER, f"parameters {prefix or ''}*: {error}") from error


def names(defaults: object, prefix: str = "") -> list[str]:
    """The full names of all parameters of a dataclass."""
    return [leaf.name for leaf in _leaves(defaults, prefix)]


def values(config: object, prefix: str = "") -> dict[str, Any]:
    """Name -> value as ROS has it, of all parameters of a dataclass."""
    return {leaf.name: _to_ros(leaf.default) for leaf in _leaves(config, prefix)}


def descriptions(defaults: object, prefix: str = "") -> dict[str, str]:
    """Name -> description with its range or choices, and whether it is given at start alone, as shown to users."""
    return {
        leaf.name: " ".join(
            filter(
                None, [leaf.description, _limits(leaf), _READ_ONLY * leaf.metadata.get("read_only", False)]
            )
        )
        for leaf in _leaves(defaults, prefix)
    }


def _checked(config: object) -> Any:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"an instance of a dataclass is expected, got {config!r}")
    return config


def _leaves(config: object, prefix: str) -> list[_Leaf]:
    leaves: list[_Leaf] = []
    check_declaration(type(_checked(config)))
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
    descriptor = ParameterDescriptor(
        name=leaf.name,
        type=_ros_type(leaf.name, leaf.kind).value,
        description=leaf.description,
        additional_constraints=_limits(leaf) if leaf.kind not in (int, float) else "",
        read_only=leaf.metadata.get("read_only", False),
    )
    if leaf.kind is int:
        low, high = leaf.metadata["minimum"], leaf.metadata["maximum"]
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    elif leaf.kind is float:
        low, high = leaf.metadata["minimum"], leaf.metadata["maximum"]
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor


def _limits(leaf: _Leaf) -> str:
    """What is to be known of its values beyond their type, as a sentence."""
    element = element_of(leaf.kind)
    if choices := choices_of(element, leaf.metadata):
        return f"One of: {', '.join(choices)}." if element is leaf.kind else f"Of: {', '.join(choices)}."
    if element not in (int, float):
        return ""
    low, high = (number_text(leaf.metadata[end]) for end in ("minimum", "maximum"))
    return f"From {low} to {high}."


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
    """A value of a field; raises FaultError as `with_values` does."""
    origin, element = typing.get_origin(kind), element_of(kind)
    try:
        if isinstance(element, type) and issubclass(element, Enum):
            if value not in choices_of(element, metadata):
                raise ValueError(f"parameter {name} is {value!r}: give {allowed(kind, metadata)}")
            return element(value)
        if kind is float and isinstance(value, int):
            # rcl takes no whole number for a floating one.
            raise ValueError(
                f"parameter {name} is {value!r}: give {allowed(kind, metadata)}, with a decimal point"
            )
        check_value(name, value, kind, metadata)
    except ValueError as error:
        raise FaultError(Fault.INVALID_PARAMETER, str(error)) from error
    return value if origin is None else origin(value)
