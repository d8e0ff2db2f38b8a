"""The tags of launch files in XML and YAML that stand for actions of launch_ros."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from launch.frontend.entity import Entity
from launch.frontend.parser import Parser
from launch.frontend.tags import optional, pairs, process_keywords, text, words
from launch.launch_description_entity import LaunchDescriptionEntity
from launch_ros.actions import Node, PushROSNamespace, SetParameter, SetParametersFromFile, SetRemap
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

_TYPES = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list_of_bool": list[bool],
    "list_of_int": list[int],
    "list_of_float": list[float],
    "list_of_str": list[str],
}


def _node(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    arguments = entity.get_attr("args", optional=True)
    ros_arguments = entity.get_attr("ros_args", optional=True)
    parameters = entity.get_attr("param", data_type=list[Entity], optional=True) or ()
    return Node(
        package=text(entity, parser, "pkg"),
        executable=text(entity, parser, "exec"),
        **optional(entity, parser, name="name", namespace="namespace", exec_name="exec_name"),
        arguments=None if arguments is None else words(parser, arguments),
        ros_arguments=None if ros_arguments is None else words(parser, ros_arguments),
        remappings=pairs(entity, parser, "remap", "from", "to"),
        parameters=_parameters(parameters, parser),
        **process_keywords(entity, parser),
    )


def _parameters(entities: Iterable[Entity], parser: Parser) -> list[Any]:
    """Return files, and mappings from names to values or to mappings of what is below."""
    found: list[Any] = []
    for entity in entities:
        file = entity.get_attr("from", optional=True)
        if file is not None:
            substitutions = entity.get_attr("allow_substs", data_type=bool, optional=True)
            found.append(
                ParameterFile(
                    parser.parse_substitution(file),
                    allow_substs=False
                    if substitutions is None
                    else parser.parse_if_substitutions(substitutions),
                )
            )
        else:
            found.append(_parameter(entity, parser))
        entity.refuse_rest()
    return found


def _parameter(entity: Entity, parser: Parser) -> dict[str, Any]:
    name = entity.get_attr("name")
    below = entity.get_attr("param", data_type=list[Entity], optional=True)
    if below is None:
        return {name: _value(entity, parser)}
    values: dict[str, Any] = {}
    for child in below:
        values |= _parameter(child, parser)
        child.refuse_rest()
    return {name: values}


def _value(entity: Entity, parser: Parser) -> Any:
    """Return the value of a parameter: typed by YAML in XML and where it has substitutions, else as it is written."""
    value = entity.get_attr("value", data_type=None)
    kind = entity.get_attr("type", optional=True)
    separator = entity.get_attr("value-sep", optional=True)
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"parameter of type '{kind}': expected one of {', '.join(_TYPES)}")
    if separator is not None:
        value = f"[{', '.join(str(value).split(separator))}]"
    if isinstance(value, str) and (kind is not None or "$(" in value or not entity.typed or separator):
        value = parser.parse_substitution(value)
    return ParameterValue(value, value_type=None if kind is None else _TYPES[kind])


def _set_parameter(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    name = text(entity, parser, "name")
    return SetParameter(name, _value(entity, parser), **parser.parse_condition(entity))


def _set_parameters_from_file(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    return SetParametersFromFile(text(entity, parser, "filename"), **parser.parse_condition(entity))


def _push_namespace(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    return PushROSNamespace(text(entity, parser, "namespace"), **parser.parse_condition(entity))


def _set_remap(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    source, target = text(entity, parser, "from"), text(entity, parser, "to")
    return SetRemap(source, target, **parser.parse_condition(entity))


#: Tag -> what makes its action.
TAGS: dict[str, Callable[[Entity, Parser], LaunchDescriptionEntity]] = {
    "node": _node,
    "push_ros_namespace": _push_namespace,
    "set_parameter": _set_parameter,
    "set_parameters_from_file": _set_parameters_from_file,
    "set_remap": _set_remap,
}
