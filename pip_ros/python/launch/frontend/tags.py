"""The tags of launch files in XML and YAML that stand for actions of launch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
    UnsetEnvironmentVariable,
    UnsetLaunchConfiguration,
)
from launch.frontend.entity import Entity
from launch.frontend.parser import Parser
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.substitution import Substitution
from launch.substitutions import TextSubstitution

_WORDS = re.compile(r"\s+|\"([^\"]*)\"|'([^']*)'|([^\s\"']+)")


def text(entity: Entity, parser: Parser, name: str) -> list[Substitution]:
    """Return an attribute that is a text."""
    return parser.parse_substitution(entity.get_attr(name))


def optional(entity: Entity, parser: Parser, **names: str) -> dict[str, Any]:
    """Return the texts that are given as keyword arguments; ``names`` is keyword=attribute."""
    found = {keyword: entity.get_attr(name, optional=True) for keyword, name in names.items()}
    return {
        keyword: parser.parse_substitution(value) for keyword, value in found.items() if value is not None
    }


def pairs(
    entity: Entity, parser: Parser, name: str, first: str, second: str
) -> list[tuple[list[Substitution], list[Substitution]]]:
    """Return two attributes of every entity of a name below."""
    found = []
    for below in entity.get_attr(name, data_type=list[Entity], optional=True) or ():
        found.append((text(below, parser, first), text(below, parser, second)))
        below.refuse_rest()
    return found


def words(parser: Parser, line: str) -> list[list[Substitution]]:
    """Return the words of a command line, of which each may hold substitutions and be quoted."""
    found: list[list[Substitution]] = []
    begun = False
    for part in parser.parse_substitution(line):
        if not isinstance(part, TextSubstitution):
            found = found if begun else [*found, []]
            found[-1].append(part)
            begun = True
            continue
        for match in _WORDS.finditer(part.text):
            if match[0].isspace():
                begun = False
                continue
            found = found if begun else [*found, []]
            found[-1].append(
                TextSubstitution(text=next(group for group in match.groups() if group is not None))
            )
            begun = True
    return found


def process_keywords(entity: Entity, parser: Parser) -> dict[str, Any]:
    """Return the keyword arguments of every process."""
    keywords = parser.parse_condition(entity)
    keywords |= optional(entity, parser, output="output", cwd="cwd", prefix="launch-prefix")
    for name in ("sigterm_timeout", "sigkill_timeout"):
        value = entity.get_attr(name, data_type=float, optional=True)
        if value is not None:
            keywords[name] = parser.parse_if_substitutions(value)
    respawn = entity.get_attr("respawn", data_type=bool, optional=True)
    if respawn is not None:
        keywords["respawn"] = parser.parse_if_substitutions(respawn)
    delay = entity.get_attr("respawn_delay", data_type=float, optional=True, can_be_str=False)
    if delay is not None:
        keywords["respawn_delay"] = delay
    if environment := pairs(entity, parser, "env", "name", "value"):
        keywords["additional_env"] = {tuple(name): value for name, value in environment}
    return keywords


def _arg(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    choices = entity.get_attr("choice", data_type=list[Entity], optional=True)
    return DeclareLaunchArgument(
        entity.get_attr("name"),
        **optional(entity, parser, default_value="default"),
        description=entity.get_attr("description", optional=True),
        choices=None if choices is None else [choice.get_attr("value") for choice in choices],
        **parser.parse_condition(entity),
    )


def _include(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    return IncludeLaunchDescription(
        AnyLaunchDescriptionSource(text(entity, parser, "file")),
        launch_arguments=pairs(entity, parser, "arg", "name", "value"),
        **parser.parse_condition(entity),
    )


def _group(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    keywords = parser.parse_condition(entity)
    for name in ("scoped", "forwarding"):
        value = entity.get_attr(name, data_type=bool, optional=True, can_be_str=False)
        if value is not None:
            keywords[name] = value
    return GroupAction([parser.parse_action(child) for child in entity.children], **keywords)


def _timer(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    return TimerAction(
        period=parser.parse_if_substitutions(entity.get_attr("period", data_type=float)),
        actions=[parser.parse_action(child) for child in entity.children],
        **parser.parse_condition(entity),
    )


def _executable(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
    shell = entity.get_attr("shell", data_type=bool, optional=True, can_be_str=False)
    return ExecuteProcess(
        cmd=words(parser, entity.get_attr("cmd")),
        shell=bool(shell),
        **optional(entity, parser, name="name"),
        **process_keywords(entity, parser),
    )


def _of_texts(action: Callable[..., LaunchDescriptionEntity], **names: str) -> Any:
    """Return what makes an action whose attributes are all texts; ``names`` is keyword=attribute."""

    def make(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
        keywords = {keyword: text(entity, parser, name) for keyword, name in names.items()}
        return action(**keywords, **parser.parse_condition(entity))

    return make


#: Tag -> what makes its action.
TAGS: dict[str, Callable[[Entity, Parser], LaunchDescriptionEntity]] = {
    "arg": _arg,
    "executable": _executable,
    "group": _group,
    "include": _include,
    "let": _of_texts(SetLaunchConfiguration, name="name", value="value"),
    "log": _of_texts(LogInfo, msg="message"),
    "set_env": _of_texts(SetEnvironmentVariable, name="name", value="value"),
    "shutdown": _of_texts(Shutdown, reason="reason"),
    "timer": _timer,
    "unset": _of_texts(UnsetLaunchConfiguration, name="name"),
    "unset_env": _of_texts(UnsetEnvironmentVariable, name="name"),
}
